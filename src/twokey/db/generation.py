"""What tells every process of this machine that something was changed: marks in shared memory.

A writer puts a fresh random mark where its change belongs, after COMMIT and before it answers; whoever keeps something
in memory keeps the stamp beside it that held before it was read, and uses it as long as the stamp is still the same.
Marks are random instead of counted: two writers at once then need no lock, and no mark ever comes back.
"""

from __future__ import annotations

import mmap
import os
import zlib
from pathlib import Path

WIDTH = 8  # bytes of a mark: they are read and written at once
SLOTS = 512  # the first for what concerns everything, the others shared by the packages


class Generation:
    """The marks, shared by all processes that open the same file."""

    def __init__(self, path: Path | None = None) -> None:
        """Maps the file at `path`, made where it is missing; without one the marks are this object's own."""
        if path is None:
            self._shared = mmap.mmap(-1, WIDTH * SLOTS)
            return
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < WIDTH * SLOTS:
                os.ftruncate(descriptor, WIDTH * SLOTS)
            self._shared = mmap.mmap(descriptor, WIDTH * SLOTS)
        finally:
            os.close(descriptor)

    def mark(self, package: str | None = None) -> None:
        """Says that something was changed: of one package alone where it is named, else of anything."""
        at = 0 if package is None else place_of(package)
        self._shared[at : at + WIDTH] = os.urandom(WIDTH)

    def snapshot(self) -> bytes:
        """All marks as they are. Taken before anything is read, it tells later whether that still holds."""
        return self._shared[:]

    def stamp(self, place: int) -> bytes:
        """What bears on the package at `place` now."""
        shared = self._shared
        return shared[:WIDTH] + shared[place : place + WIDTH]


def place_of(package: str) -> int:
    """Where the mark of a package is. Several packages may share one: each then forgets more than it must."""
    return (1 + zlib.crc32(package.encode()) % (SLOTS - 1)) * WIDTH


def stamp_in(snapshot: bytes, place: int) -> bytes:
    """What bore on the package at `place` when the snapshot was taken."""
    return snapshot[:WIDTH] + snapshot[place : place + WIDTH]
