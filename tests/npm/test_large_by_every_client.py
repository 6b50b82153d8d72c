"""Large packages by every client that publishes: taken in blocks, installed back byte for byte."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.publishers import PUBLISHERS
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.wire import request

MIB = 1024 * 1024
QUICK = [("npm12", 20), ("pnpm", 20)]
REST = [(client, size) for size in (20, 100) for client in PUBLISHERS if (client, size) not in QUICK]
CASES = [*QUICK, *(pytest.param(*case, marks=pytest.mark.long) for case in REST)]


def write(folder: Path, name: str, size: int) -> str:
    """A package with `size` MiB that do not compress. Returns their digest."""
    packages.write(folder, name, "1.0.0", files=["noise.bin", "index.js"])
    digest = hashlib.sha256()
    with (folder / "noise.bin").open("wb") as stream:
        for _ in range(size):
            piece = os.urandom(MIB)
            digest.update(piece)
            stream.write(piece)
    return digest.hexdigest()


@pytest.mark.parametrize(("client", "size"), CASES)
def test_a_large_package_is_published_and_comes_back(
    make_npm: MakeNpm, enrolled: Account, tmp_path: Path, client: str, size: int
) -> None:
    version, publish = PUBLISHERS[client]
    npm = make_npm(version)
    npm.sign_in(accounts.automation_token(enrolled))
    name = accounts.fresh_name("large")
    digest = write(tmp_path / "package", name, size)
    result = publish(npm, tmp_path / "package", [])
    assert result.returncode == 0, result
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "package.json").write_text("{}", encoding="utf-8")
    result = make_npm(12).run("install", "--no-audit", name, cwd=installed)
    assert result.returncode == 0, result
    assert hashlib.sha256((installed / "node_modules" / name / "noise.bin").read_bytes()).hexdigest() == digest
    assert not list((enrolled.server.data / "blobs" / "tmp").iterdir())


@pytest.mark.parametrize("version", [12, pytest.param(6, marks=pytest.mark.long)])
def test_npm_hears_that_a_large_publish_needs_a_code_and_sends_it_again(
    make_npm: MakeNpm, enrolled: Account, tmp_path: Path, version: int
) -> None:
    """It is heard out: cut off in the midst, it would tell of a reset connection."""
    npm = make_npm(version)
    npm.sign_in(accounts.publish_token(enrolled))
    name = accounts.fresh_name("asked")
    write(tmp_path / "package", name, 20)
    refused = npm.run("publish", cwd=tmp_path / "package")
    assert (refused.returncode, "EOTP" in refused.text) == (1, True), refused
    assert request(enrolled.server, "GET", f"/{name}").status == 404
    done = npm.run("publish", f"--otp={enrolled.fresh_code()}", cwd=tmp_path / "package")
    assert done.returncode == 0, done
