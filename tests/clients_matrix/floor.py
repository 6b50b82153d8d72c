"""What must hold whatever docs/clients.md says: a broken cell cannot be blessed by writing the page anew."""

from __future__ import annotations

import re

from tests.clients_matrix import credentials
from tests.clients_matrix.commands import COMMANDS, PACKAGES, PUBLISHING
from tests.clients_matrix.credentials import Code, Column, Token
from tests.clients_matrix.document import Cells, Matrix
from tests.clients_matrix.programs import CLIENTS
from tests.clients_matrix.results import Kind

# What a login token may do without a code all the same (the rule table): a star changes nobody's package.
FREE = ("star", "unstar")
FAILURE = re.compile(r"Traceback|\b50[0-9]\b|Internal Server Error")


def broken(client: str, command: str, cells: Cells) -> list[str]:
    """The promises that a row breaks, each as a sentence."""
    row = COMMANDS[command]
    found = [f"{client} {command}: {column.title} is not there" for column in row.columns if column.title not in cells]
    found += [f"{client} {command}: {cell.note}" for cell in cells.values() if FAILURE.search(cell.note)]
    for column in row.columns:
        works = column.title in cells and cells[column.title].kind is Kind.WORKS
        for promise in _broken(command, column, works=works):
            found.append(f"{client} {command}, {column.title}: {promise}")
    return found


def _broken(command: str, column: Column, *, works: bool) -> list[str]:
    row = COMMANDS[command]
    writes = row.columns in (credentials.WRITING, credentials.PUBLISHING)
    person = column.token in (Token.LOGIN, Token.PUBLISH, Token.GRANULAR)
    found = []
    if writes and works and column.token is Token.READ_ONLY:
        found.append("a read-only token has changed something")
    if writes and works and column.enrolled and person and column.code is Code.NONE and command not in FREE:
        found.append("it has written without a code")
    if writes and works and row not in (*PUBLISHING, *PACKAGES) and column.token not in (Token.LOGIN, Token.GRANULAR):
        found.append("no token for machines may change the account, or an organisation")
    if row.columns == credentials.SIGNING_IN and works and column.enrolled and column.code is Code.NONE:
        found.append("a password alone has logged in")
    if command == "publish" and not works:
        if column.token in (Token.AUTOMATION, Token.BYPASS):
            found.append("an automation token publishes with every client")
        if column.code is not Code.NONE and column.token is not Token.READ_ONLY:
            found.append("a code publishes with every client")
        if not column.enrolled:
            found.append("without two-factor authentication everybody publishes")
    return found


def missing(matrix: Matrix) -> list[str]:
    """The rows that are not there."""
    return [f"{client} {command}" for client in CLIENTS for command in COMMANDS if (client, command) not in matrix]
