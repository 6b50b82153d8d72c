"""What the search index holds of each package, and how it is written.

The two databases do not agree about what a word is, so we split text into words ourselves, and spell letters outside
ASCII as numbers: SQLite's FTS5 and PostgreSQL's tsvector then get plain words only and answer alike.

Beside the words of name, keywords and description the index holds *marks*: words that no author can write, for they
begin with a Greek letter. A mark says one whole thing (a keyword, a maintainer, that everyone may see the package), so
that what a question demands is looked up like a word. The beginnings of words are marks, too: the packages with a word
in `a` are one list then, which is read as far as it is asked for, where a search by prefix first merges thousands.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate, islice

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, text

from twokey.db.engine import Database
from twokey.db.schema import DistTag, Owner, Package, SearchDocument, User, Version
from twokey.db.schema_advisories import AdvisoryPackage
from twokey.db.schema_orgs import Grant
from twokey.packages import affected, semver
from twokey.packages.names import PackageName

LONGEST_DESCRIPTION, LONGEST_KEYWORD, MOST_KEYWORDS = 512, 64, 50
LONGEST_DETAIL = 512
LONGEST_WORD = 64
LONGEST_BEGINNING = 16
BATCH = 100
BLOCKS = (1024, 8 * 1024, 64 * 1024, 512 * 1024)  # sizes of blocks of packages made one after the other
_WORD = re.compile(r"[^\W_]+")
_LETTER = re.compile(r"u[0-9a-f]{6}|.")  # of a word as `words` spells it
# Control characters, halves of surrogate pairs, and the marks that turn the direction of a line around.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_WEB = re.compile(r"(?:git\+)?(https?://[^\s<>\"']+)")
_NO_DOCUMENT = delete(SearchDocument).where(SearchDocument.package_id == bindparam("package_id"))
_NEW_DOCUMENT = insert(SearchDocument)
_NO_ENTRY = {
    "sqlite": text("DELETE FROM search_index WHERE rowid = :package_id"),
    "postgresql": text("DELETE FROM search_index WHERE package_id = :package_id"),
}
_NEW_ENTRY = {
    "sqlite": text(
        "INSERT INTO search_index (rowid, name, keywords, description, marks) VALUES (:package_id, :a, :b, :c, :marks)"
    ),
    "postgresql": text(
        "INSERT INTO search_index (package_id, words, marks) "
        "VALUES (:package_id, CAST(:words AS tsvector), CAST(:marks AS tsvector))"
    ),
}
_LATEST = (
    select(
        Package.name, Package.access, Version.version, Version.published_at, User.name, Version.deprecated,
        Version.manifest,
    )
    .join(DistTag, and_(DistTag.package_id == Package.id, DistTag.tag == "latest"))
    .join(Version, and_(Version.package_id == Package.id, Version.version == DistTag.version))
    .join(User, User.id == Version.publisher_id)
    .where(
        Package.id == bindparam("package_id"), Package.unpublished_at.is_(None), Package.quarantined_at.is_(None),
        Version.removed_at.is_(None),
    )
)  # fmt: skip
_OWNERS = select(User.name).join(Owner, Owner.user_id == User.id).where(Owner.package_id == bindparam("package_id"))
_TEAMS = select(Grant.team_id).where(Grant.package_id == bindparam("package_id"))
_VULNERABLE = select(AdvisoryPackage.vulnerable_versions).where(AdvisoryPackage.package == bindparam("package"))


class Facet(StrEnum):
    """The kinds of marks, each by one letter."""

    NAME = "n"
    ACCESS = "a"
    KEYWORD = "k"
    AUTHOR = "w"
    MAINTAINER = "m"
    SCOPE = "s"
    TEAM = "t"
    IS = "i"


def mark(facet: Facet, value: str) -> str:
    """The mark that says `value` of a package; capitals do not matter."""
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    digest = hashlib.blake2s(folded.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"κ{facet}{digest}"


def beginnings(word: str, *, in_name: bool = False) -> list[str]:
    """The marks of packages with a word that begins like this one, the longest last: of up to 16 letters."""
    sign = "ν" if in_name else "λ"
    return [f"{sign}{each}" for each in accumulate(islice(_LETTER.findall(word), LONGEST_BEGINNING))]


def block_mark(size: int, number: int) -> str:
    """The mark of the packages in a block: those with ids from `size * number` on. PostgreSQL alone needs it."""
    return f"τ{size}x{number}"


def is_long(word: str) -> bool:
    """Whether the marks of its beginnings do not reach the word's end."""
    return len(_LETTER.findall(word)) > LONGEST_BEGINNING


