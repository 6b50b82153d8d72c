"""What is kept on disk: within its bound, the least recently used gone first, and nothing torn ever served."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream, integrity, packed
from tests.support.server import Server
from tests.support.wire import request
from tests.upstream.test_reading import get
from twokey.clock import HOUR
from twokey.packages.names import PackageName
from twokey.upstream import document
from twokey.upstream.storage import Storage

MORE = {"TWOKEY_UPSTREAM_CACHE": "64"}
MIB = 1024 * 1024
NAME = PackageName(None, "pkg")


class Clock:
    """A clock that a test sets."""

    at = 1_800_000_000_000_000

    def now(self) -> int:
        """The time, µs."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(tmp_path: Path, clock: Clock) -> Storage:
    return Storage(tmp_path / "upstream", clock, 10_000)


def put(storage: Storage, size: int, stem: str = "x") -> str:
    """Keeps a tarball of so many bytes; its key."""
    data = stem.encode().ljust(size, b".")
    path = storage.temporary()
    path.write_bytes(data)
    key = integrity(data)
    storage.adopt(path, key)
    return key


def kept_document(readme: str = "") -> bytes:
    return document.encoded(document.KeptDocument("pkg", {}, {}, {}, readme, "", {}))


def files(storage_root: Path) -> list[Path]:
    return [path for path in storage_root.rglob("*") if path.is_file()]


def test_a_document_comes_back_as_it_was_kept(storage: Storage, clock: Clock) -> None:
    head = storage.store(NAME, kept_document("hello"), '"etag"')
    found = storage.head(NAME)
    assert found == head
    assert found is not None
    assert (found.etag, found.checked_at) == ('"etag"', clock.at)
    loaded = storage.load(NAME, head.revision)
    assert loaded is not None
    assert loaded.readme == "hello"
    assert storage.load(NAME, hashlib.sha256(b"another").hexdigest()) is None
    assert list(storage.names()) == [NAME]
    assert storage.head(PackageName(None, "other")) is None


@pytest.mark.parametrize("etag", ["x" * 513, '"\xe4"', '"a\tb"', '"\n"'])
def test_an_etag_that_could_not_be_sent_back_is_not_kept(storage: Storage, etag: str) -> None:
    storage.store(NAME, kept_document(), etag)
    head = storage.head(NAME)
    assert head is not None
    assert head.etag is None


@pytest.mark.parametrize("damage", ["cut", "zeroed", "one bit", "empty"])
def test_a_torn_document_is_not_given_and_goes(storage: Storage, tmp_path: Path, clock: Clock, damage: str) -> None:
    head = storage.store(NAME, kept_document("hello" * 100), None)
    (path,) = files(tmp_path)
    data = path.read_bytes()
    line, _, body = data.partition(b"\n")
    path.write_bytes(
        {
            "cut": data[:-7],
            "zeroed": line + b"\n" + bytes(len(body)),
            "one bit": data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
            "empty": b"",
        }[damage]
    )
    fresh = Storage(tmp_path / "upstream", clock, 10_000)
    assert fresh.load(NAME, head.revision) is None
    assert fresh.head(NAME) is None


def test_a_torn_tarball_is_not_given_and_goes(storage: Storage, tmp_path: Path, clock: Clock) -> None:
    key = put(storage, 1000)
    (path,) = files(tmp_path)
    path.write_bytes(bytes(1000))
    fresh = Storage(tmp_path / "upstream", clock, 10_000)
    assert fresh.tarball(key) is None
    assert files(tmp_path) == []


def test_the_least_recently_used_goes_first_and_the_bound_holds(storage: Storage, tmp_path: Path, clock: Clock) -> None:
    keys = []
    for place in range(9):
        clock.at += HOUR
        keys.append(put(storage, 1000, str(place)))
    clock.at += 2 * HOUR
    used = storage.tarball(keys[0])
    assert used is not None
    used[0].close()
    clock.at += HOUR
    keys.append(put(storage, 1500, "last"))
    left = [key for key in keys if (found := storage.tarball(key)) is not None and found[0].close() is None]
    assert keys[0] in left
    assert keys[-1] in left
    assert keys[1] not in left
    assert storage.usage().bytes <= 10_000


