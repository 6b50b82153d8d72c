"""Bringing a database to this version's schema, by alembic.

alembic itself is loaded where there is something to do: most starts find nothing, and it is a fifth of what they load.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from twokey.db.engine import Database
from twokey.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"


def upgrade(database: Database, revision: str = "head") -> None:
    """Applies what is missing up to `revision`, in one transaction; two nodes that start at once take turns.

    Raises ConfigurationError for a database that a later version of twokey has changed.
    """
    known = _revisions()
    with database.read() as connection:
        if _current(connection) == (known[-1] if revision == "head" else revision):
            return
    with database.write() as connection:
        database.lock(connection, "migrations")
        current = _current(connection)
        if current is not None and current not in known:
            raise ConfigurationError(
                f"The database was last used by a later version of twokey (its schema is {current}): install that one."
            )
        from alembic import command

        command.upgrade(_config(connection), revision)


def downgrade(database: Database, revision: str) -> None:
    """Takes back what came after `revision` (`base`: everything)."""
    from alembic import command

    with database.write() as connection:
        command.downgrade(_config(connection), revision)


def _revisions() -> list[str]:
    """The revisions that there are, oldest first: their files' names begin with them."""
    return sorted(file.name.partition("_")[0] for file in (FOLDER / "versions").glob("[0-9]*_*.py"))


def _current(connection: Connection) -> str | None:
    """The revision that the database has; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
