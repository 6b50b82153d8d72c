"""What came from upstream, on disk: bounded, the least recently used evicted first.

    DATA/upstream/documents/SCOPE/NAME    a line of JSON about the document, then the document; both names are digests
    DATA/upstream/tarballs/ab/DIGEST      the bytes of a tarball, under the digest that its document names
    DATA/upstream/tmp/                    what is being written

Apart from the registry's own blobs, so that nothing of those can ever be evicted. Written beside and renamed, without
an fsync: whatever a power cut leaves is checked against its digest before it is served, and fetched again.
A file's mtime is when upstream was last asked about it, its atime when it was last used.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import msgspec

from twokey.clock import HOUR, Clock
from twokey.packages.names import PackageName
from twokey.upstream.document import KeptDocument, decoded

MOST_DECODED = 64 * 1024 * 1024  # bytes of documents that are kept in memory as they were decoded
LONGEST_HEAD, LONGEST_ETAG = 4096, 512
EVICTED_TO = 0.9  # of the bound, so that not every tarball has to make room for itself
DOCUMENTS, TARBALLS, TEMPORARY = "documents", "tarballs", "tmp"
_MOST_VERIFIED = 100_000
_CHUNK = 1024 * 1024


class Head(msgspec.Struct):
    """What is known of a kept document without reading it. `checked_at`: µs, when upstream last said that it holds."""

    name: str
    revision: str  # the document's SHA-256
    etag: str | None = None
    checked_at: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """How much is kept."""

    documents: int
    document_bytes: int
    tarballs: int
    tarball_bytes: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.document_bytes + self.tarball_bytes


class Storage:
    """The files of one mirror. Several processes may use the same folder."""

    def __init__(self, root: Path, clock: Clock, most: int) -> None:
        """Keeps at most `most` bytes under `root`; its folders are made where they are missing."""
        self._root = root
        self._clock = clock
        self._most = most
        self._lock = Lock()
        self._total: int | None = None
        self._decoded: OrderedDict[Path, tuple[str, int, KeptDocument]] = OrderedDict()
        self._decoded_bytes = 0
        self._verified: OrderedDict[str, tuple[int, int]] = OrderedDict()
        for folder in (DOCUMENTS, TARBALLS, TEMPORARY):
            (root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)

    # -- documents -----------------------------------------------------------------------------------------------

    def head(self, name: PackageName) -> Head | None:
        """What is known of the kept document of `name`, without reading it."""
        try:
            with self._document(name).open("rb") as stream:
                head = msgspec.json.decode(stream.readline(LONGEST_HEAD), type=Head)
                head.checked_at = os.fstat(stream.fileno()).st_mtime_ns // 1000
        except (OSError, msgspec.MsgspecError):
            return None
        return head if head.name == name.full else None

    def load(self, name: PackageName, revision: str) -> KeptDocument | None:
        """The kept document, where it is still that revision; one whose bytes are not what was written is removed."""
        path = self._document(name)
        with self._lock:
            found = self._decoded.get(path)
            if found is not None and found[0] == revision:
                self._decoded.move_to_end(path)
                return found[2]
        try:
            data = path.read_bytes()
        except OSError:
            return None
        _, _, body = data.partition(b"\n")
        if hashlib.sha256(body).hexdigest() != revision:
            head = self.head(name)
            if head is not None and head.revision == revision:
                path.unlink(missing_ok=True)
            return None
        document = decoded(body)
        self._remember(path, revision, len(body), document)
        self._used(path)
        return document

    def store(self, name: PackageName, body: bytes, etag: str | None) -> Head:
        """Keeps a document (as `document.encoded` wrote it)."""
        # one that could not be sent back as a header would keep upstream from ever being asked again
        can_be_sent = etag is not None and len(etag) <= LONGEST_ETAG and etag.isascii() and etag.isprintable()
        head = Head(name.full, hashlib.sha256(body).hexdigest(), etag if can_be_sent else None)
        final, temporary = self._document(name), self.temporary()
        data = msgspec.json.encode(head) + b"\n" + body
        self._make_room(len(data))
        try:
            temporary.write_bytes(data)
            self._stamp(temporary)
            final.parent.mkdir(exist_ok=True, mode=0o700)
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        head.checked_at = self._clock.now()
        return head

    def checked(self, name: PackageName, ago: int = 0) -> bool:
        """Notes that upstream was asked about the document `ago` microseconds back. False where there is none."""
        try:
            self._stamp(self._document(name), ago)
        except OSError:
            return False
        return True

    def remove(self, name: PackageName) -> bool:
        """Removes the document. False where there was none."""
        path = self._document(name)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    def scope_in_use(self, scope: str) -> bool:
        """Whether documents of packages in this scope (without `@`) are kept."""
        folder = self._root / DOCUMENTS / _hashed(scope)
        return folder.is_dir() and any(folder.iterdir())

    def names(self) -> Iterator[PackageName]:
        """The packages whose documents are kept."""
        for path in (self._root / DOCUMENTS).glob("*/*"):
            try:
                with path.open("rb") as stream:
                    yield PackageName.parse(msgspec.json.decode(stream.readline(LONGEST_HEAD), type=Head).name)
            except (OSError, msgspec.MsgspecError):
                continue

    # -- tarballs ------------------------------------------------------------------------------------------------

    def tarball(self, key: str) -> tuple[BinaryIO, int] | None:
        """A stream of a kept tarball and its length. One that is not what its digest says is removed."""
        path = self._tarball(key)
        try:
            stream = path.open("rb")
        except OSError:
            return None
        status = os.fstat(stream.fileno())
        seen = (status.st_ino, status.st_size)
        if self._verified.get(key) != seen:
            if not matches(stream, key):
                stream.close()
                path.unlink(missing_ok=True)
                return None
            self._note_verified(key, seen)
            stream.seek(0)
        self._used(path)
        return stream, status.st_size

    def temporary(self) -> Path:
        """A path for what is being written."""
        return self._root / TEMPORARY / secrets.token_hex(16)

    def adopt(self, temporary: Path, key: str) -> None:
        """Keeps a tarball whose digest was found right."""
        final = self._tarball(key)
        status = temporary.stat()
        self._make_room(status.st_size)
        final.parent.mkdir(exist_ok=True, mode=0o700)
        self._stamp(temporary)
        temporary.rename(final)
        self._note_verified(key, (status.st_ino, status.st_size))

    def remove_tarball(self, key: str) -> bool:
        """Removes a tarball. False where there was none."""
        path = self._tarball(key)
        there = path.exists()
        path.unlink(missing_ok=True)
        return there

    # -- upkeep --------------------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """What is kept now, counted file by file."""
        documents = [size for _, size, _ in self._files(DOCUMENTS)]
        tarballs = [size for _, size, _ in self._files(TARBALLS)]
        return Usage(len(documents), sum(documents), len(tarballs), sum(tarballs))

    def keep_house(self) -> None:
        """Counts anew (other processes write here, too), evicts what is too much, removes what is half-written."""
        with self._lock:
            self._evict(0)
        for path, _, used in self._files(TEMPORARY):
            if self._clock.now() - used > HOUR:
                path.unlink(missing_ok=True)

    def purge(self) -> None:
        """Removes everything."""
        for folder in (DOCUMENTS, TARBALLS):
            shutil.rmtree(self._root / folder, ignore_errors=True)
            (self._root / folder).mkdir(exist_ok=True, mode=0o700)

    def _make_room(self, size: int) -> None:
        with self._lock:
            if self._total is None or self._total + size > self._most:
                self._evict(size)
            assert self._total is not None
            self._total += size

    def _evict(self, coming: int) -> None:
        """Counts, and removes the least recently used until `coming` bytes more fit."""
        files = [*self._files(DOCUMENTS), *self._files(TARBALLS)]
        total = sum(size for _, size, _ in files)
        if total + coming > self._most:
            for path, size, _ in sorted(files, key=lambda each: each[2]):
                if total + coming <= self._most * EVICTED_TO:
                    break
                path.unlink(missing_ok=True)
                total -= size
        self._total = total

    def _files(self, folder: str) -> Iterator[tuple[Path, int, int]]:
        """Every file with its size and when (µs) it was last used."""
        for path in (self._root / folder).rglob("*"):
            try:
                status = path.stat()
            except OSError:  # another process was faster
                continue
            if path.is_file():
                yield path, status.st_size, max(status.st_atime_ns, status.st_mtime_ns) // 1000

    def _remember(self, path: Path, revision: str, size: int, document: KeptDocument) -> None:
        with self._lock:
            former = self._decoded.pop(path, None)
            self._decoded_bytes += size - (former[1] if former is not None else 0)
            self._decoded[path] = revision, size, document
            while self._decoded_bytes > MOST_DECODED:
                _, (_, old, _) = self._decoded.popitem(last=False)
                self._decoded_bytes -= old

    def _note_verified(self, key: str, seen: tuple[int, int]) -> None:
        with self._lock:
            self._verified[key] = seen
            while len(self._verified) > _MOST_VERIFIED:
                self._verified.popitem(last=False)

    def _stamp(self, path: Path, ago: int = 0) -> None:
        now = self._clock.now()
        os.utime(path, ns=(now * 1000, (now - ago) * 1000))

    def _used(self, path: Path) -> None:
        """Notes a use, at most once an hour: reads should not write."""
        try:
            status = path.stat()
            now = self._clock.now()
            if now - status.st_atime_ns // 1000 > HOUR:
                os.utime(path, ns=(now * 1000, status.st_mtime_ns))
        except OSError:
            return

    def _document(self, name: PackageName) -> Path:
        return self._root / DOCUMENTS / _hashed(name.scope or "") / hashlib.sha256(name.full.encode()).hexdigest()

    def _tarball(self, key: str) -> Path:
        digest = tarball_digest(key)
        return self._root / TARBALLS / digest[-2:] / digest


def tarball_digest(integrity: str) -> str:
    """The name of a tarball's file: what its integrity says, in hex."""
    return f"{_algorithm(integrity)}-{_hex(integrity)}"


def hasher(integrity: str) -> hashlib._Hash:
    """The hash that the integrity (`sha512-BASE64`, `sha1-HEX`) is of."""
    return hashlib.new(_algorithm(integrity), usedforsecurity=False)


def is_digest_of(found: hashlib._Hash, integrity: str) -> bool:
    """Whether the bytes that were hashed are those of the integrity."""
    return found.hexdigest() == _hex(integrity)


def matches(stream: BinaryIO, integrity: str) -> bool:
    """Whether all that the stream holds is what the integrity says."""
    found = hasher(integrity)
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    return is_digest_of(found, integrity)


def _algorithm(integrity: str) -> str:
    return integrity.partition("-")[0]


def _hex(integrity: str) -> str:
    algorithm, _, text = integrity.partition("-")
    return text if algorithm == "sha1" else _base64_hex(text)


def _base64_hex(text: str) -> str:
    return base64.b64decode(text).hex()


def _hashed(scope: str) -> str:
    return hashlib.sha256(scope.encode()).hexdigest()[:32] if scope else "-"
