"""How long searches take in a registry of 100,000 packages, on SQLite and PostgreSQL: `python -m bench.search`.

Names, keywords and descriptions are drawn from 6,000 made-up words whose frequency falls as words' do (the most common
one is in nearly every description), a tenth of the packages are restricted, and every hundredth of all is owned by
the user who asks. What is timed is the whole of `search.find`: the statements, and taking their rows.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, insert, text
from tests.support import postgres

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


def measure(database: Database, rounds: int) -> None:
    """Prints median and maximum of each question: the whole of `search.find`, which includes the rows' way out."""
    slow = 0
    for label, question, user, offset in questions():
        times = []
        with database.read() as connection:
            for _ in range(rounds):
                started = time.perf_counter()
                found = search.find(connection, question, user_id=user, size=20, offset=offset)
                times.append((time.perf_counter() - started) * 1000)
        middle = statistics.median(times)
        slow += middle > BOUND
        flag = "  <-- over the bound" if middle > BOUND else ""
        asked = f"{label}: {question[:40]!r} by {'a reader' if user else 'nobody'} from {offset}"
        print(f"{middle:8.2f} ms, at most {max(times):8.2f}: {found.total:6} {asked}{flag}")
    print(f"{slow} questions over {BOUND} ms\n")


def main() -> None:
    """Fills both databases and asks both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a folder in which the SQLite database is kept and found again")
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {}
        if chosen.only != "postgresql":
            urls["sqlite"] = f"sqlite:///{folder}/search.db"
        if chosen.only != "sqlite":
            cluster = stack.enter_context(postgres.running())
            urls["postgresql"] = stack.enter_context(cluster.database())
        for name, url in urls.items():
            database = Database(url)
            fresh = not (name == "sqlite" and (folder / "search.db").exists())
            if fresh:
                started = time.perf_counter()
                migrate.upgrade(database)
                fill(database, chosen.packages)
                print(f"{name}: {chosen.packages:,} packages filled in {time.perf_counter() - started:.0f} s")
            measure(database, chosen.rounds)
            database.dispose()


if __name__ == "__main__":
    main()