def words(value: str) -> list[str]:
    """The words of a text: lower case, without accents; runs of letters and digits, cut at 64 characters.

    A letter outside ASCII is spelt `u` and six hexadecimal digits, so that a word's beginnings stay its beginnings.
    """
    plain = "".join(each for each in unicodedata.normalize("NFKD", value) if not unicodedata.combining(each))
    return [
        "".join(each if each.isascii() else f"u{ord(each):06x}" for each in word[:LONGEST_WORD])
        for word in _WORD.findall(plain.lower())
    ]


def name_words(name: PackageName) -> list[str]:
    """The words of a name; `@acme/left-pad` is found by `acme`, `left`, `pad` and `leftpad`."""
    base = words(name.base)
    joined = ["".join(base)[:LONGEST_WORD]] if len(base) > 1 else []
    return [*words(name.scope or ""), *base, *joined]


def reindex(connection: Connection, package_id: int) -> None:
    """Writes what the index holds of the package anew, from its `latest` version; nothing where it has none.

    Called within the transaction that changed the package, which holds its row locked. A quarantined package is not
    held: nobody finds it.
    """
    of_package = {"package_id": package_id}
    connection.execute(_NO_DOCUMENT, of_package)
    connection.execute(_NO_ENTRY[connection.dialect.name], of_package)
    row = connection.execute(_LATEST, of_package).one_or_none()
    if row is None:
        return
    name, access, version, published_at, publisher, deprecated, stored = row
    manifest: Mapping[str, object] = json.loads(stored)
    description, keywords = _description(manifest.get("description")), _keywords(manifest.get("keywords"))
    author = _author(manifest.get("author"))
    connection.execute(
        _NEW_DOCUMENT,
        {
            "package_id": package_id, "name": name, "version": version, "description": description,
            "keywords": json.dumps(keywords, ensure_ascii=False), "publisher": publisher,
            "published_at": published_at, "public": access == "public",
            "deprecated": None if deprecated is None else _printable(deprecated, LONGEST_DETAIL),
            "details": json.dumps(_details(manifest, author), ensure_ascii=False),
        },
    )  # fmt: skip
    package_name = PackageName.parse(name)
    columns = (name_words(package_name), words(" ".join(keywords)), words(description))
    facets = [
        mark(Facet.NAME, name), mark(Facet.ACCESS, "public" if access == "public" else "restricted"),
        mark(Facet.SCOPE, package_name.scope or "unscoped"),
        *(mark(Facet.KEYWORD, each) for each in keywords),
        *(mark(Facet.AUTHOR, each) for each in _known_as(author)),
        *(mark(Facet.MAINTAINER, each) for each in connection.execute(_OWNERS, of_package).scalars()),
        *(mark(Facet.TEAM, str(each)) for each in connection.execute(_TEAMS, of_package).scalars()),
        *(mark(Facet.IS, "unstable") for _ in range(is_unstable(version))),
        *(mark(Facet.IS, "deprecated") for _ in range(deprecated is not None)),
        *(mark(Facet.IS, "insecure") for _ in range(_is_insecure(connection, name, version))),
    ]  # fmt: skip
    _write(connection, package_id, columns, list(dict.fromkeys([*facets, *_beginnings(columns)])))


