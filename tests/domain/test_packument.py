"""Documents joined from stored JSON: whatever a manifest holds, the result is the document that was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import insert

from tests.domain.world import START, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import CredentialKind, Principal
from twokey.clock import iso
from twokey.db.schema import DistTag, Version
from twokey.db.schema_signing import VersionSignature
from twokey.errors import NotFound
from twokey.packages import packument
from twokey.publishing import publish, withdraw

BASE = "https://npm.example.com/deep"
HOSTILE: dict[str, Any] = {
    "description": '"tarball":"" and {"dist":{"tarball":""}} \u2028\u2029 </script> \\" \x7f \U0001f600',
    "tarball": "",
    '"tarball":""': '"tarball":""',
    "a": {"dist": {"tarball": ""}, "tarball": "", "__proto__": {"x": 1}},
    "keywords": ['"tarball":""', "\u2028", ""],
    "license": "MIT",
    "empty": {},
    "nothing": None,
    "numbers": [0, -1, 1.5, 9007199254740991],
}


@pytest.fixture
def hostile(world: World) -> World:
    """A world with the package `pkg` of alice: 1.0.0 plain, 2.0.0 with everything that could disturb a splice."""
    alice = world.account()
    found = world.package("pkg", alice)
    prepared = world.prepared("pkg", "2.0.0", **HOSTILE, dependencies={"tarball": "", "\u2028": "^1"})
    token = world.token(alice, CredentialKind.AUTOMATION)
    permit = door_permit(world, token)
    with world.registry.door.write(permit) as tx:
        publish.publish(tx, prepared, world.registry.signer)
    assert world.found("pkg").revision > found.revision
    return world


def door_permit(world: World, principal: Principal) -> Permit:
    return world.registry.door.require(world.caller(principal), Action.PUBLISH, Target(package="pkg", version="2.0.0"))


def strict(text: bytes) -> dict[str, Any]:
    """The document, where it is JSON without a key that is there twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({key for key, _ in pairs}) == len(pairs), "a key is there twice"
        return dict(pairs)

    document: dict[str, Any] = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    return document


def full(world: World) -> dict[str, Any]:
    with world.registry.database.read() as connection:
        return strict(packument.full(connection, world.found("pkg"), BASE))


def test_a_hostile_manifest_is_in_the_document_as_it_was_published(hostile: World) -> None:
    version = full(hostile)["versions"]["2.0.0"]
    for key, value in HOSTILE.items():
        assert version[key] == value
    assert version["dependencies"] == {"tarball": "", "\u2028": "^1"}
    assert version["dist"]["tarball"] == f"{BASE}/pkg/-/pkg-2.0.0.tgz"


def signatures(world: World, version: str) -> list[dict[str, str]]:
    (version_id,) = (row["id"] for row in world.rows(Version) if row["version"] == version)
    (row,) = (row for row in world.rows(VersionSignature) if row["version_id"] == version_id)
    return [{"keyid": row["keyid"], "sig": row["signature"]}]


def test_the_full_document_is_the_one_that_was_meant(hostile: World) -> None:
    document = full(hostile)
    prepared = hostile.prepared("pkg", "2.0.0", **HOSTILE, dependencies={"tarball": "", "\u2028": "^1"})
    stored = json.loads(prepared.manifest)
    person = {"name": "alice", "email": "alice@example.com"}
    stored["dist"]["tarball"] = f"{BASE}/pkg/-/pkg-2.0.0.tgz"
    stored["dist"]["signatures"] = signatures(hostile, "2.0.0")
    assert document["versions"]["2.0.0"] == {**stored, "_npmUser": person, "maintainers": [person]}
    assert {key: value for key, value in document.items() if key != "versions"} == {
        "_id": "pkg",
        "_rev": hostile.found("pkg").rev,
        "name": "pkg",
        "dist-tags": {"latest": "2.0.0"},
        "maintainers": [person],
        "time": {"created": iso(START), "modified": iso(START), "1.0.0": iso(START), "2.0.0": iso(START)},
        "users": {},
        "description": HOSTILE["description"],
        "license": "MIT",
        "keywords": HOSTILE["keywords"],
        "readme": "",
        "readmeFilename": "",
    }


