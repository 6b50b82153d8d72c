"""The document of a package, full and abbreviated, joined from the JSON that each publish stored.

Nothing is decoded that need not be: a version's manifest is spliced in as the bytes that were rendered when it was
published, with its tarball's address and the registry's signature put in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from twokey.clock import iso
from twokey.db.schema import User, Version
from twokey.db.schema_signing import VersionSignature
from twokey.errors import NotFound
from twokey.packages import packages, stars
from twokey.packages.names import PackageName
from twokey.packages.packages import Found

SAID_AT_READING = frozenset({"_npmUser", "maintainers", "deprecated"})  # they change after a publish
TARBALL_PLACE = '"tarball":""'  # what a stored manifest holds where the tarball's address belongs
_FROM_LATEST = ("description", "license", "homepage", "repository", "keywords", "bugs", "author")


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version's row, as far as documents need it."""

    version: str
    manifest: str
    abbreviated: str
    deprecated: str | None
    published_at: int
    publisher: str
    publisher_email: str
    keyid: str | None = None
    signature: str | None = None


def full(connection: Connection, found: Found, base: str) -> bytes:
    """The full packument. `base` is the registry's address without a slash at its end.

    `users` are who starred it, the latest thousand: the document is one for all readers, and stays within a bound.
    """
    versions = _stored(connection, found)
    owners = [{"name": name, "email": email} for name, email in packages.owners(connection, found.id)]
    tags = packages.dist_tags(connection, found.id)
    head = {"_id": found.name, "_rev": found.rev, "name": found.name, "dist-tags": tags, "maintainers": owners}
    latest = _manifest_of(versions, tags.get(packages.LATEST))
    tail = {
        "time": _times(found, versions),
        "users": dict.fromkeys(stars.givers(connection, found.id), True),
        **{key: latest[key] for key in _FROM_LATEST if key in latest},
        "readme": found.readme,
        "readmeFilename": found.readme_filename,
    }
    own, address = {"maintainers": owners}, _address(found.name, base)
    parts = (f'"{each.version}":{_finished(each.manifest, each, address, _said(each) | own)}' for each in versions)
    return _joined(head, parts, tail)


def abbreviated(connection: Connection, found: Found, base: str) -> bytes:
    """The abbreviated packument (`application/vnd.npm.install-v1+json`), with `time` for clients that ask for ages."""
    versions = _stored(connection, found)
    head = {
        "name": found.name,
        "modified": iso(found.modified_at),
        "dist-tags": packages.dist_tags(connection, found.id),
    }
    address = _address(found.name, base)
    parts = (f'"{each.version}":{_finished(each.abbreviated, each, address, {})}' for each in versions)
    return _joined(head, parts, {"time": _times(found, versions)})


def version(connection: Connection, found: Found, version_or_tag: str, base: str) -> bytes:
    """One version's manifest, by version or dist-tag. Raises NotFound."""
    wanted = packages.dist_tags(connection, found.id).get(version_or_tag, version_or_tag)
    owners = [{"name": name, "email": email} for name, email in packages.owners(connection, found.id)]
    for each in _stored(connection, found, wanted):
        return manifest(found, each, base, owners).encode()
    raise NotFound(f"{found.name} has no version or dist-tag {version_or_tag}.")


def manifest(found: Found, stored: StoredVersion, base: str, owners: list[dict[str, str]]) -> str:
    """A version's manifest as JSON, with what the server alone says: tarball address, publisher, maintainers."""
    extra = _said(stored) | {"maintainers": owners}
    return _finished(stored.manifest, stored, _address(found.name, base), extra)


def tarball_path(name: PackageName, version: str) -> str:
    """The path of a tarball: `NAME/-/BASE-VERSION.tgz`."""
    return f"{name}/-/{name.base}-{version}.tgz"


def version_in(name: PackageName, file: str) -> str:
    """The version that a tarball's file name spells. Raises NotFound where it is not of this package."""
    version = file.removeprefix(f"{name.base}-").removesuffix(".tgz")
    if file != f"{name.base}-{version}.tgz":
        raise NotFound("Not found")
    return version


def digest_of(connection: Connection, found: Found, file: str) -> str:
    """The digest of the tarball whose file name is `file`. Raises NotFound."""
    wanted = version_in(PackageName.parse(found.name), file)
    row = connection.execute(
        select(Version.digest).where(
            Version.package_id == found.id, Version.version == wanted, Version.removed_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("Not found")
    return row[0]


def _stored(connection: Connection, found: Found, only: str | None = None) -> list[StoredVersion]:
    query = (
        select(
            Version.version, Version.manifest, Version.abbreviated, Version.deprecated, Version.published_at,
            User.name, User.email, VersionSignature.keyid, VersionSignature.signature,
        )
        .join(User, User.id == Version.publisher_id)
        .outerjoin(VersionSignature, VersionSignature.version_id == Version.id)
        .where(Version.package_id == found.id, Version.removed_at.is_(None))
        .order_by(Version.id)
    )  # fmt: skip
    if only is not None:
        query = query.where(Version.version == only)
    return [StoredVersion(*row) for row in connection.execute(query).all()]


def _said(stored: StoredVersion) -> dict[str, object]:
    return {"_npmUser": {"name": stored.publisher, "email": stored.publisher_email}}


def _address(name: str, base: str) -> str:
    """What a tarball's place in a manifest begins with, up to its version: once for all that a document has.

    A version needs no escape (semver.org): neither here nor as a key.
    """
    path = tarball_path(PackageName.parse(name), "").removesuffix(".tgz")
    return f'"tarball":{_dumped(f"{base}/{path}")[:-1]}'


def _finished(text: str, stored: StoredVersion, address: str, extra: Mapping[str, object]) -> str:
    place = f'{address}{stored.version}.tgz"'
    if stored.signature is not None:
        # Both are base64 with nothing in it to escape, and there is one for each version of a document.
        place += f',"signatures":[{{"keyid":"{stored.keyid}","sig":"{stored.signature}"}}]'
    done = text.replace(TARBALL_PLACE, place, 1)
    if stored.deprecated is not None:
        extra = {**extra, "deprecated": stored.deprecated}
    return f"{done[:-1]},{_dumped(extra)[1:]}" if extra else done


def _joined(head: Mapping[str, object], versions: Iterable[str], tail: Mapping[str, object]) -> bytes:
    return f'{_dumped(head)[:-1]},"versions":{{{",".join(versions)}}},{_dumped(tail)[1:]}'.encode()


def _times(found: Found, versions: Iterable[StoredVersion]) -> dict[str, str]:
    published = {each.version: iso(each.published_at) for each in versions}
    return {"created": iso(found.created_at), "modified": iso(found.modified_at), **published}


def _manifest_of(versions: Iterable[StoredVersion], wanted: str | None) -> dict[str, object]:
    for each in versions:
        if each.version == wanted:
            loaded: dict[str, object] = json.loads(each.manifest)
            return loaded
    return {}


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