def _write(connection: Connection, package_id: int, columns: Sequence[Sequence[str]], marks: Sequence[str]) -> None:
    values: dict[str, object] = {"package_id": package_id}
    if connection.dialect.name == "sqlite":
        values |= {key: " ".join(each) for key, each in zip("abc", columns, strict=True)}
        values["marks"] = " ".join(marks)
    else:
        marks = [*marks, *(block_mark(size, package_id // size) for size in BLOCKS)]
        values |= {"words": _vector(columns), "marks": " ".join(f"'{each}'" for each in marks)}
    connection.execute(_NEW_ENTRY[connection.dialect.name], values)


def reindex_named(connection: Connection, names: Iterable[str]) -> None:
    """Writes anew what the index holds of those of the packages that are here, and locks their rows."""
    wanted = sorted(set(names))
    ids: list[int] = []
    for start in range(0, len(wanted), BATCH):
        query = select(Package.id).where(Package.name.in_(wanted[start : start + BATCH]))
        ids += connection.execute(query).scalars()
    for package_id in sorted(ids):  # in the order in which others lock several, too
        connection.execute(select(Package.id).where(Package.id == package_id).with_for_update(key_share=True))
        reindex(connection, package_id)


def index_missing(database: Database) -> int:
    """Indexes packages that the index does not hold: those of a registry from before there was this one.

    Returns how many. Each hundred is a transaction of its own, so that nobody waits for all of them.
    """
    count = 0
    missing = (
        select(Package.id)
        .join(DistTag, and_(DistTag.package_id == Package.id, DistTag.tag == "latest"))
        .where(
            Package.unpublished_at.is_(None),
            Package.quarantined_at.is_(None),
            Package.id.not_in(select(SearchDocument.package_id)),
        )
        .order_by(Package.id)
        .limit(BATCH)
    )
    after = 0
    while True:
        with database.write() as connection:
            ids = connection.execute(missing.where(Package.id > after).with_for_update(of=Package)).scalars().all()
            for package_id in ids:
                reindex(connection, package_id)
        if not ids:
            return count
        count, after = count + len(ids), ids[-1]


def is_unstable(version: str) -> bool:
    """Whether npm calls the version unstable: it is below 1.0.0."""
    return semver.parse(version) < semver.parse("1.0.0")


def _is_insecure(connection: Connection, name: str, version: str) -> bool:
    """Whether an advisory that was imported affects the version."""
    parsed = [semver.parse(version)]
    vulnerable = connection.execute(_VULNERABLE, {"package": name}).scalars()
    return any(affected.held(affected.read(each), parsed) for each in vulnerable)


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


def _author(value: object) -> dict[str, str]:
    """The author as an object: npm sends one; a text is `NAME <EMAIL> (URL)`, as in package.json."""
    if isinstance(value, str):
        name, _, rest = _printable(value, LONGEST_DETAIL).partition("<")
        value = {"name": name.partition("(")[0].strip(), "email": rest.partition(">")[0]}
    if not isinstance(value, dict):
        return {}
    known = {
        key: _printable(value[key], LONGEST_DETAIL) for key in ("name", "email") if isinstance(value.get(key), str)
    }
    return {**{key: text for key, text in known.items() if text}, **_link("url", value.get("url"))}


def _known_as(author: Mapping[str, str]) -> list[str]:
    """Whatever an author is asked for by: the whole name, each word of it, the mail address."""
    name = author.get("name", "")
    return [each for each in (name, *name.split()[:5], author.get("email", "")) if each]


def _details(manifest: Mapping[str, object], author: Mapping[str, str]) -> dict[str, object]:
    """What answers show beside the document's columns: links, author, licence; only what is of a known shape."""
    repository, bugs, licence = manifest.get("repository"), manifest.get("bugs"), manifest.get("license")
    links = {
        **_link("homepage", manifest.get("homepage")),
        **_link("repository", repository.get("url") if isinstance(repository, dict) else repository),
        **_link("bugs", bugs.get("url") if isinstance(bugs, dict) else bugs),
    }
    if isinstance(licence, dict):
        licence = licence.get("type")
    said = _printable(licence, LONGEST_DETAIL) if isinstance(licence, str) else ""
    return {"links": links, **({"author": author} if author else {}), **({"license": said} if said else {})}


def _link(key: str, value: object) -> dict[str, str]:
    """The web address under its key, if it is one that a page may link to."""
    match = _WEB.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= LONGEST_DETAIL else None
    return {key: _printable(match[1], LONGEST_DETAIL).removesuffix(".git")} if match else {}


def _printable(value: str, longest: int) -> str:
    """The text on one line, without what cannot be printed; cut first, for it may be megabytes."""
    return " ".join(_UNPRINTABLE.sub(" ", value[: 4 * longest]).split())[:longest]


def _beginnings(columns: Sequence[Sequence[str]]) -> Iterable[str]:
    for place, column in enumerate(columns):
        for word in column:
            yield from beginnings(word)
            if place == 0:
                yield from beginnings(word, in_name=True)


def _vector(columns: Iterable[Sequence[str]]) -> str:
    """The words as PostgreSQL writes a tsvector: where each stands, and in which column by its letter."""
    places: dict[str, list[str]] = {}
    position = 0
    for letter, column in zip("ABC", columns, strict=True):
        for word in column:
            position += 1
            places.setdefault(word, []).append(f"{position}{letter}")
    return " ".join(f"'{word}':{','.join(at[:255])}" for word, at in places.items())
