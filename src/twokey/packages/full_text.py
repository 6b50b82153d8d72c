"""How each database is asked for what its full text index holds: SQLite's FTS5, PostgreSQL's tsvector.

The terms of a query are words and marks (`indexing.py`), which hold letters and digits only: nothing is to be escaped.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    any_,
    cast,
    column,
    func,
    select,
    text,
)
from sqlalchemy import bindparam as parameter
from sqlalchemy import literal_column as literal
from sqlalchemy.dialects.postgresql import TSQUERY

from twokey.packages.indexing import BLOCKS, beginnings, block_mark, is_long
from twokey.packages.question import Question

FIRST_LOOKED_THROUGH = 1024  # of the newest packages: enough where a word is common
MOST_BLOCKS = 6
MOST_WORDS_AT_ONCE = 12
MOST_HITS_RANKED = 2000  # how many packages with a word, or with several together, are counted up for its rank


@dataclass(frozen=True, slots=True)
class Ranking:
    """Packages to be sorted: a table with their `id`, and by what; parameters of both."""

    table: FromClause
    id: ColumnElement[int]
    rank: ColumnElement[Any] | None
    parameters: dict[str, object]


class FullText(ABC):
    """The full text index of a database, on one connection."""

    quote: str

    def __init__(self, connection: Connection, most: int) -> None:
        """Answers each question by at most `most` packages."""
        self.connection = connection
        self.most = most

    def matches(self, question: Question, *marks: str, in_name: bool = False) -> Sequence[int]:
        """The newest packages with these marks, one at least, that fit the question.

        `in_name`: by words of their name alone. Without a mark a question might only leave out, and FTS5 refuses that.
        Of many words the longest, which few packages have, are asked first: mostly none has all of these.
        """
        longest = sorted(question.words, key=len, reverse=True)[:MOST_WORDS_AT_ONCE]
        fewer = replace(question, words=tuple(longest))
        if len(longest) < len(question.words) and not self._matches(fewer, marks, in_name=in_name):
            return ()
        return self._matches(question, marks, in_name=in_name)

    @abstractmethod
    def _matches(self, question: Question, marks: Sequence[str], *, in_name: bool) -> Sequence[int]:
        """See `matches`; all words at once."""

    @abstractmethod
    def ranking(self, words: Sequence[str], ids: Sequence[int], named: int) -> Ranking:
        """How well packages that have the words have them, less being better.

        The first `named` of the ids have them in their names. A name counts 10, keywords 4, a description 1, as each
        database does this.
        """

    @abstractmethod
    def listed(self, ids: Sequence[int]) -> Ranking:
        """The ids as a table, one as good as the other: thousands of them as one parameter."""

    @abstractmethod
    def among(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether a column's value is one of the ids that `listed` has as its parameters."""

    def _marks(self, question: Question, marks: Sequence[str], *, in_name: bool) -> list[str]:
        """The marks, and those of the question's words, each to be had."""
        words = (beginnings(each, in_name=in_name)[-1] for each in question.words)
        return [self._quoted(each) for each in (*marks, *words)]

    def _quoted(self, term: str) -> str:
        return f"{self.quote}{term}{self.quote}"

    def _any(self, demand: Iterable[Iterable[str]], both: str, either: str) -> str:
        """One of the alternatives, each with all of its marks."""
        return f"({either.join(f'({both.join(map(self._quoted, alternative))})' for alternative in demand)})"


