"""Promise: what a client wants is read from its document in one way, and anything else is refused."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twokey.errors import Invalid
from twokey.packages.names import PackageName
from twokey.publishing.document import (
    ChangeOwners,
    Deprecate,
    Publish,
    RemoveVersions,
    Star,
    parse,
)

NAME = PackageName.parse("@acme/bar")
REV = "3-abc"


def attachment(data: bytes = b"tarball") -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"content_type": "application/octet-stream", "data": encoded, "length": len(data)}


def publication(version: str = "1.0.0", name: str = "@acme/bar") -> dict[str, Any]:
    """The body of npm's publish."""
    return {
        "_id": name,
        "name": name,
        "description": "d",
        "dist-tags": {"latest": version},
        "versions": {version: {"name": name, "version": version, "readme": "# bar"}},
        "access": None,
        "_attachments": {f"{name}-{version}.tgz": attachment()},
    }


def whole(**changes: Any) -> dict[str, Any]:
    """The document that npm reads with ?write=true and sends back changed."""
    document = {
        "_id": "@acme/bar",
        "_rev": REV,
        "name": "@acme/bar",
        "dist-tags": {"latest": "1.1.0"},
        "versions": {v: {"name": "@acme/bar", "version": v} for v in ("1.0.0", "1.1.0")},
        "maintainers": [{"name": "alice", "email": "a@example.com"}],
        "users": {},
        "time": {"1.0.0": "2026-01-01T00:00:00.000Z"},
    }
    return {**document, **changes}


def test_a_publish_is_read() -> None:
    intent = parse(NAME, None, publication())
    assert isinstance(intent, Publish)
    assert (intent.version, intent.tags, intent.access) == ("1.0.0", ["latest"], None)
    assert intent.manifest == {"name": "@acme/bar", "version": "1.0.0", "readme": "# bar"}
    assert intent.tarball == b"tarball"
    assert (intent.readme, intent.provenance) == ("# bar", None)
    assert (intent.other_versions, intent.revision) == ((), None)


def test_build_metadata_is_dropped_as_npm_drops_it_where_a_client_sends_it() -> None:
    intent = parse(NAME, None, publication("1.0.0-a+build.1"))
    assert isinstance(intent, Publish)
    assert intent.version == "1.0.0-a"
    assert intent.tags == ["latest"]
    assert intent.other_versions == ()


def test_npm_6_may_send_every_version_again() -> None:
    document = publication("1.2.0") | {"_rev": REV}
    document["versions"] |= whole()["versions"]
    document["dist-tags"] = {"latest": "1.2.0", "next": "1.2.0", "old": "1.0.0"}
    document["_attachments"]["@acme/bar-1.0.0.tgz"] = {"stub": True, "length": 5}
    intent = parse(NAME, None, document)
    assert isinstance(intent, Publish)
    assert (intent.version, intent.revision) == ("1.2.0", REV)
    assert intent.tags == ["latest", "next"]
    assert sorted(intent.other_versions) == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("key", ["bar-1.0.0.tgz", "anything.tgz"])
def test_the_name_of_the_only_tarball_does_not_matter(key: str) -> None:
    intent = parse(NAME, None, publication() | {"_attachments": {key: attachment()}})
    assert isinstance(intent, Publish)
    assert intent.version == "1.0.0"


@pytest.mark.parametrize("access", ["public", "restricted"])
def test_the_access_is_passed_on(access: str) -> None:
    intent = parse(NAME, None, publication() | {"access": access})
    assert isinstance(intent, Publish)
    assert intent.access == access


def test_the_readme_of_the_document_comes_first() -> None:
    intent = parse(NAME, None, publication() | {"readme": "root"})
    assert isinstance(intent, Publish)
    assert intent.readme == "root"
    intent = parse(NAME, None, publication() | {"readme": "ERROR: No README data found!"})
    assert isinstance(intent, Publish)
    assert intent.readme == "# bar"


def test_provenance_is_carried_as_it_is() -> None:
    document = publication()
    bundle = json.dumps({"mediaType": "x"})
    document["_attachments"]["@acme/bar-1.0.0.sigstore"] = {"content_type": "x", "data": bundle, "length": 17}
    intent = parse(NAME, None, document)
    assert isinstance(intent, Publish)
    assert intent.provenance == bundle.encode()


