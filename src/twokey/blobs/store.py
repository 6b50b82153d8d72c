"""The contract of a blob store. A blob's key is the SHA-512 of its bytes, hex: no caller's text ever is a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from twokey.errors import Invalid

_DIGEST = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob as a listing shows it. `age_seconds` counts from when it was last put."""

    digest: str
    size: int
    age_seconds: float


class Incoming(Protocol):
    """Bytes on their way into the store, under no name yet. Whoever began them ends them with `discard`."""

    @property
    def stream(self) -> BinaryIO:
        """What was written so far, to be read from any place."""

    def write(self, data: bytes) -> None:
        """Adds bytes at the end."""

    def keep(self, digest: str) -> None:
        """Makes them the blob `digest`, durably: when this returns, a power cut loses nothing of it.

        `digest` is theirs: who wrote them hashed them. Keeping what is already there makes it young again, so that gc
        leaves it alone; keeping again what gc took in between brings it back.
        """

    def discard(self) -> None:
        """Ends it: what was not kept is gone. May be called again."""


class Blobs(Protocol):
    """What twokey needs of a place for tarballs."""

    def receive(self) -> Incoming:
        """Room for bytes that arrive, whose digest is not known yet."""

    def put(self, digest: str, data: bytes) -> None:
        """Stores `data` under its digest, durably: when this returns, a power cut loses nothing of it."""

    def open(self, digest: str) -> BinaryIO:
        """A stream of the blob's bytes. Raises NotFound."""

    def size(self, digest: str) -> int:
        """The blob's length in bytes. Raises NotFound."""

    def local_path(self, digest: str) -> Path | None:
        """Where the blob lies as a file of this machine, for a store that has it so."""

    def exists(self, digest: str) -> bool:
        """Whether the blob is there."""

    def delete(self, digest: str) -> None:
        """Removes the blob, where it is there."""

    def list(self) -> Iterator[Stored]:
        """Every blob."""

    def leftovers(self) -> Iterator[tuple[str, float]]:
        """Temporary files that nobody writes any more, left by an end in the midst: name and age in seconds."""

    def delete_leftover(self, name: str) -> None:
        """Removes one of them."""

    def sweep(self) -> int:
        """Removes all of them. Returns how many."""

    def check(self) -> None:
        """Raises where nothing could be stored now."""


def is_digest(name: str) -> bool:
    """Whether `name` has the form of a blob's."""
    return _DIGEST.fullmatch(name) is not None


def check_digest(digest: str) -> str:
    """The digest, if it is one. Raises Invalid."""
    if not is_digest(digest):
        raise Invalid("A blob is named by its SHA-512 in hexadecimal digits.")
    return digest
