"""Invitations: a link that makes one account, once, within a week. Only the hash of its secret is kept."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.orm import aliased

from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import DAY
from twokey.db.schema import User
from twokey.db.schema_site import Invitation
from twokey.errors import NotFound, Refused
from twokey.vault import hashed

LIFETIME = 7 * DAY
KEPT = 90 * DAY  # after it ran out, unless an account was made by it
LONGEST_SECRET = 64
USED = "This invitation was used, was withdrawn or has run out: ask for another."


@dataclass(frozen=True, slots=True)
class Listed:
    """An invitation as administrators see it; nobody sees its secret again."""

    id: int
    email: str | None
    invited_by: str
    created_at: int
    expires_at: int
    used_at: int | None
    used_by: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A live invitation."""

    id: int
    email: str | None


def make(tx: Transaction, email: str | None) -> str:
    """Makes an invitation. Returns its secret, which is shown once."""
    secret = secrets.token_urlsafe(32)
    invitation_id = tx.connection.execute(
        insert(Invitation)
        .values(
            secret_hash=hashed("invitation", secret), email=email, invited_by=tx.permit.actor, created_at=tx.now,
            expires_at=tx.now + LIFETIME,
        )
        .returning(Invitation.id)
    ).scalar_one()  # fmt: skip
    tx.record(
        Event.INVITATION_CREATE, resource=f"invitation:{invitation_id}", details={"with_address": email is not None}
    )
    return secret


def mail(tx: Transaction, secret: str, email: str, outbox: Outbox) -> None:
    """Mails an invitation to the guest."""
    letter = Letter(
        name=email.partition("@")[0],
        opening=f"You are invited to {outbox.signature}: this link makes an account.",
        link=address(outbox.base, secret),
        button="Make an account",
        closing=("The link is good once, for a week. If you do not know what this is about, leave it be.",),
    )
    outbox.put(tx.connection, Draft(None, email, "invitation", "You are invited", letter), tx.now)


def address(base: str, secret: str) -> str:
    """The link of an invitation."""
    return f"{base}/signup?{urlencode({'invitation': secret})}"


def find(connection: Connection, secret: str, at: int) -> Found | None:
    """The live invitation whose secret is `secret`; None where it is unknown, used or has run out."""
    if not secret or len(secret) > LONGEST_SECRET:
        return None
    row = connection.execute(
        select(Invitation.id, Invitation.email).where(
            Invitation.secret_hash == hashed("invitation", secret),
            Invitation.used_at.is_(None),
            Invitation.expires_at > at,
        )
    ).one_or_none()
    return None if row is None else Found(row[0], row[1])


def is_live(connection: Connection, invitation_id: int, at: int, *, locked: bool = False) -> bool:
    """Whether the invitation can be used at `at` (µs). `locked` holds it so until the transaction ends."""
    query = select(Invitation.used_at, Invitation.expires_at).where(Invitation.id == invitation_id)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    return row is not None and row[0] is None and row[1] > at


def use(tx: Transaction, invitation_id: int, user_id: int, name: str) -> None:
    """Uses the invitation up for the account that was made by it. Raises Refused where somebody was faster."""
    used = tx.connection.execute(
        update(Invitation)
        .where(Invitation.id == invitation_id, Invitation.used_at.is_(None), Invitation.expires_at > tx.now)
        .values(used_at=tx.now, used_by=user_id)
    ).rowcount
    if not used:
        raise Refused(USED)
    tx.record(Event.INVITATION_USE, account=name, resource=f"invitation:{invitation_id}")


def withdraw(tx: Transaction, invitation_id: int) -> None:
    """Takes an unused invitation back. Raises NotFound."""
    gone = tx.connection.execute(
        delete(Invitation).where(Invitation.id == invitation_id, Invitation.used_at.is_(None))
    ).rowcount
    if not gone:
        raise NotFound("There is no such invitation: it may have been used already.")
    tx.record(Event.INVITATION_WITHDRAW, resource=f"invitation:{invitation_id}")


def listing(connection: Connection, limit: int) -> list[Listed]:
    """The last `limit` invitations, newest first."""
    inviter, invited = aliased(User), aliased(User)
    query = (
        select(
            Invitation.id, Invitation.email, inviter.name, Invitation.created_at, Invitation.expires_at,
            Invitation.used_at, invited.name,
        )
        .join(inviter, inviter.id == Invitation.invited_by)
        .outerjoin(invited, invited.id == Invitation.used_by)
        .order_by(Invitation.created_at.desc(), Invitation.id.desc())
        .limit(limit)
    )  # fmt: skip
    return [Listed(*row) for row in connection.execute(query)]


def forget(connection: Connection, now: int) -> int:
    """Deletes invitations that ran out long ago and that nobody used. Returns how many."""
    return connection.execute(
        delete(Invitation).where(Invitation.used_at.is_(None), Invitation.expires_at < now - KEPT)
    ).rowcount
