"""Blobs on the local disk: O_EXCL temporary file, fsync, rename, fsync of the folder.

`ab/cd/abcd...` under the root, so that no folder holds too many; temporary files lie in `tmp/` beside them, on the
same file system, so that the rename is one step.
"""

from __future__ import annotations

import os
import secrets
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

    def put(self, digest: str, data: bytes) -> None:
        """Stores `data` durably. Putting what is already there makes it young again, so that gc leaves it alone."""
        final = self._path(digest)
        if self._touch(final, len(data)):
            return
        temporary = self._temporary / secrets.token_hex(16)
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            self._make_folder(final.parent)
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(final.parent)

    def open(self, digest: str) -> BinaryIO:
        """A stream of the blob's bytes. Raises NotFound."""
        try:
            return self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise NotFound("The bytes of this tarball are missing from the store: run twokey admin fsck.") from error

    def size(self, digest: str) -> int:
        """The blob's length in bytes. Raises NotFound."""
        try:
            return self._path(digest).stat().st_size
        except FileNotFoundError as error:
            raise NotFound("The bytes of this tarball are missing from the store: run twokey admin fsck.") from error

    def local_path(self, digest: str) -> Path:
        """Where the blob lies."""
        return self._path(digest)

    def exists(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self._path(digest).exists()

    def delete(self, digest: str) -> None:
        """Removes the blob, where it is there."""
        self._path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Stored]:
        """Every blob, by digest. What else lies there (a file system's own files) is none."""
        for path in sorted(self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*")):
            if is_digest(path.name):
                status = path.stat()
                yield Stored(path.name, status.st_size, self._age(status))

    def leftovers(self) -> Iterator[tuple[str, float]]:
        """Temporary files that an interrupted put left: name and age in seconds."""
        for path in sorted(self._temporary.iterdir()):
            yield path.name, self._age(path.stat())

    def delete_leftover(self, name: str) -> None:
        """Removes one of them."""
        (self._temporary / Path(name).name).unlink(missing_ok=True)

    def check(self) -> None:
        """Raises OSError where nothing could be stored now."""
        probe = self._temporary / f"probe-{secrets.token_hex(8)}"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        probe.unlink()

    def _path(self, digest: str) -> Path:
        check_digest(digest)
        return self._root / digest[:2] / digest[2:4] / digest

    def _age(self, status: os.stat_result) -> float:
        return self._clock.now() / 1_000_000 - status.st_mtime

    def _touch(self, path: Path, size: int) -> bool:
        """Makes a whole blob young again. False where it is missing or has another length (then it is put anew)."""
        try:
            if path.stat().st_size != size:
                return False
            moment = self._clock.now() * 1000
            os.utime(path, ns=(moment, moment))
        except FileNotFoundError:
            return False
        return True

    def _make_folder(self, folder: Path) -> None:
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
