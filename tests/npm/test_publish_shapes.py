"""Packages of every shape: published with npm 12, installed back with npm 12, and the same in every file and word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.publishers import PUBLISHERS
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.npm import Npm
from tests.support.server import Server
from tests.support.wire import request


@dataclass(frozen=True)
class Shape:
    """A package.json, the files beside index.js and README.md, and what the registry is to say of it."""

    fields: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    """Files that npm does not pack."""
    says: dict[str, Any] = field(default_factory=dict)
    version: str = "1.0.0"
    published: str = "1.0.0"
    name: str = ""
    byte_order_mark: bool = False


_EXPORTS = {
    ".": {"import": "./index.mjs", "require": "./index.js", "types": "./index.d.ts"},
    "./package.json": "./package.json",
}
_SHRINKWRAP = json.dumps({"lockfileVersion": 3, "requires": True, "packages": {"": {}}})
_ENGINES = {"node": ">= 0.10 || *", "teleport": "x"}
_PERSON = {"name": "Ada Ü", "email": "ada@example.com", "url": "https://example.com"}

SHAPES = {
    "no README": Shape({}, left_out=frozenset({"README.md"}), says={"readmeFilename": None}),
    "README and names beyond ASCII": Shape(
        {"description": "Größe, 大きさ"},
        {"größe.js": "1", "大きさ/ファイル.js": "2", "README.md": "# Größe 大きさ 🗝️\n"},
        says={"description": "Größe, 大きさ", "readmeFilename": "README.md"},
    ),
    "a bundled dependency": Shape(
        {"bundledDependencies": ["inner"], "dependencies": {"inner": "1.0.0"}},
        {"node_modules/inner/package.json": '{"name":"inner","version":"1.0.0"}', "node_modules/inner/a.js": "1"},
        says={"bundleDependencies": ["inner"], "dependencies": {"inner": "1.0.0"}},
    ),
    "bin as a string": Shape(
        {"bin": "./cli.js"}, {"cli.js": "#!/usr/bin/env node\n"}, says={"bin": {"$BASE": "cli.js"}}
    ),
    "directories.bin": Shape(
        {"directories": {"bin": "bin"}},
        {"bin/one": "#!/bin/sh\n", "bin/two": "#!/bin/sh\n"},
        says={"bin": {"one": "bin/one", "two": "bin/two"}, "directories": {"bin": "bin"}},
    ),
    "files": Shape(
        {"files": ["lib"]},
        {"lib/a.js": "1", "other.js": "2", ".npmignore": "lib/b.js"},
        left_out=frozenset({"other.js", ".npmignore"}),
    ),
    "publishConfig": Shape({"publishConfig": {"tag": "next", "access": "public"}}, name="@$SCOPE/configured"),
    "a byte order mark": Shape({"description": "marked"}, byte_order_mark=True, says={"description": "marked"}),
    "the longest name": Shape({}, name="n" * 200),
    "build metadata": Shape({}, version="1.0.0+build.1"),
    "a prerelease": Shape({"publishConfig": {"tag": "beta"}}, version="2.0.0-beta.1", published="2.0.0-beta.1"),
    "a version with a v": Shape({}, version="v1.2.3", published="1.2.3"),
    "a very long description": Shape({"description": "ä" * 100_000}, says={"description": "ä" * 100_000}),
    "engines in an array": Shape({"engines": ["node >=0.6"]}, says={"engines": ["node >=0.6"]}),
    "odd engines": Shape({"engines": _ENGINES}, says={"engines": _ENGINES}),
    "repository and author as strings": Shape(
        {"repository": "acme/thing", "author": "Ada Ü <ada@example.com> (https://example.com)"},
        says={"repository": {"type": "git", "url": "git+https://github.com/acme/thing.git"}, "author": _PERSON},
    ),
    "license as an object": Shape(
        {"license": {"type": "MIT", "url": "https://example.com"}},
        says={"license": {"type": "MIT", "url": "https://example.com"}},
    ),
    "licenses in an array": Shape({"licenses": [{"type": "MIT"}]}, says={"licenses": [{"type": "MIT"}]}),
    "an exports map": Shape({"exports": _EXPORTS, "type": "module"}, says={"exports": _EXPORTS, "type": "module"}),
    "optional and peer dependencies": Shape(
        {
            "optionalDependencies": {"not-there-at-all": "1"},
            "peerDependencies": {"never-here": "*"},
            "peerDependenciesMeta": {"never-here": {"optional": True}},
        },
        says={
            "optionalDependencies": {"not-there-at-all": "1"},
            "peerDependencies": {"never-here": "*"},
            "peerDependenciesMeta": {"never-here": {"optional": True}},
        },
    ),
    "a platform": Shape(
        {"os": ["linux", "darwin", "!win32"], "cpu": ["x64", "arm64"], "libc": ["glibc", "musl"]},
        says={"os": ["linux", "darwin", "!win32"], "cpu": ["x64", "arm64"], "libc": ["glibc", "musl"]},
    ),
    "install scripts": Shape(
        {"scripts": {"postinstall": "exit 1"}},
        says={"hasInstallScript": True, "scripts": {"postinstall": "exit 1"}},
    ),
    "a gyp file": Shape(
        {}, {"binding.gyp": "{}"}, says={"hasInstallScript": True, "scripts": {"install": "node-gyp rebuild"}}
    ),
    "empty fields": Shape(
        {"dependencies": {}, "devDependencies": {}, "scripts": {}, "keywords": [], "engines": {}},
        says={"dependencies": {}, "devDependencies": {}, "hasInstallScript": None},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What became of the shapes: their folders, and the folder in which they are installed."""

    names: dict[str, str]
    folders: dict[str, Path]
    installed: Path


