"""Links in mails: 256 bits in base62, of which only the hash is kept. Each is good once, for a while, for one thing.

To open one changes nothing (mail scanners do that); the page behind it has one button.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.principal import Mode
from twokey.clock import DAY, HOUR, MINUTE
from twokey.db.schema import User
from twokey.db.schema_mail import MailLink
from twokey.errors import Refused
from twokey.vault import SECRET_LENGTH, hashed, new_secret

VERIFY, RESET, NEW_PASSWORD, UNDO = "verify", "reset", "new-password", "undo"
LIFETIMES = {VERIFY: 3 * DAY, RESET: HOUR, NEW_PASSWORD: 10 * MINUTE, UNDO: 3 * DAY}
FOR_ACTION = {
    Action.VERIFY_EMAIL: (VERIFY,),
    Action.UNDO_EMAIL: (UNDO,),
    Action.RESET_PASSWORD: (RESET, NEW_PASSWORD),
}
_FORM = re.compile(rf"[0-9A-Za-z]{{{SECRET_LENGTH}}}")
GONE = "This link is not good any more: it was used, it is too old, or another has taken its place."


@dataclass(frozen=True, slots=True)
class Found:
    """A link that is good, with its account. `email` is the address that it was mailed to."""

    id: int
    purpose: str
    email: str
    user_id: int
    user_name: str
    user_email: str
    mode: Mode | None


def make(connection: Connection, purpose: str, user_id: int, email: str, at: int) -> str:
    """Makes a link for the account. Returns its secret."""
    secret = new_secret()
    connection.execute(
        insert(MailLink).values(
            secret_hash=hashed("mail link", secret), purpose=purpose, user_id=user_id, email=email, created_at=at,
            expires_at=at + LIFETIMES[purpose],
        )
    )  # fmt: skip
    return secret


def find(connection: Connection, secret: str, action: Action, at: int, *, locked: bool = False) -> Found | None:
    """The link, where it is good for the action at `at` (µs); None where it is not, or its account is closed.

    `locked` holds it so until the transaction ends.
    """
    if not _FORM.fullmatch(secret):
        return None
    query = (
        select(
            MailLink.id, MailLink.purpose, MailLink.email, User.id, User.name, User.email,
            User.mode,
        )
        .join(User, User.id == MailLink.user_id)
        .where(
            MailLink.secret_hash == hashed("mail link", secret), MailLink.purpose.in_(FOR_ACTION[action]),
            MailLink.used_at.is_(None), MailLink.expires_at > at, User.disabled_at.is_(None),
        )
    )  # fmt: skip
    row = connection.execute(query.with_for_update(key_share=True) if locked else query).one_or_none()
    if row is None:
        return None
    return Found(*row[:6], None if row[6] is None else Mode(row[6]))


def use(tx: Transaction, found: Found) -> None:
    """Uses the link up. Raises Refused where another request was faster."""
    changed = tx.connection.execute(
        update(MailLink).where(MailLink.id == found.id, MailLink.used_at.is_(None)).values(used_at=tx.now)
    )
    if changed.rowcount != 1:
        raise Refused(GONE)


def end(connection: Connection, user_id: int, *purposes: str, after: int = 0) -> None:
    """Ends the account's links for these purposes that were made after the one with the id `after`."""
    connection.execute(
        delete(MailLink).where(MailLink.user_id == user_id, MailLink.purpose.in_(purposes), MailLink.id > after)
    )


def forget(connection: Connection, now: int) -> int:
    """Deletes links that have run out. Returns how many."""
    return connection.execute(delete(MailLink).where(MailLink.expires_at < now)).rowcount
