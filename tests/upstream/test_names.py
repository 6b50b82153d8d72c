"""Whose a name is: what is of this registry never comes from upstream, what is upstream's is not given away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import Account, fresh_name
from tests.support.fake_upstream import FakeUpstream, Handler
from tests.support.server import Server
from tests.support.wire import Answer, request
from tests.upstream.conftest import SETTINGS
from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind
from twokey.guard.decide import Allow, Reason, Refuse, decide
from twokey.guard.facts import Facts, OrganisationFacts


def asked(upstream: FakeUpstream, name: str) -> int:
    return sum(name in each.path.replace("%2f", "/") for each in upstream.asked)


def versions(answer: Answer) -> set[str]:
    return set(answer.json["versions"])


def down(handler: Handler) -> bool:
    handler.hang_up()
    return True


@pytest.fixture
def alice(mirror: Server) -> Account:
    """An account without a second factor."""
    return accounts.sign_up(mirror)


def test_a_package_of_this_registry_is_never_asked_of_upstream(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    name = fresh_name("ours")
    assert accounts.publish(alice, name).status == 201
    before = asked(upstream, name)
    upstream.add(name, "99.0.0")
    assert versions(request(mirror, "GET", f"/{name}")) == {"1.0.0"}
    assert request(mirror, "GET", f"/{name}/99.0.0").status == 404
    assert request(mirror, "GET", f"/{name}/-/{name}-99.0.0.tgz").status == 404
    assert asked(upstream, name) == before


def test_a_package_that_was_unpublished_here_does_not_come_from_upstream_afterwards(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    name = fresh_name("withdrawn")
    assert accounts.publish(alice, name).status == 201
    revision = request(mirror, "GET", f"/{name}?write=true").json["_rev"]
    assert alice.ask("DELETE", f"/{name}/-rev/{revision}").status == 200
    before = asked(upstream, name)
    upstream.add(name, "99.0.0")
    assert request(mirror, "GET", f"/{name}").status == 404
    assert asked(upstream, name) == before


def test_no_name_in_the_scope_of_a_user_or_an_organisation_is_asked_of_upstream(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    scope = fresh_name("org")
    assert accounts.publish(alice, f"@{scope}/first").status == 201
    before = len(upstream.asked)
    for name in (f"@{scope}/other", f"@{alice.name}/thing", f"@{scope.upper()}/other"):
        upstream.add(name)
        assert request(mirror, "GET", f"/{name}").status == 404
    assert len(upstream.asked) == before


def test_a_restricted_package_is_a_stranger_s_404_and_never_upstream_s(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    name = f"@{alice.name}/secret"
    assert accounts.publish(alice, name).status == 201
    restricted = alice.ask("POST", f"/-/package/@{alice.name}%2fsecret/access", body={"access": "restricted"})
    assert restricted.status == 200, restricted
    before = len(upstream.asked)
    upstream.add(name, "99.0.0")
    for path in (f"/{name}", f"/{name}/99.0.0", f"/{name}/-/secret-99.0.0.tgz", f"/@{alice.name}/nothing"):
        answer = request(mirror, "GET", path)
        assert (answer.status, answer.error) == (404, "Not found")
    assert versions(alice.ask("GET", f"/{name}")) == {"1.0.0"}
    assert len(upstream.asked) == before


@pytest.mark.parametrize(
    ("pattern", "claimed", "free"),
    [
        ("@claimed-SCOPE", "@claimed-SCOPE/anything", "claimed-SCOPE"),
        ("exact-NAME", "exact-NAME", "exact-NAME-more"),
        ("acme-NAME-*", "acme-NAME-tools", "@acme-NAME-x/acme-NAME-tools"),
        ("@acme-SCOPE-*/*", "@acme-SCOPE-web/x", "acme-SCOPE-web"),
    ],
)
def test_what_the_operator_claims_is_never_asked_of_upstream(
    upstream: FakeUpstream, mirror: Server, pattern: str, claimed: str, free: str
) -> None:
    number = fresh_name("n")
    pattern, claimed, free = (
        each.replace("NAME", number).replace("SCOPE", number) for each in (pattern, claimed, free)
    )
    for name in (claimed, free):
        upstream.add(name)
        assert request(mirror, "GET", f"/{name}").status == 200
    done = mirror.admin("claim", pattern)
    assert (done.returncode, done.stdout.startswith(f"{pattern} is claimed")) == (0, True), done
    before = asked(upstream, claimed)
    assert request(mirror, "GET", f"/{claimed}").status == 404
    assert request(mirror, "GET", f"/{free}").status == 200
    assert asked(upstream, claimed) == before
    assert pattern in mirror.admin("upstream", "rules").stdout
    assert mirror.admin("claim", pattern).returncode == 2
    assert mirror.admin("claim", pattern, "--remove").returncode == 0
    assert request(mirror, "GET", f"/{claimed}").status == 200
    trail = mirror.admin("audit", "list", "--last", "20").stdout
    assert f"upstream:{pattern}" in trail
    assert "operator:upstream:claim" in trail
    assert "operator:upstream:remove-rule" in trail


def test_a_name_that_upstream_has_cannot_be_published_here(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    for name in (fresh_name("taken"), f"@{fresh_name('taken')}/thing"):
        upstream.add(name)
        refused = accounts.publish(alice, name, "2.0.0")
        assert refused.status == 403
        assert f"Upstream has a package {name}" in refused.error
        assert versions(request(mirror, "GET", f"/{name}")) == {"1.0.0"}
    assert "package:package:create" not in mirror.admin("audit", "list", "--user", alice.name).stdout


def test_a_large_publish_waits_for_upstream_before_its_body_is_taken(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    """One that is taken in blocks: the name is asked about first, and given or not."""
    taken, free = fresh_name("taken"), fresh_name("free")
    upstream.add(taken)
    readme = "word " * 300_000
    refused = alice.ask("PUT", f"/{taken}", body=accounts.publish_document(taken, "2.0.0", readme=readme))
    assert refused.status == 403
    assert f"Upstream has a package {taken}" in refused.error
    published = alice.ask("PUT", f"/{free}", body=accounts.publish_document(free, "1.0.0", readme=readme))
    assert published.status == 201, published
    assert asked(upstream, free) == 1


def test_a_scope_whose_packages_come_from_upstream_cannot_be_taken_here(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    """Not by a publish, not by an account of that name: either would take everybody else's packages away."""
    scope = fresh_name("types")
    upstream.add(f"@{scope}/node")
    assert request(mirror, "GET", f"/@{scope}/node").status == 200
    refused = accounts.publish(alice, f"@{scope}/new")
    assert refused.status == 403
    assert "come from upstream" in refused.error
    answer = request(
        mirror, "PUT", accounts.user_path(scope), body=accounts.user_document(scope, accounts.PASSWORD, "x@example.com")
    )
    assert answer.status == 403
    assert "come from upstream" in answer.error
    assert request(mirror, "GET", f"/@{scope}/node").status == 200
    assert mirror.admin("claim", f"@{scope}").returncode == 0
    assert accounts.publish(alice, f"@{scope}/new").status == 201


