"""Real applications, installed through a registry whose upstream is the public one: the same as without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_packages import applications, upstream
from tests.support.installers import INSTALLERS
from tests.support.npm import Npm
from tests.support.server import Server

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

PATIENCE = 1800.0
APPLICATIONS: dict[str, dict[str, Any]] = {
    **applications.APPLICATIONS,
    "express": {"dependencies": {"express": "latest"}},
    # more than a thousand packages, many of them old
    "react-scripts": {"dependencies": {"react": "^18", "react-dom": "^18", "react-scripts": "5.0.1"}},
}
MANY = 1000


def package_json(application: str) -> dict[str, Any]:
    """The package.json of an application."""
    return {"name": f"{application}-app", "version": "0.0.0", "private": True, **APPLICATIONS[application]}


def told(lock: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What npm's lock file says of each package, without where it came from."""
    return {
        path: {key: value for key, value in entry.items() if key != "resolved"}
        for path, entry in lock["packages"].items()
    }


def installed(folder: Path) -> set[tuple[str, str]]:
    """Name and version of every package in node_modules, wherever the client puts it."""
    found = set()
    for path in folder.glob("**/node_modules/**/package.json"):
        if path.parent.parent.name == "node_modules" or path.parent.parent.parent.name == "node_modules":
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(manifest.get("name"), str) and isinstance(manifest.get("version"), str):
                found.add((manifest["name"], manifest["version"]))
    return found


@pytest.fixture(scope="module")
def mirror(_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry whose upstream is the one that this machine's npm is set up with."""
    with Server(tmp_path_factory.mktemp("mirror"), {"TWOKEY_UPSTREAM": "npm"}) as server:
        yield server


@pytest.mark.parametrize("application", APPLICATIONS)
def test_npm_makes_the_same_lock_through_the_registry_as_without_it(
    mirror: Server, tmp_path: Path, application: str
) -> None:
    """With an empty cache; then again with another empty cache and with upstream's bytes from the disk."""
    before = upstream.install(tmp_path / "direct" / application, package_json(application))
    for turn in ("first", "again"):
        npm = Npm(12, mirror, tmp_path / turn)
        folder = tmp_path / turn / application
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps(package_json(application)), encoding="utf-8")
        done = npm.run(*upstream.INSTALL, cwd=folder, patience=PATIENCE)
        assert done.returncode == 0, done
        lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
        assert told(lock) == told(before)
        origins = {entry["resolved"] for entry in lock["packages"].values() if "resolved" in entry}
        assert all(origin.startswith(mirror.url) for origin in origins)
    if application == "react-scripts":
        assert len(before["packages"]) > MANY


@pytest.mark.parametrize("client", [each for each in INSTALLERS if not each.startswith("npm")])
@pytest.mark.parametrize("application", ["vite", "express", "jest", "eslint", "next"])
def test_every_client_installs_what_npm_does(mirror: Server, tmp_path: Path, application: str, client: str) -> None:
    """Clients place packages each in its own way, and look for other platforms each in its own; none misses one."""
    version, install = INSTALLERS[client]
    npm = Npm(version, mirror, tmp_path / "home")
    folder = tmp_path / application
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps(package_json(application)), encoding="utf-8")
    done = install(npm, folder, PATIENCE)
    assert done.returncode == 0, done
    found = {name for name, _ in installed(folder)}
    fields = APPLICATIONS[application]
    direct = {name for kind in ("dependencies", "devDependencies") for name in fields.get(kind, {})}
    assert direct <= found
    assert len(found) > len(direct)