def test_the_abbreviated_document_holds_what_an_install_needs(hostile: World) -> None:
    with hostile.registry.database.read() as connection:
        document = strict(packument.abbreviated(connection, hostile.found("pkg"), BASE))
    assert set(document) == {"name", "modified", "dist-tags", "versions", "time"}
    version = document["versions"]["2.0.0"]
    assert version["dist"]["tarball"] == f"{BASE}/pkg/-/pkg-2.0.0.tgz"
    assert version["dependencies"] == {"tarball": "", "\u2028": "^1"}
    assert version["dist"]["signatures"] == signatures(hostile, "2.0.0")
    assert "description" not in version
    assert "_npmUser" not in version


def test_one_version_is_found_by_number_and_by_tag(hostile: World) -> None:
    with hostile.registry.database.read() as connection:
        found = hostile.found("pkg")
        by_number = strict(packument.version(connection, found, "2.0.0", BASE))
        assert by_number == full(hostile)["versions"]["2.0.0"]
        assert strict(packument.version(connection, found, "latest", BASE)) == by_number
        for missing in ("9.9.9", "next", "2.0", ""):
            with pytest.raises(NotFound):
                packument.version(connection, found, missing, BASE)


def test_a_deprecation_is_said_once_and_taken_back(hostile: World) -> None:
    message = 'use "3" \u2028 "tarball":""'
    for said in (message, None):
        with hostile.by_operator() as tx:
            withdraw.deprecate(tx, hostile.found("pkg"), {"2.0.0": said}, None)
        versions = full(hostile)["versions"]
        assert versions["2.0.0"].get("deprecated") == said
        assert "deprecated" not in versions["1.0.0"]
        with hostile.registry.database.read() as connection:
            short = strict(packument.abbreviated(connection, hostile.found("pkg"), BASE))
        assert short["versions"]["2.0.0"].get("deprecated") == said


def test_what_was_unpublished_is_in_no_document(hostile: World) -> None:
    with hostile.by_operator() as tx:
        withdraw.remove_versions(tx, hostile.found("pkg"), {"1.0.0"}, {}, None)
    document = full(hostile)
    assert list(document["versions"]) == ["1.0.0"]
    assert document["dist-tags"] == {"latest": "1.0.0"}
    assert "2.0.0" not in document["time"]
    with hostile.registry.database.read() as connection:
        found = hostile.found("pkg")
        assert packument.digest_of(connection, found, "pkg-1.0.0.tgz")
        for file in ("pkg-2.0.0.tgz", "pkg-1.0.0", "1.0.0.tgz", "other-1.0.0.tgz", "pkg-1.0.0.tgz.tgz"):
            with pytest.raises(NotFound):
                packument.digest_of(connection, found, file)


def test_a_client_cannot_say_who_published_or_maintains(world: World) -> None:
    alice = world.account()
    world.package("pkg", alice)
    lies: dict[str, object] = {"_npmUser": {"name": "bob"}, "maintainers": [{"name": "bob"}]}
    prepared = world.prepared("pkg", "2.0.0", **lies)
    with world.registry.door.write(door_permit(world, world.token(alice, CredentialKind.AUTOMATION))) as tx:
        publish.publish(tx, prepared, world.registry.signer)
    version = full(world)["versions"]["2.0.0"]
    assert version["_npmUser"]["name"] == "alice"
    assert [each["name"] for each in version["maintainers"]] == ["alice"]


def test_a_tag_without_its_version_breaks_no_document(hostile: World) -> None:
    with hostile.by_operator() as tx:
        tx.connection.execute(insert(DistTag).values(package_id=hostile.found("pkg").id, tag="x", version="7.0.0"))
        tx.record(Event.PACKAGE_TAG)
    assert full(hostile)["dist-tags"] == {"latest": "2.0.0", "x": "7.0.0"}


def test_names_in_a_scope_are_in_the_address_as_npm_spells_it(world: World) -> None:
    world.package("@alice/pkg", world.account())
    with world.registry.database.read() as connection:
        found = world.found("@alice/pkg")
        document = strict(packument.full(connection, found, BASE))
    assert document["versions"]["1.0.0"]["dist"]["tarball"] == f"{BASE}/@alice/pkg/-/pkg-1.0.0.tgz"
