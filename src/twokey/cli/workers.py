"""Several processes that answer on one port, and the parent that begins them, begins them again, and ends them.

Each has listening sockets of its own on the same address (SO_REUSEPORT), so the kernel spreads the connections. The
parent opened them and keeps them open: a worker that dies loses the connections that it had, and none that wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from twokey.clock import monotonic

STOPS = (signal.SIGINT, signal.SIGTERM)
AGAIN_SECONDS = 1.0  # a worker is begun again at most this often
log = logging.getLogger("twokey.workers")


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker is told of itself: its number, its sockets, whether it is a later one in its place.

    `parent` can be read from once the parent is gone.
    """

    number: int
    sockets: Sequence[socket.socket]
    again: bool
    parent: int


class Workers:
    """The parent. Nothing but its main thread may run when it begins a worker, and no database may be open."""

    def __init__(
        self, sockets: Sequence[Sequence[socket.socket]], work: Callable[[Worker], int], end_within: float
    ) -> None:
        """One worker for each list of sockets; `work` serves until told to stop. `end_within`: seconds for that."""
        self._sockets = sockets
        self._work = work
        self._end_within = end_within
        self._running: dict[int, int] = {}
        self._begun: dict[int, float] = {}
        self._stopping = False

    def run(self) -> int:
        """Serves until SIGINT or SIGTERM. Returns the exit code."""
        self._alive, alive = os.pipe()
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        self._parents = (alive, wake)
        for each in (*STOPS, signal.SIGCHLD):
            signal.signal(each, self._noted)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            while not self._stopping:
                self._begin_missing()
                self._wait(AGAIN_SECONDS)
        finally:
            self._end()
        return 0

    def _noted(self, number: int, _frame: FrameType | None) -> None:
        """A signal came; the loop was woken by it."""
        self._stopping = self._stopping or number in STOPS

    def _wait(self, seconds: float) -> None:
        """Waits for a signal, at most so long, and for workers that have ended."""
        if select.select([self._wake], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            number = self._running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if not self._stopping:
                log.error("a worker ended and is begun again", extra={"worker": number, "code": code, "pid": pid})

    def _begin_missing(self) -> None:
        for number in range(len(self._sockets)):
            due = self._begun.get(number, -AGAIN_SECONDS) + AGAIN_SECONDS
            if number not in self._running.values() and monotonic() >= due:
                self._begin(number)

    def _begin(self, number: int) -> None:
        again = number in self._begun
        self._begun[number] = monotonic()
        pid = os.fork()
        if pid:
            self._running[pid] = number
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in (*STOPS, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            for end in (*self._parents, self._wake):
                os.close(end)
            for at, sockets in enumerate(self._sockets):
                for listener in sockets if at != number else ():
                    listener.close()
            code = self._work(Worker(number, self._sockets[number], again, self._alive))
        except BaseException:
            log.exception("a worker failed", extra={"worker": number})
        finally:
            os._exit(code)  # what the parent left to do at its end is the parent's

    def _end(self) -> None:
        """Takes nothing new, and ends the workers: gently, and by force those that do not."""
        self._stopping = True
        for sockets in self._sockets:
            for listener in sockets:
                listener.close()
        self._tell(signal.SIGTERM)
        deadline = monotonic() + self._end_within
        while self._running and monotonic() < deadline:
            self._wait(deadline - monotonic())
        if self._running:
            log.error("workers did not end in time", extra={"workers": sorted(self._running.values())})
            self._tell(signal.SIGKILL)
            while self._running:
                self._wait(AGAIN_SECONDS)
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
