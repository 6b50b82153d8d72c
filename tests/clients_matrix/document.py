"""docs/clients.md: written from what was seen, and read back to compare with what is seen now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tests.clients_matrix.commands import (
    ABSENT,
    ACCOUNT,
    COMMANDS,
    LOGOUT,
    ORGANISATIONS,
    PACKAGES,
    PUBLISHING,
    READS,
    SIGNING,
    Command,
)
from tests.clients_matrix.credentials import READING, Code
from tests.clients_matrix.programs import CLIENTS, Client
from tests.clients_matrix.results import Kind, Result
from tests.support.clients import ROOT

PATH = ROOT / "docs" / "clients.md"
WRITE = "pytest tests/clients_matrix --write-matrix -n 2"

Cells = dict[str, Result]  # by the title of the column
Matrix = dict[tuple[str, str], Cells]  # by client and command

TABLES: Mapping[str, Sequence[Command]] = {
    "Signing up": SIGNING[:1],
    "Logging in": SIGNING[1:],
    "Logging out": (LOGOUT,),
    "Reading": READS,
    "The account": ACCOUNT,
    "Publishing": PUBLISHING,
    "Packages": PACKAGES,
    "Organisations and teams": ORGANISATIONS,
    "What this registry has not": ABSENT,
}

HEAD = f"""# Clients

What each client does with twokey, command by command and credential by credential, as it was **seen**: the test suite
runs every cell below with the real client, in a terminal and without one, and asks the registry afterwards whether
the version, the dist-tag, the owner or whatever it was has changed. This page is generated; do not edit it:

    {WRITE}

`make test` checks a few cells of every client against this page, `make test-long` all of them.

| Word | What was seen |
| --- | --- |
| works | The client says so, and the registry has changed or told what was asked. |
| without 2FA | (in the overview) It works for an account without two-factor authentication only. |
| with a code | (in the overview) It works with a code of the app or a recovery code, or with an automation token where that may do it. |
| asks for a code | The client asks for a one-time password, or says that one is needed. Nothing has changed. |
| refused | The registry says no; the note has its sentence, or what the client makes of it. Nothing has changed. |
| not here | The registry has no such thing and says so. |
| no such command | The client does not know the command. |
| no effect | The client ends well, and nothing has happened. |
| another way | The client does the same by other means. |
| own error | The client gives up by itself. Nothing has changed. |

