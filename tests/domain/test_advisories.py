"""Advisories: taken over from OSV records, brought up to date, withdrawn, and found for the versions asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.domain.world import World
from twokey.audit.events import Event
from twokey.db.schema_advisories import Advisory, AdvisoryPackage
from twokey.errors import Invalid, NotFound
from twokey.packages import advisories, osv, semver
from twokey.packages.advisories import Counts, Match

BEFORE_2 = [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]


def record(osv_id: str = "GHSA-1", package: str = "pkg", **fields: Any) -> bytes:
    document = {
        "id": osv_id,
        "modified": "2026-01-01T00:00:00Z",
        "summary": "It breaks",
        "affected": [{"package": {"ecosystem": "npm", "name": package}, "ranges": BEFORE_2}],
        **fields,
    }
    return json.dumps(document).encode()


def take(world: World, *records: bytes) -> Counts:
    with world.by_operator() as tx:
        return advisories.store(tx, [osv.parse(each) for each in records])


def find(world: World, package: str, *versions: str) -> list[Match]:
    with world.registry.database.read() as connection:
        found = advisories.matching(connection, {package: [semver.parse(each) for each in versions]})
    return found.get(package, [])


def test_an_advisory_is_found_for_affected_versions_alone(world: World) -> None:
    assert take(world, record(), record("GHSA-2", "other")) == Counts(added=2)
    (match,) = find(world, "pkg", "1.0.0", "2.0.0")
    assert (match.osv_id, match.vulnerable_versions, match.title) == ("GHSA-1", "<2.0.0", "It breaks")
    assert match.versions == {semver.parse("1.0.0")}
    assert find(world, "pkg", "2.0.0") == find(world, "unknown", "1.0.0") == []
    assert world.events(Event.ADVISORIES_IMPORT)[-1]["details"] == {"added": 2, "updated": 0, "removed": 0}


def test_an_import_again_brings_up_to_date_under_the_same_number(world: World) -> None:
    take(world, record())
    (first,) = find(world, "pkg", "1.0.0")
    assert take(world, record()) == Counts(unchanged=1)
    fixed = [{"package": {"ecosystem": "npm", "name": "pkg"}, "versions": ["1.0.0"]}]
    assert take(world, record(affected=fixed, summary="Only one")) == Counts(updated=1)
    (match,) = find(world, "pkg", "1.0.0")
    assert (match.id, match.title, match.vulnerable_versions) == (first.id, "Only one", "1.0.0")
    assert take(world, record(withdrawn="2026-02-01T00:00:00Z")) == Counts(removed=1)
    assert world.rows(Advisory) == world.rows(AdvisoryPackage) == []
    assert take(world, record(withdrawn="2026-02-01T00:00:00Z")) == Counts()


def test_records_of_no_npm_package_are_skipped(world: World) -> None:
    other = [{"package": {"ecosystem": "PyPI", "name": "pkg"}, "ranges": BEFORE_2}]
    commits = [{"package": {"ecosystem": "npm", "name": "pkg"}, "ranges": [{"type": "GIT", "events": []}]}]
    assert take(world, record(affected=other), record("GHSA-2", affected=commits), record("GHSA-3", affected=[])) == (
        Counts(skipped=3)
    )


def test_a_record_of_many_packages_is_found_by_each(world: World) -> None:
    both = [{"package": {"ecosystem": "npm", "name": name}, "ranges": BEFORE_2} for name in ("pkg", "@scope/pkg")]
    take(world, record(affected=both))
    assert [match.osv_id for match in find(world, "@scope/pkg", "1.0.0")] == ["GHSA-1"]
    with world.registry.database.read() as connection:
        (listed,) = advisories.listing(connection, "pkg", 10)
        assert listed.packages == ("@scope/pkg", "pkg")
        assert advisories.listing(connection, "other", 10) == []


@pytest.mark.parametrize(
    ("fields", "severity", "malicious"),
    [
        ({}, "moderate", False),
        ({"database_specific": {"severity": "HIGH"}}, "high", False),
        ({"database_specific": {"severity": "MEDIUM"}}, "moderate", False),
        ({"database_specific": {"severity": 7}}, "moderate", False),
        ({"id": "MAL-2026-1"}, "critical", True),
        ({"aliases": ["MAL-2026-1"], "database_specific": {"severity": "low"}}, "low", True),
    ],
)
def test_the_severity_is_the_database_s_own_and_malware_keeps_its_mark(
    world: World, fields: dict[str, Any], severity: str, malicious: bool
) -> None:
    take(world, record(**fields))
    (row,) = world.rows(Advisory)
    assert (row["severity"], row["malicious"]) == (severity, malicious)


def test_what_is_shown_holds_nothing_that_a_terminal_obeys() -> None:
    shown = osv.parse(record(summary="red \x1b[31m\n\u202e text" + "x" * 1000, references=[{"url": "javascript:1"}]))
    assert shown.title == "red [31m text" + "x" * 287
    assert shown.url == "https://osv.dev/vulnerability/GHSA-1"


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b"[]",
        b"{}",
        record("../x"),
        record("x" * 200),
        record(affected=[{"package": {"ecosystem": "npm", "name": "../x"}, "ranges": BEFORE_2}]),
        record(affected=[{"package": {"ecosystem": "npm", "name": "pkg"}, "ranges": [
            {"type": "SEMVER", "events": [{"introduced": "one"}]}]}]),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_with_a_sentence(wrong: bytes) -> None:
    with pytest.raises(Invalid):
        osv.parse(wrong)


def test_an_advisory_is_removed_by_its_name(world: World) -> None:
    take(world, record())
    with world.by_operator() as tx:
        advisories.remove(tx, "GHSA-1")
    assert find(world, "pkg", "1.0.0") == []
    assert world.events(Event.ADVISORY_REMOVE)[-1]["resource"] == "advisory:GHSA-1"
    with world.nothing_changes(), pytest.raises(NotFound), world.by_operator() as tx:
        advisories.remove(tx, "GHSA-1")
