"""A registry on each database, on a clock that a test sets."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.domain.world import SettableClock, World
from tests.support import postgres
from twokey.accounts import passwords
from twokey.db import migrate
from twokey.db.engine import Database
from twokey.registry import Registry, open_registry
from twokey.settings import Settings

Open = Callable[..., World]
CHEAPEST = 8  # KiB: the least that argon2 takes


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """One PostgreSQL for this process of the run."""
    with postgres.running() as started:
        yield started


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database that was migrated once, to copy."""
    path = tmp_path_factory.mktemp("template") / "twokey.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of the test's own as ever, but in memory where there is room: hundreds wait for no disk."""
    with tempfile.TemporaryDirectory(dir=postgres.memory()) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated, empty database, on each engine."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "twokey.db")
        yield f"sqlite:///{tmp_path}/twokey.db"
        return
    cluster: postgres.Cluster = request.getfixturevalue("cluster")
    with cluster.database() as url:
        yield url


@pytest.fixture
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and recovery codes at a thousandth of their cost, so that hundreds of tests take seconds.

    tests/domain/test_passwords.py holds the real parameters.
    """
    monkeypatch.setattr(passwords, "MEMORY_KIB", CHEAPEST)


@pytest.fixture
def clock() -> SettableClock:
    """Stands still until a test moves it."""
    return SettableClock()


@pytest.fixture
def opened(
    tmp_path: Path, database_url: str, clock: SettableClock, cheap_hashes: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens a registry with the settings given, on this test's data and database; a second call opens it again."""
    # Its database is a copy of one that was migrated; tests/domain/test_start.py holds the migrations.
    monkeypatch.setattr(migrate, "upgrade", lambda database: None)
    with ExitStack() as stack:

        def open_(**settings: Any) -> World:
            registry = open_registry(Settings(data=tmp_path / "data", database=database_url, **settings), clock)
            stack.callback(registry.close)
            return World(registry, clock)

        yield open_


@pytest.fixture
def registry(opened: Open) -> Registry:
    """A registry with the default settings."""
    return opened().registry


@pytest.fixture
def world(registry: Registry, clock: SettableClock) -> World:
    """That registry, with its clock and everything to make accounts, tokens and requests by."""
    return World(registry, clock)