def test_another_process_that_writes_into_the_same_folder_counts(tmp_path: Path, clock: Clock) -> None:
    one, other = (Storage(tmp_path / "upstream", clock, 10_000) for _ in range(2))
    put(one, 100, "a")
    for place in range(8):
        put(other, 1000, str(place))
    for place in range(5):
        put(one, 1000, f"more {place}")
    one.keep_house()
    assert one.usage().bytes <= 10_000


def test_what_was_left_half_written_goes_after_an_hour(storage: Storage, tmp_path: Path, clock: Clock) -> None:
    left = storage.temporary()
    left.write_bytes(b"half")
    os.utime(left, ns=(clock.at * 1000, clock.at * 1000))
    storage.keep_house()
    assert left.exists()
    clock.at += HOUR + 1
    storage.keep_house()
    assert not left.exists()


# -- through a server ------------------------------------------------------------------------------------------------


def test_eviction_takes_upstream_s_bytes_and_never_a_package_of_this_registry(
    upstream: FakeUpstream, mirror: Server
) -> None:
    alice = accounts.sign_up(mirror)
    own = fresh_name("own")
    assert accounts.publish(alice, own).status == 201
    names = [fresh_name("big") for _ in range(5)]
    for name in names:
        data = upstream.add(name, size=20 * MIB)
        assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[2] == data
        mirror.advance(1)
    root = mirror.data / "upstream"
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) <= 64 * MIB
    assert get(mirror, f"/{names[0]}/-/{names[0]}-1.0.0.tgz")[2] == packed(names[0], "1.0.0", 20 * MIB)
    assert upstream.count(f"/{names[0]}/-/{names[0]}-1.0.0.tgz") == 2
    assert get(mirror, f"/{own}/-/{own}-1.0.0.tgz")[0] == 200
    fsck = mirror.admin("fsck")
    assert fsck.returncode == 0, fsck


def test_bytes_that_were_changed_on_the_disk_are_fetched_again(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("torn")
    data = upstream.add(name)
    path = f"/{name}/-/{name}-1.0.0.tgz"
    assert get(mirror, path)[2] == data
    mirror.stop()
    for file in (mirror.data / "upstream").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:-5] + b"wrong")
    mirror.start()
    assert get(mirror, path)[2] == data
    assert upstream.count(path) == 2


def test_the_operator_sees_and_changes_what_is_kept(upstream: FakeUpstream, mirror: Server) -> None:
    name, other = fresh_name("op"), fresh_name("op")
    for each in (name, other):
        upstream.add(each)
        assert get(mirror, f"/{each}/-/{each}-1.0.0.tgz")[0] == 200
    status = mirror.admin("upstream", "status")
    assert status.returncode == 0, status
    assert f"address: {upstream.address}" in status.stdout
    assert "answers: yes" in status.stdout
    upstream.add(name, "1.1.0")
    assert set(request(mirror, "GET", f"/{name}").json["versions"]) == {"1.0.0"}
    refreshed = mirror.admin("upstream", "refresh", name)
    assert (refreshed.returncode, refreshed.stdout) == (0, "Upstream is asked again about 1 document.\n"), refreshed
    assert set(request(mirror, "GET", f"/{name}").json["versions"]) == {"1.0.0", "1.1.0"}
    purged = mirror.admin("upstream", "purge", name)
    assert (purged.returncode, purged.stdout) == (0, "2 files of upstream removed.\n"), purged
    assert get(mirror, f"/{name}/-/{name}-1.0.0.tgz")[0] == 200
    assert upstream.count(f"/{name}/-/{name}-1.0.0.tgz") == 2
    assert "operator:upstream:purge" in mirror.admin("audit", "list").stdout
    assert mirror.admin("upstream", "refresh", fresh_name("nothing")).returncode == 2
    assert mirror.admin("upstream", "purge").returncode == 0
    assert [path for path in (mirror.data / "upstream").rglob("*") if path.is_file()] == []