@pytest.fixture(scope="module")
def shown(
    clients: None, server: Server, enrolled: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """All shapes, published by one command with an automation token and installed by another, with an empty cache."""
    root = tmp_path_factory.mktemp("shapes")
    packages.write_workspaces(root, [])
    names, folders = {}, {}
    for number, (title, shape) in enumerate(SHAPES.items()):
        names[title] = shape.name.replace("$SCOPE", enrolled.name) or accounts.fresh_name("shape")
        folders[title] = _write(root / "packages" / f"{number:02}", names[title], shape)
    author = Npm(12, server, root / "author")
    author.sign_in(accounts.automation_token(enrolled))
    published = author.run("publish", "--workspaces", cwd=root)
    assert published.returncode == 0, published
    reader = Npm(12, server, root / "reader")
    installed = root / "installed"
    installed.mkdir()
    wanted = {names[title]: shape.published for title, shape in SHAPES.items()}
    (installed / "package.json").write_text(json.dumps({"dependencies": wanted}), encoding="utf-8")
    result = reader.run("install", "--ignore-scripts", "--no-audit", cwd=installed)
    assert result.returncode == 0, result
    yield Shown(names, folders, installed)
    author.close()
    reader.close()


def _write(folder: Path, name: str, shape: Shape) -> Path:
    packages.write(folder, name, shape.version, **shape.fields)
    for path, text in shape.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    if "README.md" in shape.left_out:
        (folder / "README.md").unlink()
    manifest = folder / "package.json"
    if shape.byte_order_mark:
        manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("title", SHAPES)
def test_a_package_comes_back_as_it_was(shown: Shown, server: Server, title: str) -> None:
    """Every file, byte for byte; and the registry says of it what its package.json says."""
    shape, name = SHAPES[title], shown.names[title]
    sent = _files(shown.folders[title])
    packed = {path: data for path, data in sent.items() if path not in shape.left_out}
    assert _files(shown.installed / "node_modules" / name) == packed
    document = request(server, "GET", "/" + name.replace("/", "%2f")).json
    manifest = document["versions"][shape.published]
    base = name.rpartition("/")[2]
    expected = json.loads(json.dumps(shape.says).replace("$BASE", base))
    assert {key: manifest.get(key) for key in expected} == expected
    lock = json.loads((shown.installed / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][f"node_modules/{name}"]["integrity"] == manifest["dist"]["integrity"]
    if "tag" in shape.fields.get("publishConfig", {}):
        assert document["dist-tags"][shape.fields["publishConfig"]["tag"]] == shape.published


@pytest.mark.parametrize("client", PUBLISHERS)
def test_what_every_client_packs_comes_back(make_npm: MakeNpm, enrolled: Account, tmp_path: Path, client: str) -> None:
    """One package with a bit of everything, scoped, published by each client."""
    version, publish = PUBLISHERS[client]
    npm = make_npm(version)
    npm.sign_in(accounts.automation_token(enrolled))
    name = f"@{enrolled.name}/{accounts.fresh_name('bit')}"
    everything = Shape(
        {
            "author": "Ada Ü <ada@example.com>",
            "bin": "./cli.js",
            "dependencies": {},
            "exports": {".": "./index.js"},
            "files": ["lib", "cli.js", "größe.js", "index.js"],  # bun leaves `main` out otherwise
            "libc": ["glibc"],
            "license": {"type": "MIT"},
            "os": ["linux"],
            "peerDependencies": {"never-here": "*"},
            "peerDependenciesMeta": {"never-here": {"optional": True}},
            "repository": "acme/thing",
            "scripts": {"postinstall": "exit 1"},
        },
        {"cli.js": "#!/usr/bin/env node\n", "lib/a.js": "1", "größe.js": "1", "other.js": "2"},
    )
    folder = _write(tmp_path / "package", name, Shape(everything.fields, everything.files, version="1.0.0+build.1"))
    result = publish(npm, folder, ["--access=public"] if client != "yarn4" else ["--access", "public"])
    assert result.returncode == 0, result
    reader = make_npm(12)
    result = reader.run(
        "install", "--ignore-scripts", "--no-audit", f"{name}@1.0.0", cwd=_empty(tmp_path / "installed")
    )
    assert result.returncode == 0, result
    got, sent = _files(tmp_path / "installed" / "node_modules" / name), _files(folder)
    assert got.keys() == {"README.md", "cli.js", "größe.js", "index.js", "lib/a.js", "package.json"}
    assert all(got[path] == sent[path] for path in got if path != "package.json")  # some clients write it anew
    manifest = request(enrolled.server, "GET", "/" + name.replace("/", "%2f")).json["versions"]["1.0.0"]
    assert manifest["bin"] == {name.rpartition("/")[2]: "cli.js"}
    assert manifest["hasInstallScript"] is True
    assert (manifest["os"], manifest["libc"]) == (["linux"], ["glibc"])
    assert manifest["peerDependenciesMeta"] == {"never-here": {"optional": True}}


def _empty(folder: Path) -> Path:
    folder.mkdir()
    (folder / "package.json").write_text("{}", encoding="utf-8")
    return folder


def test_a_shrinkwrap_travels_with_the_package(make_npm: MakeNpm, enrolled: Account, tmp_path: Path) -> None:
    """npm 12 neither packs nor heeds one any more, the others do; whoever installs sees that there is one."""
    author = make_npm(11)
    author.sign_in(accounts.automation_token(enrolled))
    name = accounts.fresh_name("wrapped")
    folder = _write(tmp_path / "package", name, Shape({}, {"npm-shrinkwrap.json": _SHRINKWRAP}))
    assert author.run("publish", cwd=folder).returncode == 0
    result = make_npm(12).run("install", "--no-audit", name, cwd=_empty(tmp_path / "installed"))
    assert result.returncode == 0, result
    assert _files(tmp_path / "installed" / "node_modules" / name) == _files(folder)
    assert request(enrolled.server, "GET", f"/{name}").json["versions"]["1.0.0"]["_hasShrinkwrap"] is True
    result = make_npm(11).run("install", "--no-audit", name, cwd=_empty(tmp_path / "noted"))
    assert result.returncode == 0, result
    lock = json.loads((tmp_path / "noted" / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][f"node_modules/{name}"]["hasShrinkwrap"] is True