def set_(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change to a document: `value` at the keys of `path`, which are divided by `|`."""

    def change(document: dict[str, Any]) -> None:
        *folders, last = path.split("|")
        for key in folders:
            document = document[key]
        document[last] = value

    return change


FILE = "_attachments|@acme/bar-1.0.0.tgz"
MANIFEST = "versions|1.0.0"
WRONG_PUBLISH = {
    "other name": (set_("name", "@acme/baz"), "in the address"),
    "other id": (set_("_id", "bar"), "in the address"),
    "name of a wrong type": (set_("name", 1), "in the address"),
    "attachments no object": (set_("_attachments", [1]), "_attachments"),
    "attachment no object": (set_(FILE, "x"), "attachment"),
    "other attachment": (set_("_attachments|evil.sh", attachment()), "evil.sh"),
    "two tarballs": (set_("_attachments|@acme/bar-2.0.0.tgz", attachment()), "two new .tgz"),
    "two bundles": (
        set_("_attachments", {"a.tgz": attachment(), "a.sigstore": {"data": "x"}, "b.sigstore": {"data": "y"}}),
        "two new .sigstore",
    ),
    "only a bundle": (set_("_attachments", {"a.sigstore": {"data": "x"}}), "no tarball"),
    "only stubs": (set_(FILE + "|stub", True), "no tarball"),
    "no data": (set_(FILE, {}), "no data"),
    "empty data": (set_(FILE + "|data", ""), "no data"),
    "data no string": (set_(FILE + "|data", [1]), "no data"),
    "line break in base64": (set_(FILE + "|data", "dGFy\nYmFsbA=="), "base64"),
    "URL alphabet": (set_(FILE + "|data", "-_-_"), "base64"),
    "no padding": (set_(FILE + "|data", "dGFyYmFsbA"), "base64"),
    "too much padding": (set_(FILE + "|data", "dGFyYmFsbA==="), "base64"),
    "padding inside": (set_(FILE + "|data", "dGE=dGE="), "base64"),
    "not ASCII": (set_(FILE + "|data", "dGFyYmFsbä=="), "base64"),
    "wrong length": (set_(FILE + "|length", 8), "length"),
    "length no number": (set_(FILE + "|length", "7"), "length"),
    "length true": (set_(FILE, attachment(b"x") | {"length": True}), "length"),
    "empty bundle": (set_("_attachments|a.sigstore", {"data": ""}), "data"),
    "versions absent": (set_("versions", None), "versions"),
    "versions no object": (set_("versions", ["1.0.0"]), "versions"),
    "versions empty": (set_("versions", {}), "empty"),
    "no version": (set_("versions", {"latest": {}}), "not a valid version"),
    "version with v": (set_("versions", {"v1.0.0": {}}), "not a valid version"),
    "manifest without the build": (set_("versions", {"1.0.0+a": {"name": "@acme/bar", "version": "1.0.0"}}), "another"),
    "version too long": (set_("versions", {"1.0.0-" + "a" * 300: {}}), "256"),
    "two versions and an unclear file": (set_("versions", {"1.1.0": {}, "1.2.0": {}}), "not clear"),
    "manifest no object": (set_(MANIFEST, []), "manifest of '1.0.0'"),
    "manifest of another package": (set_(MANIFEST + "|name", "bar"), "another package"),
    "manifest of another version": (set_(MANIFEST + "|version", "1.0.1"), "another package or version"),
    "manifest without a name": (set_(MANIFEST, {"version": "1.0.0"}), "another package"),
    "unknown access": (set_("access", "private"), "public or restricted"),
    "access of a wrong type": (set_("access", True), "access"),
    "tag is a range": (set_("dist-tags|1.x", "1.0.0"), "dist-tag"),
    "tag is no word": (set_("dist-tags|a b", "1.0.0"), "dist-tag"),
    "tag without a version": (set_("dist-tags|next", None), "dist-tag"),
    "tags no object": (set_("dist-tags", ["latest"]), "dist-tags"),
    "revision of a wrong type": (set_("_rev", 1), "_rev"),
    "endless revision": (set_("_rev", "1" * 300), "_rev"),
}


@pytest.mark.parametrize(("change", "words"), WRONG_PUBLISH.values(), ids=WRONG_PUBLISH.keys())
def test_a_wrong_publish_is_refused_with_a_sentence(change: Callable[[dict[str, Any]], None], words: str) -> None:
    document = copy.deepcopy(publication())
    change(document)
    with pytest.raises(Invalid) as refusal:
        parse(NAME, None, document)
    assert words in refusal.value.message
    assert refusal.value.message.endswith(".")


def test_tags_access_and_length_may_be_left_out() -> None:
    document = publication(name="bar")
    del document["dist-tags"], document["access"], document["_attachments"]["bar-1.0.0.tgz"]["length"]
    intent = parse(PackageName.parse("bar"), None, document)
    assert isinstance(intent, Publish)
    assert (intent.tags, intent.access, intent.tarball) == ([], None, b"tarball")


def test_a_package_without_a_scope_cannot_be_restricted() -> None:
    document = publication(name="bar") | {"access": "restricted"}
    with pytest.raises(Invalid, match="restricted"):
        parse(PackageName.parse("bar"), None, document)


def test_a_deprecation_is_read() -> None:
    document = whole()
    document["versions"]["1.0.0"]["deprecated"] = "use 1.1"
    document["versions"]["1.1.0"]["deprecated"] = ""
    document["versions"]["1.2.0"] = {"deprecated": False}
    document["versions"]["1.3.0"] = {}
    assert parse(NAME, None, document) == Deprecate(
        {"1.0.0": "use 1.1", "1.1.0": None, "1.2.0": None, "1.3.0": None}, REV
    )
    del document["_id"], document["_rev"]
    assert isinstance(parse(NAME, None, document), Deprecate)
    assert isinstance(parse(NAME, None, document | {"_attachments": {}}), Deprecate)


def test_no_version_is_endless() -> None:
    for revision in (None, REV):
        with pytest.raises(Invalid, match="256"):
            parse(NAME, revision, whole(versions={"1.0.0-" + "a" * 251: {}}))


@pytest.mark.parametrize("message", [True, 1, ["x"], "x" * 4097])
def test_a_deprecation_is_a_short_text(message: object) -> None:
    with pytest.raises(Invalid, match="deprecated"):
        parse(NAME, None, whole(versions={"1.0.0": {"deprecated": message}}))


def test_removed_versions_are_read() -> None:
    document = whole(versions={"1.0.0": {}}, **{"dist-tags": {"latest": "1.0.0"}})
    assert parse(NAME, REV, document) == RemoveVersions(["1.0.0"], {"latest": "1.0.0"}, REV)
    del document["_rev"]
    assert parse(NAME, REV, document) == RemoveVersions(["1.0.0"], {"latest": "1.0.0"}, REV)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": {}}, "unpublish --force"),
        ({"versions": []}, "versions"),
        ({"versions": {"1.0.0": {}}, "dist-tags": {"latest": "1.1.0"}}, "does not stay"),
        ({"dist-tags": {"latest": 1}}, "dist-tag"),
        ({"_rev": "4-def"}, "_rev"),
    ],
)
def test_a_wrong_removal_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        parse(NAME, REV, whole(**changes))


def test_changed_owners_are_read() -> None:
    maintainers = [{"name": "alice", "email": "a@example.com"}, {"name": "bob"}, {"name": "alice"}]
    document: dict[str, Any] = {"_id": "@acme/bar", "_rev": REV, "maintainers": maintainers}
    assert parse(NAME, REV, document) == ChangeOwners(["alice", "bob"], REV)
    assert parse(NAME, None, document) == ChangeOwners(["alice", "bob"], REV)


def test_owners_that_yarn_1_has_not_read_are_not_replaced() -> None:
    """It asks for the abbreviated document, which has neither revision nor owners, and sends the new one alone."""
    with pytest.raises(Invalid, match=r"Yarn 1.*npm owner"):
        parse(NAME, "undefined", {"maintainers": [{"name": "bob", "email": "bob@example.com"}]})


@pytest.mark.parametrize(
    "maintainers",
    [
        [],
        5,
        "alice",
        {"name": "alice"},
        ["alice"],
        [{}],
        [{"name": 1}],
        [{"name": "Alice B"}],
        [{"name": "a"}] * 1001,
    ],
)
def test_wrong_owners_are_refused(maintainers: object) -> None:
    with pytest.raises(Invalid):
        parse(NAME, REV, {"maintainers": maintainers})


def test_stars_are_read() -> None:
    document: dict[str, Any] = {"_id": "@acme/bar", "_rev": REV, "users": {"alice": True, "bob": False}}
    assert parse(NAME, None, document) == Star({"alice": True, "bob": False}, REV)
    assert parse(NAME, None, {"users": {}}) == Star({}, None)


@pytest.mark.parametrize("users", [["alice"], {"alice": 1}, {"Not A User": True}])
def test_wrong_stars_are_refused(users: object) -> None:
    with pytest.raises(Invalid):
        parse(NAME, None, {"users": users})


@pytest.mark.parametrize("document", [{}, {"name": "@acme/bar"}, {"_attachments": {}}, {"dist-tags": {"a": "1.0.0"}}])
def test_a_document_of_no_known_shape_is_refused(document: dict[str, Any]) -> None:
    for revision in (None, REV):
        with pytest.raises(Invalid, match="asks for nothing"):
            parse(NAME, revision, document)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["1.0.0", "@acme/bar", "alice", "x.tgz", "data"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["1.0.0", "name", "data", "stub", "length", "x.tgz", "deprecated"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)
KEYS = ["_id", "name", "_rev", "versions", "dist-tags", "_attachments", "users", "maintainers", "access", "readme"]


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.booleans(), st.none() | st.just(REV))
@settings(max_examples=400, deadline=None)
def test_any_document_is_read_or_refused_as_invalid(part: dict[str, Any], complete: bool, revision: str | None) -> None:
    document = (publication() if complete else {}) | part
    try:
        intent = parse(NAME, revision, document)
    except Invalid as refusal:
        assert refusal.message  # noqa: PT017  nothing else may be raised
        return
    assert intent.revision in (None, REV) or intent.revision == document.get("_rev")
