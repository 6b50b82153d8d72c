"""Finding packages by words: what the index holds, and what a question finds in it.

The two databases do not agree about what a word is, so we split text into words ourselves, and spell letters outside
ASCII as numbers: SQLite's FTS5 and PostgreSQL's tsvector then get plain words only and answer alike.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TextClause,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import literal_column as literal

from twokey.db.engine import Database
from twokey.db.schema import DistTag, Owner, Package, SearchDocument, User, Version
from twokey.errors import Invalid
from twokey.packages.names import PackageName

LONGEST_DESCRIPTION, LONGEST_KEYWORD, MOST_KEYWORDS = 512, 64, 50
LONGEST_TEXT, LARGEST_SIZE, LARGEST_OFFSET = 500, 250, 10_000
LONGEST_WORD = 64
BATCH = 100
_WORD = re.compile(r"[^\W_]+")
# Control characters, halves of surrogate pairs, and the marks that turn the direction of a line around.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A package that was found, as its `latest` version describes it. `published_at` in µs."""

    package_id: int
    name: str
    version: str
    description: str
    keywords: tuple[str, ...]
    publisher: str
    published_at: int
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """One page of what was found, and how many there are altogether."""

    total: int
    hits: list[Hit]


def find(connection: Connection, question: str, *, user_id: int | None, size: int, offset: int) -> Results:
    """The packages in which every word of `question` begins a word, best first; without any, the newest.

    Best is the name itself, then a name that begins with it, then where the words are (name before keywords before
    description), then what was published last. Only packages that are public or owned by `user_id` (None: nobody
    known) are found and counted. `size` is capped at 250. Signs beside words do not matter; signs alone find nothing.
    Raises Invalid for a question of more than 500 characters and for a page beyond the 10,000th package.
    """
    if len(question) > LONGEST_TEXT:
        raise Invalid(f"A search has at most {LONGEST_TEXT} characters; this one has {len(question)}.")
    if not 0 <= offset <= LARGEST_OFFSET:
        raise Invalid(f"A search shows the first {LARGEST_OFFSET:,} packages: ask for more by other words.")
    asked = list(dict.fromkeys(words(question)))
    if question.strip() and not asked:
        return Results(0, [])
    is_sqlite = connection.dialect.name == "sqlite"
    joined = SearchDocument.__table__.join(Package.__table__, Package.id == SearchDocument.package_id)
    order: list[ColumnElement[Any] | TextClause] = [SearchDocument.published_at.desc(), Package.name.asc()]
    matching: ColumnElement[bool] | TextClause = true()
    parameters: dict[str, object] = {}
    if asked:
        key = "search_index.rowid" if is_sqlite else "search_index.package_id"
        joined = joined.join(text("search_index"), literal(key) == Package.id)
        matching, rank = _matching(is_sqlite)
        parameters["words"] = _fts_query(asked) if is_sqlite else " & ".join(f"'{word}':*" for word in asked)
        order = [_by_name(question), rank, *order]
    where = and_(matching, visible_to(user_id))
    total = connection.execute(select(func.count()).select_from(joined).where(where), parameters).scalar_one()
    rows = connection.execute(
        select(
            Package.id, Package.name, SearchDocument.version, SearchDocument.description, SearchDocument.keywords,
            SearchDocument.publisher, SearchDocument.published_at,
        )
        .select_from(joined).where(where).order_by(*order).limit(max(0, min(size, LARGEST_SIZE))).offset(offset),
        parameters,
    ).all()  # fmt: skip
    owners = _owners(connection, [row[0] for row in rows])
    return Results(total, [Hit(*row[:4], tuple(json.loads(row[4])), *row[5:], owners[row[0]]) for row in rows])


def visible_to(user_id: int | None) -> ColumnElement[bool]:
    """The packages that the user (None: nobody known) may know of: public ones, and their own; no quarantined ones."""
    public, installable = Package.access == "public", Package.quarantined_at.is_(None)
    if user_id is None:
        return and_(public, installable)
    return and_(installable, or_(public, Package.id.in_(select(Owner.package_id).where(Owner.user_id == user_id))))


def _latest() -> Select[str, str, int, str, str]:
    return (
        select(Package.name, Version.version, Version.published_at, User.name, Version.manifest)
        .join(DistTag, and_(DistTag.package_id == Package.id, DistTag.tag == "latest"))
        .join(Version, and_(Version.package_id == Package.id, Version.version == DistTag.version))
        .join(User, User.id == Version.publisher_id)
        .where(Package.unpublished_at.is_(None), Version.removed_at.is_(None))
    )


def _description(value: object) -> str:
    return _printable(value, LONGEST_DESCRIPTION) if isinstance(value, str) else ""


def _keywords(value: object) -> list[str]:
    """The keywords that are text; a single text holds several, apart by commas or blanks."""
    if isinstance(value, str):
        value = re.split(r"[,\s]+", value[: MOST_KEYWORDS * LONGEST_KEYWORD])
    if not isinstance(value, list):
        return []
    printable = (
        _printable(each, LONGEST_KEYWORD) for each in islice(value, 10 * MOST_KEYWORDS) if isinstance(each, str)
    )
    return list(islice((each for each in printable if each), MOST_KEYWORDS))


def _printable(value: str, longest: int) -> str:
    """The text on one line, without what cannot be printed; cut first, for it may be megabytes."""
    return " ".join(_UNPRINTABLE.sub(" ", value[: 4 * longest]).split())[:longest]


def _vector(columns: Iterable[Sequence[str]]) -> str:
    """The words as PostgreSQL writes a tsvector: where each stands, and in which column by its letter."""
    places: dict[str, list[str]] = {}
    position = 0
    for letter, column in zip("ABC", columns, strict=True):
        for word in column:
            position += 1
            places.setdefault(word, []).append(f"{position}{letter}")
    return " ".join(f"'{word}':{','.join(at[:255])}" for word, at in places.items())


def _fts_query(asked: Sequence[str]) -> str:
    return " AND ".join(f'"{word}" *' for word in asked)


def _matching(is_sqlite: bool) -> tuple[TextClause, TextClause]:
    """Whether a row has the words, and how well, less being better: a name counts 10, keywords 4, a description 1."""
    if is_sqlite:
        return text("search_index MATCH :words"), text("bm25(search_index, 10.0, 4.0, 1.0)")
    query = "CAST(:words AS tsquery)"
    rank = text(f"-ts_rank('{{0, 0.1, 0.4, 1.0}}', search_index.words, {query})")
    return text(f"search_index.words @@ {query}"), rank


def _by_name(question: str) -> ColumnElement[int]:
    """0 for the very name, 1 for one that begins so, 2 for others."""
    asked = question.strip().lower()
    if not (asked.isascii() and asked.isprintable()):  # no name is like that, and PostgreSQL takes no NUL
        return literal("2")
    name = func.lower(Package.name)
    return case((name == asked, 0), (func.substr(name, 1, len(asked)) == asked, 1), else_=2)


def _owners(connection: Connection, package_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The owners' names of each package, by name."""
    found: dict[int, list[str]] = {package_id: [] for package_id in package_ids}
    query = select(Owner.package_id, User.name).join(User, User.id == Owner.user_id).order_by(User.name)
    for package_id, name in connection.execute(query.where(Owner.package_id.in_(package_ids))):
        found[package_id].append(name)
    return {package_id: tuple(names) for package_id, names in found.items()}
