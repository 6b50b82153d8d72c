"""`pytest tests/clients_matrix --write-matrix` runs every cell and writes docs/clients.md."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.clients_matrix import document
from tests.clients_matrix.commands import COMMANDS
from tests.clients_matrix.document import Matrix
from tests.clients_matrix.programs import CLIENTS
from tests.clients_matrix.results import Kind, Result
from tests.clients_matrix.scene import World
from tests.conftest import ROOM
from tests.support.server import Server

OPTION = "--write-matrix"
PROPERTY = "a row of the matrix"
_seen: Matrix = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    parser.addoption(OPTION, action="store_true", default=False, help="write docs/clients.md from what is seen")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Rows come here from every worker."""
    for name, value in report.user_properties:
        if name == PROPERTY and report.when == "call":
            client, command, cells = json.loads(str(value))
            _seen[client, command] = {title: Result(Kind(kind), note) for title, (kind, note) in cells.items()}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the page: rows that were not run stay as they were, and a row that is nowhere stops it."""
    if not session.config.getoption(OPTION, default=False) or hasattr(session.config, "workerinput") or not _seen:
        return
    matrix = document.parse(document.PATH.read_text(encoding="utf-8")) if document.PATH.exists() else {}
    matrix.update(_seen)
    lacking = [key for key in ((client, command) for client in CLIENTS for command in COMMANDS) if key not in matrix]
    if lacking:
        raise pytest.UsageError(f"docs/clients.md is not written: {lacking[:5]} were never run")
    document.PATH.write_text(document.render(matrix), encoding="utf-8")


@pytest.fixture(scope="session")
def world(clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server for all cells of this process, which has room for the many names and packages that they make."""
    server = Server(tmp_path_factory.mktemp("matrix"), {**ROOM, "TWOKEY_LIMIT_NAMES": "100000"})
    server.advance(-10 * 24 * 3600)  # pnpm and Yarn 4 keep back what is younger than a day
    with server:
        yield World(server)


@pytest.fixture(scope="session")
def documented() -> Matrix:
    """What docs/clients.md says."""
    return document.parse(document.PATH.read_text(encoding="utf-8"))
