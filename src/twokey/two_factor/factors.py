"""Which second factors an account has."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from twokey.db.schema import Authenticator, User
from twokey.two_factor import enrolment, security_keys


class Factors(NamedTuple):
    """How many authenticator apps and security keys there are, and whether clients that can ask in a browser."""

    apps: int
    keys: int
    asks_in_browser: bool


def of(connection: Connection, user_id: int) -> Factors:
    """The factors of an account."""
    apps = select(func.count()).select_from(Authenticator)
    active = apps.where(Authenticator.user_id == user_id, Authenticator.state == enrolment.ACTIVE)
    chosen = select(User.asks_in_browser).where(User.id == user_id)
    return Factors(
        connection.execute(active).scalar_one(),
        security_keys.count(connection, user_id),
        connection.execute(chosen).scalar_one(),
    )
