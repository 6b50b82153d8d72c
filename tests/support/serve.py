"""Runs twokey as `twokey serve` does, on a clock that a test can move.

    python -m tests.support.serve

The settings come from the environment, as always. TEST_CLOCK_OFFSET_FILE names a file with the clock's offset in
seconds ("90"), or with a time at which the clock stands still ("@1800000000"). It is read at every look at the
clock, so a test moves on to the next code by writing a line instead of waiting for it.

The process ends when its standard input does: a test run that is killed leaves no server behind.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from twokey import settings
from twokey.cli import serve

OFFSET_FILE = "TEST_CLOCK_OFFSET_FILE"


class FileClock:
    """The machine's clock, moved or held as a file says."""

    def __init__(self, path: Path) -> None:
        """`path` is replaced as a whole by the test, so what is read is never half of it."""
        self._path = path

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        text = self._path.read_text(encoding="ascii")
        if text.startswith("@"):
            return round(float(text[1:]) * 1_000_000)
        return time.time_ns() // 1000 + round(float(text) * 1_000_000)


def _end_with_parent() -> None:
    """Stop as on Ctrl-C when the other end of standard input is gone."""
    while os.read(0, 4096):  # not sys.stdin, whose lock a thread must not hold when the process ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Serve until told to stop; the exit code is the server's."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    clock = FileClock(Path(os.environ[OFFSET_FILE]))
    return serve.run(settings.read(os.environ), clock=clock)


if __name__ == "__main__":
    sys.exit(main())
