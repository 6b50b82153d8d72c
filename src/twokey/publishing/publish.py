"""Publishing a version: the tarball's bytes first, then the row (promise 3).

intent = document.parse(...)            # what npm's PUT body asks for; pure
arrived = ...                           # the tarball, in a temporary file (received.py)
prepared = prepare(...)                 # inspect it, derive the manifest; nothing is stored yet
arrived.keep()                          # durable under its digest; an orphan until the row names it
with door.write(permit) as tx:
    publish(tx, prepared, signer)       # one short transaction
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.permit import ProofKind
from twokey.db.schema import Version, VersionReadme
from twokey.errors import Refused
from twokey.orgs import orgs, teams
from twokey.packages import packages
from twokey.packages.names import PackageName
from twokey.packages.packages import Found
from twokey.packages.packument import SAID_AT_READING
from twokey.packages.signing import Signer
from twokey.publishing import manifest, readme, tarball
from twokey.publishing.document import Publish
from twokey.publishing.received import Received

RELEASE_TAG = packages.LATEST
README_LENGTH = 1024 * 1024
_NEW_VERSION = insert(Version).returning(Version.id)
_NEW_README = insert(VersionReadme)
_REMOVED_AT = select(Version.removed_at).where(
    Version.package_id == bindparam("package_id"), Version.version == bindparam("version")
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that is checked and ready to be written."""

    name: PackageName
    version: str
    tags: tuple[str, ...]
    access: str
    manifest: str
    abbreviated: str
    digest: str
    size: int
    readme: str
    readme_filename: str
    readme_html: str
    differences: tuple[str, ...]


def prepare(
    name: PackageName, intent: Publish, arrived: Received, limits: tarball.TarballLimits, default_access: str
) -> Prepared:
    """Inspects the intent's tarball, which has `arrived`, and derives what is stored. Raises Invalid, TooLarge."""
    facts = tarball.inspect(arrived.stream, limits, arrived.digests)
    full, abbreviated, differences = manifest.build(name, intent.version, intent.manifest, facts)
    access = intent.access or (default_access if name.scope is not None else "public")
    words = (intent.readme or facts.readme or "")[:README_LENGTH]
    return Prepared(
        name=name,
        version=intent.version,
        tags=tuple(intent.tags) or (RELEASE_TAG,),
        access=access,
        manifest=_stored(full),
        abbreviated=_stored(abbreviated),
        digest=facts.sha512,
        size=facts.size,
        readme=words,
        readme_filename=facts.readme_filename or ("README.md" if intent.readme else ""),
        readme_html=readme.render(words, full.get("repository")),
        differences=tuple(differences),
    )


def publish(tx: Transaction, prepared: Prepared, signer: Signer) -> None:
    """Writes the version with the registry's signature, its dist-tags and, where the name is new, the package.

    Raises Refused where the version exists, or existed; but the same bytes by the same credential inside the
    continuation of the code that published them are the success that the client missed (security.md 2.1).
    """
    found = packages.find(tx.connection, prepared.name)
    if found is None or found.unpublished_at is not None:
        found = _create(tx, prepared)
    elif _is_repeat(tx, found.id, prepared):
        tx.record(Event.PACKAGE_PUBLISH, details={"version": prepared.version, "repeated": True})
        return
    _check_version_is_new(tx, found.id, prepared.version)
    values = {
        "package_id": found.id, "version": prepared.version, "manifest": prepared.manifest,
        "abbreviated": prepared.abbreviated, "digest": prepared.digest, "size": prepared.size,
        "published_at": tx.now, "publisher_id": tx.permit.actor,
        "publisher_token_id": tx.permit.caller.principal.token_id, "proof": tx.permit.proved_with,
    }  # fmt: skip
    version_id = tx.connection.execute(_NEW_VERSION, values).scalar_one()
    signer.sign(tx.connection, version_id, str(prepared.name), prepared.version, prepared.digest)
    if prepared.readme_html:
        tx.connection.execute(_NEW_README, {"version_id": version_id, "html": prepared.readme_html})
    tags = set(prepared.tags)
    if packages.LATEST not in tags | packages.dist_tags(tx.connection, found.id).keys():
        tags.add(packages.LATEST)
    for tag in sorted(tags):
        packages.put_dist_tag(tx.connection, found.id, tag, prepared.version)
    shown = {"readme": prepared.readme, "readme_filename": prepared.readme_filename}
    packages.changed(tx, found.id, **(shown if packages.LATEST in tags else {}))  # a package's is that of `latest`
    tx.record(
        Event.PACKAGE_PUBLISH,
        details={"version": prepared.version, "tags": list(prepared.tags), "sha512": prepared.digest},
    )
    if prepared.differences:
        tx.record(Event.MANIFEST_DIFFERENCE, details={"fields": list(prepared.differences)})


def _create(tx: Transaction, prepared: Prepared) -> Found:
    """Makes the package; a scope that is free becomes an organisation, whose members get what it gives them."""
    scope = prepared.name.scope
    if scope is None:
        return packages.create(tx, prepared.name, prepared.access, tx.permit.actor)
    free = orgs.scope_is_free(tx.connection, scope)
    organisation = orgs.create(tx, scope) if free else orgs.find(tx.connection, scope)
    if organisation is None:  # the scope of a user
        return packages.create(tx, prepared.name, prepared.access, tx.permit.actor)
    found = packages.create(tx, prepared.name, prepared.access, tx.permit.actor, organisation.id)
    teams.grant_to_every_member(tx, found, organisation)
    return found


def _is_repeat(tx: Transaction, package_id: int, prepared: Prepared) -> bool:
    proof, principal = tx.permit.proof, tx.permit.caller.principal
    if proof is None or proof.kind is not ProofKind.CONTINUATION:
        return False
    row = tx.connection.execute(
        select(Version.digest, Version.manifest, Version.publisher_token_id).where(
            Version.package_id == package_id, Version.version == prepared.version, Version.removed_at.is_(None)
        )
    ).one_or_none()
    return row is not None and row == (prepared.digest, prepared.manifest, principal.token_id)


def _check_version_is_new(tx: Transaction, package_id: int, version: str) -> None:
    row = tx.connection.execute(_REMOVED_AT, {"package_id": package_id, "version": version}).one_or_none()
    if row is None:
        return
    if row[0] is not None:
        raise Refused(f"Version {version} was unpublished; its number cannot be used again: publish another.")
    raise Refused(f"You cannot publish over the previously published versions: {version}.")


def _stored(document: Mapping[str, object]) -> str:
    """A manifest as it is kept: compact JSON, `dist` first, the tarball's address left open.

    `dist` comes first so that the first empty address in the text is that of the tarball, whatever the manifest holds.
    """
    dist = document["dist"]
    assert isinstance(dist, dict)
    others = {key: value for key, value in document.items() if key not in SAID_AT_READING and key != "dist"}
    return json.dumps({"dist": {"tarball": "", **dist}, **others}, ensure_ascii=False, separators=(",", ":"))
