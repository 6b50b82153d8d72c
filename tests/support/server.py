"""A twokey of one's own: the real process, on a free port, with a fresh data folder and a movable clock."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.clients import ROOT
from tests.support.ports import free_port

# How long a start or a stop may take before the test gives up. Not a promise about speed: those are in the bench.
PATIENCE = 60.0
_POLL = 0.02
# The protocol's tests are run a second time without the fast lane, by this name in the environment.
LANE = "TEST_FAST_LANE"
_LANE = {"TWOKEY_FAST_LANE": os.environ[LANE]} if LANE in os.environ else {}
_ADDRESS = re.compile(r"http://localhost:(\d+)")


class Server:
    """twokey in a process. Use it as a context manager: the process ends with the block, whatever happens in it."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        """`folder` holds the data, the log and the clock; `environ` adds settings (TWOKEY_...)."""
        self.data = folder / "data"
        self._log_file = folder / "server.log"
        self._clock_file = folder / "clock"
        self._environ = dict(environ or {})
        self._offset = 0.0
        self._held_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._write_clock()

    def __enter__(self) -> Self:
        """Start, and wait until the server says that it is well."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.stop()

    @property
    def host(self) -> str:
        """Host and port, as they stand in npm's `//HOST/:_authToken`."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The registry's address, as npm prints it: with the slash."""
        return f"http://{self.host}/"

    @property
    def log(self) -> str:
        """Everything that the server has printed, over all its starts."""
        return self._log_file.read_text(encoding="utf-8", errors="replace") if self._log_file.exists() else ""

    # -- the process ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start on a free port (later starts: on the same one) and wait for health."""
        already = len(self.log)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.serve"],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_well(already)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int | None:
        """Ask the server to end and wait for it; its exit code, None when none was running."""
        return self._end(gently=True)

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self._end(gently=False)

    def restart(self) -> None:
        """Stop, and start again on the same port with the same data."""
        self.stop()
        self.start()

    def _end(self, *, gently: bool) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if gently:
            process.terminate()
        else:
            process.kill()
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdin is not None:
                process.stdin.close()

    def _environment(self) -> dict[str, str]:
        """What the server gets: none of the caller's settings, so that a test is the same everywhere."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TWOKEY_")}
        return {
            **inherited,
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUNBUFFERED": "1",
            "TWOKEY_HOST": "localhost",
            "TWOKEY_PORT": str(self.port),
            "TWOKEY_DATA": str(self.data),
            **_LANE,
            **self._environ,
            "TEST_CLOCK_OFFSET_FILE": str(self._clock_file),
        }

    def _wait_until_well(self, already: int) -> None:
        """Read the port from the log (what is new in it) and ask for health until the answer is 200."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise AssertionError(f"the server ended at its start:\n{self.log}")
            said = _ADDRESS.search(self.log[already:])
            if said is not None:
                self.port = int(said[1])
                if self._healthy():
                    return
            time.sleep(_POLL)
        raise AssertionError(f"the server did not answer in time:\n{self.log}")

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/-/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    # -- the clock -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The server's time, in seconds since the epoch."""
        return time.time() + self._offset if self._held_at is None else self._held_at

    def advance(self, seconds: float) -> None:
        """Move the server's clock on."""
        if self._held_at is None:
            self._offset += seconds
        else:
            self._held_at += seconds
        self._write_clock()

    def command_that_advances(self, seconds: float, prepared: Path) -> str:
        """A shell command that moves the clock on, once, in the middle of what a client does; `prepared` is a file
        that it uses. The test calls `advance` as well when the client is done."""
        prepared.write_text(repr(self._offset + seconds), encoding="ascii")
        return f"mv {shlex.quote(str(prepared))} {shlex.quote(str(self._clock_file))} || true"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the clock in the middle of a time step, so that what a code is judged as does not hang on how long a
        client takes. `advance` still moves it; afterwards it goes on from where it stands."""
        middle = self.now() // 30 * 30 + 15
        self._held_at = middle if middle >= self.now() else middle + 30
        self._write_clock()
        try:
            yield
        finally:
            self._offset = self._held_at - time.time()
            self._held_at = None
            self._write_clock()

    def _write_clock(self) -> None:
        text = repr(self._offset) if self._held_at is None else f"@{self._held_at!r}"
        fresh = self._clock_file.with_suffix(".new")
        fresh.write_text(text, encoding="ascii")
        fresh.replace(self._clock_file)

    # -- the operator --------------------------------------------------------------------------------------------

    def admin(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """`twokey admin ...` on this server's data folder. The clock of the command line is the machine's."""
        return subprocess.run(
            [sys.executable, "-m", "twokey", "--data", str(self.data), "admin", *args],
            cwd=ROOT,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
