"""`twokey admin fsck`, `gc` and `keys rotate`, beside a server that runs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.server import Server
from tests.support.wire import request

DAY = 86_400


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own: what is broken here is broken for all."""
    with Server(tmp_path) as running:
        yield running


@pytest.fixture
def alice(server: Server) -> Account:
    """An account that has published `core` and `@alice/core`."""
    account = accounts.sign_up(server, "alice")
    assert accounts.publish(account, "core").status == 201
    assert accounts.publish(account, "@alice/core").status == 201
    return account


def blobs(server: Server) -> list[Path]:
    return [path for path in (server.data / "blobs").rglob("*") if path.is_file() and len(path.name) == 128]


def blob_of(server: Server, name: str) -> Path:
    tarball = request(server, "GET", f"/{name}/-/core-1.0.0.tgz")
    digest = tarball.headers["etag"].strip('"')
    (found,) = [path for path in blobs(server) if path.name.startswith(digest)]
    return found


def orphan(server: Server, data: bytes, age: float) -> Path:
    """A blob that no version names, last put `age` seconds ago."""
    digest = hashlib.sha512(data).hexdigest()
    path = server.data / "blobs" / digest[:2] / digest[2:4] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_fsck_of_a_sound_store_reads_everything_and_changes_nothing(server: Server, alice: Account) -> None:
    done = server.admin("fsck")
    assert done.returncode == 0, done
    assert done.stdout == "2 tarballs named, 2 stored, 0 missing or broken, 0 orphans.\n"
    assert "operator:integrity:fault" not in server.admin("audit", "export").stdout


def test_fsck_names_what_is_missing_and_what_is_broken(server: Server, alice: Account) -> None:
    missing, broken = blob_of(server, "core"), blob_of(server, "@alice/core")
    missing.unlink()
    broken.write_bytes(b"other bytes")
    done = server.admin("fsck")
    assert done.returncode == 1, done
    lines = done.stdout.splitlines()
    assert f"broken    {broken.name[:16]}  @alice/core@1.0.0: its bytes are not what was published" in lines
    assert f"missing   {missing.name[:16]}  core@1.0.0: its bytes are gone" in lines
    assert lines[-1] == "2 tarballs named, 1 stored, 2 missing or broken, 0 orphans."
    assert '"operator:integrity:fault"' in server.admin("audit", "export").stdout
    assert broken.exists(), "fsck repairs nothing and removes nothing"


def test_orphans_and_leftovers_are_listed_and_are_no_fault(server: Server, alice: Account) -> None:
    path = orphan(server, b"an orphan", age=0)
    leftover = server.data / "blobs" / "tmp" / "cut-off"
    leftover.write_bytes(b"half of a")
    done = server.admin("fsck")
    assert done.returncode == 0, done
    assert f"orphan    {path.name[:16]}  9 bytes, named by no version: gc removes it" in done.stdout
    assert "leftover  cut-off  of an upload that was cut off: gc removes it" in done.stdout
    assert path.exists()
    assert leftover.exists()


def test_gc_removes_what_nobody_names_after_a_day_and_nothing_else(server: Server, alice: Account) -> None:
    named = set(blobs(server))
    for path in named:
        os.utime(path, (0, 0))
    young, old = orphan(server, b"young", DAY - 60), orphan(server, b"old", DAY + 60)
    folder = server.data / "blobs" / "tmp"
    (folder / "young").write_bytes(b"")
    (folder / "old").write_bytes(b"")
    os.utime(folder / "old", (0, 0))
    done = server.admin("gc")
    assert done.returncode == 0, done
    assert done.stdout.startswith("1 orphan tarballs, 1 left-over files and ")
    assert set(blobs(server)) == named | {young}
    assert not old.exists()
    assert [path.name for path in folder.iterdir()] == ["young"]
    assert '"operator:blobs:collect"' in server.admin("audit", "export").stdout
    assert server.admin("fsck").returncode == 0


def test_a_published_version_that_was_withdrawn_becomes_an_orphan(server: Server, alice: Account) -> None:
    path = blob_of(server, "core")
    packument = alice.ask("GET", "/core?write=true").json
    assert alice.ask("DELETE", f"/core/-rev/{packument['_rev']}").status == 200
    assert f"orphan    {path.name[:16]}" in server.admin("fsck").stdout
    os.utime(path, (0, 0))
    assert server.admin("gc").returncode == 0
    assert not path.exists()
    assert accounts.is_published(server, "@alice/core")


def test_a_file_in_the_store_that_is_no_blob_stops_neither_fsck_nor_gc(server: Server, alice: Account) -> None:
    stray = blob_of(server, "core").parent / ".nfs0001"
    stray.write_bytes(b"")
    os.utime(stray, (0, 0))
    done = server.admin("fsck")
    assert (done.returncode, done.stderr) == (0, ""), done
    done = server.admin("gc")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert stray.exists()


def test_the_server_goes_on_through_a_rotation_of_the_keys(server: Server, alice: Account) -> None:
    accounts.enrol(alice)
    before = json.loads((server.data / "vault.key").read_text())["keys"]
    done = server.admin("keys", "rotate")
    assert done.returncode == 0, done
    assert done.stdout.startswith("A new key is in use: ")
    assert "Copy vault.key to where its copies are." in done.stdout
    after = json.loads((server.data / "vault.key").read_text())["keys"]
    assert after[-1] not in before
    assert (server.data / "vault.key").stat().st_mode & 0o777 == 0o600
    assert '"operator:keys:rotate"' in server.admin("audit", "export").stdout
    assert accounts.publish(alice, "core", "1.0.1", otp=alice.fresh_code()).status == 201
    assert accounts.publish(alice, "core", "1.0.2", otp=alice.recovery_codes[0]).status == 201
    server.restart()
    assert accounts.publish(alice, "core", "1.0.3", otp=alice.fresh_code()).status == 201


def test_after_two_rotations_the_first_key_opens_nothing_and_is_gone(server: Server, alice: Account) -> None:
    accounts.enrol(alice)
    first = json.loads((server.data / "vault.key").read_text())["keys"][0]
    assert server.admin("keys", "rotate").returncode == 0
    assert server.admin("keys", "rotate").returncode == 0
    assert first not in json.loads((server.data / "vault.key").read_text())["keys"]
    server.restart()
    assert accounts.publish(alice, "core", "1.0.1", otp=alice.fresh_code()).status == 201
