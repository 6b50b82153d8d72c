"""twokey served by a thread of the test's own process, so that a test can look over its shoulder: what it asks the
door, what it writes and in which transaction, and what it does when a commit fails."""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from tests.promises.support import PATIENCE, Instance
from tests.support.serve import FileClock
from twokey import settings
from twokey.app import application
from twokey.db.engine import Database
from twokey.registry import Registry, open_registry

_WRITE = re.compile(r'\s*(?:WITH\b.*?\b)?(INSERT\s+INTO|UPDATE|DELETE\s+FROM|REPLACE\s+INTO)\s+"?(\w+)"?', re.I | re.S)
_SET = re.compile(r"(\w+)\s*=\s*[(:%?\w]")


class Threaded(Instance):
    """The same registry and the same application as `twokey serve`, on a free port of this process."""

    registry: Registry
    _serving: uvicorn.Server | None = None

    def start(self) -> None:
        """Serve, and wait until the server listens."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        environ = {key: value for key, value in self._environment().items() if key.startswith("TWOKEY_")}
        self.registry = open_registry(settings.read(environ), FileClock(self._clock_file))
        app = application(self.registry, self.port)
        config = uvicorn.Config(app, http="httptools", log_config=None, access_log=False, lifespan="on")
        self._serving = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serving.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._serving.started:
            assert time.monotonic() < deadline, "the server did not start"
            assert self._thread.is_alive(), "the server ended at its start"
            time.sleep(0.01)

    def stop(self) -> int | None:
        """End it, and wait for that."""
        if self._serving is not None:
            self._serving.should_exit = True
            self._thread.join(PATIENCE)
        return None


@dataclass(frozen=True)
class Write:
    """One statement that changes a table. `opener` is the function that opened the transaction, None without one."""

    opener: str | None
    table: str
    columns: frozenset[str]
    statement: str


@dataclass
class Trace:
    """Every statement that changes something, and the sets of them that were committed together."""

    writes: list[Write] = field(default_factory=list)
    committed: list[list[Write]] = field(default_factory=list)
    fail_commits: bool = False
    failed: int = 0
    _openers: dict[int, str] = field(default_factory=dict)
    _pending: dict[int, list[Write]] = field(default_factory=dict)

    def statement(self, connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        """SQLAlchemy is about to send a statement."""
        match = _WRITE.match(statement)
        if match is None:
            return
        columns = frozenset[str]()
        if match[1].upper() == "UPDATE":
            changed = statement.partition(" SET ")[2].partition(" WHERE ")[0]
            columns = frozenset(name for name in _SET.findall(changed) if name != match[2])
        write = Write(self._openers.get(id(connection)), match[2], columns, statement)
        self.writes.append(write)
        self._pending.setdefault(id(connection), []).append(write)

    def commit(self, connection: Connection) -> None:
        """It is about to commit; this is where a disk that is full would show."""
        writes = self._pending.pop(id(connection), [])
        if self.fail_commits and any(write.table == "audit_events" for write in writes):
            self.failed += 1
            raise OSError("the commit of a test fails")
        if writes:
            self.committed.append(writes)

    def rollback(self, connection: Connection) -> None:
        """It rolls back."""
        self._pending.pop(id(connection), None)


@contextmanager
def traced() -> Iterator[Trace]:
    """Watches every database of this process."""
    trace, original = Trace(), Database.write

    @contextmanager
    def write(database: Database, *, package: str | None = None, quietly: bool = False) -> Iterator[Connection]:
        opener = _opener()
        with original(database, package=package, quietly=quietly) as connection:
            trace._openers[id(connection)] = opener
            try:
                yield connection
            finally:
                trace._openers.pop(id(connection), None)

    listeners = (
        ("before_cursor_execute", trace.statement),
        ("commit", trace.commit),
        ("rollback", trace.rollback),
    )
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    Database.write = write  # type: ignore[method-assign, assignment]
    try:
        yield trace
    finally:
        Database.write = original  # type: ignore[method-assign]
        for name, listener in listeners:
            event.remove(Engine, name, listener)


def _opener() -> str:
    """The function of twokey that opens a transaction now, as `module.function`."""
    frame = sys._getframe(1)
    while True:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("twokey.") and module != "twokey.db.engine":
            return f"{module}.{frame.f_code.co_name}"
        assert frame.f_back is not None, "no function of twokey opens this transaction"
        frame = frame.f_back
