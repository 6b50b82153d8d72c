"""Closing one's own account: for ever, and only once nobody depends on it alone."""

from __future__ import annotations

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.orm import aliased

from twokey.accounts import users
from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.accounts.users import PROFILE_FIELDS
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import Owner, Package, Session, User, Version
from twokey.db.schema_mail import Device, MailLink
from twokey.errors import Refused
from twokey.orgs import orgs
from twokey.packages import packages, stars
from twokey.tokens import tokens
from twokey.two_factor import enrolment

NO_PASSWORD = "!"  # no hash has this form, so no password fits it
MOST_NAMED = 10


def only_owned(connection: Connection, user_id: int) -> list[str]:
    """The packages that exist and that nobody else who could take care of them owns, by name."""
    other, other_user = aliased(Owner), aliased(User)
    others = exists().where(
        other.package_id == Package.id, other.user_id != user_id, other_user.id == other.user_id,
        other_user.disabled_at.is_(None),
    )  # fmt: skip
    query = (
        select(Package.name)
        .join(Owner, Owner.package_id == Package.id)
        .where(Owner.user_id == user_id, Package.unpublished_at.is_(None), ~others)
        .order_by(Package.name)
    )
    return list(connection.execute(query).scalars())


def close(tx: Transaction, user_id: int, outbox: Outbox) -> None:
    """Closes the account of whoever acts: credentials and personal data go, the name stays taken, a last mail goes out.

    Raises Refused while it is the only owner of a package that exists, or of an organisation, and names them.
    """
    connection = tx.connection
    orgs.hold_of(connection, user_id)
    mine = list(
        connection.execute(
            select(Owner.package_id).where(Owner.user_id == user_id).order_by(Owner.package_id)
        ).scalars()
    )
    # Held, so that two owners who close at the same time do so one after the other.
    connection.execute(select(Package.id).where(Package.id.in_(mine)).order_by(Package.id).with_for_update())
    alone = only_owned(connection, user_id)
    if alone:
        names = ", ".join(alone[:MOST_NAMED]) + (f" and {len(alone) - MOST_NAMED} more" if alone[MOST_NAMED:] else "")
        raise Refused(
            f"You are the only owner of {names}: make somebody else an owner (npm owner add), or unpublish, first."
        )
    organisations = orgs.only_owner_of(connection, user_id)
    if organisations:
        raise Refused(
            f"You are the only owner of the organisation {organisations[0]}: make somebody else one (npm org set "
            f"{organisations[0]} USER owner), or delete it, first."
        )
    _take_leave(tx, user_id, outbox)
    tokens.revoke_all(tx, user_id)
    enrolment.disable(tx, user_id, Event.ACCOUNT_CLOSE)
    connection.execute(delete(Session).where(Session.user_id == user_id))
    connection.execute(delete(Owner).where(Owner.user_id == user_id))
    orgs.leave_all(connection, user_id)
    stars.remove_of_user(connection, user_id)
    connection.execute(delete(MailLink).where(MailLink.user_id == user_id))
    connection.execute(delete(Device).where(Device.user_id == user_id))
    connection.execute(
        update(User)
        .where(User.id == user_id)
        .values(
            email="", email_verified_at=None, password_hash=NO_PASSWORD, administrator=False, disabled_at=tx.now,
            closed_at=tx.now, updated_at=tx.now, **dict.fromkeys(PROFILE_FIELDS),
        )
    )  # fmt: skip
    for package_id in mine:
        packages.changed(tx, package_id)
    published = select(Version.package_id).where(Version.publisher_id == user_id, Version.package_id.not_in(mine))
    # Its mail address stood in the documents of what it published.
    connection.execute(update(Package).where(Package.id.in_(published)).values(revision=Package.revision + 1))


def _take_leave(tx: Transaction, user_id: int, outbox: Outbox) -> None:
    """The last mail: notices are addressed when everything is written, and then there is no address any more."""
    account = users.by_id(tx.connection, user_id)
    letter = Letter(
        name=account.name,
        opening=f"The account {account.name} was closed, for ever. Its tokens, sessions, second factors, mail address "
        "and profile are deleted; what it published stays.",
        closing=("If this was not you, tell the operator of the registry.",),
    )
    outbox.put(tx.connection, Draft(None, account.email, "closed", "Your account is closed", letter), tx.now)
