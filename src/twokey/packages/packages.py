"""Packages: their rows, owners, dist-tags and the change of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from twokey.accounts import users
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import DistTag, Owner, Package, User, Version
from twokey.db.schema_orgs import Grant
from twokey.db.schema_stars import Star, StarCount
from twokey.errors import Conflict, Invalid, NotFound
from twokey.packages import indexing, semver
from twokey.packages.names import PackageName, check_dist_tag

LATEST = "latest"
ACCESS = ("public", "restricted")
# npm's words for a package's own policy on second factors (`npm access set mfa=`).
MFA = ("none", "publish", "automation")


@dataclass(frozen=True, slots=True)
class Found:
    """A package's row. `revision` rises with every change of the package, `stars_revision` with every star."""

    id: int
    name: str
    revision: int
    access: str
    mfa: str
    readme: str
    readme_filename: str
    created_at: int
    modified_at: int
    unpublished_at: int | None
    organisation_id: int | None = None
    quarantined_at: int | None = None
    quarantine_reason: str | None = None
    stars: int = 0
    stars_revision: int = 0

    @property
    def rev(self) -> str:
        """The document's `_rev`, as CouchDB wrote it: `N-hex`."""
        return f"{self.revision}-{hashlib.sha256(f'{self.id}:{self.revision}'.encode()).hexdigest()[:32]}"


_COLUMNS = (
    Package.id, Package.name, Package.revision, Package.access, Package.mfa, Package.readme, Package.readme_filename,
    Package.created_at, Package.modified_at, Package.unpublished_at, Package.organisation_id,
    Package.quarantined_at, Package.quarantine_reason, func.coalesce(StarCount.count, 0).label("stars"),
    func.coalesce(StarCount.revision, 0).label("stars_revision"),
)  # fmt: skip
_BY_NAME = (
    select(*_COLUMNS).outerjoin(StarCount, StarCount.package_id == Package.id).where(Package.name == bindparam("name"))
)
_CHANGED = update(Package).where(Package.id == bindparam("changed")).values(revision=Package.revision + 1)
_TAGS = select(DistTag.tag, DistTag.version).where(DistTag.package_id == bindparam("package_id")).order_by(DistTag.tag)
_NEW_TAG = insert(DistTag)
_NO_TAG = delete(DistTag).where(DistTag.package_id == bindparam("package_id"), DistTag.tag == bindparam("tag"))


def find(connection: Connection, name: PackageName) -> Found | None:
    """The package's row, also of one that was unpublished; None where the name was never used."""
    row = connection.execute(_BY_NAME, {"name": str(name)}).one_or_none()
    return None if row is None else Found(**row._asdict())


def get(connection: Connection, name: PackageName) -> Found:
    """The package, if it is there to be read. Raises NotFound."""
    return readable(find(connection, name))


def readable(found: Found | None) -> Found:
    """What `find` found, if it is there to be read. Raises NotFound."""
    if found is None or found.unpublished_at is not None:
        raise NotFound("Not found")
    return found


def create(tx: Transaction, name: PackageName, access: str, owner_id: int, organisation_id: int | None = None) -> Found:
    """Makes a package that the user owns; one that was unpublished as a whole begins anew with the new owner.

    `organisation_id`: the organisation of its scope.
    """
    former = find(tx.connection, name)
    if former is None:
        tx.connection.execute(
            insert(Package).values(
                name=str(name), canonical=name.canonical, revision=0, access=access, mfa="none", readme="",
                readme_filename="", created_at=tx.now, modified_at=tx.now, organisation_id=organisation_id,
            )
        )  # fmt: skip
    else:
        tx.connection.execute(
            update(Package)
            .where(Package.id == former.id)
            .values(unpublished_at=None, access=access, mfa="none", organisation_id=organisation_id)
        )
        for table in (Owner, Star, Grant):
            tx.connection.execute(delete(table).where(table.package_id == former.id))
        tx.connection.execute(
            update(StarCount).where(StarCount.package_id == former.id)
            .values(count=0, revision=StarCount.revision + 1)
        )  # fmt: skip
    found = get(tx.connection, name)
    tx.connection.execute(insert(Owner).values(package_id=found.id, user_id=owner_id))
    tx.record(Event.PACKAGE_CREATE, resource=f"package:{name}", details={"access": access})
    return found


def changed(tx: Transaction, package_id: int, **values: object) -> None:
    """Raises the revision and indexes the package anew: every change of a package ends here."""
    tx.connection.execute(_CHANGED, {"changed": package_id, "modified_at": tx.now, **values})
    indexing.reindex(tx.connection, package_id)


def check_revision(found: Found, revision: str | None) -> None:
    """Raises Conflict where `revision` (a `_rev`) was sent and is no longer the package's."""
    if revision is not None and revision != found.rev:
        raise Conflict(f"{found.name} has changed since you read it: fetch it again and repeat the change.")


def owners(connection: Connection, package_id: int) -> list[tuple[str, str]]:
    """The owners' names and mail addresses, by name."""
    query = select(User.name, User.email).join(Owner, Owner.user_id == User.id).where(Owner.package_id == package_id)
    return [(name, email) for name, email in connection.execute(query.order_by(User.name))]


def owner_names(connection: Connection, package_id: int) -> list[str]:
    """The owners' names, by name."""
    return [name for name, _ in owners(connection, package_id)]


def add_owner(tx: Transaction, found: Found, name: str) -> None:
    """Makes one account more an owner. Raises NotFound."""
    change_owners(tx, found, [*owner_names(tx.connection, found.id), name], None)


