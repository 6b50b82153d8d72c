"""How long searches take in a registry of 100,000 packages, on SQLite and PostgreSQL: `python -m bench.search`.

Names, keywords and descriptions are drawn from 6,000 made-up words whose frequency falls as words' do (the most common
one is in nearly every description), a tenth of the packages are restricted, and every hundredth of all is owned by
the user who asks. The bound is one for the database's own time: the processor time that SQLite takes for statements and
their rows, or PostgreSQL's process for this connection (Linux tells). Beside it stands how long the whole of
`search.find` took by the clock, which includes waiting for a processor that others use.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event, insert, text
from tests.support import postgres

from bench import report
from twokey.db import migrate, schema
from twokey.db.engine import Database
from twokey.packages import indexing, search

NOW = 1_790_000_000_000_000
VOCABULARY, USERS, SCOPES = 6000, 2000, 400
COMMON = ("the", "a", "for", "library", "javascript", "node", "react", "simple", "typescript", "component")
README = "A readme as long as many are. " * 130
READER = 7
BOUND = 15.0  # ms, at 100,000 packages
BATCH = 2000


@dataclass(frozen=True, slots=True)
class Measured:
    """What a question took, in ms: median and worst of the database's time, median of the whole search."""

    label: str
    median: float
    worst: float
    whole: float


def vocabulary(chance: random.Random) -> list[str]:
    """Words that can be said, the common ones first."""
    syllables = [first + vowel for first in "bcdfghjklmnprstvwxz" for vowel in "aeiou"]
    made = dict.fromkeys(
        "".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3)))) + chance.choice(("", "", "n", "r", "s", "t"))
        for _ in range(4 * VOCABULARY)
    )
    return [*COMMON, *made][:VOCABULARY]


def packages(count: int) -> Iterator[dict[str, object]]:
    """The packages, oldest first; always the same ones."""
    chance = random.Random(4873)
    known = vocabulary(chance)
    weights = list(itertools.accumulate(1 / (place + 2) for place in range(len(known))))
    names: set[str] = set()
    while len(names) < count:
        number = len(names)
        base = "-".join(chance.choices(known, cum_weights=weights, k=chance.choice((1, 2, 2, 3))))
        scope = f"@{known[chance.randrange(SCOPES)]}/" if chance.random() < 0.4 else ""
        name = scope + base
        if name in names:
            name = f"{name}-{number}"
        names.add(name)
        owner = READER if chance.random() < 0.01 else 1 + chance.randrange(USERS)
        yield {
            "name": name, "owner": owner, "restricted": chance.random() < 0.1,
            "version": f"{chance.choice((0, 0, 1, 2, 5))}.{chance.randrange(9)}.0",
            "description": " ".join(chance.choices(known, cum_weights=weights, k=chance.randrange(3, 16))),
            "keywords": chance.choices(known, cum_weights=weights, k=chance.randrange(0, 7)),
            "deprecated": chance.random() < 0.04, "at": NOW - (count - number) * 60_000_000,
        }  # fmt: skip


def fill(database: Database, count: int) -> None:
    """Writes users, packages and versions, and has the registry's own code index them."""
    with database.write() as connection:
        connection.execute(insert(schema.User), [
            {"id": each, "name": f"user{each}", "email": f"user{each}@example.com", "password_hash": "",
             "created_at": 1, "updated_at": 1} for each in range(1, USERS + 1)
        ])  # fmt: skip
    batch: list[dict[str, object]] = []
    for number, package in enumerate(packages(count), 1):
        batch.append({**package, "id": number})
        if len(batch) == BATCH or number == count:
            with database.write() as connection:
                _insert(connection, batch)
            batch = []
    with database.write() as connection:
        if not database.is_sqlite:
            for table in ("packages", "versions", "owners", "dist_tags"):
                connection.execute(text(f"ANALYZE {table}"))
    indexing.BATCH = BATCH
    indexing.index_missing(database)
    with database.write() as connection:
        connection.execute(text("ANALYZE"))


