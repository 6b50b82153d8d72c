"""The engine: reads for everyone, and the raw write transaction that only the door and an allow-list may call.

SQLite runs in WAL mode with `synchronous=FULL` and `BEGIN IMMEDIATE`, so that what was acknowledged survives a power
cut and a read-modify-write never loses an update. The allow-list is `tests/test_architecture.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from twokey.db.generation import Generation
from twokey.errors import ConfigurationError

POOL_SIZE = 24
BUSY_SECONDS = 5  # for which a writer waits for its turn


class Database:
    """One database, opened by URL: `sqlite:///PATH` or `postgresql://...`."""

    def __init__(self, url: str) -> None:
        """Opens nothing yet. Writes mark `generation`. Raises ConfigurationError for a database that is neither."""
        self.generation = Generation()  # until it is given the one that other processes see
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ConfigurationError(f"TWOKEY_DATABASE names {parsed.get_backend_name()}: use sqlite or postgresql.")
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.sqlite_path = Path(parsed.database) if self.is_sqlite and parsed.database else None
        pool = {"pool_size": POOL_SIZE, "max_overflow": POOL_SIZE, "pool_timeout": 30, "hide_parameters": True}
        self._writer: Engine = create_engine(parsed, pool_pre_ping=not self.is_sqlite, **pool)
        # Apart, so that a read never waits for a write that waits for its turn.
        self._reader: Engine = create_engine(
            parsed, pool_pre_ping=not self.is_sqlite, isolation_level="AUTOCOMMIT", **pool
        )
        self._writers = Lock()
        if self.is_sqlite:
            event.listen(self._writer, "connect", _set_up_sqlite)
            event.listen(self._reader, "connect", _set_up_sqlite)
            event.listen(self._writer, "begin", _begin_immediate)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading. Each statement sees what was committed before it."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection for several reads that belong together: all of them see the same moment."""
        begin = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        with self._reader.connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def write(self, *, package: str | None = None, quietly: bool = False) -> Iterator[Connection]:
        """A raw write transaction: commits at the end, rolls back when the block raises.

        For the door and the modules on the architecture test's allow-list only; everyone else writes with a permit.
        After the commit, and before anybody is answered, the generation is marked, so that no reader goes on with what
        it remembers: `package` where nothing but that one changes; `quietly` for what no packument, tarball or right to
        read them hangs on (that test says which modules), which happens too often to forget everything for.
        """
        committing = False
        try:
            with self._turn(), self._writer.connect() as connection, connection.begin():
                yield connection
                committing = True
        finally:
            if committing and not quietly:  # also where the commit fails: it may have come through
                self.generation.mark(package)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SQLite's writers of this process wait here, each woken when it may: SQLite lets them ask again, with pauses.

        Of eight that publish at once some waited a second. Who gets no turn in time asks SQLite, which refuses.
        """
        taken = self.is_sqlite and self._writers.acquire(timeout=BUSY_SECONDS)
        try:
            yield
        finally:
            if taken:
                self._writers.release()

    def lock(self, connection: Connection, name: str, *, shared: bool = False) -> None:
        """Holds off every other transaction that locks `name`, until this one ends; `shared`, those that do not share.

        SQLite has one writer at a time, so there it is nothing.
        """
        if not self.is_sqlite:
            function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
            connection.execute(text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": name})

    def ping(self) -> None:
        """Raises what the driver raises when the database does not answer."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        """Closes every connection."""
        self._writer.dispose()
        self._reader.dispose()


def _set_up_sqlite(dbapi_connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin late (ecosystem.md, trap 4): BEGIN is ours, below.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in (f"busy_timeout={1000 * BUSY_SECONDS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
