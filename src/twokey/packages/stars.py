"""Stars: who likes which package (`npm star`, `npm stars`, the button on a package's page).

A star is its giver's own word about a package and changes nothing of it: neither its revision, so that nobody who
publishes is in the way of a thousand people who star, nor the time at which it was modified. A counter beside the
package rises with each, so that whoever keeps a document with stars in it can tell.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, text, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import Package, SearchDocument, User
from twokey.db.schema_stars import Star, StarCount
from twokey.errors import Conflict
from twokey.packages.packages import Found
from twokey.packages.search import visible_to

MOST_LISTED = 1000  # users in a package's document, the latest of its stars
MOST_STARRED = 1000  # packages that an account may star
_GIVE = text("INSERT INTO stars (package_id, user_id, starred_at) VALUES (:package, :user, :at) ON CONFLICT DO NOTHING")
_COUNT = text(
    "INSERT INTO star_counts (package_id, count, revision) VALUES (:package, :changes, 1) ON CONFLICT (package_id) "
    "DO UPDATE SET count = star_counts.count + :changes, revision = star_counts.revision + 1"
)


def put(tx: Transaction, found: Found, user_id: int, *, starred: bool) -> None:
    """Gives the user's star to the package or takes it back; what is so already stays so, and is recorded all the same.

    Raises Conflict for the star after an account's thousandth.
    """
    connection = tx.connection
    row = {"package": found.id, "user": user_id, "at": tx.now}
    if starred:
        changes = connection.execute(_GIVE, row).rowcount
        if changes and count_of_user(connection, user_id) > MOST_STARRED:
            raise Conflict(f"An account stars at most {MOST_STARRED:,} packages: take a star back first (npm unstar).")
    else:
        taken = delete(Star).where(Star.package_id == found.id, Star.user_id == user_id)
        changes = -connection.execute(taken).rowcount
    if changes:
        connection.execute(_COUNT, {"package": found.id, "changes": changes})
    tx.record(Event.PACKAGE_STAR, details={"starred": starred, "changed": bool(changes)})


def remove_of_user(connection: Connection, user_id: int) -> None:
    """Takes back every star of an account that closes."""
    theirs = select(Star.package_id).where(Star.user_id == user_id)
    connection.execute(
        update(StarCount)
        .where(StarCount.package_id.in_(theirs))
        .values(count=StarCount.count - 1, revision=StarCount.revision + 1)
    )
    connection.execute(delete(Star).where(Star.user_id == user_id))


def givers(connection: Connection, package_id: int) -> list[str]:
    """Who starred the package: the latest thousand, the latest first."""
    query = select(User.name).join(Star, Star.user_id == User.id).where(Star.package_id == package_id)
    return list(connection.execute(query.order_by(Star.starred_at.desc(), User.id).limit(MOST_LISTED)).scalars())


def has(connection: Connection, package_id: int, user_id: int) -> bool:
    """Whether the user starred the package."""
    query = select(Star.user_id).where(Star.package_id == package_id, Star.user_id == user_id)
    return connection.execute(query).one_or_none() is not None


def of_user(connection: Connection, user_id: int, *, reader_id: int | None) -> list[tuple[str, str, int]]:
    """What the user starred and the reader (None: nobody known) may see: name, description, when (µs); latest first."""
    query = (
        select(Package.name, SearchDocument.description, Star.starred_at)
        .join(Star, Star.package_id == Package.id)
        .join(SearchDocument, SearchDocument.package_id == Package.id)
        .where(Star.user_id == user_id, Package.unpublished_at.is_(None), visible_to(reader_id))
        .order_by(Star.starred_at.desc(), Package.name)
        .limit(MOST_STARRED)
    )
    return [(name, description, at) for name, description, at in connection.execute(query)]


def count_of_user(connection: Connection, user_id: int) -> int:
    """How many packages the user starred."""
    return connection.execute(select(func.count()).select_from(Star).where(Star.user_id == user_id)).scalar_one()
