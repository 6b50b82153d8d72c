"""Opening a registry: the schema of this version on both databases, and no start with a vault that is another's."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, text

from tests.domain.conftest import Open
from tests.domain.world import SettableClock
from tests.support import postgres
from twokey.authority.principal import Mode
from twokey.db import migrate
from twokey.db.engine import Database
from twokey.db.schema import Attempt, Package, SearchDocument, Table, User
from twokey.errors import ConfigurationError
from twokey.registry import open_registry
from twokey.settings import Settings
from twokey.vault import Vault


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path}/empty.db")
        yield database
        database.dispose()
        return
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    with cluster.database(migrated=False) as url:
        database = Database(url)
        yield database
        database.dispose()


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return {name for name in inspect(connection).get_table_names() if own(name)}


def own(name: str) -> bool:
    """Whether it is a table of the schema: the full text index is each database's own."""
    return name != "alembic_version" and not name.startswith("search_index")


def test_an_upgrade_makes_every_table_and_a_downgrade_takes_every_one_away(empty: Database) -> None:
    migrate.upgrade(empty)
    assert tables(empty) == set(Table.metadata.tables)
    migrate.upgrade(empty)  # and a second one finds nothing to do
    migrate.downgrade(empty, "base")
    assert tables(empty) == set()
    migrate.upgrade(empty)
    assert tables(empty) == set(Table.metadata.tables)


def test_what_the_migrations_make_is_what_the_code_expects(empty: Database) -> None:
    migrate.upgrade(empty)

    def differences(connection: Connection) -> object:
        def include(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
            return kind != "table" or own(name or "")

        options = {"compare_type": True, "compare_server_default": True, "include_object": include}
        return compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata)

    with empty.read() as connection:
        assert differences(connection) == []


def test_a_database_of_a_later_version_is_left_alone(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(ConfigurationError, match="later version"):
        migrate.upgrade(empty)


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="use sqlite or postgresql"):
        Database("mysql://localhost/x")


def test_a_write_that_raises_leaves_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    with pytest.raises(ZeroDivisionError), empty.write() as connection:
        connection.execute(insert(Attempt).values(bucket="x", at=1))
        raise ZeroDivisionError
    with empty.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM attempts")).scalar_one() == 0


def test_sqlite_is_durable_and_minds_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with database.write() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_the_data_folder_and_what_is_in_it_are_its_owners_alone(tmp_path: Path) -> None:
    registry = open_registry(Settings(data=tmp_path / "new"), SettableClock())
    registry.close()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert (tmp_path / "new" / "vault.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("enrolled", [False, True])
def test_no_start_with_a_vault_that_lacks_a_key_which_a_row_names(opened: Open, tmp_path: Path, enrolled: bool) -> None:
    world = opened()
    if enrolled:
        world.account(mode=Mode.AUTH_ONLY)
    before, missing = world.stored(), world.registry.vault.newest_key_id
    world.registry.close()
    key_file, kept = tmp_path / "data" / "vault.key", tmp_path / "kept.key"
    shutil.move(key_file, kept)
    Vault(key_file)  # that of another registry
    with pytest.raises(ConfigurationError, match=f"under the vault key {missing}, which vault.key does not have"):
        opened()
    gc.collect()  # a connection that the refusal left open would be a warning, and so a failure, here
    shutil.move(kept, key_file)
    assert opened().stored() == before


def test_no_start_without_the_vault_of_a_database_and_none_is_made_in_its_place(opened: Open, tmp_path: Path) -> None:
    opened().registry.close()
    key_file = tmp_path / "data" / "vault.key"
    key_file.unlink()
    with pytest.raises(ConfigurationError, match="vault"):
        opened()
    gc.collect()
    assert not key_file.exists()


def test_a_registry_is_the_same_when_it_is_opened_again(opened: Open) -> None:
    world = opened()
    world.account(mode=Mode.AUTH_AND_WRITES)
    before, hashes = world.stored(), {event["address"] for event in world.events()}
    world.registry.close()
    again = opened()
    assert again.stored() == before
    again.account("bob")
    assert {event["address"] for event in again.events()} == hashes, "one address, one keyed hash, across restarts"


def test_a_data_folder_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        open_registry(Settings(data=tmp_path / "file" / "data"), SettableClock())


def test_the_step_to_a_search_by_roles_empties_the_index_so_that_the_start_fills_it_anew(empty: Database) -> None:
    migrate.upgrade(empty)
    migrate.downgrade(empty, "0008")
    key, marks = ("rowid", "'old'") if empty.is_sqlite else ("package_id", "''::tsvector")
    words = "name" if empty.is_sqlite else "words"
    fill = f"INSERT INTO search_index ({key}, {words}, marks) VALUES (1, {marks}, {marks})"
    with empty.write() as connection:
        connection.execute(insert(User).values(
            id=1, name="alice", email="alice@example.com", password_hash="", created_at=1, updated_at=1,
        ))  # fmt: skip
        connection.execute(insert(Package).values(
            id=1, name="pad", canonical="pad", revision=1, access="public", mfa="none", readme="", readme_filename="",
            created_at=1, modified_at=1,
        ))  # fmt: skip
        connection.execute(insert(SearchDocument).values(
            package_id=1, name="pad", version="1.0.0", publisher="alice", published_at=1, public=True, description="",
            keywords="[]", details="{}",
        ))  # fmt: skip
        connection.execute(text(fill))
    migrate.upgrade(empty)
    with empty.write() as connection:
        for table in ("search_index", "search_documents"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0
        connection.execute(text(fill))