A code is either given by the flag `--otp` (`npm_config_otp` for `npm trust`, which knows no such flag) in a pipe, or typed in
a terminal where the client asks for it. A recovery code is typed without its dashes. The accounts have two-factor
authentication for `auth-and-writes`, unless "no 2FA" is said. A read-only token is always shown together with a good
code of its account: nothing makes it write. What asks for the password as well (`profile`, `token create`, `login`) is
always run in a terminal.
"""

ODDITIES = (
    "npm 6 and 10 ask for the code of `profile` by themselves, before the registry does. npm 6 ends with an error where 2FA is on and its mode is to change; nothing has changed then.",
    "npm 6 takes no login in the browser here: it would ask for it whatever its user wished. Its `doctor` wants the package `npm` from the registry.",
    "npm 12 takes `star` for `start` and has no `stars`; npm 11 is the last that has them.",
    "pnpm 10 hands everything but installing, `audit` and `outdated` to the npm beside it, here npm 11.",
    'pnpm 12 asks for a code at some commands only (see "code typed"): to the others give `--otp`. Its `login` goes to the browser.',
    "Yarn 1 cannot change owners: it asks for the short form of the package, which names none, and would send back the new one alone.",
    "Yarn 1 asks the registry that is built into it for `audit`; the test leads it here.",
    "Yarn 1 and 4 do not tell the registry of a `logout`: the token stays good until it is revoked or ends.",
    "pnpm 10 and Yarn 1 take `audit signatures` for `audit`.",
    "Yarn 1 says that it has logged in without asking the registry: it does so at the first `publish`.",
    "`npm audit signatures` asks the public Sigstore repository for keys first; the test has one of its own.",
    "npm 6 has `access public`, `restricted` and `2fa-required` for `access set`.",
)


def render(matrix: Matrix) -> str:
    """The page."""
    notes: list[str] = []
    parts = [HEAD, _overview(matrix, notes), "## Oddities\n\n" + "\n".join(f"- {line}" for line in ODDITIES) + "\n"]
    parts += [_section(client, matrix, notes) for client in CLIENTS.values()]
    parts.append("## Notes\n\n" + "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1)) + "\n")
    return "\n".join(parts)


def parse(text: str) -> Matrix:
    """What the page says of every cell. Raises ValueError for a word that it does not explain."""
    notes = dict(re.findall(r"^(\d+)\. (.+)$", text.partition("\n## Notes\n")[2], re.MULTILINE))
    matrix: Matrix = {}
    sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    by_title = dict(zip(sections[1::2], sections[2::2], strict=True))
    for client in CLIENTS.values():
        section = by_title.get(_title(client))
        if section is None:
            continue
        for missing in re.findall(r"^No such command: (.+)\.$", section, re.MULTILINE):
            for name in missing.split(", "):
                matrix[client.name, name] = dict.fromkeys(_titles(COMMANDS[name]), Result(Kind.NO_COMMAND))
        for titles, name, cells in _rows(section):
            row = {title: _read(cell, notes) for title, cell in zip(titles, cells, strict=True)}
            matrix[client.name, name] = row
    return matrix


def summary(command: Command, cells: Cells) -> Result:
    """One word for all credentials; where it works, the note says under what condition."""
    works = [column for column in command.columns if cells[column.title].kind is Kind.WORKS]
    if not works:
        return next(iter(cells.values()))
    if not any(column.enrolled for column in command.columns):
        return Result(Kind.WORKS)
    if not any(column.enrolled for column in works):
        return Result(Kind.WORKS, "without 2FA")
    without = [column for column in command.columns if column.enrolled and column.code is Code.NONE]
    return Result(Kind.WORKS, "" if without[0] in works or command.columns == READING else "with a code")


def _overview(matrix: Matrix, notes: list[str]) -> str:
    lines = ["## Overview\n", "| | " + " | ".join(client.title for client in CLIENTS.values()) + " |"]
    lines.append("| --- |" + " --- |" * len(CLIENTS))
    for name, command in COMMANDS.items():
        cells = [summary(command, matrix[client, name]) for client in CLIENTS]
        words = [each.note if each.kind is Kind.WORKS and each.note else _word(each, notes) for each in cells]
        lines.append(f"| {name} | " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def _section(client: Client, matrix: Matrix, notes: list[str]) -> str:
    parts: list[str] = [f"## {_title(client)}\n"]
    missing: list[str] = []
    for title, commands in TABLES.items():
        have: list[str] = []
        for command in commands:
            cells = matrix[client.name, command.name]
            absent = all(result.kind is Kind.NO_COMMAND for result in cells.values())
            (missing if absent else have).append(command.name)
        if have:
            columns = _titles(commands[0])
            parts.append(f"### {title} ({client.title})\n")
            parts.append(f"| | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
            for name in have:
                words = [_word(matrix[client.name, name][column], notes) for column in columns]
                parts.append(f"| {name} | {' | '.join(words)} |")
            parts.append("")
    if missing:
        parts.append(f"No such command: {', '.join(missing)}.\n")
    return "\n".join(parts)


def _title(client: Client) -> str:
    return f"{client.title} ({client.version})"


def _titles(command: Command) -> list[str]:
    return [column.title for column in command.columns]


def _word(result: Result, notes: list[str]) -> str:
    if not result.note:
        return result.kind.value
    if result.note not in notes:
        notes.append(result.note)
    return f"{result.kind.value} [{notes.index(result.note) + 1}]"


def _rows(section: str) -> Iterator[tuple[list[str], str, list[str]]]:
    titles: list[str] = []
    for line in section.splitlines():
        if not line.startswith("|"):
            titles = []
            continue
        name, *cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not titles:
            titles = cells
        elif not name.startswith("---"):
            yield titles, name, cells


def _read(cell: str, notes: Mapping[str, str]) -> Result:
    word, _, number = cell.partition(" [")
    return Result(Kind(word), notes[number.rstrip("]")] if number else "")
