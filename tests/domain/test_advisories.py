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


V3 = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"}
V4 = {"type": "CVSS_V4", "score": "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}
CUT_OFF = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/"}


@pytest.mark.parametrize(
    ("fields", "severity", "vector", "score"),
    [
        ({"severity": [V3]}, "low", V3["score"], 3.1),
        ({"severity": [V4]}, "high", V4["score"], 7.3),
        ({"severity": [V4, V3]}, "low", V3["score"], 3.1),
        ({"severity": [CUT_OFF, V4]}, "high", V4["score"], 7.3),
        ({"severity": [CUT_OFF]}, "moderate", None, None),
        ({"severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}, "moderate", None, None),
        ({"severity": [{"type": "CVSS_V3", "score": 7}]}, "moderate", None, None),
        ({"severity": [V3], "database_specific": {"severity": "CRITICAL"}}, "critical", V3["score"], 3.1),
        ({"severity": [V3], "id": "MAL-2026-1"}, "critical", V3["score"], 3.1),
    ],
)
def test_the_vector_gives_the_score_and_the_severity_where_nobody_named_one(
    world: World, fields: dict[str, Any], severity: str, vector: str | None, score: float | None
) -> None:
    take(world, record(**fields))
    (match,) = find(world, "pkg", "1.0.0")
    assert (match.severity, match.cvss_vector, match.cvss_score) == (severity, vector, score)


def of_versions(osv_id: str, *versions: str, aliases: list[str], **fields: Any) -> bytes:
    entry = {"package": {"ecosystem": "npm", "name": "pkg"}, "versions": versions}
    return record(osv_id, affected=[entry], aliases=aliases, **fields)


@pytest.mark.parametrize(
    ("records", "answered"),
    [
        pytest.param(
            [of_versions("CVE-1", "1.0.0", aliases=["GHSA-1"]), of_versions("GHSA-1", "1.0.0", aliases=["CVE-1"])],
            {"GHSA-1": {"1.0.0"}},
            id="GitHub's answers",
        ),
        pytest.param(
            [of_versions("CVE-1", "1.0.0", aliases=["GHSA-1"]), of_versions("GHSA-1", "1.0.0", aliases=[])],
            {"GHSA-1": {"1.0.0"}},
            id="only one names the other",
        ),
        pytest.param(
            [of_versions("SNYK-1", "1.0.0", aliases=["CVE-1"]), of_versions("GHSA-1", "1.0.0", aliases=["CVE-1"])],
            {"GHSA-1": {"1.0.0"}},
            id="by a name that is not here",
        ),
        pytest.param(
            [
                of_versions("A-1", "1.0.0", aliases=["B-1"]),
                of_versions("C-1", "1.0.0", aliases=["D-1"]),
                of_versions("E-1", "1.0.0", aliases=["B-1", "D-1"]),
            ],
            {"A-1": {"1.0.0"}},
            id="by one between them",
        ),
        pytest.param(
            [of_versions("CVE-1", "1.0.0", "1.1.0", aliases=["GHSA-1"]), of_versions("GHSA-1", "1.0.0", aliases=[])],
            {"GHSA-1": {"1.0.0"}, "CVE-1": {"1.1.0"}},
            id="what one alone affects stays",
        ),
        pytest.param(
            [of_versions("CVE-1", "1.1.0", aliases=["GHSA-1"]), of_versions("GHSA-1", "1.0.0", aliases=[])],
            {"GHSA-1": {"1.0.0"}, "CVE-1": {"1.1.0"}},
            id="of different versions",
        ),
        pytest.param(
            [of_versions("GHSA-1", "1.0.0", aliases=[]), of_versions("MAL-1", "1.0.0", aliases=["GHSA-1"])],
            {"MAL-1": {"1.0.0"}},
            id="malware stays malware",
        ),
        pytest.param(
            [of_versions("CVE-1", "1.0.0", aliases=["GHSA-9"]), of_versions("GHSA-1", "1.0.0", aliases=["CVE-9"])],
            {"CVE-1": {"1.0.0"}, "GHSA-1": {"1.0.0"}},
            id="two faults",
        ),
    ],
)
def test_of_advisories_that_are_aliases_one_answers_for_a_version(
    world: World, records: list[bytes], answered: dict[str, set[str]]
) -> None:
    take(world, *records)
    found = {match.osv_id: {each.core for each in match.versions} for match in find(world, "pkg", "1.0.0", "1.1.0")}
    assert found == answered


def test_an_alias_that_is_told_later_counts_from_then_on(world: World) -> None:
    take(world, record("CVE-1"), record("GHSA-1"))
    assert [match.osv_id for match in find(world, "pkg", "1.0.0")] == ["CVE-1", "GHSA-1"]
    assert take(world, record("CVE-1", aliases=["GHSA-1"])) == Counts(updated=1)
    assert [match.osv_id for match in find(world, "pkg", "1.0.0")] == ["GHSA-1"]
    assert take(world, record("CVE-1", aliases=["GHSA-1"])) == Counts(unchanged=1)


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
