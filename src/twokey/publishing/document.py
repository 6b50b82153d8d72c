"""Reads what a client wants from the document in npm's `PUT /<name>` and `PUT /<name>/-rev/<rev>`.

One address serves five commands, told apart by what the document holds (npm's `libnpmpublish`,
`lib/commands/deprecate.js`, `owner.js`, `star.js`). Pure: nothing is looked up, nothing is changed.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pybase64

from twokey.errors import Invalid
from twokey.packages.names import PackageName, check_dist_tag, check_user_name, published_version
from twokey.publishing.received import Received
from twokey.strict_json import object_of, optional_string, quoted, required_string

MAX_README = 1024 * 1024
MAX_MESSAGE = 4096
MAX_OWNERS = 1000
_MAX_REVISION = 256
_MAX_VERSION = 256
_MAX_PROVENANCE = 4 * 1024 * 1024
_Content = TypeVar("_Content", bytes, bytes | Received)
_NO_README = "ERROR: No README data found!"  # what npm sends where there is none


@dataclass(frozen=True, slots=True)
class Publish:
    """A new version with its tarball."""

    version: str
    manifest: dict[str, object]
    tags: list[str]
    """The dist-tags that the document points at the new version; usually one."""
    access: str | None
    """`public`, `restricted`, or None where the client leaves it to the registry."""
    tarball: bytes | Received = field(repr=False)
    """Its bytes; of a large document, where they went as it came (`ingest.py`)."""
    readme: str | None = field(repr=False)
    provenance: bytes | None = field(repr=False)
    """A sigstore bundle (JSON), not verified."""
    other_versions: tuple[str, ...]
    """Versions in the document without a tarball: npm 6 sends all that it knows to be published."""
    revision: str | None


@dataclass(frozen=True, slots=True)
class Deprecate:
    """The deprecation of each version in the document: its message, or None for none."""

    messages: dict[str, str | None]
    revision: str | None


@dataclass(frozen=True, slots=True)
class ChangeOwners:
    """The users who own the package from now on."""

    owners: list[str]
    revision: str | None


@dataclass(frozen=True, slots=True)
class RemoveVersions:
    """What stays of the package: every other version and dist-tag goes."""

    versions: list[str]
    dist_tags: dict[str, str]
    revision: str


@dataclass(frozen=True, slots=True)
class Star:
    """Users and whether they star the package, as the client sees it."""

    users: dict[str, bool]
    revision: str | None


Intent = Publish | Deprecate | ChangeOwners | RemoveVersions | Star


def parse(name: PackageName, revision: str | None, document: dict[str, object]) -> Intent:
    """What `document`, sent to the package `name`, asks for.

    `revision` is the one in the address, None where the address has none. Raises `Invalid` for a
    document that is of another package, of no known shape, or wrong in any part that is used.
    """
    for key in ("name", "_id"):
        if document.get(key) not in (None, name.full):
            raise Invalid(f'The document\'s "{key}" is not {quoted(name.full)}, the package in the address.')
    sent_revision = optional_string(document, "_rev", max_length=_MAX_REVISION)
    if revision is not None and sent_revision not in (None, revision):
        raise Invalid("The document's _rev is not the revision in the address. Read the package again.")
    known_revision = sent_revision if revision is None else revision
    if document.get("_attachments"):
        return _publish(name, known_revision, document)
    if document.get("versions") is None:
        return _without_versions(document, known_revision)
    if revision is not None:
        return _remove_versions(document, revision)
    return _deprecate(document, known_revision)


def _without_versions(document: dict[str, object], revision: str | None) -> Star | ChangeOwners:
    if document.get("users") is not None:
        users = object_of(document["users"], "users")
        if not all(isinstance(starred, bool) for starred in users.values()):
            raise Invalid('Every value in "users" must be true or false.')
        return Star({check_user_name(user): starred is True for user, starred in users.items()}, revision)
    if document.get("maintainers") is not None:
        if revision == "undefined":
            raise Invalid(
                "This client (Yarn 1) has not read who the owners are, and would remove them all: use npm owner."
            )
        return ChangeOwners(_owners(document["maintainers"]), revision)
    raise Invalid(
        "The document asks for nothing that this registry knows: it has no _attachments, versions, "
        "maintainers or users. Send what npm sends."
    )


def _owners(maintainers: object) -> list[str]:
    if not isinstance(maintainers, list) or not maintainers or len(maintainers) > MAX_OWNERS:
        raise Invalid(f'"maintainers" must be a list of 1 to {MAX_OWNERS} users: a package keeps an owner.')
    names = (required_string(object_of(m, "A maintainer"), "name", max_length=214) for m in maintainers)
    return list(dict.fromkeys(check_user_name(name) for name in names))


def _remove_versions(document: dict[str, object], revision: str) -> RemoveVersions:
    versions = _versions(document)
    tags = _dist_tags(document)
    for tag, version in tags.items():
        if version not in versions:
            raise Invalid(f"The dist-tag {quoted(tag)} points at a version that does not stay. Remove it too.")
    return RemoveVersions(list(versions), tags, revision)


def _deprecate(document: dict[str, object], revision: str | None) -> Deprecate:
    messages: dict[str, str | None] = {}
    for version, manifest in _versions(document).items():
        if manifest.get("deprecated") is False:  # some registries write it for "not deprecated"
            messages[version] = None
        else:
            messages[version] = optional_string(manifest, "deprecated", max_length=MAX_MESSAGE) or None
    return Deprecate(messages, revision)


def _publish(name: PackageName, revision: str | None, document: dict[str, object]) -> Publish:
    attachments = object_of(document["_attachments"], "_attachments")
    file_name, tarball = _one(attachments, ".tgz", _tarball)
    if tarball is None:
        raise Invalid("The document has no tarball in its _attachments. Publish with npm, or send one.")
    versions = _versions(document)
    sent = _sent_version(name, versions, file_name)
    version = published_version(sent)
    manifest = versions[sent]
    if manifest.get("name") != name.full or manifest.get("version") != sent:
        raise Invalid(f"The manifest sent for {quoted(sent)} names another package or version.")
    access = optional_string(document, "access", max_length=20)
    if access not in (None, "public", "restricted"):
        raise Invalid(f'"access" is {quoted(access)}. Use public or restricted, or leave it out.')
    if access == "restricted" and name.scope is None:
        raise Invalid("A package without a scope cannot be restricted. Publish it with public access.")
    _, provenance = _one(attachments, ".sigstore", _bundle)
    return Publish(
        version=version,
        manifest=manifest,
        tags=[check_dist_tag(tag) for tag, target in _dist_tags(document).items() if target == sent],
        access=access,
        tarball=tarball,
        readme=_readme(document) or _readme(manifest),
        provenance=provenance,
        other_versions=tuple(other for other in versions if other != sent),
        revision=revision,
    )


def _sent_version(name: PackageName, versions: dict[str, dict[str, object]], file_name: str | None) -> str:
    """The version that the tarball is of: the only one, or the one in the name of its file."""
    matching = [v for v in versions if file_name in (f"{name}-{v}.tgz", f"{name.base}-{v}.tgz")]
    candidates = matching if len(versions) > 1 else list(versions)
    if len(candidates) != 1:
        raise Invalid(f"It is not clear which version the tarball {quoted(file_name or '')} is of. Send one.")
    return candidates[0]


def _one(
    attachments: dict[str, object], ending: str, read: Callable[[dict[str, object]], _Content]
) -> tuple[str | None, _Content | None]:
    """Name and content of the only attachment that ends so, or twice None where there is none."""
    found: tuple[str | None, _Content | None] = None, None
    for key, value in attachments.items():
        if not key.endswith((".tgz", ".sigstore")):
            raise Invalid(f"The attachment {quoted(key)} is no tarball and no provenance. Leave it out.")
        attachment = object_of(value, "An attachment")
        # CouchDB marks what it already has as a stub: npm 6 sends those back
        if not key.endswith(ending) or attachment.get("stub") is True:
            continue
        if found[0] is not None:
            raise Invalid(f"The document has two new {ending} attachments. Publish one version at a time.")
        found = key, read(attachment)
    return found


def _tarball(attachment: dict[str, object]) -> bytes | Received:
    data = attachment.get("data")
    content: bytes | Received | None
    if isinstance(data, Received):
        content = data if data.is_sound else None
    elif isinstance(data, str) and data:
        content = _decoded(data)
    else:
        raise Invalid("The tarball attachment has no data. Send the tarball as base64.")
    if content is None:
        raise Invalid("The tarball attachment is not valid base64. Publish again.")
    size = len(content) if isinstance(content, bytes) else content.size
    length = attachment.get("length")
    if length is not None and (isinstance(length, bool) or length != size):
        raise Invalid(f"The tarball has {size:,} bytes, not the length that was sent. Publish again.")
    return content


def _decoded(data: str) -> bytes | None:
    try:
        return pybase64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _bundle(attachment: dict[str, object]) -> bytes:
    return required_string(attachment, "data", max_length=_MAX_PROVENANCE).encode("utf-8", "replace")


def _versions(document: dict[str, object]) -> dict[str, dict[str, object]]:
    versions = object_of(document.get("versions"), "versions")
    if not versions:
        raise Invalid('"versions" is empty. To remove the whole package, use `npm unpublish --force`.')
    if any(len(version) > _MAX_VERSION for version in versions):
        raise Invalid(f"A version is longer than {_MAX_VERSION} characters.")
    return {v: object_of(manifest, f"The manifest of {quoted(v)}") for v, manifest in versions.items()}


def _dist_tags(document: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag, version in object_of(document.get("dist-tags") or {}, "dist-tags").items():
        if not isinstance(version, str):
            raise Invalid(f"The dist-tag {quoted(tag)} must be a string: the version that it points at.")
        found[tag] = version
    return found


def _readme(holder: dict[str, object]) -> str | None:
    """The README where there is one; cut, not refused, where it is long: it is only shown."""
    readme = holder.get("readme")
    return readme[:MAX_README] if isinstance(readme, str) and readme != _NO_README else None