def _insert(connection: Connection, batch: list[dict[str, object]]) -> None:
    connection.execute(insert(schema.Package), [
        {"id": each["id"], "name": each["name"], "canonical": each["name"], "revision": 1,
         "access": "restricted" if each["restricted"] else "public", "mfa": "none", "readme": README,
         "readme_filename": "README.md", "created_at": each["at"], "modified_at": each["at"]} for each in batch
    ])  # fmt: skip
    connection.execute(insert(schema.Version), [
        {"package_id": each["id"], "version": each["version"], "abbreviated": "{}", "digest": "", "size": 1,
         "deprecated": "Use another." if each["deprecated"] else None, "published_at": each["at"],
         "publisher_id": each["owner"], "proof": "password", "manifest": json.dumps({
             "name": each["name"], "description": each["description"], "keywords": each["keywords"],
             "license": "MIT", "author": {"name": f"Person {each['owner']}"}, "homepage": "https://example.com/"})}
        for each in batch
    ])  # fmt: skip
    connection.execute(
        insert(schema.DistTag),
        [{"package_id": each["id"], "tag": "latest", "version": each["version"]} for each in batch],
    )
    connection.execute(insert(schema.Owner), [{"package_id": each["id"], "user_id": each["owner"]} for each in batch])


def questions() -> list[tuple[str, str, int | None, int]]:
    """What is asked: a label, the text, by whom, from which hit on."""
    chance = random.Random(4873)
    known = vocabulary(chance)
    asked = [
        ("nothing", ""), ("one letter", "a"), ("one letter", "s"), ("two letters", "re"), ("three letters", "com"),
        ("four letters", "comp"), ("in every package", "the"), ("in every package", "javascript"),
        ("several common words", "a simple library for node"), ("common and rare", f"the {known[3000]}"),
        ("an every-day word", known[40]), ("an every-day word", known[150]), ("a rare word", known[5000]),
        ("two words", f"{known[60]} {known[90]}"), ("no such word", "qqqqqq"),
        ("a common and no such word", "the qqqqqq"),
        ("two letters that never meet", "zu xi"), ("many words", " ".join(known[:70])),
        ("every letter", " ".join("abcdefghijklmnopqrstuvwxyz")), ("a name", f"{known[20]}-{known[30]}"),
        ("a keyword", "keywords:react"), ("keywords", "keywords:react+node,simple,-a"), ("no keyword", "keywords:-the"),
        ("author", "author:user9 a"), ("maintainer", "maintainer:user7"), ("maintainer", "maintainer:user7 the"),
        ("unstable", "is:unstable"), ("stable", "not:unstable a"), ("not deprecated", "not:deprecated the"),
        ("scope", f"scope:{known[3]}"), ("without boost", "react boost-exact:false"),
    ]  # fmt: skip
    rows = [(label, question, user, 0) for label, question in asked for user in (None, READER)]
    return [*rows, *(("deep", question, None, 9_900) for question in ("", "a", "the", "react"))]


class TimedCursor(sqlite3.Cursor):
    """A cursor that adds up how long (ns of processor time) SQLite works."""

    spent = 0

    def execute(self, *each: Any) -> Any:
        """See sqlite3."""
        return self._timed(super().execute, *each)

    def fetchone(self) -> Any:
        """See sqlite3."""
        return self._timed(super().fetchone)

    def fetchmany(self, *each: Any) -> Any:
        """See sqlite3."""
        return self._timed(super().fetchmany, *each)

    def fetchall(self) -> Any:
        """See sqlite3."""
        return self._timed(super().fetchall)

    @staticmethod
    def _timed(call: Callable[..., Any], *each: Any) -> Any:
        started = time.thread_time_ns()
        try:
            return call(*each)
        finally:
            TimedCursor.spent += time.thread_time_ns() - started


class TimedConnection(sqlite3.Connection):
    """A connection whose cursors are timed."""

    def cursor(self, *_: Any) -> Any:
        """See sqlite3."""
        return super().cursor(TimedCursor)


