"""How many requests of each kind were answered, how, and in what time: numbers in memory that the workers share.

Each worker adds to numbers of its own, so none waits for another; whoever asks any of them gets the sums. They begin
at nothing with each start of the server, and go on where a single worker is started again.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterator

KINDS = ("packument", "version", "tarball", "search", "audit", "page", "read", "write", "other")
STATUSES = (200, 201, 202, 302, 303, 304, 400, 401, 403, 404, 405, 409, 413, 424, 499, 500, 503, 507)
ANY_OTHER = "other"
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
_NUMBER = 8
_TIMES = len(STATUSES) + 1
_SUM = _TIMES + len(BOUNDS) + 1
_LANE = _SUM + 1
_OF_KIND = _LANE + 1
_OF_WORKER = _OF_KIND * len(KINDS)
_KIND_AT = {kind: at * _OF_KIND for at, kind in enumerate(KINDS)}
_STATUS_AT = {status: at for at, status in enumerate(STATUSES)}


class Figures:
    """The numbers of all workers. Made before the workers are."""

    def __init__(self, workers: int = 1) -> None:
        """Room for so many workers; the first counts until another begins."""
        self._workers = workers
        self._memory = memoryview(mmap.mmap(-1, _NUMBER * _OF_WORKER * workers)).cast("Q")
        self._start = 0

    def be_worker(self, number: int) -> None:
        """Counts from now on as worker `number`, from 0."""
        self._start = number * _OF_WORKER

    def count(self, kind: str, status: int, seconds: float, *, by_lane: bool = False) -> None:
        """Counts an answer. For the event loop alone."""
        memory, start = self._memory, self._start + _KIND_AT[kind]
        memory[start + _STATUS_AT.get(status, len(STATUSES))] += 1
        memory[start + _TIMES + bisect_left(BOUNDS, seconds)] += 1
        memory[start + _SUM] += int(seconds * 1_000_000)
        if by_lane:
            memory[start + _LANE] += 1

    def answers(self) -> Iterator[tuple[str, str, int]]:
        """Kind, status and number of the answers; what never happened is left out."""
        for kind in KINDS:
            numbers = self._sums(kind)
            for status, number in zip((*map(str, STATUSES), ANY_OTHER), numbers, strict=False):
                if number:
                    yield kind, status, number

    def times(self) -> Iterator[tuple[str, list[int], float]]:
        """Kind, how many answers took up to each bound (and longer than all), and the seconds of all together."""
        for kind in KINDS:
            numbers = self._sums(kind)
            if any(numbers):
                yield kind, numbers[_TIMES:_SUM], numbers[_SUM] / 1_000_000

    def by_lane(self) -> Iterator[tuple[str, int]]:
        """Kind and number of the answers of the fast lane."""
        for kind in KINDS:
            number = self._sums(kind)[_LANE]
            if number:
                yield kind, number

    def _sums(self, kind: str) -> list[int]:
        starts = [worker * _OF_WORKER + _KIND_AT[kind] for worker in range(self._workers)]
        return [sum(self._memory[start + at] for start in starts) for at in range(_OF_KIND)]
