"""`twokey` as somebody types it: the console script, in a folder of its own, with the settings of the test alone."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.accounts import PASSWORD, user_document, user_path
from tests.support.clients import ROOT

TWOKEY = Path(sys.executable).parent / "twokey"
FREE_PORT = {"TWOKEY_PORT": "0"}
# When to give up waiting. Nothing takes that long; the promises about time are asserted where they are made.
PATIENCE = 60.0
POLL = 0.01
T = TypeVar("T")
_LISTENS = re.compile(r"^twokey \S+ listens on http://(?:\[[^\]]*\]|[^:/]+):(\d+)/$", re.MULTILINE)
_LAST_LINE = "  stop                Ctrl-C\n"


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without its settings of twokey, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TWOKEY_")}
    return {**inherited, **settings}


def run(
    *args: str, cwd: Path, settings: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """`twokey ARGS` to its end."""
    return subprocess.run(
        [str(TWOKEY), *args],
        cwd=cwd,
        env=environment(settings or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def until(look: Callable[[], T], what: str) -> T:
    """What `look` gives as soon as it is true; fails with `what` when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(POLL)
    raise AssertionError(f"waited in vain: {what}")


class Serving:
    """`twokey serve` (or `command`) in `cwd`. A context manager: the process ends with the block."""

    def __init__(self, cwd: Path, settings: Mapping[str, str] | None = None, command: Sequence[str] = ()) -> None:
        """Nothing runs yet."""
        self.cwd = cwd
        self.settings = dict(FREE_PORT if settings is None else settings)
        self._command = list(command) or [str(TWOKEY), "serve"]
        self._log = cwd / "stderr.log"
        self._said = cwd / "stdout.log"
        self.process: subprocess.Popen[bytes]
        self._guard: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Start, and wait for the last line of the banner."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        for connection in self.connections:
            connection.close()
        self.kill()

    def start(self) -> None:
        """Start, and wait for the last line of the banner."""
        with self._said.open("wb") as stdout, self._log.open("ab") as stderr:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT if self._command[0] == "make" else self.cwd,
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._watch()
        until(lambda: _LAST_LINE in self.banner or self.process.poll() is not None, "the banner")
        found = _LISTENS.search(self.banner)
        assert found is not None, self.banner + self.log
        self.port = int(found[1])

    def _watch(self) -> None:
        """A test run that is killed leaves no server behind: a shell that waits for its end ends the server."""
        self._release()
        script = f"read -r _; kill -KILL -{self.process.pid}"
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _release(self) -> None:
        """The server has ended: nobody has to end it any more."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None

    @property
    def banner(self) -> str:
        """What was printed to standard output since the last start."""
        return self._said.read_text()

    @property
    def log(self) -> str:
        """What was printed to standard error, over all starts."""
        return self._log.read_text()

    def banner_line(self, begin: str) -> str:
        """The rest of the line that says what `begin` is."""
        found = re.search(rf"^  {re.escape(begin)} +(.*)$", self.banner, re.MULTILINE)
        assert found is not None, self.banner
        return found[1]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started."""
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(PATIENCE)
        self._release()
        return code

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.send(signal.SIGTERM)
        return self.exit_code()

    def kill(self) -> None:
        """End everything that was started at once, as a power cut would."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.exit_code()

    def listens(self, host: str = "127.0.0.1") -> bool:
        """Whether a connection is taken. One that is reset met the listener in the moment of its closing."""
        try:
            socket.create_connection((host, self.port), timeout=PATIENCE).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return False
        return True

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> tuple[int, Any]:
        """One request; the status, and the JSON of the answer."""
        sent = {"npm-auth-type": "legacy", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=sent)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def admin(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`twokey admin ARGS` with the settings of this server."""
        return run("admin", *args, cwd=self.cwd, settings=self.settings, stdin=stdin)


class HalfSent:
    """A request whose body the server is reading, and of which one half has been sent."""

    def __init__(self, serving: Serving, method: str, path: str, token: str, body: object) -> None:
        """Send the head, wait until the server asks for the body, send half of it."""
        self._body = json.dumps(body).encode()
        self._socket = socket.create_connection(("127.0.0.1", serving.port), timeout=PATIENCE)
        serving.connections.append(self._socket)
        head = (
            f"{method} {path} HTTP/1.1",
            f"host: localhost:{serving.port}",
            f"authorization: Bearer {token}",
            f"content-length: {len(self._body)}",
            "expect: 100-continue",
            "",
            "",
        )
        self._socket.sendall("\r\n".join(head).encode())
        assert self._socket.recv(64).startswith(b"HTTP/1.1 100 Continue")
        self._half = len(self._body) // 2
        self._socket.sendall(self._body[: self._half])

    def finish(self) -> tuple[int, Any]:
        """Send the other half; the status, and the JSON of the answer."""
        with self._socket:
            self._socket.sendall(self._body[self._half :])
            response = http.client.HTTPResponse(self._socket)
            response.begin()
            with response:
                return response.status, json.loads(response.read())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def sign_up(serving: Serving, name: str) -> str:
    """A new account; its login token."""
    status, answer = serving.ask("PUT", user_path(name), body=user_document(name, PASSWORD, f"{name}@example.com"))
    assert status == 201, answer
    return str(answer["token"])


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes, and every folder, but for the logs that the test itself keeps."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
        if path.suffix != ".log"
    }
