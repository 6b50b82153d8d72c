"""Which second factors an account has."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from twokey.db.schema import Authenticator, User
from twokey.db.schema_access import SecurityKey
from twokey.errors import Invalid

ACTIVE = "active"  # of an authenticator app: confirmed by a code


class Factors(NamedTuple):
    """How many authenticator apps and security keys there are, and whether clients that can ask in a browser."""

    apps: int
    keys: int
    asks_in_browser: bool


def of(connection: Connection, user_id: int) -> Factors:
    """The factors of an account."""
    apps = select(func.count()).where(Authenticator.user_id == user_id, Authenticator.state == ACTIVE)
    keys = select(func.count()).where(SecurityKey.user_id == user_id)
    chosen = select(User.asks_in_browser).where(User.id == user_id)
    return Factors(
        connection.execute(apps).scalar_one(),
        connection.execute(keys).scalar_one(),
        connection.execute(chosen).scalar_one(),
    )


def check_not_last(connection: Connection, user_id: int) -> None:
    """Raises Invalid where the account has one factor left, which may not be removed by itself."""
    found = of(connection, user_id)
    if found.apps + found.keys == 1:
        raise Invalid("This is the only second factor: turn two-factor authentication off instead.")
