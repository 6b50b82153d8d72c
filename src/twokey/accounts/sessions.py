"""Sessions in a browser: a 256-bit secret in a cookie, of which only the hash is kept (security.md 2.3).

A session ends an hour after its last use and twelve hours after it was opened. Its secret changes at sign-in and at
every proof, so that one that was planted or stolen before is worth nothing after.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import HOUR, MINUTE
from twokey.db.engine import Database
from twokey.db.schema import Session, User
from twokey.errors import NotFound
from twokey.vault import hashed

IDLE = HOUR
ABSOLUTE = 12 * HOUR
PENDING = 5 * MINUTE  # between the password and the second factor
TOUCH_INTERVAL = MINUTE
LONGEST_SECRET = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A live session with its account. `pending`: the second factor is still to come."""

    id: int
    key: str
    user_id: int
    user_name: str
    user_disabled: bool
    pending: bool
    touch_due: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its owner sees it."""

    id: int
    key: str
    created_at: int
    last_used_at: int
    stepped_up_at: int | None
    address: str
    user_agent: str


class Sessions:
    """What is noted of sessions outside the door's transactions: it opens nothing that the door did not allow."""

    def __init__(self, database: Database) -> None:
        """Keeps them in `database`."""
        self._database = database

    def begin_pending(self, user_id: int, at: int, address: str, user_agent: str) -> str:
        """Notes that the password was right at `at` (µs). Returns the secret that waits for the second factor."""
        with self._database.write(quietly=True) as connection:
            return _insert(connection, user_id, at, address, user_agent, pending=True, stepped_up=False)

    def end_pending(self, session_id: int) -> None:
        """Forgets that the password was right: its secret is dead."""
        with self._database.write(quietly=True) as connection:
            connection.execute(delete(Session).where(Session.id == session_id, Session.pending))

    def step_up(self, session_id: int, at: int) -> str:
        """Notes that a second factor was shown at `at` (µs). Returns the session's new secret; the old one is dead."""
        return self._renewed(session_id, stepped_up_at=at, last_used_at=at)

    def renew(self, session_id: int) -> str:
        """Gives the session a new secret. Returns it; the old one is dead."""
        return self._renewed(session_id)

    def _renewed(self, session_id: int, **values: int) -> str:
        secret = new_secret()
        with self._database.write(quietly=True) as connection:
            connection.execute(
                update(Session).where(Session.id == session_id).values(secret_hash=hashed("session", secret), **values)
            )
        return secret

    def touch(self, session_id: int, at: int, address: str, user_agent: str) -> None:
        """Notes a use."""
        with self._database.write(quietly=True) as connection:
            connection.execute(
                update(Session)
                .where(Session.id == session_id, Session.last_used_at < at)
                .values(last_used_at=at, address=address, user_agent=user_agent)
            )


def new_secret() -> str:
    """A fresh secret of 256 bits."""
    return secrets.token_urlsafe(32)


def open_session(tx: Transaction, user_id: int, *, stepped_up: bool, replaces: int | None = None) -> str:
    """Opens a session for the account, in place of the one `replaces` that the browser had. Returns its secret."""
    caller = tx.permit.caller
    if replaces is not None:
        tx.connection.execute(delete(Session).where(Session.id == replaces))
    return _insert(
        tx.connection, user_id, tx.now, caller.address, caller.user_agent, pending=False, stepped_up=stepped_up
    )


def find(connection: Connection, secret: str, at: int) -> Found | None:
    """The session whose secret is `secret`, or None where it is unknown or over."""
    if not secret or len(secret) > LONGEST_SECRET:
        return None
    row = connection.execute(
        select(
            Session.id, Session.key, User.id, User.name, User.disabled_at, Session.pending, Session.created_at,
            Session.last_used_at,
        )
        .join(User, User.id == Session.user_id)
        .where(Session.secret_hash == hashed("session", secret))
    ).one_or_none()  # fmt: skip
    if row is None:
        return None
    session_id, key, user_id, user_name, disabled_at, pending, created_at, last_used_at = row
    if _is_over(at, pending, created_at, last_used_at):
        return None
    touch_due = last_used_at + TOUCH_INTERVAL <= at
    return Found(session_id, key, user_id, user_name, disabled_at is not None, pending, touch_due)


def is_live(
    connection: Connection, session_id: int, at: int, *, locked: bool = False
) -> tuple[bool, int | None, int | None]:
    """Whether the session is open, and when (µs) a second factor was last shown in it, and it was opened.

    `locked` holds it so until the transaction ends.
    """
    query = select(Session.created_at, Session.last_used_at, Session.stepped_up_at).where(
        Session.id == session_id, Session.pending.is_(False)
    )
    row = connection.execute(query.with_for_update(key_share=True) if locked else query).one_or_none()
    if row is None:
        return False, None, None
    created_at, last_used_at, stepped_up_at = row
    return not _is_over(at, False, created_at, last_used_at), stepped_up_at, created_at


def listing(connection: Connection, user_id: int, at: int) -> list[Listed]:
    """The account's open sessions, the one used last first."""
    query = (
        select(
            Session.id, Session.key, Session.created_at, Session.last_used_at, Session.stepped_up_at, Session.address,
            Session.user_agent,
        )
        .where(
            Session.user_id == user_id, Session.pending.is_(False), Session.created_at > at - ABSOLUTE,
            Session.last_used_at > at - IDLE,
        )
        .order_by(Session.last_used_at.desc(), Session.id.desc())
    )  # fmt: skip
    return [Listed(*row) for row in connection.execute(query)]


def end(tx: Transaction, user_id: int, key: str) -> None:
    """Ends a session of the account by its key. Raises NotFound."""
    ended = tx.connection.execute(delete(Session).where(Session.user_id == user_id, Session.key == key)).rowcount
    if not ended:
        raise NotFound("There is no such session: it may have ended already.")
    tx.record(Event.SESSION_END, resource=f"session:{key}")


def end_others(tx: Transaction, user_id: int) -> None:
    """Ends every session of the account but the one that acts: after a change of password or second factor."""
    own = tx.permit.caller.principal.session_id
    tx.connection.execute(delete(Session).where(Session.user_id == user_id, Session.id != (own or 0)))


def forget(connection: Connection, now: int) -> int:
    """Deletes sessions that are over at `now` (µs). Returns how many."""
    over = (Session.created_at < now - ABSOLUTE) | (Session.last_used_at < now - IDLE)
    return connection.execute(delete(Session).where(over)).rowcount


def _is_over(at: int, pending: bool, created_at: int, last_used_at: int) -> bool:
    if pending:
        return at >= created_at + PENDING
    return at >= created_at + ABSOLUTE or at >= last_used_at + IDLE


def _insert(
    connection: Connection, user_id: int, at: int, address: str, user_agent: str, *, pending: bool, stepped_up: bool
) -> str:
    secret = new_secret()
    connection.execute(
        insert(Session).values(
            user_id=user_id, key=secrets.token_hex(16), secret_hash=hashed("session", secret), pending=pending,
            stepped_up_at=at if stepped_up else None, created_at=at, last_used_at=at, address=address,
            user_agent=user_agent,
        )
    )  # fmt: skip
    return secret
