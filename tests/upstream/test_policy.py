"""What of upstream is served: nothing too young or blocked, no malware; and dist-tags that lead to what is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.support.accounts import fresh_name
from tests.support.fake_upstream import FakeUpstream
from tests.support.server import Server
from tests.support.wire import request
from tests.upstream.test_reading import ABBREVIATED
from twokey.clock import HOUR
from twokey.errors import Invalid
from twokey.packages.names import PackageName
from twokey.upstream.document import KeptDocument, KeptVersion
from twokey.upstream.policy import Malicious, Policy, policy_for, view
from twokey.upstream.rules import Kind, Rule, split

MORE = {"TWOKEY_UPSTREAM_MINIMUM_AGE": "24"}
NAME = PackageName(None, "pkg")
RAW = msgspec.Raw(b"{}")


def document(published: dict[str, int | None], **tags: str) -> KeptDocument:
    versions = {version: KeptVersion(RAW, RAW, "f.tgz", "sha1-0", at) for version, at in published.items()}
    return KeptDocument("pkg", tags, {}, {}, "", "", versions)


def rule(kind: Kind, pattern: str, versions: str = "*", reason: str = "") -> Rule:
    return Rule(kind, pattern, versions, reason, 0)


def test_without_a_policy_all_is_served_as_upstream_has_it() -> None:
    found = document({"1.0.0": 5, "2.0.0-a": None}, latest="1.0.0", next="2.0.0-a")
    shown = view(found, Policy(NAME), 0)
    assert list(shown.versions) == ["1.0.0", "2.0.0-a"]
    assert shown.tags == found.tags
    assert (shown.withheld, shown.changes, shown.notice) == ({}, (), None)


def test_a_version_is_served_from_the_very_moment_on_at_which_it_is_old_enough() -> None:
    found, policy = document({"1.0.0": 0, "1.1.0": 10 * HOUR}, latest="1.1.0"), Policy(NAME, minimum_age=24 * HOUR)
    before = view(found, policy, 34 * HOUR - 1)
    assert list(before.versions) == ["1.0.0"]
    assert before.tags == {"latest": "1.0.0"}
    assert before.changes == (34 * HOUR,)
    assert before.notice is not None
    assert "pkg@1.1.0 is withheld for 1 more hour: " in before.notice
    assert before.notice.endswith("latest is 1.0.0 here.")
    after = view(found, policy, 34 * HOUR)
    assert after.tags == {"latest": "1.1.0"}
    assert (after.withheld, after.changes, after.notice) == ({}, (), None)


def test_a_version_whose_age_upstream_does_not_tell_is_too_young() -> None:
    shown = view(document({"1.0.0": None}, latest="1.0.0"), Policy(NAME, minimum_age=1), 10**18)
    assert (dict(shown.versions), dict(shown.tags)) == ({}, {})
    assert "does not say when" in shown.withheld["1.0.0"]


@pytest.mark.parametrize(
    ("tag", "others", "leads_to"),
    [
        ("2.0.0", ["1.0.0", "1.9.0", "1.10.0"], "1.10.0"),
        ("2.0.0", ["1.0.0", "2.0.0-rc.1"], "1.0.0"),  # no prerelease
        ("2.0.0", ["1.0.0", "3.0.0"], "1.0.0"),  # nothing higher
        ("2.0.0", ["3.0.0"], None),
        ("2.0.0-rc.2", ["1.0.0", "2.0.0-rc.1"], "2.0.0-rc.1"),  # of the same version, like npm's <=2.0.0-rc.2
        ("2.0.0-rc.2", ["1.0.0", "1.5.0-rc.1"], "1.0.0"),
        ("2.0.0-rc.2", ["1.5.0-rc.1"], None),
    ],
)
def test_a_dist_tag_of_a_version_that_is_withheld_leads_to_the_one_before(
    tag: str, others: list[str], leads_to: str | None
) -> None:
    found = document({**dict.fromkeys(others, 0), tag: 100}, x=tag)
    shown = view(found, Policy(NAME, minimum_age=50), 100)
    assert shown.tags == ({} if leads_to is None else {"x": leads_to})


def test_what_is_allowed_is_served_however_young_and_what_is_blocked_is_not() -> None:
    rules = [
        rule(Kind.ALLOW, "pkg", "1.0.1"), rule(Kind.ALLOW, "other"), rule(Kind.BLOCK, "p*", "<1.0.0", "a worm"),
        rule(Kind.ALLOW, "pkg", "0.9.0"), rule(Kind.CLAIM, "pkg"),
    ]  # fmt: skip
    found = document({"0.9.0": 0, "1.0.0": 100, "1.0.1": 100}, latest="1.0.1", old="0.9.0")
    shown = view(found, policy_for(NAME, rules, [], 50), 100)
    assert list(shown.versions) == ["1.0.1"]
    assert shown.tags == {"latest": "1.0.1"}
    assert shown.withheld["0.9.0"] == "pkg@0.9.0 is blocked by the operator of this registry: a worm."
    assert shown.changes == (150,)


def test_malware_is_never_served_even_where_it_is_allowed() -> None:
    found = document(dict.fromkeys(["1.0.0", "1.0.1", "2.0.0"], 0), latest="2.0.0", evil="1.0.1")
    policy = policy_for(NAME, [rule(Kind.ALLOW, "pkg")], [Malicious("MAL-2025-1", ">=1.0.1 <1.0.2 || 2.0.0")], 0)
    shown = view(found, policy, 0)
    assert list(shown.versions) == ["1.0.0"]
    assert shown.tags == {"latest": "1.0.0", "evil": "1.0.0"}
    assert "MAL-2025-1" in (shown.notice or "")


def test_the_fingerprint_differs_with_everything_that_bears_on_a_package() -> None:
    policies = [
        Policy(NAME),
        Policy(NAME, minimum_age=1),
        Policy(NAME, malicious=(Malicious("MAL-1", "1.0.0"),)),
        Policy(NAME, blocks=(rule(Kind.BLOCK, "pkg"),)),
        Policy(NAME, blocks=(rule(Kind.BLOCK, "pkg", "1.0.0"),)),
        Policy(NAME, blocks=(rule(Kind.BLOCK, "pkg", reason="why"),)),
        Policy(NAME, allows=(rule(Kind.ALLOW, "pkg"),)),
    ]
    assert len({policy.fingerprint for policy in policies}) == len(policies)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("@acme", "@acme/x", True), ("@acme", "acme", False), ("@acme", "@acme-b/x", False), ("acme", "acme", True),
        ("acme", "ACME", True), ("acme-*", "acme-x", True), ("acme-*", "acme-", True), ("acme-*", "@s/acme-x", False),
        ("@a*/*-x", "@abc/y-x", True), ("@a*/*-x", "@abc/y-x-z", False), ("a*b*c", "aXbYc", True),
        ("a*b*c", "abc", True), ("a*b*c", "ac", False), ("a*a", "a", False), ("*", "anything", True),
        ("*", "@s/x", False), ("@*/*", "@s/x", True), ("@s/x", "@s/x", True), ("@s/x", "@s/xy", False),
    ],
)  # fmt: skip
def test_a_pattern_fits_what_it_says(pattern: str, name: str, fits: bool) -> None:
    assert rule(Kind.CLAIM, pattern).names(PackageName.parse(name)) is fits


@pytest.mark.parametrize(
    ("spec", "pattern", "versions"),
    [
        ("@acme", "@acme", "*"), ("pkg@1.2.3", "pkg", "1.2.3"), ("@a/b@>=1.0.0 <2.0.0", "@a/b", ">=1.0.0 <2.0.0"),
        ("pkg@*", "pkg", "*"), ("pkg@", "pkg", "*"), ("@acme@1.0.0", "@acme", "1.0.0"),
    ],
)  # fmt: skip
def test_a_spec_is_a_pattern_and_versions(spec: str, pattern: str, versions: str) -> None:
    assert split(Kind.BLOCK, spec) == (pattern, versions)


@pytest.mark.parametrize(
    "spec", ["", "@", "a b", "a/b", "pkg@^1.0.0", "pkg@latest", "@a/b/c", "../x", "x" * 300, "@/x"]
)
def test_what_is_no_spec_is_refused(spec: str) -> None:
    with pytest.raises(Invalid):
        split(Kind.BLOCK, spec)


def test_a_claim_names_no_version() -> None:
    with pytest.raises(Invalid):
        split(Kind.CLAIM, "pkg@1.0.0")


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def ago(server: Server, hours: float) -> str:
    moment = datetime.fromtimestamp(server.now(), UTC) - timedelta(hours=hours)
    return moment.isoformat().replace("+00:00", "Z")


def test_a_young_version_is_in_no_document_and_its_tarball_is_refused_until_it_is_old_enough(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("young")
    upstream.add(name, "1.0.0")
    upstream.add(name, "1.0.1", published=ago(mirror, 23))
    tarball = f"/{name}/-/{name}-1.0.1.tgz"
    for headers in ({}, ABBREVIATED):
        answer = request(mirror, "GET", f"/{name}", headers=headers)
        assert set(answer.json["versions"]) == {"1.0.0"}
        assert "1.0.1" not in answer.json["time"]
        assert answer.json["dist-tags"] == {"latest": "1.0.0"}
        assert f"{name}@1.0.1 is withheld for 1 more hour" in answer.notice
        etag = answer.headers["etag"]
    for path in (tarball, f"/{name}/1.0.1"):
        refused = request(mirror, "GET", path)
        assert refused.status == 403
        assert "is withheld for 1 more hour" in refused.error
        assert refused.notice == refused.error
    latest = request(mirror, "GET", f"/{name}/latest")
    assert latest.json["version"] == "1.0.0"
    assert upstream.count(tarball) == 0
    mirror.advance(3600)
    moved = request(mirror, "GET", f"/{name}/latest", headers={"if-none-match": latest.headers["etag"]})
    assert (moved.status, moved.json["version"]) == (200, "1.0.1")
    answer = request(mirror, "GET", f"/{name}", headers={**ABBREVIATED, "if-none-match": etag})
    assert set(answer.json["versions"]) == {"1.0.0", "1.0.1"}
    assert answer.json["dist-tags"] == {"latest": "1.0.1"}
    assert answer.notice == ""
    assert request(mirror, "GET", tarball).status == 200


def test_a_package_whose_versions_are_all_too_young_is_refused_with_the_reason(
    upstream: FakeUpstream, mirror: Server
) -> None:
    name = fresh_name("newborn")
    upstream.add(name, "1.0.0", published=ago(mirror, 1))
    answer = request(mirror, "GET", f"/{name}")
    assert answer.status == 403
    assert f"{name}@1.0.0 is withheld for 23 more hours" in answer.error


def test_an_urgent_fix_is_allowed_and_a_bad_version_blocked_at_once(upstream: FakeUpstream, mirror: Server) -> None:
    name = fresh_name("urgent")
    upstream.add(name, "1.0.0")
    upstream.add(name, "1.0.1", published=ago(mirror, 1))
    assert set(request(mirror, "GET", f"/{name}").json["versions"]) == {"1.0.0"}
    assert mirror.admin("upstream", "allow", f"{name}@1.0.1", "--reason", "CVE").returncode == 0
    assert request(mirror, "GET", f"/{name}").json["dist-tags"] == {"latest": "1.0.1"}
    blocked = mirror.admin("upstream", "block", f"{name}@<1.0.1", "--reason", "a worm")
    assert blocked.returncode == 0, blocked
    assert set(request(mirror, "GET", f"/{name}").json["versions"]) == {"1.0.1"}
    refused = request(mirror, "GET", f"/{name}/-/{name}-1.0.0.tgz")
    assert (refused.status, "blocked by the operator of this registry: a worm." in refused.error) == (403, True)
    listed = mirror.admin("upstream", "rules").stdout
    assert f"allow  {name}@1.0.1  CVE" in listed
    assert f"block  {name}@<1.0.1  a worm" in listed
    assert mirror.admin("upstream", "block", f"{name}@<1.0.1", "--remove").returncode == 0
    assert request(mirror, "GET", f"/{name}/-/{name}-1.0.0.tgz").status == 200
    assert mirror.admin("upstream", "allow", f"{name}@7.0.0", "--remove").returncode == 2


def test_malware_that_was_served_before_the_advisory_came_is_served_no_more(
    upstream: FakeUpstream, mirror: Server, tmp_path: Path
) -> None:
    name = fresh_name("worm")
    upstream.add(name, "1.0.0")
    upstream.add(name, "1.0.1")
    path = f"/{name}/-/{name}-1.0.1.tgz"
    assert request(mirror, "GET", path).status == 200
    record = {
        "id": "MAL-2025-7",
        "summary": "Malicious code",
        "modified": "2025-01-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "npm", "name": name}, "versions": ["1.0.1"]}],
    }
    (tmp_path / "mal.json").write_text(json.dumps(record))
    assert mirror.admin("advisories", "import", str(tmp_path)).returncode == 0
    refused = request(mirror, "GET", path)
    assert refused.status == 403
    assert "known to be malicious (MAL-2025-7)" in refused.error
    answer = request(mirror, "GET", f"/{name}")
    assert set(answer.json["versions"]) == {"1.0.0"}
    assert "MAL-2025-7" in answer.notice
    audit = request(mirror, "POST", "/-/npm/v1/security/advisories/bulk", body={name: ["1.0.0", "1.0.1"]})
    assert audit.json[name][0]["severity"] == "critical"
