"""The unmodified npm client, in a home of its own, with and without a terminal."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pexpect

from tests.support import clients
from tests.support.server import Server

COLUMNS, ROWS = 80, 60
# When to give up on a client. Far above what it takes: an expiry means that it waits for something else.
PATIENCE = 60.0
# In a conversation: something was done that the client notices by itself.
NOTHING = "\0"

# Colours, cursor movements, and npm's spinner, which is drawn and erased while it waits.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x07|[\u2800-\u28ff]")


@dataclass(frozen=True)
class Result:
    """How a client ended that ran without a terminal."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Both outputs, the errors last."""
        return self.stdout + self.stderr


class Terminal:
    """A client in a terminal of 80 columns and 60 rows; everything that it has drawn is kept."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        """Start `command`."""
        self.raw = b""
        self._seen = 0
        self._child: pexpect.spawn[bytes] = pexpect.spawn(
            command[0], list(command[1:]), cwd=str(cwd), env=dict(env), dimensions=(ROWS, COLUMNS), timeout=PATIENCE
        )
        # A human is slower than a program is at turning the echo off; the prompt is up before an answer is sent.
        self._child.delaybeforesend = 0.05
        self._child.ptyproc.delayafterclose = 0  # type: ignore[attr-defined]

    @property
    def text(self) -> str:
        """What was printed, without colours and cursor movements."""
        return plain(self.raw)

    def expect_text(self, wanted: str) -> str:
        """Wait until `wanted` has been printed after what an earlier call found; the text up to it is returned."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.text
            found = text.find(wanted, self._seen)
            if found >= 0:
                before, self._seen = text[self._seen : found], found + len(wanted)
                return before
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {wanted!r}; the terminal shows:\n{text}")
            if not self._read():
                raise AssertionError(f"the client ended without {wanted!r}; the terminal shows:\n{self.text}")

    def answer(self, text: str) -> None:
        """Type a line."""
        self._child.sendline(text)

    def converse(self, answers: Mapping[re.Pattern[str], Callable[[str], str | None]], idle: float) -> tuple[int, str]:
        """Answer each of these questions once, in whatever order they come, until the client ends.

        An answer is made of the text so far; NOTHING types nothing, None presses Ctrl-C. So does a silence of `idle`
        seconds: the client then waits for something that nobody here knows. Returns the exit code and the whole text.
        """
        left, done, quiet_since = dict(answers), 0, time.monotonic()
        while True:
            text = self.text
            found = [(match.start(), match.end(), each) for each in left if (match := each.search(text, done))]
            if found:
                _, done, question = min(found, key=lambda each: each[0])
                reply = left.pop(question)(text)
                if reply is None:
                    break
                if reply != NOTHING:
                    self.answer(reply)
                quiet_since = time.monotonic()
                continue
            before = len(self.raw)
            if not self._read():
                return self.finish()
            if len(self.raw) > before:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > idle:
                break
        self.interrupt()
        for _ in range(25):
            if not self._read():
                return self.finish()
        self.close()
        return 130, self.text

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._child.sendintr()

    def finish(self) -> tuple[int, str]:
        """Wait for the end: the exit code and the whole text. An end by a signal N counts as 128 + N."""
        deadline = time.monotonic() + PATIENCE
        while self._read():
            if time.monotonic() > deadline:
                self.close()
                raise AssertionError(f"the client does not end; the terminal shows:\n{self.text}")
        self._child.wait()  # it closes its terminal a moment before it ends, and would be hung up on by `close`
        self._child.close()
        if self._child.exitstatus is not None:
            return self._child.exitstatus, self.text
        return 128 + (self._child.signalstatus or 0), self.text

    def close(self) -> None:
        """End the client if it still runs."""
        self._child.close(force=True)

    def _read(self) -> bool:
        """Take what there is, waiting a moment for more; False when the client has closed the terminal."""
        try:
            chunk: bytes = self._child.read_nonblocking(65536, timeout=0.2)
            self.raw += chunk
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True


class Npm:
    """One npm, by its major version, whose registry is `server`. Nothing of the machine's npm set-up reaches it."""

    def __init__(self, version: int, server: Server, home: Path) -> None:
        """`home` is its home folder: made here, with the registry in .npmrc and `npm` and `node` in bin/."""
        self.version = version
        self.server = server
        self.home = home
        self.npmrc = home / ".npmrc"
        self._terminals: list[Terminal] = []
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "node").symlink_to(clients.node())
        (home / "bin" / "npm").symlink_to(clients.npm_cli(version))
        self.npmrc.write_text(f"registry={server.url}\n", encoding="utf-8")

    def sign_in(self, token: str) -> None:
        """Write the line that `npm login` writes."""
        self.npmrc.write_text(
            f"registry={self.server.url}\n//{self.server.host}/:_authToken={token}\n", encoding="utf-8"
        )

    def token(self) -> str | None:
        """The token of this server in .npmrc."""
        prefix = f"//{self.server.host}/:_authToken="
        lines = self.npmrc.read_text(encoding="utf-8").splitlines() if self.npmrc.exists() else []
        # npm 6 writes the value in quotes where it holds a special character.
        return next((line.removeprefix(prefix).strip('"') for line in lines if line.startswith(prefix)), None)

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The client's environment: a fresh home, no npm_* variable, no CI (npm never asks when it believes that it
        runs in one), and this very npm and node first on PATH, for clients that call them. Where the machine has
        IPv6, `localhost` is 127.0.0.1 all the same: limits by address then see npm and the plain requests as one."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:/usr/bin:/bin",
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "NODE_OPTIONS": "--dns-result-order=ipv4first",
            "NPM_CONFIG_USERCONFIG": str(self.npmrc),
            "NPM_CONFIG_GLOBALCONFIG": str(self.home / "etc" / "npmrc"),
            **(extra or {}),
        }

    def run(
        self,
        *args: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Result:
        """`npm ARGS` in a pipe; `patience` in seconds, for what takes npm long by itself."""
        return self.run_command([str(self.home / "bin" / "npm"), *args], cwd=cwd, env=env, patience=patience)

    def spawn(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Terminal:
        """`npm ARGS` in a terminal."""
        return self.spawn_command([str(self.home / "bin" / "npm"), *args], cwd=cwd, env=env)

    def run_command(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Result:
        """Any command in this environment, in a pipe."""
        done = subprocess.run(
            command,
            cwd=cwd or self.home,
            env=self.environ(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
            start_new_session=True,  # without the caller's terminal, even where the tests are run from one
        )
        return Result(done.returncode, plain(done.stdout), plain(done.stderr))

    def spawn_command(
        self, command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Terminal:
        """Any command in this environment, in a terminal."""
        terminal = Terminal(command, cwd or self.home, self.environ(env))
        self._terminals.append(terminal)
        return terminal

    def close(self) -> None:
        """End every client that still runs."""
        for terminal in self._terminals:
            terminal.close()


def plain(raw: bytes) -> str:
    """Terminal output as text: no colours, no cursor movements, plain line ends."""
    text = _ESCAPES.sub("", raw.decode("utf-8", errors="replace"))
    return re.sub(r"\r+\n", "\n", text)
