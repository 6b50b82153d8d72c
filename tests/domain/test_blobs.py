"""Promise: bytes become a blob as a whole or not at all, and what nobody writes any more is found."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.domain.world import SettableClock
from twokey.blobs.local import LocalBlobs
from twokey.errors import Invalid, NotFound

DATA = b"twelve bytes" * 100_000
DIGEST = hashlib.sha512(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path, SettableClock())


def temporary(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "tmp").iterdir())


def content(blobs: LocalBlobs) -> bytes:
    with blobs.open(DIGEST) as stream:
        return stream.read()


def test_bytes_that_arrive_in_pieces_become_a_blob_without_being_copied(blobs: LocalBlobs, tmp_path: Path) -> None:
    incoming = blobs.receive()
    incoming.write(DATA[:1000])
    incoming.stream.seek(5)  # it was looked at in between
    assert incoming.stream.read(3) == DATA[5:8]
    incoming.write(DATA[1000:])
    (path,) = temporary(tmp_path)
    number = path.stat().st_ino
    incoming.keep(DIGEST)
    assert blobs.path(DIGEST).stat().st_ino == number
    incoming.discard()
    incoming.discard()
    assert content(blobs) == DATA
    assert not temporary(tmp_path)


def test_what_is_not_kept_is_gone(blobs: LocalBlobs, tmp_path: Path) -> None:
    incoming = blobs.receive()
    incoming.write(DATA)
    incoming.discard()
    assert not temporary(tmp_path)
    assert not blobs.exists(DIGEST)
    with pytest.raises(NotFound):
        blobs.open(DIGEST)


def test_what_gc_took_in_between_is_brought_back(blobs: LocalBlobs, tmp_path: Path) -> None:
    incoming = blobs.receive()
    incoming.write(DATA)
    incoming.keep(DIGEST)
    blobs.delete(DIGEST)
    incoming.keep(DIGEST)
    incoming.discard()
    assert content(blobs) == DATA
    assert not temporary(tmp_path)


def test_what_is_there_stays_and_is_young_and_what_is_broken_is_replaced(blobs: LocalBlobs, tmp_path: Path) -> None:
    blobs.put(DIGEST, DATA)
    number = blobs.path(DIGEST).stat().st_ino
    os.utime(blobs.path(DIGEST), (0, 0))
    blobs.put(DIGEST, DATA)
    assert blobs.path(DIGEST).stat().st_ino == number
    assert [stored.age_seconds for stored in blobs.list()] == [0]
    blobs.path(DIGEST).write_bytes(DATA[:-1])
    blobs.put(DIGEST, DATA)
    assert content(blobs) == DATA
    assert not temporary(tmp_path)


def test_a_name_that_is_no_digest_keeps_nothing(blobs: LocalBlobs, tmp_path: Path) -> None:
    for name in ("", "../x", DIGEST.upper(), DIGEST[:-1]):
        with pytest.raises(Invalid):
            blobs.put(name, DATA)
    assert not temporary(tmp_path)


def test_only_what_nobody_writes_any_more_is_left_over(blobs: LocalBlobs, tmp_path: Path) -> None:
    """Another process that serves the same folder sees what this one writes, and leaves it alone."""
    incoming = blobs.receive()
    incoming.write(DATA)
    (tmp_path / "tmp" / "torn").write_bytes(b"half")
    other = LocalBlobs(tmp_path, SettableClock())
    assert [name for name, _ in other.leftovers()] == ["torn"]
    assert other.sweep() == 1
    incoming.keep(DIGEST)
    incoming.discard()
    assert content(blobs) == DATA
    assert not temporary(tmp_path)
