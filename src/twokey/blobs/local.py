"""Blobs on the local disk: O_EXCL temporary file, fsync, rename, fsync of the folder.

`ab/cd/abcd...` under the root, so that no folder holds too many; temporary files lie in `tmp/` beside them, on the
same file system, so that the rename is one step. Whoever writes a temporary file holds a lock on it that ends with the
process: a file without one was left by a crash.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from twokey.blobs.store import Stored, check_digest, is_digest
from twokey.clock import Clock
from twokey.errors import NotFound


class LocalBlobs:
    """A blob store in a folder."""

    def __init__(self, root: Path, clock: Clock) -> None:
        """Makes the folder `root` where it is missing. `clock` tells the age of what lies there."""
        self._root = root
        self._temporary = root / "tmp"
        self._clock = clock
        self._temporary.mkdir(parents=True, exist_ok=True, mode=0o700)

    def receive(self) -> LocalIncoming:
        """A new temporary file, locked."""
        while True:
            path = self._temporary / secrets.token_hex(16)
            stream = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")  # noqa: SIM115
            if _lock(stream) and path.exists():
                return LocalIncoming(self, path, stream)
            stream.close()  # a sweep came between the making and the lock, and took it

    def put(self, digest: str, data: bytes) -> None:
        """Stores `data` durably. Putting what is already there makes it young again, so that gc leaves it alone."""
        incoming = self.receive()
        try:
            incoming.write(data)
            incoming.keep(digest)
        finally:
            incoming.discard()

    def open(self, digest: str) -> BinaryIO:
        """A stream of the blob's bytes. Raises NotFound."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise NotFound("The bytes of this tarball are missing from the store: run twokey admin fsck.") from error

    def size(self, digest: str) -> int:
        """The blob's length in bytes. Raises NotFound."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as error:
            raise NotFound("The bytes of this tarball are missing from the store: run twokey admin fsck.") from error

    def local_path(self, digest: str) -> Path:
        """Where the blob lies."""
        return self.path(digest)

    def exists(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self.path(digest).exists()

    def delete(self, digest: str) -> None:
        """Removes the blob, where it is there."""
        self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Stored]:
        """Every blob, by digest. What else lies there (a file system's own files) is none."""
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            if is_digest(path.name):
                status = path.stat()
                yield Stored(path.name, status.st_size, self._age(status))

    def leftovers(self) -> Iterator[tuple[str, float]]:
        """Temporary files that nobody writes any more, left by an end in the midst: name and age in seconds."""
        for path in sorted(self._temporary.iterdir()):
            try:
                with path.open("rb") as stream:
                    if _lock(stream):
                        yield path.name, self._age(os.fstat(stream.fileno()))
            except FileNotFoundError:  # its upload has ended
                continue

    def delete_leftover(self, name: str) -> None:
        """Removes one of them."""
        (self._temporary / Path(name).name).unlink(missing_ok=True)

    def sweep(self) -> int:
        """Removes all of them. Returns how many."""
        count = 0
        for name, _ in self.leftovers():  # which holds the lock of each meanwhile, so nobody begins to write it
            self.delete_leftover(name)
            count += 1
        return count

    def check(self) -> None:
        """Raises OSError where nothing could be stored now."""
        probe = self._temporary / f"probe-{secrets.token_hex(8)}"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Where a blob lies. Raises Invalid for what is no digest."""
        check_digest(digest)
        return self._root / digest[:2] / digest[2:4] / digest

    def touch(self, path: Path, size: int) -> bool:
        """Makes a whole blob young again. False where it is missing or has another length (then it is put anew)."""
        try:
            if path.stat().st_size != size:
                return False
            moment = self._clock.now() * 1000
            os.utime(path, ns=(moment, moment))
        except FileNotFoundError:
            return False
        return True

    def _age(self, status: os.stat_result) -> float:
        return self._clock.now() / 1_000_000 - status.st_mtime


class LocalIncoming:
    """A temporary file that becomes a blob by being renamed."""

    def __init__(self, store: LocalBlobs, path: Path, stream: BinaryIO) -> None:
        """`stream` is the file, open for reading and writing, and locked."""
        self.stream = stream
        self._store = store
        self._path: Path | None = path  # None once it has its name

    def write(self, data: bytes) -> None:
        """Adds bytes at the end."""
        self.stream.seek(0, os.SEEK_END)
        self.stream.write(data)

    def keep(self, digest: str) -> None:
        """Syncs the file, renames it to its digest and syncs the folder; where the blob is there, makes it young."""
        final = self._store.path(digest)
        self.stream.flush()
        if self._store.touch(final, os.fstat(self.stream.fileno()).st_size):
            return
        if self._path is None:
            self._keep_copy(digest)
            return
        os.fsync(self.stream.fileno())
        _make_folder(final.parent)
        self._path.rename(final)
        self._path = None
        _sync_folder(final.parent)

    def _keep_copy(self, digest: str) -> None:
        """Gc was faster, and the file has no name any more: its bytes are still there to be read."""
        again = self._store.receive()
        try:
            self.stream.seek(0)
            shutil.copyfileobj(self.stream, again.stream)
            again.keep(digest)
        finally:
            again.discard()

    def discard(self) -> None:
        """Closes the file, and removes it where it was not kept."""
        self.stream.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def _lock(stream: BinaryIO) -> bool:
    """Locks an open file for as long as it stays open. False where another process, or place, holds it."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    for each in (folder.parent, folder):
        each.mkdir(exist_ok=True, mode=0o700)
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
