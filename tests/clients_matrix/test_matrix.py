"""docs/clients.md is what is seen: some cells of each client in short, all of them in the long tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients_matrix import cells, credentials, document, floor
from tests.clients_matrix.commands import COMMANDS, Command
from tests.clients_matrix.conftest import OPTION, PROPERTY
from tests.clients_matrix.credentials import Column
from tests.clients_matrix.document import Cells, Matrix
from tests.clients_matrix.programs import CLIENTS, Client
from tests.clients_matrix.results import Kind, Result
from tests.clients_matrix.scene import World

EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.name)
EVERY_COMMAND = pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
# A read, a write with a code, the same without one, and with an automation token.
SHORT = [
    ("view", credentials.READING[0]),
    ("publish", credentials.WITH_FLAG),
    ("publish", credentials.NO_CODE),
    ("publish", credentials.AUTOMATION),
]


def row(client: Client, command: Command, world: World, home: Path) -> Cells:
    """Every cell of a row. Whether the client has the command does not hang on who asks: once is enough."""
    seen: Cells = {}
    for number, column in enumerate(command.columns):
        seen[column.title] = cells.run(client, command, column, world, home / str(number))
        if seen[column.title].kind is Kind.NO_COMMAND:
            return {each.title: seen[column.title] for each in command.columns}
    return seen


@pytest.mark.long
@EVERY_COMMAND
@EVERY_CLIENT
def test_every_cell_is_as_docs_clients_md_says(
    client: Client,
    command: Command,
    world: World,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    seen = row(client, command, world, tmp_path)
    assert floor.broken(client.name, command.name, seen) == []
    if request.config.getoption(OPTION, default=False):
        written = {title: (result.kind.value, result.note) for title, result in seen.items()}
        record_property(PROPERTY, json.dumps([client.name, command.name, written]))
    else:
        documented: Matrix = request.getfixturevalue("documented")
        assert seen == documented[client.name, command.name]


@EVERY_CLIENT
@pytest.mark.parametrize(("command", "column"), SHORT, ids=lambda each: each if isinstance(each, str) else each.title)
def test_in_short(
    client: Client, command: str, column: Column, world: World, documented: Matrix, tmp_path: Path
) -> None:
    seen = cells.run(client, COMMANDS[command], column, world, tmp_path / "home")
    assert seen == documented[client.name, command][column.title]


def test_the_page_has_every_client_with_every_command_and_credential(documented: Matrix) -> None:
    assert floor.missing(documented) == []


def test_the_page_keeps_the_promises(documented: Matrix) -> None:
    found = [each for (client, command), row in documented.items() for each in floor.broken(client, command, row)]
    assert found == []


def test_the_page_is_written_as_it_is_read(documented: Matrix) -> None:
    assert document.render(documented) == document.PATH.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "column", "kind"),
    [
        ("publish", credentials.READ_ONLY_WITH_CODE, Kind.WORKS),
        ("owner add", credentials.READ_ONLY_WITH_CODE, Kind.WORKS),
        ("publish", credentials.NO_CODE, Kind.WORKS),
        ("deprecate", credentials.NO_CODE, Kind.WORKS),
        ("publish", credentials.AUTOMATION, Kind.ERROR),
        ("publish", credentials.TYPED, Kind.ASKS),
        ("publish", credentials.RECOVERY_FLAG, Kind.NO_COMMAND),
        ("profile set", credentials.AUTOMATION, Kind.WORKS),
        ("star", credentials.READ_ONLY_WITH_CODE, Kind.WORKS),
        ("log in with a password", credentials.SIGNING_IN[1], Kind.WORKS),
    ],
)
def test_a_broken_promise_is_noticed_whatever_the_page_says(
    documented: Matrix, command: str, column: Column, kind: Kind
) -> None:
    good = documented["npm12", command]
    assert floor.broken("npm12", command, good) == []
    (sentence,) = floor.broken("npm12", command, {**good, column.title: Result(kind)})
    assert sentence.startswith(f"npm12 {command}, {column.title}: ")


def test_a_row_that_lacks_a_cell_or_shows_a_failure_is_noticed(documented: Matrix) -> None:
    title = credentials.READING[0].title
    lacking = {other: cell for other, cell in documented["npm12", "view"].items() if other != title}
    assert floor.broken("npm12", "view", lacking) == [f"npm12 view: {title} is not there"]
    failed = {**lacking, title: Result(Kind.ERROR, "npm error code E500 500 Internal Server Error")}
    assert len(floor.broken("npm12", "view", failed)) == 1
