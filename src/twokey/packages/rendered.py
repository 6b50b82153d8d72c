"""Rendered documents, kept in memory within a bound."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

MOST_BYTES = 64 * 1024 * 1024


class RenderedDocuments:
    """Rendered documents, the least recently used dropped first."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        """Keeps at most `most` bytes."""
        self._most = most
        self._size = 0
        self._kept: OrderedDict[tuple[object, ...], tuple[bytes, bytes]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[object, ...], render: Callable[[], bytes]) -> tuple[bytes, bytes]:
        """The document under `key`, plain and as gzip; rendered where it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        plain = render()
        both = (plain, gzip.compress(plain, 5, mtime=0))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = both
                self._size += len(both[0]) + len(both[1])
            while self._size > self._most:
                _, (old_plain, old_gzip) = self._kept.popitem(last=False)
                self._size -= len(old_plain) + len(old_gzip)
        return both
