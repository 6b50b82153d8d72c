"""`/package/NAME` and `/package/NAME/v/VERSION`: the pages of a package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup
from sqlalchemy import Connection, select

from twokey.authority.actions import Action
from twokey.authority.roles import PackageRole
from twokey.db.schema import User, Version, VersionReadme
from twokey.errors import NotFound
from twokey.http.answers import Answer
from twokey.http.elsewhere import own
from twokey.packages import access, downloads, packages, packument, semver, stars
from twokey.packages.packages import Found
from twokey.web import manifests, render, upstream
from twokey.web.visit import Visit

VERSIONS_SHOWN = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """One version as its page shows it."""

    id: int
    version: str
    manifest: Mapping[str, Any]
    deprecated: str | None
    size: int
    published_at: int
    publisher: str
    proof: str


def package_page(visit: Visit) -> Answer:
    """The version that `latest` points at, or the one that the address names."""
    wanted = visit.params.get("version")
    visit.ask(Action.READ_PACKAGE, visit.package_target(version=wanted))
    with visit.registry.database.snapshot() as connection:
        found = own(visit, connection)
        values = None if found is None else _values(visit, connection, found, wanted)
    if values is None:
        return upstream.package_page(visit, wanted)
    return render.page(visit, "package.html", **values)


def _values(visit: Visit, connection: Connection, found: Found, wanted: str | None) -> dict[str, Any]:
    """What the page of a package of this registry shows."""
    tags = packages.dist_tags(connection, found.id)
    shown = _version(connection, found, wanted or tags[packages.LATEST])
    versions = _versions(connection, found.id)
    readme = connection.execute(
        select(VersionReadme.html).where(VersionReadme.version_id == shown.id)
    ).scalar_one_or_none()
    owners = packages.owner_names(connection, found.id)
    starred = visit.signed_in and stars.has(connection, found.id, visit.user_id)
    role = access.role_of(connection, found.id, visit.user_id) if visit.signed_in else PackageRole.NONE
    weeks = downloads.weeks(connection, found.id, downloads.day_of(visit.registry.clock.now()))
    return {
        "found": found, "shown": shown, "tags": tags, "versions": versions[:VERSIONS_SHOWN],
        "version_count": len(versions), "owners": owners, "is_latest": shown.version == tags[packages.LATEST],
        "readme": Markup(readme or ""),  # noqa: S704 - sanitised when it was published
        "dependencies": manifests.dependencies(shown.manifest), "facts": manifests.facts(shown.manifest),
        "chart": _chart(weeks),
        "tarball": packument.tarball_path(visit.package, shown.version),
        "install": f"{found.name}@{shown.version}" if wanted else found.name,
        "starred": starred, "is_owner": visit.signed_in and visit.user in owners, "scope": visit.package.scope,
        "may_write": role >= PackageRole.WRITE,
    }  # fmt: skip


def _version(connection: Connection, found: Found, version: str) -> Shown:
    row = connection.execute(
        select(
            Version.id, Version.version, Version.manifest, Version.deprecated, Version.size, Version.published_at,
            User.name, Version.proof,
        )
        .join(User, User.id == Version.publisher_id)
        .where(Version.package_id == found.id, Version.version == version, Version.removed_at.is_(None))
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotFound(f"{found.name} has no version {version}.")
    version_id, name, manifest, deprecated, size, published_at, publisher, proof = row
    return Shown(version_id, name, json.loads(manifest), deprecated, size, published_at, publisher, proof)


def _versions(connection: Connection, package_id: int) -> list[tuple[str, int, str | None]]:
    """Version, when it was published (µs), its deprecation; the highest first."""
    query = select(Version.version, Version.published_at, Version.deprecated).where(
        Version.package_id == package_id, Version.removed_at.is_(None)
    )
    rows = [(version, at, deprecated) for version, at, deprecated in connection.execute(query)]
    return sorted(rows, key=lambda row: semver.parse(row[0]), reverse=True)


def _chart(weeks: list[tuple[int, int]]) -> dict[str, Any]:
    """The bars of the weekly downloads, 6 wide with a gap of 2, at most 60 high."""
    most = max((count for _, count in weeks), default=0)
    bars = [
        {"x": place * 8, "height": round(60 * count / most) if most else 0, "count": count, "label": _day(first)}
        for place, (first, count) in enumerate(weeks)
    ]
    return {"bars": bars, "width": len(weeks) * 8, "last": weeks[-1][1] if weeks else 0, "most": most}


def _day(day: int) -> str:
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"