@pytest.mark.parametrize("action", [Action.SIGN_UP, Action.CREATE_ORGANISATION])
def test_whoever_would_take_a_scope_of_upstream_s_is_refused_but_the_operator(action: Action) -> None:
    facts = Facts(action=action, kind=CredentialKind.ANONYMOUS, takes_scope_of_upstream=True)
    if action is Action.CREATE_ORGANISATION:
        facts = replace(facts, kind=CredentialKind.SESSION, organisation=OrganisationFacts(False))
    assert decide(facts) == Refuse(Reason.SCOPE_OF_UPSTREAM)
    assert decide(replace(facts, takes_scope_of_upstream=False)) == Allow()
    if action is Action.SIGN_UP:
        assert decide(replace(facts, kind=CredentialKind.OPERATOR)) == Allow()


def test_a_name_is_not_given_away_while_upstream_cannot_be_asked(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    name = fresh_name("unknown")
    upstream.misbehave = down
    refused = accounts.publish(alice, name)
    assert refused.status == 403
    assert "cannot be asked now" in refused.error
    # what never comes from there needs no answer from there
    assert accounts.publish(alice, f"@{alice.name}/own").status == 201
    upstream.misbehave = None
    mirror.advance(6)
    assert accounts.publish(alice, name).status == 201


def test_a_name_that_is_remembered_as_missing_is_asked_about_again_before_it_is_given_away(
    upstream: FakeUpstream, mirror: Server, alice: Account
) -> None:
    name = fresh_name("late")
    assert request(mirror, "GET", f"/{name}").status == 404
    upstream.add(name)
    mirror.advance(61)
    assert accounts.publish(alice, name).status == 403
    assert request(mirror, "GET", f"/{name}").status == 200


def test_a_code_is_not_used_up_by_a_name_that_cannot_be_had(upstream: FakeUpstream, mirror: Server) -> None:
    bob = accounts.enrol(accounts.sign_up(mirror))
    name = fresh_name("code")
    upstream.add(name)
    otp = bob.fresh_code()
    assert accounts.publish(bob, name, otp=otp).status == 403
    assert accounts.publish(bob, f"@{bob.name}/own", otp=otp).status == 201


@pytest.fixture(scope="module")
def lenient(_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry whose operator allows one name, and which reads nothing out to strangers."""
    folder: Path = tmp_path_factory.mktemp("lenient")
    more = {"TWOKEY_ALLOW_NAMES": "allowed-name", "TWOKEY_READ": "authenticated"}
    with Server(folder, {**SETTINGS, "TWOKEY_UPSTREAM": _upstream.address, **more}) as server:
        yield server


def test_the_operator_may_allow_a_name_that_upstream_has(upstream: FakeUpstream, lenient: Server) -> None:
    upstream.add("allowed-name", "99.0.0")
    carol = accounts.sign_up(lenient)
    assert versions(carol.ask("GET", "/allowed-name")) == {"99.0.0"}
    assert accounts.publish(carol, "allowed-name").status == 201
    assert versions(carol.ask("GET", "/allowed-name")) == {"1.0.0"}


def test_where_reading_needs_a_token_packages_of_upstream_need_one_too(upstream: FakeUpstream, lenient: Server) -> None:
    name = fresh_name("members")
    upstream.add(name)
    for path in (f"/{name}", f"/{name}/latest", f"/{name}/-/{name}-1.0.0.tgz", f"/-/package/{name}/dist-tags"):
        assert request(lenient, "GET", path).status == 401
    assert not asked(upstream, name)
    carol = accounts.sign_up(lenient)
    answer = carol.ask("GET", f"/{name}")
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-cache")


def test_a_token_that_is_limited_to_packages_here_installs_what_comes_from_upstream(
    upstream: FakeUpstream, lenient: Server
) -> None:
    name, own = fresh_name("dependency"), fresh_name("mine")
    upstream.add(name)
    carol = accounts.sign_up(lenient)
    for each in (f"@{carol.name}/{own}", f"@{carol.name}/other"):
        assert accounts.publish(carol, each).status == 201
    limited = accounts.make_token(
        carol, name="ci", packages=[f"@{carol.name}/{own}"], packages_and_scopes_permission="read-only", expires=7
    )
    assert request(lenient, "GET", f"/{name}", token=limited).status == 200
    assert request(lenient, "GET", f"/@{carol.name}/{own}", token=limited).status == 200
    assert request(lenient, "GET", f"/@{carol.name}/other", token=limited).status == 404