def remove_owner(tx: Transaction, found: Found, name: str) -> None:
    """Takes one owner out of several. Raises NotFound, and Invalid for the last."""
    before = owner_names(tx.connection, found.id)
    if name not in before:
        raise NotFound(f"{name!r} is no owner of {found.name}.")
    change_owners(tx, found, [each for each in before if each != name], None)


def change_owners(tx: Transaction, found: Found, names: Sequence[str], revision: str | None) -> None:
    """Makes the accounts in `names` the package's owners. Raises Conflict, Invalid, NotFound."""
    check_revision(found, revision)
    wanted = sorted(set(names))
    if not wanted:
        raise Invalid(f"{found.name} needs an owner: add another one before you remove the last.")
    rows = tx.connection.execute(
        select(User.id, User.name).where(User.name.in_(wanted), User.disabled_at.is_(None))
    ).all()
    missing = sorted(set(wanted) - {name for _, name in rows})
    if missing:
        raise NotFound(f"There is no account {missing[0]!r} here.")
    before = owner_names(tx.connection, found.id)
    tx.connection.execute(delete(Owner).where(Owner.package_id == found.id))
    tx.connection.execute(insert(Owner), [{"package_id": found.id, "user_id": user_id} for user_id, _ in rows])
    changed(tx, found.id)
    tx.record(Event.PACKAGE_OWNERS, details={"before": before, "after": wanted})


def set_access(tx: Transaction, found: Found, access: str) -> None:
    """Makes a package `public` or `restricted`. Raises Invalid, for one without a scope among others."""
    if access not in ACCESS:
        raise Invalid(f"The access of a package is one of {' and '.join(ACCESS)}.")
    if access == "restricted" and PackageName.parse(found.name).scope is None:
        raise Invalid(f"{found.name} has no scope: only packages within one can be restricted.")
    if access != found.access:
        changed(tx, found.id, access=access)
    tx.record(Event.PACKAGE_ACCESS, details={"before": found.access, "after": access})


def set_mfa(tx: Transaction, found: Found, mfa: str) -> None:
    """Sets the package's own policy on second factors: `none`, `publish` or `automation`. Raises Invalid, Refused."""
    if mfa not in MFA:
        raise Invalid(f"The 2FA policy of a package is one of {', '.join(MFA)}.")
    if mfa != "none":
        users.check_has_second_factor(tx)
    if mfa != found.mfa:
        changed(tx, found.id, mfa=mfa)
    tx.record(Event.PACKAGE_MFA, details={"before": found.mfa, "after": mfa})


def dist_tags(connection: Connection, package_id: int) -> dict[str, str]:
    """The package's dist-tags, `latest` first."""
    tags = dict(row for row in connection.execute(_TAGS, {"package_id": package_id}))
    return {**({LATEST: tags[LATEST]} if LATEST in tags else {}), **tags}


def set_dist_tag(tx: Transaction, found: Found, tag: str, version: str) -> None:
    """Points a dist-tag at a published version. Raises Invalid, NotFound."""
    check_dist_tag(tag)
    if version not in version_names(tx.connection, found.id):
        raise NotFound(f"{found.name} has no version {version}: publish it first.")
    before = dist_tags(tx.connection, found.id).get(tag)
    put_dist_tag(tx.connection, found.id, tag, version)
    changed(tx, found.id)
    tx.record(Event.PACKAGE_TAG, details={"tag": tag, "before": before, "after": version})


def put_dist_tag(connection: Connection, package_id: int, tag: str, version: str) -> None:
    """Writes a dist-tag's row."""
    connection.execute(_NO_TAG, {"package_id": package_id, "tag": tag})
    connection.execute(_NEW_TAG, {"package_id": package_id, "tag": tag, "version": version})


def remove_dist_tag(tx: Transaction, found: Found, tag: str) -> None:
    """Removes a dist-tag. Raises Invalid for `latest`, NotFound for one that is not there."""
    if tag == LATEST:
        raise Invalid("The dist-tag latest cannot be removed: point it at another version instead.")
    before = dist_tags(tx.connection, found.id).get(tag)
    if before is None:
        raise NotFound(f"{found.name} has no dist-tag {tag}.")
    tx.connection.execute(_NO_TAG, {"package_id": found.id, "tag": tag})
    changed(tx, found.id)
    tx.record(Event.PACKAGE_TAG, details={"tag": tag, "before": before, "after": None})


def version_names(connection: Connection, package_id: int) -> list[str]:
    """The published versions, without the tombstones."""
    query = select(Version.version).where(Version.package_id == package_id, Version.removed_at.is_(None))
    return [row[0] for row in connection.execute(query)]


def deprecated(connection: Connection, package_id: int) -> list[tuple[str, str]]:
    """The deprecated versions, without the tombstones, and their messages."""
    query = select(Version.version, Version.deprecated).where(
        Version.package_id == package_id, Version.removed_at.is_(None), Version.deprecated.is_not(None)
    )
    return [(version, message or "") for version, message in connection.execute(query)]


def mend_dist_tags(tx: Transaction, found: Found, wanted: Mapping[str, str]) -> None:
    """After versions went: keeps the tags that point at what is left, and gives `latest` a version again.

    `wanted` is where the client would like `latest`; only versions that are there count.
    """
    left = set(version_names(tx.connection, found.id))
    for tag, version in dist_tags(tx.connection, found.id).items():
        if version not in left:
            tx.connection.execute(_NO_TAG, {"package_id": found.id, "tag": tag})
    if LATEST not in dist_tags(tx.connection, found.id) and left:
        preferred = wanted.get(LATEST)
        latest = preferred if preferred in left else semver.highest(left)
        assert latest is not None
        put_dist_tag(tx.connection, found.id, LATEST, latest)
