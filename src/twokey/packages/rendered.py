"""Rendered documents, kept in memory within a bound: as gzip alone, from which the rare client without it is served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from isal import igzip, isal_zlib

GZIP_FROM = 512  # bytes; smaller documents gain nothing
GZIP_WINDOW = 31  # zlib's way to say that it is gzip
LEVEL = 2  # of ISA-L, from 0 to 3: a tenth of the time of zlib's 6 for a tenth more bytes


class Document:
    """A rendered document."""

    def __init__(self, plain: bytes) -> None:
        """Compresses it."""
        self.packs = len(plain) >= GZIP_FROM
        self._kept = igzip.compress(plain, LEVEL, mtime=0) if self.packs else plain

    @property
    def gzip(self) -> bytes:
        """The document as gzip, for one that `packs`."""
        return self._kept

    @property
    def plain(self) -> bytes:
        """The document as it was rendered."""
        return isal_zlib.decompress(self._kept, wbits=GZIP_WINDOW) if self.packs else self._kept

    @property
    def size(self) -> int:
        """The bytes that it is kept as."""
        return len(self._kept)


class RenderedDocuments:
    """Rendered documents, the least recently used dropped first."""

    def __init__(self, most: int) -> None:
        """Keeps at most `most` bytes."""
        self._most = most
        self._size = 0
        self._kept: OrderedDict[tuple[object, ...], Document] = OrderedDict()
        self._under_way: dict[tuple[object, ...], Lock] = {}
        self._lock = Lock()

    def get(self, key: tuple[object, ...], render: Callable[[], bytes]) -> Document:
        """The document under `key`; rendered where it is not kept, by one while others wait for it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            turn = self._under_way.setdefault(key, Lock())
        with turn:
            with self._lock:
                if key in self._kept:  # rendered meanwhile
                    return self._kept[key]
            try:
                document = Document(render())
                self._keep(key, document)
            finally:
                with self._lock:
                    self._under_way.pop(key, None)
        return document

    def _keep(self, key: tuple[object, ...], document: Document) -> None:
        with self._lock:
            if key not in self._kept:
                self._size += document.size
            self._kept[key] = document
            while self._size > self._most:
                _, old = self._kept.popitem(last=False)
                self._size -= old.size
