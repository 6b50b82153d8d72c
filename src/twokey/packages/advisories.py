"""Security advisories: kept as the operator imported them, and found for the versions that a client has installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema_advisories import Advisory, AdvisoryPackage
from twokey.errors import NotFound
from twokey.packages import affected, indexing
from twokey.packages.osv import Record
from twokey.packages.semver import Version

NAMES_AT_ONCE = 500
GITHUB = "GHSA-"


@dataclass(slots=True)
class Counts:
    """What an import did. `skipped`: records that are of no npm package."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """An advisory for a package of which at least one asked version is affected."""

    id: int
    osv_id: str
    aliases: tuple[str, ...]
    title: str
    url: str
    severity: str
    cvss_vector: str | None
    cvss_score: float | None
    cwes: tuple[str, ...]
    malicious: bool
    published: str
    modified: str
    vulnerable_versions: str
    versions: frozenset[Version]  # of those asked for

    @property
    def patched_versions(self) -> str:
        """The versions after the fault, as a range."""
        return affected.patched(self.vulnerable_versions)


@dataclass(frozen=True, slots=True)
class Listed:
    """An advisory, as a list shows it."""

    osv_id: str
    severity: str
    malicious: bool
    packages: tuple[str, ...]
    title: str


def store(tx: Transaction, records: Sequence[Record]) -> Counts:
    """Takes the records over: new ones, changed ones; those that were withdrawn go. Recorded as one event."""
    counts = Counts()
    # Of one that is there twice the last counts.
    names: set[str] = set()
    for record in {record.osv_id: record for record in records}.values():
        names.update(_store(tx, record, counts))
    indexing.reindex_named(tx.connection, names)
    details = {"added": counts.added, "updated": counts.updated, "removed": counts.removed}
    tx.record(Event.ADVISORIES_IMPORT, resource="advisories", details=details)
    return counts


def remove(tx: Transaction, osv_id: str) -> None:
    """Removes an advisory. Raises NotFound. The next import of a file that holds it brings it back."""
    names = _remove(tx.connection, osv_id)
    if not names:
        raise NotFound(f"There is no advisory {osv_id!r} here: twokey admin advisories list shows them.")
    indexing.reindex_named(tx.connection, names)
    tx.record(Event.ADVISORY_REMOVE, resource=f"advisory:{osv_id}")


def listing(connection: Connection, package: str | None, last: int) -> list[Listed]:
    """The `last` advisories that were imported last, newest first; with `package`, those that affect it."""
    query = select(Advisory.id, Advisory.osv_id, Advisory.severity, Advisory.malicious, Advisory.title)
    if package is not None:
        query = query.join(AdvisoryPackage, AdvisoryPackage.advisory_id == Advisory.id).where(
            AdvisoryPackage.package == package
        )
    rows = connection.execute(query.order_by(Advisory.imported_at.desc(), Advisory.id.desc()).limit(last)).all()
    return [
        Listed(row.osv_id, row.severity, row.malicious, tuple(_packages(connection, row.id)), row.title) for row in rows
    ]


def matching(connection: Connection, asked: Mapping[str, Sequence[Version]]) -> dict[str, list[Match]]:
    """The advisories for the asked versions of the packages, by package. Packages without any are left out.

    Of advisories that are aliases of each other, one answers for a version.
    """
    found: dict[str, list[Match]] = {}
    ordered = {name: sorted(versions) for name, versions in asked.items()}
    names = sorted(asked)
    for start in range(0, len(names), NAMES_AT_ONCE):
        query = (
            select(Advisory.__table__, AdvisoryPackage.package, AdvisoryPackage.vulnerable_versions)
            .join(AdvisoryPackage, AdvisoryPackage.advisory_id == Advisory.id)
            .where(AdvisoryPackage.package.in_(names[start : start + NAMES_AT_ONCE]))
            .order_by(AdvisoryPackage.package, Advisory.id)
        )
        for row in connection.execute(query).mappings():
            hit = affected.held(affected.read(row["vulnerable_versions"]), ordered[row["package"]])
            if hit:
                found.setdefault(row["package"], []).append(_match(row, hit))
    return {name: once(matches) for name, matches in found.items()}


def once(matches: Sequence[Match]) -> list[Match]:
    """The matches of a package without those that say again, under another name, what one of them says.

    The same fault has a record in each database (`aliases`). GitHub's answers, as on the public registry; but nothing
    hides that a package is malware, and what affects more of the asked versions answers for those beside it.
    """
    kept: list[Match] = []
    for group in _same_fault(matches):
        answered: frozenset[Version] = frozenset()
        for match in sorted(group, key=lambda each: (not each.malicious, not each.osv_id.startswith(GITHUB), each.id)):
            if not match.versions <= answered:
                kept.append(replace(match, versions=match.versions - answered))
                answered |= match.versions
    return sorted(kept, key=lambda each: each.id)


def _same_fault(matches: Iterable[Match]) -> list[list[Match]]:
    """The matches in groups that share a name: two that say CVE-1 are of one fault, whether or not CVE-1 is here."""
    groups: list[tuple[set[str], list[Match]]] = []
    for match in matches:
        names, members = {match.osv_id, *match.aliases}, [match]
        others = []
        for group in groups:
            if names.isdisjoint(group[0]):
                others.append(group)
            else:
                names |= group[0]
                members += group[1]
        groups = [*others, (names, members)]
    return [members for _, members in groups]


def malware(connection: Connection, package: str) -> list[tuple[str, str]]:
    """The advisories that say which versions of the package are malware: id, and versions as `affected` writes them."""
    query = (
        select(Advisory.osv_id, AdvisoryPackage.vulnerable_versions)
        .join(AdvisoryPackage, AdvisoryPackage.advisory_id == Advisory.id)
        .where(AdvisoryPackage.package == package, Advisory.malicious)
    )
    return [(osv_id, versions) for osv_id, versions in connection.execute(query.order_by(Advisory.osv_id))]


def _match(row: RowMapping, versions: frozenset[Version]) -> Match:
    return Match(
        id=row["id"],
        osv_id=row["osv_id"],
        aliases=tuple(json.loads(row["aliases"])),
        title=row["title"],
        url=row["url"],
        severity=row["severity"],
        cvss_vector=row["cvss_vector"],
        cvss_score=row["cvss_score"],
        cwes=tuple(json.loads(row["cwes"])),
        malicious=row["malicious"],
        published=row["published"],
        modified=row["modified"],
        vulnerable_versions=row["vulnerable_versions"],
        versions=versions,
    )


def _store(tx: Transaction, record: Record, counts: Counts) -> set[str]:
    """Takes a record over; the names of the packages of which it says something else now."""
    connection = tx.connection
    if not record.packages:
        names = _remove(connection, record.osv_id)
        if names:
            counts.removed += 1
        elif not record.withdrawn:
            counts.skipped += 1
        return names
    values = {
        "aliases": json.dumps(record.aliases), "title": record.title, "url": record.url, "severity": record.severity,
        "cvss_vector": record.cvss_vector, "cvss_score": record.cvss_score, "cwes": json.dumps(record.cwes),
        "malicious": record.malicious, "published": record.published, "modified": record.modified,
    }  # fmt: skip
    columns = select(Advisory.__table__).where(Advisory.osv_id == record.osv_id)
    row = connection.execute(columns).mappings().one_or_none()
    former: dict[str, str] = {}
    if row is None:
        made = insert(Advisory).values(osv_id=record.osv_id, imported_at=tx.now, **values).returning(Advisory.id)
        advisory_id = connection.execute(made).scalar_one()
        counts.added += 1
    else:
        advisory_id = row["id"]
        same = all(row[name] == value for name, value in values.items())
        former = _packages(connection, advisory_id)
        if same and former == dict(record.packages):
            counts.unchanged += 1
            return set()
        connection.execute(update(Advisory).where(Advisory.id == advisory_id).values(imported_at=tx.now, **values))
        connection.execute(delete(AdvisoryPackage).where(AdvisoryPackage.advisory_id == advisory_id))
        counts.updated += 1
    rows = [
        {"advisory_id": advisory_id, "package": name, "vulnerable_versions": text} for name, text in record.packages
    ]
    connection.execute(insert(AdvisoryPackage), rows)
    return {*former, *(name for name, _ in record.packages)}


def _packages(connection: Connection, advisory_id: int) -> dict[str, str]:
    query = select(AdvisoryPackage.package, AdvisoryPackage.vulnerable_versions).where(
        AdvisoryPackage.advisory_id == advisory_id
    )
    return {row.package: row.vulnerable_versions for row in connection.execute(query.order_by(AdvisoryPackage.package))}


def _remove(connection: Connection, osv_id: str) -> set[str]:
    """Removes an advisory; the names of the packages that it spoke of, none where there is no such advisory."""
    query = select(AdvisoryPackage.package).join(Advisory, Advisory.id == AdvisoryPackage.advisory_id)
    names = set(connection.execute(query.where(Advisory.osv_id == osv_id)).scalars())
    connection.execute(delete(Advisory).where(Advisory.osv_id == osv_id))
    return names
