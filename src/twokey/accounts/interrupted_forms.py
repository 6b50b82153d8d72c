"""Forms that were sent before a proof was asked for: kept with their values, carried out once after the proof.

Bound to the session that sent them and to the address that they were sent to (design.md 3). No password and no code
is ever among the values: pages that take one in the form itself are not interrupted.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from twokey.clock import MINUTE
from twokey.db.engine import Database
from twokey.db.schema import InterruptedForm

LIFETIME = 10 * MINUTE
MOST = 20  # of one session; the oldest go first


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A form as it was sent."""

    path: str
    fields: tuple[tuple[str, str], ...]


class InterruptedForms:
    """Keeps them between the form and the proof."""

    def __init__(self, database: Database) -> None:
        """Keeps them in `database`."""
        self._database = database

    def keep(self, session_id: int, path: str, fields: Sequence[tuple[str, str]], at: int) -> str:
        """Keeps a form that was sent at `at` (µs). Returns the key to take it by."""
        key = secrets.token_urlsafe(24)
        with self._database.write(quietly=True) as connection:
            connection.execute(
                insert(InterruptedForm).values(
                    key=key, session_id=session_id, path=path, fields=json.dumps(list(fields)), created_at=at
                )
            )
            kept = select(InterruptedForm.key).where(InterruptedForm.session_id == session_id)
            newest = kept.order_by(InterruptedForm.created_at.desc()).limit(MOST)
            connection.execute(
                delete(InterruptedForm).where(
                    InterruptedForm.session_id == session_id, InterruptedForm.key.not_in(newest)
                )
            )
        return key

    def take(self, session_id: int, key: str, at: int) -> Interrupted | None:
        """The form, which nobody can take again; None where it is unknown, another session's or too old."""
        with self._database.write(quietly=True) as connection:
            row = connection.execute(
                delete(InterruptedForm)
                .where(
                    InterruptedForm.key == key,
                    InterruptedForm.session_id == session_id,
                    InterruptedForm.created_at > at - LIFETIME,
                )
                .returning(InterruptedForm.path, InterruptedForm.fields)
            ).one_or_none()
        if row is None:
            return None
        return Interrupted(row[0], tuple((name, value) for name, value in json.loads(row[1])))


def forget(connection: Connection, now: int) -> int:
    """Deletes what nobody came back for. Returns how many."""
    return connection.execute(delete(InterruptedForm).where(InterruptedForm.created_at < now - LIFETIME)).rowcount
