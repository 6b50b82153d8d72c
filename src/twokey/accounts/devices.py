"""Browsers that an account has signed in with: a sign-in from another one is told by mail.

One cookie serves every account of a browser: what is kept is its hash together with the account.
"""

from __future__ import annotations

import re
import secrets

from sqlalchemy import Connection, delete, insert, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import DAY
from twokey.db.schema_mail import Device
from twokey.vault import hashed

KEPT = 365 * DAY
_FORM = re.compile(r"[0-9A-Za-z_-]{43}")


def note(tx: Transaction, user_id: int, name: str, secret: str | None, *, first: bool = False) -> str:
    """Notes that the account signs in with the browser whose cookie is `secret`; one that is new is an event.

    `first`: the account has just been made in it. Returns the cookie to keep.
    """
    secret = secret if secret is not None and _FORM.fullmatch(secret) else secrets.token_urlsafe(32)
    digest = hashed(f"device|{user_id}", secret)
    known = tx.connection.execute(
        update(Device).where(Device.secret_hash == digest, Device.user_id == user_id).values(last_used_at=tx.now)
    ).rowcount
    if not known:
        tx.connection.execute(
            insert(Device).values(user_id=user_id, secret_hash=digest, created_at=tx.now, last_used_at=tx.now)
        )
    if not known and not first:
        tx.record(Event.LOGIN_NEW_DEVICE, account=name, resource=f"user:{name}")
    return secret


def forget(connection: Connection, now: int) -> int:
    """Deletes browsers that nobody has signed in with for a year. Returns how many."""
    return connection.execute(delete(Device).where(Device.last_used_at < now - KEPT)).rowcount
