"""Resets of a second factor by administrators: one asks; a day later, or once another one approves, it is done.

In between the account's owner is told, and can stop it: a stranger who talked an administrator into it gains nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.orm import aliased

from twokey.accounts import users
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import DAY
from twokey.db.schema import User
from twokey.db.schema_site import FactorReset
from twokey.errors import NotFound, Refused
from twokey.two_factor import enrolment
from twokey.two_factor.limits import account_key

DELAY = DAY
GONE = "There is no such reset any more: it was carried out or stopped."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reset that is neither done nor stopped. `holds`: whoever asked is still an administrator."""

    id: int
    user_id: int
    name: str
    asked_by_id: int
    asked_by: str
    created_at: int
    due_at: int
    holds: bool


def ask(tx: Transaction, name: str) -> int:
    """Begins the reset of an account's second factor. Returns when (µs) it is due. Raises NotFound, Refused."""
    account = users.get(tx.connection, name)
    if account.id == tx.permit.actor:
        raise Refused("This is your own account: change your second factor on your settings page.")
    if account.mode is None:
        raise Refused(f"{name} has no second factor: there is nothing to reset.")
    _lock(tx.connection, account.id)
    if waiting(tx.connection, account.id) is not None:
        raise Refused(f"A reset for {name} is under way already: another administrator may approve it.")
    due_at = tx.now + DELAY
    tx.connection.execute(
        insert(FactorReset).values(user_id=account.id, asked_by=tx.permit.actor, created_at=tx.now, due_at=due_at)
    )
    tx.record(Event.SECOND_FACTOR_RESET_ASK, account=name, resource=f"user:{name}", details={"due_at": due_at})
    return due_at


def approve(tx: Transaction, name: str) -> None:
    """Carries a waiting reset out at once, by another administrator than asked for it. Raises NotFound, Refused."""
    account = users.get(tx.connection, name)
    _lock(tx.connection, account.id)
    found = waiting(tx.connection, account.id)
    if found is None:
        raise NotFound(GONE)
    if tx.permit.actor in (found.asked_by_id, account.id):
        raise Refused("Another administrator has to approve this: neither the one who asked, nor the one it is for.")
    if not found.holds:
        raise Refused("Whoever asked for this reset is no administrator any more: cancel it and ask anew.")
    tx.connection.execute(update(FactorReset).where(FactorReset.id == found.id).values(approved_by=tx.permit.actor))
    tx.record(
        Event.SECOND_FACTOR_RESET_APPROVE, account=name, resource=f"user:{name}", details={"asked_by": found.asked_by}
    )
    _carry_out(tx, found)


def cancel(tx: Transaction, name: str) -> None:
    """Stops a waiting reset: the account's owner, or an administrator. Raises NotFound."""
    account = users.get(tx.connection, name)
    _lock(tx.connection, account.id)
    found = waiting(tx.connection, account.id)
    if found is None:
        raise NotFound(GONE)
    _stop(tx, found, None)


def carry_out_due(tx: Transaction, name: str) -> bool:
    """Carries a reset out whose day has passed. False where nothing is due any more.

    Where whoever asked for it is no administrator any more, it is stopped instead.
    """
    account = users.get(tx.connection, name)
    _lock(tx.connection, account.id)
    found = waiting(tx.connection, account.id)
    if found is None or found.due_at > tx.now:
        return False
    if found.holds and account.mode is not None:
        _carry_out(tx, found)
    else:
        reason = "it is off already" if found.holds else "who asked is no administrator any more"
        _stop(tx, found, reason)
    return True


def due(connection: Connection, now: int) -> list[str]:
    """The names of the accounts whose reset is due."""
    query = (
        select(User.name)
        .join(FactorReset, FactorReset.user_id == User.id)
        .where(FactorReset.done_at.is_(None), FactorReset.cancelled_at.is_(None), FactorReset.due_at <= now)
        .order_by(FactorReset.due_at)
    )
    return list(connection.execute(query).scalars())


def waiting(connection: Connection, user_id: int) -> Waiting | None:
    """The account's reset that is under way."""
    row = connection.execute(_waiting().where(FactorReset.user_id == user_id)).one_or_none()
    return None if row is None else Waiting(*row[:7], holds=row[7] and row[8] is None)


def every_waiting(connection: Connection) -> list[Waiting]:
    """All resets under way, the next one due first."""
    rows = connection.execute(_waiting().order_by(FactorReset.due_at))
    return [Waiting(*row[:7], holds=row[7] and row[8] is None) for row in rows]


def _waiting() -> Select[int, int, str, int, str, int, int, bool, int | None]:
    asker, concerned = aliased(User), aliased(User)
    return (
        select(
            FactorReset.id, FactorReset.user_id, concerned.name, FactorReset.asked_by, asker.name,
            FactorReset.created_at, FactorReset.due_at, asker.administrator, asker.disabled_at,
        )
        .join(concerned, concerned.id == FactorReset.user_id)
        .join(asker, asker.id == FactorReset.asked_by)
        .where(FactorReset.done_at.is_(None), FactorReset.cancelled_at.is_(None))
    )  # fmt: skip


def _lock(connection: Connection, user_id: int) -> None:
    """Holds the account, so that two administrators at once do one after the other."""
    connection.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))


def _carry_out(tx: Transaction, found: Waiting) -> None:
    enrolment.disable(tx, found.user_id, Event.SECOND_FACTOR_RESET)
    users.forget_attempts(tx, [account_key(found.user_id)])
    tx.connection.execute(update(FactorReset).where(FactorReset.id == found.id).values(done_at=tx.now))


def _stop(tx: Transaction, found: Waiting, reason: str | None) -> None:
    tx.connection.execute(update(FactorReset).where(FactorReset.id == found.id).values(cancelled_at=tx.now))
    tx.record(
        Event.SECOND_FACTOR_RESET_CANCEL, account=found.name, resource=f"user:{found.name}", details={"reason": reason}
    )
