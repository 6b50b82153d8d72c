"""Withdrawing: deprecate a version, unpublish versions or the whole package. A tombstone stays for ever."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import bindparam, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import Version
from twokey.errors import Invalid, NotFound
from twokey.packages import packages
from twokey.packages.packages import Found

LONGEST_MESSAGE = 1024


def deprecate(tx: Transaction, found: Found, messages: Mapping[str, str | None], revision: str | None) -> None:
    """Sets the deprecation message of versions; None clears it. Versions that do not change are left alone.

    Raises Conflict, Invalid, NotFound.
    """
    packages.check_revision(found, revision)
    rows = tx.connection.execute(
        select(Version.version, Version.deprecated).where(Version.package_id == found.id, Version.removed_at.is_(None))
    ).all()
    known = dict(row for row in rows)
    changes = {version: message for version, message in messages.items() if known.get(version) != message}
    for version, message in changes.items():
        if version not in known:
            raise NotFound(f"{found.name} has no version {version}.")
        if message is not None and len(message) > LONGEST_MESSAGE:
            raise Invalid(f"A deprecation message has at most {LONGEST_MESSAGE} characters.")
    if changes:
        tx.connection.execute(
            update(Version)
            .where(Version.package_id == found.id, Version.version == bindparam("of"))
            .values(deprecated=bindparam("message")),
            [{"of": version, "message": message} for version, message in changes.items()],
        )
        packages.changed(tx, found.id)
    tx.record(Event.PACKAGE_DEPRECATE, details={"versions": dict(changes)})


def remove_versions(
    tx: Transaction, found: Found, staying: set[str], tags: Mapping[str, str], revision: str | None
) -> None:
    """Unpublishes every version that is not in `staying`; dist-tags follow. Raises Conflict, Invalid."""
    packages.check_revision(found, revision)
    present = set(packages.version_names(tx.connection, found.id))
    if not staying <= present:
        unknown = ", ".join(sorted(staying - present))
        raise Invalid(f"A package's document may only lose versions here, not gain {unknown}.")
    if not staying:
        remove_package(tx, found, None)
        return
    gone = sorted(present - staying)
    _bury(tx, found, gone)
    packages.mend_dist_tags(tx, found, tags)
    packages.changed(tx, found.id)
    tx.record(Event.PACKAGE_UNPUBLISH, details={"versions": gone})


def remove_package(tx: Transaction, found: Found, revision: str | None) -> None:
    """Unpublishes the whole package: the name rests for a day, and for a month is its owners' alone."""
    packages.check_revision(found, revision)
    versions = packages.version_names(tx.connection, found.id)
    _bury(tx, found, versions)
    packages.mend_dist_tags(tx, found, {})
    packages.changed(tx, found.id, unpublished_at=tx.now, readme="", readme_filename="")
    tx.record(Event.PACKAGE_REMOVE, details={"versions": sorted(versions)})


def is_there(found: Found, versions: list[str], file: str, base: str) -> bool:
    """Whether the tarball `file` belongs to one of `versions`: npm deletes it after the version has gone."""
    return found.unpublished_at is None and any(file == f"{base}-{version}.tgz" for version in versions)


def _bury(tx: Transaction, found: Found, versions: list[str]) -> None:
    tx.connection.execute(
        update(Version)
        .where(Version.package_id == found.id, Version.version.in_(versions), Version.removed_at.is_(None))
        .values(removed_at=tx.now)
    )
