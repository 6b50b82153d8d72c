"""Bringing a database to this version's schema, by alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from twokey.db.engine import Database
from twokey.errors import ConfigurationError

FOLDER = Path(__file__).parent / "migrations"


def upgrade(database: Database, revision: str = "head") -> None:
    """Applies what is missing up to `revision`, in one transaction; two nodes that start at once take turns.

    Raises ConfigurationError for a database that a later version of twokey has changed.
    """
    with database.write() as connection:
        database.lock(connection, "migrations")
        current = MigrationContext.configure(connection).get_current_revision()
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        if current is not None and current not in known:
            raise ConfigurationError(
                f"The database was last used by a later version of twokey (its schema is {current}): install that one."
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(database: Database, revision: str) -> None:
    """Takes back what came after `revision` (`base`: everything)."""
    with database.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
