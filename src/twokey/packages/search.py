"""Finding packages: what a question finds in the index, in which order, within a bounded time.

A question is answered in steps of which each is bounded, however many packages there are. At most `LOOKED_AT` packages
that everyone may see, and as many that are restricted, are looked at: all that fit where they are no more, else the
newest ones (by when the package was made) beside the newest of those with the words in their name. The ones that are
looked at are ranked exactly. Approximate are therefore, for questions that more packages fit, the order beyond what
stands in names, and the total (`Results.more` says so). Of restricted packages only those are looked at on which the
reader has a role, so that many of other people's hide none of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    union_all,
)

from twokey.db.schema import Owner, Package, SearchDocument, User
from twokey.db.schema_advisories import Advisory
from twokey.db.schema_stars import StarCount
from twokey.errors import Invalid
from twokey.packages import access, full_text
from twokey.packages import question as questions
from twokey.packages.full_text import FullText
from twokey.packages.indexing import Facet, mark
from twokey.packages.question import Question

LARGEST_SIZE, LARGEST_OFFSET = 250, 10_000
LOOKED_AT = 300
MOST_WAYS = 20  # of the reader's organisations, and of their teams
MOST_RANKED_WORDS = 8
PUBLIC, RESTRICTED = mark(Facet.ACCESS, "public"), mark(Facet.ACCESS, "restricted")


@dataclass(frozen=True, slots=True)
class Hit:
    """A package that was found, as its `latest` version describes it. `published_at` in µs.

    `owners` are names and mail addresses. `links` (homepage, repository, bugs), `author` (name, email, url) and
    `license` are there as far as the version names them.
    """

    package_id: int
    name: str
    version: str
    description: str
    keywords: tuple[str, ...]
    publisher: str
    publisher_email: str
    published_at: int
    deprecated: str | None
    owners: tuple[tuple[str, str], ...]
    links: Mapping[str, str]
    author: Mapping[str, str]
    license: str
    stars: int = 0


@dataclass(frozen=True, slots=True)
class Results:
    """One page of what was found, and how many there are altogether; `more`: there may be more than `total`."""

    total: int
    hits: list[Hit]
    more: bool = False


def find(connection: Connection, asked: str, *, user_id: int | None, size: int, offset: int) -> Results:
    """The packages in which every word of `asked` begins a word, best first; without any, the newest.

    Best is the name itself, then a name that begins with it, then where the words are (name before keywords before
    description), then what was published last; deprecated ones are last, but for the very name. Qualifiers are those of
    `question.py`. Only packages that `user_id` (None: nobody known) may know of are found and counted. `size` is capped
    at 250. Signs beside words do not matter; signs alone find nothing. The eight longest words of a question rank.
    Raises Invalid for a question that cannot be asked, for `insecure` where no advisory was imported, for an answer
    without any would look like a promise, and beyond the 10,000th package.
    """
    question = questions.parse(asked)
    if not 0 <= offset <= LARGEST_OFFSET:
        raise Invalid(f"A search shows the first {LARGEST_OFFSET:,} packages: ask for more by other words.")
    if question.asks_for_advisories and connection.execute(select(Advisory.id).limit(1)).scalar() is None:
        raise Invalid("This registry has imported no advisories yet, so it cannot tell what is insecure.")
    if question.is_nothing:
        return Results(0, [])
    size = max(0, min(size, LARGEST_SIZE))
    index = full_text.of(connection, LOOKED_AT)
    if question.is_everything:
        total, more, ids = _newest(index, user_id, size, offset)
    else:
        named, others, more = _candidates(index, question, user_id)
        ranked = _ranked(index, question, named, others)
        total, ids = len(ranked), ranked[offset : offset + size]
    return Results(total, _hits(connection, ids, user_id), more)


def visible_to(user_id: int | BindParameter[int] | None) -> ColumnElement[bool]:
    """The packages that the user (None: nobody known) may know of: public ones, and those on which they have a role.

    No quarantined ones.
    """
    public, installable = Package.access == "public", Package.quarantined_at.is_(None)
    if user_id is None:
        return and_(public, installable)
    return and_(installable, or_(public, access.readable_by(user_id)))


def _candidates(index: FullText, question: Question, user_id: int | None) -> tuple[list[int], list[int], bool]:
    """The packages to look at, those with the words in their name apart, and whether there may be more of them.

    Where all that fit are looked at, none stands apart: they are ranked anyway. That a package is public the index
    knows from the transaction that made it so; of the others the user sees what `visible_to` says.
    """
    named, others = _looked_at(index, question, PUBLIC)
    more = len(others) >= index.most
    if user_id is None:
        return named, others, more
    restricted_named, restricted = _looked_at(index, _of_reader(index.connection, question, user_id), RESTRICTED)
    visible = _visible(index, [*restricted_named, *restricted], user_id)
    named += (each for each in restricted_named if each in visible)
    others += (each for each in restricted if each in visible)
    return named, others, more or len(restricted) >= index.most


def _of_reader(connection: Connection, question: Question, user_id: int) -> Question:
    """The question, of packages on which the user has a role as far as the index knows."""
    ways = tuple((each,) for each in access.marks_readable_by(connection, user_id, MOST_WAYS))
    return replace(question, demands=(*question.demands, ways))


def _looked_at(index: FullText, question: Question, access: str) -> tuple[list[int], list[int]]:
    """The newest packages that fit; and, where they may be more, the newest with the words in their name."""
    fitting = list(index.matches(question, access))
    if len(fitting) < index.most or not question.words:
        return [], fitting
    exact = index.matches(question, mark(Facet.NAME, question.text), access)
    return [*exact, *index.matches(question, access, in_name=True)], fitting


def _visible(index: FullText, ids: Sequence[int], user_id: int) -> set[int]:
    """Those of the packages that the user may see."""
    if not ids:
        return set()
    query = select(Package.id).where(index.among(Package.__table__.c.id), visible_to(user_id))
    return set(index.connection.execute(query, index.listed(ids).parameters).scalars())


def _ranked(index: FullText, question: Question, named: Sequence[int], others: Sequence[int]) -> Sequence[int]:
    """The packages, best first."""
    first = list(dict.fromkeys(named))
    ids = list(dict.fromkeys([*first, *others]))
    if not ids:
        return []
    ranking = index.listed(ids)
    if question.words:
        longest = sorted(question.words, key=len, reverse=True)[:MOST_RANKED_WORDS]
        ranking = index.ranking(longest, ids, len(first))
    by_name = _by_name(question)
    deprecated = case((SearchDocument.deprecated.is_(None), 0), else_=1)
    order: list[ColumnElement[Any]] = [deprecated]  # no constants: ORDER BY takes them for columns
    if by_name is not None:
        order = [case((by_name == 0, 0), else_=1), deprecated, by_name]
    if ranking.rank is not None:
        order.append(ranking.rank)
    joined = ranking.table.join(SearchDocument.__table__, SearchDocument.package_id == ranking.id)
    query = select(SearchDocument.package_id).select_from(joined)
    query = query.order_by(*order, SearchDocument.published_at.desc(), SearchDocument.name)
    return index.connection.execute(query, ranking.parameters).scalars().all()


def _newest(index: FullText, user_id: int | None, size: int, offset: int) -> tuple[int, bool, Sequence[int]]:
    """All packages that the user may see: how many, at most 10,000; whether there may be more; a page of the newest."""
    document, connection = SearchDocument, index.connection
    newest = select(document.package_id, document.published_at).order_by(document.published_at.desc())
    public, restricted = newest.where(document.public), newest.where(document.public.is_(False))
    counted = select(func.count()).select_from(public.order_by(None).limit(LARGEST_OFFSET + 1).subquery())
    total = connection.execute(counted).scalar_one()
    more = total > LARGEST_OFFSET
    parameters: dict[str, object] = {}
    parts: list[Select[int, int]] = [select(public.limit(offset + size).subquery())]
    if user_id is not None:
        looked_at = list(index.matches(_of_reader(connection, questions.parse(""), user_id), RESTRICTED))
        if len(looked_at) >= index.most:  # the newest by when they were made: beside them, the newest versions
            more = True
            looked_at += connection.execute(restricted.limit(index.most)).scalars()
        seen = _visible(index, looked_at, user_id)
        total += len(seen)
        table = document.__table__
        parts.append(select(table.c.package_id, table.c.published_at).where(index.among(table.c.package_id)))
        parameters = index.listed(list(seen)).parameters
    both = union_all(*parts).subquery()
    page = select(both.c[0]).order_by(both.c[1].desc(), both.c[0].desc()).limit(size).offset(offset)
    return min(total, LARGEST_OFFSET), more, connection.execute(page, parameters).scalars().all()


def _by_name(question: Question) -> ColumnElement[int] | None:
    """0 for the very name, 1 for one that begins so, 2 for others; None where that is no matter."""
    asked = question.text.lower()
    if not (question.boosts_exact and asked.isascii() and asked.isprintable() and asked):
        return None  # no name is like that, and PostgreSQL takes no NUL
    name = func.lower(SearchDocument.name)
    return case((name == asked, 0), (func.substr(name, 1, len(asked)) == asked, 1), else_=2)


_HITS = (
    select(
        Package.id, Package.name, SearchDocument.version, SearchDocument.description, SearchDocument.keywords,
        SearchDocument.publisher, User.email, SearchDocument.published_at, SearchDocument.deprecated,
        SearchDocument.details, func.coalesce(StarCount.count, 0),
    )
    .join(SearchDocument, SearchDocument.package_id == Package.id)
    .join(User, User.name == SearchDocument.publisher)
    .outerjoin(StarCount, StarCount.package_id == Package.id)
    .where(Package.id.in_(bindparam("ids", expanding=True)))
)  # fmt: skip
_HITS_OF_NOBODY = _HITS.where(visible_to(None))
_HITS_OF_READER = _HITS.where(visible_to(bindparam("reader", type_=Integer)))
_OWNERS = (
    select(Owner.package_id, User.name, User.email)
    .join(User, User.id == Owner.user_id)
    .where(Owner.package_id.in_(bindparam("ids", expanding=True)))
    .order_by(User.name)
)


def _hits(connection: Connection, ids: Sequence[int], user_id: int | None) -> list[Hit]:
    """The packages in the order of their ids, as far as the user may see them still."""
    if not ids:
        return []
    query = _HITS_OF_NOBODY if user_id is None else _HITS_OF_READER
    rows = {row[0]: row for row in connection.execute(query, {"ids": ids, "reader": user_id})}
    owners = _owners(connection, ids)
    return [_hit(rows[each], owners[each]) for each in ids if each in rows]


def _hit(row: Row[*tuple[Any, ...]], owners: tuple[tuple[str, str], ...]) -> Hit:
    package_id, name, version, description, keywords, publisher, email, published_at, deprecated, stored, starred = row
    details = json.loads(stored)
    return Hit(
        package_id, name, version, description, tuple(json.loads(keywords)), publisher, email, published_at, deprecated,
        owners, details["links"], details.get("author", {}), details.get("license", ""), starred,
    )  # fmt: skip


def _owners(connection: Connection, package_ids: Sequence[int]) -> dict[int, tuple[tuple[str, str], ...]]:
    """The owners' names and mail addresses of each package, by name."""
    found: dict[int, list[tuple[str, str]]] = {package_id: [] for package_id in package_ids}
    for package_id, name, email in connection.execute(_OWNERS, {"ids": package_ids}):
        found[package_id].append((name, email))
    return {package_id: tuple(each) for package_id, each in found.items()}