class Sqlite(FullText):
    """FTS5. Its lists of packages are read as far as they are asked for, the newest first."""

    quote = '"'

    def _matches(self, question: Question, marks: Sequence[str], *, in_name: bool) -> Sequence[int]:
        parts = self._marks(question, marks, in_name=in_name)
        parts += (self._any(demand, " AND ", " OR ") for demand in question.demands)
        parts += (f'"{each}" *' for each in question.words if is_long(each))
        wanted = " AND ".join(parts) + "".join(f" NOT {self._quoted(each)}" for each in question.excluded)
        query = text("SELECT rowid FROM search_index WHERE search_index MATCH :wanted ORDER BY rowid DESC LIMIT :most")
        return self.connection.execute(query, {"wanted": wanted, "most": self.most}).scalars().all()

    def ranking(self, words: Sequence[str], ids: Sequence[int], named: int) -> Ranking:
        """See FullText. By bm25, which counts up all packages with a word; for words in many, by name or not."""
        listed = self.listed(ids)
        rare = self._rare(words) if len(ids) > 1 else []
        if not rare:
            named_first = listed.table.c.key >= parameter("named")
            return replace(listed, rank=named_first, parameters={**listed.parameters, "named": named})
        query = text(
            "SELECT rowid AS id, bm25(search_index, 10.0, 4.0, 1.0, 0.0) AS rank FROM search_index "
            "WHERE search_index MATCH :words AND +rowid IN (SELECT value FROM json_each(:ids))"
        ).columns(column("id", BigInteger), column("rank"))
        best = query.cte("best").prefix_with("MATERIALIZED")  # bm25 is known within its own query only
        matched = " AND ".join(f'"{each}" *' for each in rare)
        return Ranking(best, best.c.id, best.c.rank, {**listed.parameters, "words": matched})

    def listed(self, ids: Sequence[int]) -> Ranking:
        """See FullText."""
        table = func.json_each(parameter("ids")).table_valued("key", "value")
        return Ranking(table, table.c.value, None, {"ids": json.dumps(list(ids))})

    def among(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """See FullText."""
        return column.in_(select(func.json_each(parameter("ids")).table_valued("value").c.value))

    def _rare(self, words: Sequence[str]) -> list[str]:
        """The words that few packages have, together within the bound, the rarest first."""
        count = text("SELECT count(*) FROM (SELECT 1 FROM search_index WHERE search_index MATCH :mark LIMIT :most)")
        marks = {each: {"mark": self._quoted(beginnings(each)[-1]), "most": MOST_HITS_RANKED} for each in words}
        counted = sorted((self.connection.execute(count, mark).scalar_one(), each) for each, mark in marks.items())
        rare: list[str] = []
        total = 0
        for hits, word in counted:
            total += hits
            if total >= MOST_HITS_RANKED:
                break
            rare.append(word)
        return rare


class PostgreSql(FullText):
    """tsvector and GIN, which finds all that fit before the newest of them are known: so first among new packages.

    What is asked stands in queries of its own, `(SELECT ...)`. The planner then does not know it and always takes the
    index: by its guesses it would rather try package by package, through all of them for words that never meet.
    """

    quote = "'"

    def _matches(self, question: Question, marks: Sequence[str], *, in_name: bool) -> Sequence[int]:
        parts = self._marks(question, marks, in_name=in_name)
        parts += (self._any(demand, " & ", " | ") for demand in question.demands)
        parts += (f"!{self._quoted(each)}" for each in question.excluded)
        long = [f"'{each}':*" for each in question.words if is_long(each)]
        # Of nothing, a tsquery finds nothing: where no word is long, the words are not asked.
        query = text(
            "SELECT package_id FROM search_index WHERE marks @@ (SELECT CAST(:wanted AS tsquery)) "
            "AND (:long = '' OR words @@ (SELECT CAST(:long AS tsquery))) ORDER BY package_id DESC LIMIT :most"
        )
        looked_through = FIRST_LOOKED_THROUGH
        while True:
            blocks = self._newest_blocks(looked_through)
            values = {"wanted": " & ".join([*parts, *blocks]), "long": " & ".join(long), "most": self.most}
            found = self.connection.execute(query, values).scalars().all()
            if len(found) >= self.most or not blocks:
                return found
            looked_through = max(2 * looked_through, 2 * looked_through * self.most // (len(found) + 1))

    def _newest_blocks(self, count: int) -> list[str]:
        """A term for about so many of the newest packages; none where they are much of all that there are."""
        if 3 * count > self._newest:
            return []
        size = next((size for size in BLOCKS if count <= MOST_BLOCKS * size), BLOCKS[-1])
        last = self._newest // size
        marks = (block_mark(size, each) for each in range(last - math.ceil(count / size), last + 1))
        return [f"({' | '.join(self._quoted(each) for each in marks)})"]

    @cached_property
    def _newest(self) -> int:
        newest: int = self.connection.execute(text("SELECT max(package_id) FROM search_index")).scalar() or 0
        return newest

    def ranking(self, words: Sequence[str], ids: Sequence[int], named: int) -> Ranking:
        """See FullText. By ts_rank."""
        listed = self.listed(ids)
        table = listed.table.join(text("search_index"), literal("search_index.package_id") == listed.id)
        rank = -func.ts_rank(
            cast([0.0, 0.1, 0.4, 1.0], ARRAY(REAL)), literal("search_index.words"), cast(parameter("words"), TSQUERY)
        )
        matched = " & ".join(f"'{each}':*" for each in words)
        return Ranking(table, listed.id, rank, {**listed.parameters, "words": matched})

    def listed(self, ids: Sequence[int]) -> Ranking:
        """See FullText."""
        table = (
            func.unnest(select(cast(parameter("ids"), ARRAY(BigInteger))).scalar_subquery())
            .table_valued(column("id", BigInteger))
            .render_derived()
        )
        return Ranking(table, table.c.id, None, {"ids": list(ids)})

    def among(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """See FullText. As an array, which an index looks up at once; joined, the whole table would be read."""
        return column == any_(cast(parameter("ids"), ARRAY(BigInteger)))


def of(connection: Connection, most: int) -> FullText:
    """The index of the database that is connected."""
    return (Sqlite if connection.dialect.name == "sqlite" else PostgreSql)(connection, most)
