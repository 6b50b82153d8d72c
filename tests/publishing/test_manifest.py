"""Promise: what is installed or run is what the tarball says, whatever the client claims."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.publishing.tar_maker import LIMITS, entry, tarball
from twokey.errors import Invalid
from twokey.packages.names import PackageName
from twokey.publishing.manifest import FROM_TARBALL, BuiltManifest, build
from twokey.publishing.tarball import TarballFacts, inspect

NAME = PackageName.parse("@acme/bar")
PACKAGE: dict[str, Any] = {"name": "@acme/bar", "version": "1.0.0"}


def facts_of(package: dict[str, Any], *files: str) -> TarballFacts:
    entries = [entry(f"package/{name}".encode(), b"x") for name in files]
    return inspect(tarball(*entries, package_json=json.dumps({**PACKAGE, **package}).encode()), LIMITS)


def built(packed: dict[str, Any], sent: dict[str, Any] | None = None, *files: str) -> BuiltManifest:
    """The manifest where `packed` is in the tarball and `sent` (the same by default) comes from the client."""
    client = {**PACKAGE, **(packed if sent is None else sent)}
    return build(NAME, "1.0.0", client, facts_of(packed, *files))


HONEST: dict[str, Any] = {
    "dependencies": {"a": "^1.0.0"},
    "optionalDependencies": {"b": "1"},
    "peerDependencies": {"c": "*"},
    "peerDependenciesMeta": {"c": {"optional": True}},
    "bundleDependencies": ["a"],
    "bin": {"bar": "cli.js"},
    "scripts": {"postinstall": "node x"},
    "engines": {"node": ">=20"},
    "os": ["linux"],
    "cpu": ["x64"],
    "libc": ["glibc"],
}
LIES: dict[str, Any] = {
    "dependencies": {"evil": "1"},
    "optionalDependencies": {"evil": "1"},
    "peerDependencies": {"evil": "*"},
    "peerDependenciesMeta": {"c": {"optional": False}},
    "bundleDependencies": ["evil"],
    "bin": {"node": "evil.js"},
    "scripts": {"postinstall": "evil"},
    "engines": {"node": "*"},
    "os": ["win32"],
    "cpu": ["arm64"],
    "libc": ["musl"],
}


def test_every_field_that_decides_an_install_is_covered() -> None:
    assert HONEST.keys() == LIES.keys() == set(FROM_TARBALL)


@pytest.mark.parametrize("field", FROM_TARBALL)
def test_the_tarball_wins_and_the_difference_is_told(field: str) -> None:
    for sent in (HONEST | {field: LIES[field]}, {k: v for k, v in HONEST.items() if k != field}):
        result = built(HONEST, sent)
        assert result.manifest[field] == HONEST[field]
        assert field in result.differences
    added = built({k: v for k, v in HONEST.items() if k not in (field, "bundleDependencies")}, HONEST)
    assert added.manifest.get(field) in (None, {})
    assert field in added.differences


def test_an_honest_publish_differs_in_nothing() -> None:
    result = built(HONEST)
    assert result.differences == []
    assert {key: result.manifest[key] for key in HONEST} == HONEST
    assert result.manifest["hasInstallScript"] is True


# what the author writes, what some npm sends of it, and the files beside it
NORMALISED = {
    "bin as text": ({"bin": "./cli.js"}, {"bin": {"bar": "cli.js"}}, ()),
    "bin as a list": ({"bin": ["./a.js", "lib/b.js"]}, {"bin": {"a.js": "a.js", "b.js": "lib/b.js"}}, ()),
    "bin that climbs out": ({"bin": {"../x": "../../a.js"}}, {"bin": {"x": "a.js"}}, ()),
    "bin of nothing": ({"bin": {"x": 1, "": "a", "y": ""}}, {}, ()),
    "bin with backslashes": ({"bin": {"x": ".\\bin\\x.js"}}, {"bin": {"x": "bin/x.js"}}, ()),
    "bin folder": (
        {"directories": {"bin": "./bin"}},
        {"directories": {"bin": "./bin"}, "bin": {"a": "bin/a", "b": "bin/b"}},
        ("bin/b", "bin/a"),
    ),
    "bundled, the other spelling": (
        {"bundledDependencies": ["a"], "dependencies": {"a": "1"}},
        {"bundleDependencies": ["a"], "dependencies": {"a": "1"}},
        (),
    ),
    "bundled, all": (
        {"bundleDependencies": True, "dependencies": {"a": "1"}},
        {"bundleDependencies": ["a"], "dependencies": {"a": "1"}},
        (),
    ),
    "bundled, none": ({"bundleDependencies": False}, {}, ()),
    "bundled, not named": (
        {"bundleDependencies": ["a"]},
        {"bundleDependencies": ["a"], "dependencies": {"a": "*"}},
        (),
    ),
    "empty objects": ({"dependencies": {}, "scripts": {}, "bin": {}, "bundleDependencies": []}, {}, ()),
    "spaces": (
        {"dependencies": {"a": " ^1 "}, "scripts": {"x": " y "}},
        {"dependencies": {"a": "^1"}, "scripts": {"x": "y"}},
        (),
    ),
    "wrong types": (
        {"dependencies": {"a": 1, "b": "1"}, "scripts": {"x": 1, "y": "z"}, "engines": "x", "libc": 1},
        {"dependencies": {"b": "1"}, "scripts": {"y": "z"}},
        (),
    ),
    "dependencies in a list": (
        {"dependencies": ["a@1", "b >=2", "c"]},
        {"dependencies": {"a": "1", "b": ">=2", "c": ""}},
        (),
    ),
    "dependencies in a text": ({"dependencies": "a, b"}, {"dependencies": {"a": "", "b": ""}}, ()),
    "local commands": (
        {"scripts": {"test": "./node_modules/.bin/mocha -x"}},
        {"scripts": {"test": "mocha -x"}},
        (),
    ),
    "optional copied by npm 6": (
        {"dependencies": {"a": "1"}, "optionalDependencies": {"b": "2"}},
        {"dependencies": {"a": "1", "b": "2"}, "optionalDependencies": {"b": "2"}},
        (),
    ),
    "optional in both": (
        {"dependencies": {"b": "1"}, "optionalDependencies": {"b": "2"}},
        {"optionalDependencies": {"b": "2"}},
        (),
    ),
    "a gyp file": ({}, {"scripts": {"install": "node-gyp rebuild"}, "gypfile": True}, ("binding.gyp",)),
    "a server": ({"scripts": {"a": "b"}}, {"scripts": {"a": "b", "start": "node server.js"}}, ("server.js",)),
    "git dependencies": (
        {
            "dependencies": {
                "a": "user/repo",
                "b": "git://github.com/user/repo.git#v1",
                "c": "https://github.com/user/repo",
                "d": "git@gitlab.com:user/repo.git",
            }
        },
        {
            "dependencies": {
                "a": "github:user/repo",
                "b": "git+https://github.com/user/repo.git#v1",
                "c": "git+https://github.com/user/repo.git",
                "d": "git+ssh://git@gitlab.com/user/repo.git",
            }
        },
        (),
    ),
}


@pytest.mark.parametrize(("packed", "sent", "files"), NORMALISED.values(), ids=NORMALISED.keys())
def test_what_npm_itself_rewrites_is_no_difference(
    packed: dict[str, Any], sent: dict[str, Any], files: tuple[str, ...]
) -> None:
    assert built(packed, sent, *files).differences == []
    assert built(packed, packed, *files).differences == []


@pytest.mark.parametrize(
    ("packed", "sent"),
    [
        ("user/repo", "github:other/repo"),
        ("git://github.com/user/repo.git#v1", "git+https://github.com/user/repo.git#v2"),
        ("https://github.com/user/repo", "git+https://gitlab.com/user/repo.git"),
        ("^1.0.0", "^2.0.0"),
        ("https://example.com/a.tgz", "https://example.com/b.tgz"),
    ],
)
def test_another_source_of_a_dependency_is_a_difference(packed: str, sent: str) -> None:
    result = built({"dependencies": {"a": packed}}, {"dependencies": {"a": sent}})
    assert result.differences == ["dependencies"]
    assert result.manifest["dependencies"] == {"a": packed}


def test_the_normal_form_is_what_is_kept() -> None:
    manifest = built({"bin": "./cli.js", "scripts": {"a": " b "}}, None, "binding.gyp").manifest
    assert manifest["bin"] == {"bar": "cli.js"}
    assert manifest["scripts"] == {"a": "b", "install": "node-gyp rebuild"}
    assert manifest["hasInstallScript"] is True


@pytest.mark.parametrize(
    ("packed", "files", "field", "expected"),
    [
        ({"scripts": {"install": "x"}}, ["binding.gyp"], "scripts", {"install": "x"}),
        ({"scripts": {"preinstall": "x"}}, ["binding.gyp"], "scripts", {"preinstall": "x"}),
        ({"gypfile": False}, ["binding.gyp"], "scripts", None),
        ({}, ["lib/binding.gyp", "lib/server.js"], "scripts", None),
        ({"scripts": {"start": "x"}}, ["server.js"], "scripts", {"start": "x"}),
        ({"dependencies": [1, "", " ", "a"]}, [], "dependencies", {"a": ""}),
        ({"bundleDependencies": [1, "", "a"]}, [], "bundleDependencies", ["a"]),
        ({"bundleDependencies": True}, [], "bundleDependencies", []),
        ({"bundleDependencies": {"a": "1"}}, [], "bundleDependencies", ["a"]),
        ({"directories": {"bin": "bin/a"}}, ["bin"], "bin", None),
        ({"bin": 1}, [], "bin", None),
    ],
)
def test_npm_adds_and_drops_no_more_than_that(
    packed: dict[str, Any], files: list[str], field: str, expected: object
) -> None:
    assert built(packed, None, *files).manifest.get(field) == expected


def test_what_the_server_says_is_never_taken_from_the_client() -> None:
    sent = {
        "_id": "evil@1.0.0",
        "_rev": "1",
        "_npmUser": {"name": "evil"},
        "_npmOperationalInternal": {},
        "_integrity": "sha512-x",
        "_hasShrinkwrap": True,
        "__proto__": {"x": 1},
        "integrity": "sha512-x",
        "shasum": "x",
        "time": "2026",
        "maintainers": [{"name": "evil"}],
        "readme": "# long",
        "readmeFilename": "evil",
        "hasInstallScript": True,
        "bundledDependencies": ["x"],
        "deprecated": False,
        "dist": {"tarball": "http://evil.example/x.tgz", "signatures": [], "fileCount": 99},
        "gitHead": "abc",
        "_nodeVersion": "22.0.0",
        "_npmVersion": "11.0.0",
        "description": "d",
    }
    facts = facts_of({}, "README.md")
    result = build(NAME, "1.0.0", {**PACKAGE, **sent}, facts)
    assert result.manifest == {
        "_id": "@acme/bar@1.0.0",
        "name": "@acme/bar",
        "version": "1.0.0",
        "dist": {
            "shasum": facts.shasum,
            "integrity": facts.integrity,
            "fileCount": 2,
            "unpackedSize": facts.unpacked_size,
        },
        "readmeFilename": "README.md",
        "gitHead": "abc",
        "_nodeVersion": "22.0.0",
        "_npmVersion": "11.0.0",
        "description": "d",
    }
    assert result.differences == ["dependencies", "bundleDependencies", "hasInstallScript"]


@pytest.mark.parametrize("value", ["", None, False, True])
def test_only_a_message_deprecates(value: object) -> None:
    assert "deprecated" not in built({}, {"deprecated": value}).manifest


def test_the_abbreviated_form_holds_what_an_install_needs() -> None:
    more = {"devDependencies": {"d": "1"}, "funding": "x", "directories": {}, "deprecated": "old", "description": "d"}
    result = built(HONEST | more, None, "npm-shrinkwrap.json")
    extra = {"name", "version", "dist", "hasInstallScript", "_hasShrinkwrap", "deprecated"}
    without = {"scripts"}
    assert result.abbreviated.keys() == (HONEST.keys() | more.keys() | extra) - without - {"description"}
    assert all(result.manifest[key] == value for key, value in result.abbreviated.items())


def test_an_old_version_without_its_hyphen_is_taken_as_npm_cleans_it() -> None:
    facts = facts_of({"version": "0.4.0rc2"})
    assert build(NAME, "0.4.0-rc2", {**PACKAGE, "version": "0.4.0-rc2"}, facts).manifest["version"] == "0.4.0-rc2"


@pytest.mark.parametrize("version", ["1.0.0", "v1.0.0", "=1.0.0", " 1.0.0 ", "1.0.0+build.7"])
def test_a_version_that_npm_cleans_to_the_published_one_is_taken(version: str) -> None:
    facts = facts_of({"version": version})
    assert build(NAME, "1.0.0", PACKAGE, facts).manifest["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ({"name": "@acme/baz"}, "the name '@acme/baz'"),
        ({"name": "bar"}, "the name 'bar'"),
        ({"name": "@Acme/bar"}, "the name"),
        ({"name": None}, "the name \\(none\\)"),
        ({"version": "1.0.1"}, "the version '1.0.1'"),
        ({"version": "1.0.0-rc.1"}, "the version"),
        ({"version": "1.0"}, "the version"),
        ({"version": 1}, "the version \\(none\\)"),
    ],
)
def test_a_tarball_of_another_package_or_version_is_refused(package: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        build(NAME, "1.0.0", PACKAGE, facts_of(package))


def test_digests_that_the_client_sends_must_be_those_of_the_bytes() -> None:
    facts = facts_of({})
    good = {"shasum": facts.shasum, "integrity": facts.integrity}
    build(NAME, "1.0.0", {**PACKAGE, "dist": good}, facts)
    build(NAME, "1.0.0", {**PACKAGE, "dist": {}}, facts)
    other = facts_of({"description": "other"})
    for wrong in (
        {"shasum": other.shasum},
        {"shasum": facts.shasum[:-1]},
        {"shasum": 1},
        {"integrity": other.integrity},
        {"integrity": f"{facts.integrity} {other.integrity}"},
        {"integrity": ""},
        {"integrity": 1},
        {"integrity": "sha256-" + facts.integrity[7:]},
    ):
        with pytest.raises(Invalid, match="Publish again"):
            build(NAME, "1.0.0", {**PACKAGE, "dist": {**good, **wrong}}, facts)
    with pytest.raises(Invalid):
        build(NAME, "1.0.0", {**PACKAGE, "dist": "x"}, facts)