def _time_sqlite(dialect: Dialect, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    if dialect.name == "sqlite":
        options["factory"] = TimedConnection


def database_time(connection: Connection) -> Callable[[], float]:
    """A clock (ms) of the processor time that the database takes for this connection."""
    if connection.dialect.name == "sqlite":
        return lambda: TimedCursor.spent / 1e6
    process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    path = Path(f"/proc/{process}/schedstat")
    return lambda: int(path.read_text().split()[0]) / 1e6


def measure(database: Database, rounds: int) -> list[Measured]:
    """Asks each question `rounds` times, after a first time that does not count, and prints what it took."""
    every = []
    with database.read() as connection:
        clock = database_time(connection)
        for label, question, user, offset in questions():
            own, whole = [], []
            for _ in range(rounds + 1):
                before, started = clock(), time.perf_counter()
                found = search.find(connection, question, user_id=user, size=20, offset=offset)
                own.append(clock() - before)
                whole.append((time.perf_counter() - started) * 1000)
            each = Measured(label, statistics.median(own[1:]), max(own[1:]), statistics.median(whole[1:]))
            every.append(each)
            flag = "  <-- over the bound" if each.median > BOUND else ""
            asked = f"{label}: {question[:40]!r} by {'a reader' if user else 'nobody'} from {offset}"
            taken = f"{each.median:7.2f} ms, worst {each.worst:7.2f}, whole {each.whole:7.2f}"
            print(f"{taken}: {found.total:6} {asked}{flag}", flush=True)
    return every


def summary(measured: Mapping[str, Sequence[Measured]], count: int) -> str:
    """What was measured, as a table: for each kind of question the slowest one's median, and the worst of all."""
    names = list(measured)
    head = " | ".join(f"{name}: median | worst | whole" for name in names)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"
    lines = [
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {count:,} packages; {machine}.",
        "", f"| question (ms) | {head} |", f"| --- |{' ---: |' * 3 * len(names)}",
    ]  # fmt: skip
    for label in dict.fromkeys(each.label for each in measured[names[0]]):
        cells = []
        for name in names:
            alike = [each for each in measured[name] if each.label == label]
            cells += [max(each.median for each in alike), max(each.worst for each in alike)]
            cells += [max(each.whole for each in alike)]
        lines.append(f"| {label} | {' | '.join(f'{cell:.1f}' for cell in cells)} |")
    for name in names:
        over = sum(each.median > BOUND for each in measured[name])
        lines.append(f"\n{name}: {over} of {len(measured[name])} questions have a median over {BOUND:.0f} ms.")
    return "\n".join(lines)


def main() -> None:
    """Fills both databases and asks both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at", help="the address of a PostgreSQL database that was filled before")
    parser.add_argument("--keep", type=Path, help="a folder in which the SQLite database is kept and found again")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    chosen = parser.parse_args()
    event.listen(Engine, "do_connect", _time_sqlite)
    with contextlib.ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {}
        measured: dict[str, list[Measured]] = {}
        if chosen.only != "postgresql":
            urls["sqlite"] = f"sqlite:///{folder}/search.db"
        if chosen.at:
            urls["postgresql"] = chosen.at
        elif chosen.only != "sqlite":
            postgres.OPTIONS["shared_buffers"] = "128MB"  # as PostgreSQL has it where nobody says anything
            cluster = stack.enter_context(postgres.running())
            urls["postgresql"] = stack.enter_context(cluster.database())
        for name, url in urls.items():
            database = Database(url)
            print(name)
            filled = (folder / "search.db").exists() if name == "sqlite" else bool(chosen.at)
            if not filled:
                started = time.perf_counter()
                migrate.upgrade(database)
                fill(database, chosen.packages)
                print(f"{name}: {chosen.packages:,} packages filled in {time.perf_counter() - started:.0f} s")
            measured[name] = measure(database, chosen.rounds)
            database.dispose()
        found = summary(measured, chosen.packages)
        print(f"\n{found}")
        if chosen.write:
            report.write("search", found)


if __name__ == "__main__":
    main()
