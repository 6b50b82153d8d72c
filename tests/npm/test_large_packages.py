"""npm 12 publishes the largest packages that are taken, and is told of the limit by those above it.

While a large one is on its way the server answers others, and its memory does not grow with the size of the tarball.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from tests.npm.conftest import MakeNpm
from tests.promises.support import ROOM, Instance
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.npm import Npm, Result
from tests.support.wire import request

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

MIB = 1024 * 1024
LIMIT = 100  # MiB of a tarball
MOST_ENTRIES = 20_000
PATIENCE = 600.0  # npm packs a hundred MiB, and writes ten thousand files
# gzip makes random bytes larger by less than this.
GROWTH = MIB // 16
MOST_GROWTH = 16  # MiB of the server's memory


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("server"), {**ROOM, "TWOKEY_LIMIT_TARBALL": str(LIMIT)}) as running:
        yield running


@pytest.fixture
def npm(make_npm: MakeNpm, alice: Account) -> Npm:
    made = make_npm(12)
    made.sign_in(accounts.publish_token(alice))
    return made


def of_random_bytes(folder: Path, name: str, size: int) -> Path:
    packages.write(folder, name)
    (folder / "random.bin").write_bytes(os.urandom(size))
    return folder


def of_many_files(folder: Path, name: str, files: int) -> Path:
    """A package of so many files; three of them are those of every package here."""
    packages.write(folder, name)
    for number in range(files - 3):
        path = folder / f"{number // 100:03}" / f"{number}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"module.exports = {number}\n", encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file in a folder, by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha512(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def stored(server: Instance) -> tuple[dict[str, Any], set[str]]:
    """What a publish makes: rows, and files beside the database, temporary ones too."""
    rows = server.dump()
    tables = ("packages", "versions", "version_readmes", "version_signatures", "dist_tags", "owners", "organisations")
    return {name: rows[name] for name in tables}, set(contents(server.data / "blobs"))


def publish(npm: Npm, folder: Path) -> Result:
    return npm.run("publish", "--loglevel=error", cwd=folder, patience=PATIENCE)


def install(npm: Npm, folder: Path, name: str) -> tuple[Path, str]:
    """The folder of the installed package, and the integrity that the lock file notes."""
    packages.write(folder, "app", private=True)
    done = npm.run("install", name, cwd=folder, patience=PATIENCE)
    assert done.returncode == 0, done
    lock = json.loads((folder / "package-lock.json").read_text())
    return folder / "node_modules" / name, lock["packages"][f"node_modules/{name}"]["integrity"]


def others_are_answered(server: Instance, name: str, publishing: Future[Result]) -> None:
    """Until the publish has ended, every other request gets its answer."""
    while not publishing.done():
        for path in ("/-/ping", f"/{name}"):
            assert request(server, "GET", path).status == 200
        wait([publishing], timeout=0.05)


def test_a_package_just_under_the_limit_comes_back_as_it_was_while_others_are_served(
    npm: Npm, server: Instance, alice: Account, package_name: str, tmp_path: Path
) -> None:
    small, before = f"{package_name}-small", server.peak_mib()
    assert accounts.publish(alice, small).status == 201
    made = of_random_bytes(tmp_path / "large", package_name, LIMIT * MIB - GROWTH)
    with ThreadPoolExecutor(1) as worker:
        publishing = worker.submit(publish, npm, made)
        others_are_answered(server, small, publishing)
    assert publishing.result().returncode == 0, publishing.result()
    (blob,) = [path for path in (server.data / "blobs").glob("??/??/*") if path.stat().st_size > MIB]
    assert LIMIT * MIB - 2 * GROWTH < blob.stat().st_size <= LIMIT * MIB
    installed, integrity = install(npm, tmp_path / "app", package_name)
    dist = request(server, "GET", f"/{package_name}").json["versions"]["1.0.0"]["dist"]
    assert dist["integrity"] == integrity
    assert contents(installed) == contents(made)
    assert server.peak_mib() - before < MOST_GROWTH


@pytest.mark.parametrize(
    ("size", "told"),
    [
        pytest.param(LIMIT * MIB, f"larger than {LIMIT} MiB (TWOKEY_LIMIT_TARBALL)", id="just above"),
        pytest.param((LIMIT + 20) * MIB, f"at most a tarball of {LIMIT} MiB", id="above what is heard"),
    ],
)
def test_a_package_above_the_limit_is_told_of_it_and_leaves_nothing(
    npm: Npm, server: Instance, package_name: str, tmp_path: Path, size: int, told: str
) -> None:
    made, before = of_random_bytes(tmp_path / "large", package_name, size), stored(server)
    refused = publish(npm, made)
    assert refused.returncode == 1, refused
    assert "E413" in refused.stderr
    assert told in refused.stderr
    assert stored(server) == before


def test_ten_thousand_files_come_back_as_they_were(npm: Npm, package_name: str, tmp_path: Path) -> None:
    made = of_many_files(tmp_path / "many", package_name, 10_000)
    done = publish(npm, made)
    assert done.returncode == 0, done
    installed, _ = install(npm, tmp_path / "app", package_name)
    assert contents(installed) == contents(made)


def test_one_file_too_many_is_told_of_the_limit_and_leaves_nothing(
    npm: Npm, server: Instance, package_name: str, tmp_path: Path
) -> None:
    made = of_many_files(tmp_path / "many", package_name, MOST_ENTRIES + 1)
    before = stored(server)
    refused = publish(npm, made)
    assert refused.returncode == 1, refused
    assert "E413" in refused.stderr
    assert f"more than {MOST_ENTRIES:,} entries" in refused.stderr
    assert stored(server) == before
    (made / "index.js").unlink()
    assert publish(npm, made).returncode == 0, "one file fewer is taken"
