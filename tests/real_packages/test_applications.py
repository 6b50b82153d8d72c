"""Everything that four applications are made of: published here with npm, it installs the same from here alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.real_packages import applications, publishing, upstream
from tests.real_packages.conftest import Publisher
from tests.real_packages.upstream import Packed
from tests.support.npm import Npm, Result

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

AT_LEAST = 500
# Names of Node's modules, which other real packages depend on: a new package may not be called so unless the operator
# says which.
SETTINGS = {"TWOKEY_ALLOW_NAMES": "assert,buffer,events,process,punycode,stream,string_decoder,url,util"}
# What npm writes down of where a package came from, and what its owners said of it after its publish.
_NOT_OURS = ("resolved", "deprecated")


def _name(path: str, entry: dict[str, Any]) -> str:
    return str(entry.get("name") or path.rpartition("node_modules/")[2])


def _entries(lock: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every package of a lock file by its path, those for other platforms included, the root left out."""
    return {path: entry for path, entry in lock["packages"].items() if path}


def _told(lock: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What a lock file says of each package, without its origin."""
    return {
        path: {key: value for key, value in entry.items() if key not in _NOT_OURS}
        for path, entry in _entries(lock).items()
    }


@pytest.fixture(scope="module")
def installed(_packages: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each application, installed in the ordinary way."""
    root = tmp_path_factory.mktemp("upstream")
    folders = {application: root / application for application in applications.APPLICATIONS}
    for application, folder in folders.items():
        upstream.install(folder, applications.package_json(application))
    return folders


def _lock(folder: Path, *, of_tree: bool = False) -> dict[str, Any]:
    path = folder / "node_modules" / ".package-lock.json" if of_tree else folder / "package-lock.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def packages(installed: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Packed]:
    """Every version in every lock file, once, with its tarball."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for folder in installed.values():
        for path, entry in _entries(_lock(folder)).items():
            if not entry.get("inBundle"):  # those travel inside another package's tarball
                wanted[_name(path, entry), entry["version"]] = entry
    folder = tmp_path_factory.mktemp("tarballs")

    def download(each: tuple[tuple[str, str], dict[str, Any]]) -> Packed:
        (name, version), entry = each
        return upstream.download(folder, name, version, entry["resolved"], entry["integrity"])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(download, wanted.items()))


@pytest.fixture(scope="module")
def published(publisher: Publisher, packages: list[Packed]) -> dict[str, Result]:
    """What npm said of the publish of each."""
    return publishing.publish_all(publisher.npm, packages)


def test_npm_publishes_every_package_of_four_applications(packages: list[Packed], published: dict[str, Result]) -> None:
    """More than five hundred of them, without a refusal."""
    assert len(packages) >= AT_LEAST
    assert set(published) == {str(packed) for packed in packages}
    refused = {spec: result.stderr for spec, result in published.items() if result.returncode != 0}
    assert refused == {}


@pytest.mark.parametrize("application", applications.APPLICATIONS)
def test_an_application_installs_the_same_from_here_alone(
    publisher: Publisher,
    installed: dict[str, Path],
    published: dict[str, Result],
    tmp_path: Path,
    application: str,
) -> None:
    """With an empty cache and no lock file: the same tree, the same bytes, the same words about each package."""
    before = _lock(installed[application])
    versions = {
        path.removeprefix("node_modules/"): entry["version"]
        for path, entry in _entries(before).items()
        if path.count("node_modules/") == 1
    }
    folder = tmp_path / application
    folder.mkdir()
    exact = applications.package_json(application, versions)
    (folder / "package.json").write_text(json.dumps(exact, indent=2), encoding="utf-8")
    reader = Npm(12, publisher.server, tmp_path / "reader")
    result = reader.run(*upstream.INSTALL, cwd=folder, patience=publishing.PATIENCE)
    assert result.returncode == 0, result
    tree, tree_before = _told(_lock(folder, of_tree=True)), _told(_lock(installed[application], of_tree=True))
    assert tree.keys() == tree_before.keys()
    assert tree == tree_before
    assert _told(_lock(folder)) == _told(before)
    origins = {entry["resolved"] for entry in _entries(_lock(folder)).values() if "resolved" in entry}
    assert all(origin.startswith(publisher.server.url) for origin in origins)
    assert len(origins) > 1
