"""The settings of a package on their page: publishing access, visibility, owners, teams, deprecation, deletion."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support import accounts
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web import people
from tests.web.conftest import NewPage
from tests.web.members import Member, by_npm, name_of, published

POLICIES = {
    "none": "Don't require two-factor authentication",
    "automation": "Require two-factor authentication or an automation or granular access token",
    "publish": "Require two-factor authentication and disallow tokens (recommended)",
}


@pytest.fixture(scope="module")
def alice(server: Server) -> Member:
    """Who owns packages, with two-factor authentication."""
    return Member(accounts.enrol(accounts.sign_up(server)))


@pytest.fixture(scope="module")
def bob(server: Server) -> Member:
    """Who comes to own some, without."""
    return Member(accounts.sign_up(server, accounts.fresh_name("bob")))


@pytest.fixture(scope="module")
def org(alice: Member, bob: Member) -> str:
    """The address of an organisation of Alice's that Bob is a developer of."""
    address = alice.make()
    alice.send(address, f"{address}/members", user=bob.name, role="developer")
    return address


@pytest.fixture
def name(alice: Member) -> str:
    """A package of hers."""
    return published(alice, accounts.fresh_name("core"))


@pytest.fixture
def on(name: str) -> str:
    """Where its settings are."""
    return settings(name)


def settings(name: str) -> str:
    return f"/package/{name}/access"


def packument(server: Server, name: str) -> dict[str, dict[str, dict[str, str]]]:
    answer = request(server, "GET", "/" + name.replace("/", "%2f"))
    assert answer.status == 200, answer
    return answer.json  # type: ignore[no-any-return]


def test_the_policies_have_the_words_of_the_public_registrys_site_and_hold(alice: Member, name: str, on: str) -> None:
    token = accounts.automation_token(alice.account)
    words = alice.browser.get(on).words
    for sentence in POLICIES.values():
        assert sentence in words
    for number, (policy, status) in enumerate((("publish", 403), ("automation", 201), ("none", 201))):
        assert "publishing access is changed" in alice.send(on, f"{on}/mfa", mfa=policy).words
        assert f'value="{policy}" required aria-describedby="mfa-{policy}-hint" checked' in alice.browser.page.html
        assert accounts.publish(alice.account, name, f"2.0.{number}", token=token).status == status, policy
    assert alice.send(on, f"{on}/mfa", mfa="sometimes").status == 400


def test_a_package_of_a_scope_is_restricted_and_one_without_cannot_be(
    server: Server, alice: Member, bob: Member, on: str
) -> None:
    assert f"{on}/visibility" not in [form.action for form in alice.browser.get(on).forms]
    assert "Only packages within a scope can be restricted." in alice.browser.page.words
    refused = alice.post(f"{on}/visibility", access="restricted")
    assert (refused.status, "has no scope" in refused.problem) == (400, True)
    scoped = published(alice, f"@{alice.name}/core-{accounts.fresh_name('x')}")
    at = settings(scoped)
    assert "Who sees the package is changed." in alice.send(at, f"{at}/visibility", access="restricted").words
    for browser in (Browser(server), bob.browser):
        assert browser.get(f"/package/{scoped}").status == 404
    assert bob.browser.get(at).status == 404
    alice.send(at, f"{at}/visibility", access="public")
    assert bob.browser.get(f"/package/{scoped}").status == 200


def test_the_page_is_for_who_may_write_and_its_forms_for_who_manages(
    server: Server, alice: Member, bob: Member, org: str
) -> None:
    alone, shared = published(alice, accounts.fresh_name("hers")), published(alice, f"@{name_of(org)}/ours")
    assert "Settings" in alice.browser.get(f"/package/{shared}").words
    assert f'href="{settings(shared)}"' in bob.browser.get(f"/package/{shared}").html, "the developers may write"
    assert f'href="{settings(alone)}"' not in bob.browser.get(f"/package/{alone}").html
    assert bob.browser.get(settings(alone)).status == 403
    assert Browser(server).send("GET", settings(alone)).status == 303
    assert alice.browser.get(settings("nothing-is-called-so")).status == 404
    page, at = bob.browser.get(settings(shared)), settings(shared)
    assert "Its owners decide about the rest." in page.words
    offered = {form.action.removeprefix(at) for form in page.forms if form.action.startswith(at)}
    assert offered == {"/deprecate", "/delete"}
    managing = {
        "mfa": {"mfa": "none"}, "visibility": {"access": "restricted"}, "owners": {"owner": bob.name},
        "owners/remove": {"owner": alice.name},
        "teams": {"team": f"{name_of(org)}:developers", "permission": "read-only"},
        "teams/revoke": {"team": f"{name_of(org)}:developers"},
    }  # fmt: skip
    before = alice.browser.get(at).words
    for verb, fields in managing.items():
        refused = bob.post(f"{at}/{verb}", **fields)
        assert (refused.status, "only its owners may" in refused.problem) == (403, True), verb
        assert bob.post(f"{settings(alone)}/{verb}", **fields).status == 403
    deletes = {"deprecate": {"versions": "*", "message": "x"}, "delete": {"package_name": alone}}
    for verb, fields in deletes.items():
        assert bob.post(f"{settings(alone)}/{verb}", **fields).status == 403
    assert alice.browser.get(at).words == before
    assert accounts.is_published(server, alone)


def test_owners_come_and_go_and_one_stays(alice: Member, bob: Member, name: str, on: str) -> None:
    missing = alice.send(on, f"{on}/owners", owner="nobody-at-all")
    assert (missing.status, 'value="nobody-at-all"' in missing.html) == (404, True)
    assert "has another owner" in alice.send(on, f"{on}/owners", owner=bob.name).words
    assert accounts.publish(bob.account, name, "2.0.0").status == 201
    assert alice.post(f"{on}/owners/remove", owner="somebody-else").status == 404
    gone = bob.send(on, f"{on}/owners/remove", owner=bob.name)
    assert (gone.path, "one owner less" in gone.words) == ("/settings/~/packages", True)
    assert bob.browser.get(on).status == 403
    last = alice.post(f"{on}/owners/remove", owner=alice.name)
    assert (last.status, "needs an owner" in last.problem) == (400, True)


def test_teams_get_access_and_lose_it(alice: Member, bob: Member, name: str, on: str, org: str) -> None:
    team = f"{name_of(org)}:developers"
    assert "No teams have access" in alice.browser.get(on).words
    for wrong in ("developers", ":", "", "acme:"):
        assert alice.send(on, f"{on}/teams", team=wrong, permission="read-write").status == 400, wrong
    unknown = alice.send(on, f"{on}/teams", team=f"{name_of(org)}:nobody", permission="read-write")
    assert (unknown.status, f'value="{name_of(org)}:nobody"' in unknown.html) == (404, True)
    alice.send(on, f"{on}/teams", team=team, permission="read-write")
    assert accounts.publish(bob.account, name, "2.0.0").status == 201
    alice.send(on, f"{on}/teams", team=team, permission="read-only")
    assert by_npm(bob, f"/-/team/{name_of(org)}/developers/package")[name] == "read"  # type: ignore[index]
    alice.send(on, f"{on}/teams/revoke", team=team)
    assert "No teams have access" in alice.browser.page.words
    assert bob.browser.get(on).status == 403


def test_who_left_an_organisation_still_ends_what_its_team_may_do_with_a_package(alice: Member, bob: Member) -> None:
    org, name = alice.make(), published(bob, accounts.fresh_name("bobs"))
    alice.send(org, f"{org}/members", user=bob.name, role="developer")
    at, team = settings(name), f"{name_of(org)}:developers"
    bob.send(at, f"{at}/teams", team=team, permission="read-write")
    bob.send(org, f"{org}/leave")
    assert team in bob.browser.get(at).words
    assert bob.post(f"{at}/teams", team=team, permission="read-only").status == 404
    assert "has ended" in bob.send(at, f"{at}/teams/revoke", team=team).words
    assert accounts.publish(alice.account, name, "2.0.0", otp=alice.account.fresh_code()).status == 403


def test_versions_are_deprecated_by_number_range_or_all_and_are_good_again(
    server: Server, alice: Member, name: str, on: str
) -> None:
    for version in ("1.1.0", "2.0.0-rc.1", "2.0.0"):
        assert accounts.publish(alice.account, name, version, otp=alice.account.fresh_code()).status == 201

    def deprecated() -> dict[str, str]:
        found = packument(server, name)["versions"]
        return {version: each["deprecated"] for version, each in found.items() if "deprecated" in each}

    silent = alice.send(on, f"{on}/deprecate", versions="1.0.0", message="")
    assert (silent.status, 'value="1.0.0"' in silent.html) == (400, True)
    assert alice.send(on, f"{on}/deprecate", versions="^1.0.0", message="Old").status == 400
    assert 'value="^1.0.0"' in alice.browser.page.html
    assert alice.send(on, f"{on}/deprecate", versions="9.9.9", message="Old").status == 400
    assert alice.send(on, f"{on}/deprecate", versions="", message="Old").status == 400
    assert deprecated() == {}
    alice.send(on, f"{on}/deprecate", versions="1.0.0", message="Broken <b>here</b>")
    assert deprecated() == {"1.0.0": "Broken <b>here</b>"}
    assert "Broken &lt;b&gt;here" in alice.browser.page.html
    alice.send(on, f"{on}/deprecate", versions=">=1.1.0 <2.0.0", message="Old")
    assert deprecated() == {"1.0.0": "Broken <b>here</b>", "1.1.0": "Old", "2.0.0-rc.1": "Old"}
    alice.send(on, f"{on}/undeprecate", lift_versions="1.0.0")
    assert deprecated() == {"1.1.0": "Old", "2.0.0-rc.1": "Old"}
    alice.send(on, f"{on}/deprecate", versions="*", message="All")
    assert set(deprecated()) == {"1.0.0", "1.1.0", "2.0.0-rc.1", "2.0.0"}
    alice.send(on, f"{on}/undeprecate", lift_versions="*")
    assert deprecated() == {}


def test_a_version_is_deleted_with_the_name_typed_and_its_number_never_comes_back(
    server: Server, alice: Member, name: str, on: str
) -> None:
    assert f"{on}/delete-version" not in [form.action for form in alice.browser.get(on).forms], "it is the only one"
    assert alice.post(f"{on}/delete-version", version="1.0.0", version_name=name).status == 400
    assert accounts.publish(alice.account, name, "2.0.0", otp=alice.account.fresh_code()).status == 201
    assert "can never be used again" in alice.browser.get(on).words
    wrong = alice.send(on, f"{on}/delete-version", version="2.0.0", version_name=f"{name}x")
    assert (wrong.status, 'value="2.0.0"' in wrong.html) == (400, True)
    assert alice.send(on, f"{on}/delete-version", version="3.0.0", version_name=name).status == 404
    assert set(packument(server, name)["versions"]) == {"1.0.0", "2.0.0"}
    assert "cannot be used again" in alice.send(on, f"{on}/delete-version", version="2.0.0", version_name=name).words
    assert set(packument(server, name)["versions"]) == {"1.0.0"}
    again = accounts.publish(alice.account, name, "2.0.0", otp=alice.account.fresh_code())
    assert again.status in (400, 403, 409), again


def test_a_package_is_deleted_with_its_name_typed_and_the_page_says_what_that_means(
    server: Server, alice: Member, name: str, on: str
) -> None:
    words = alice.browser.get(on).words
    for sentence in ("installs that ask for it fail from then on", "The name rests for 24 hours"):
        assert sentence in words
    assert alice.send(on, f"{on}/delete", package_name="").status == 400
    assert accounts.is_published(server, name)
    gone = alice.send(on, f"{on}/delete", package_name=name)
    assert (gone.path, "The package is deleted." in gone.words) == ("/settings/~/packages", True)
    assert not accounts.is_published(server, name)
    assert alice.browser.get(on).status == 404
    assert "less than 24 hours ago" in accounts.publish(alice.account, name, "2.0.0", otp=alice.account.code()).error


def test_a_change_waits_for_the_code_and_keeps_what_was_typed(server: Server) -> None:
    dave = Member(accounts.enrol(accounts.sign_up(server, accounts.fresh_name("dave"))))
    name = published(dave, f"@{dave.name}/core")
    on, browser = settings(name), dave.browser
    server.advance(11 * 60)
    browser.get(on)
    assert "Confirm that it is you" in browser.submit(f"{on}/deprecate", versions="*", message="Use another.").words
    assert "deprecated" not in packument(server, name)["versions"]["1.0.0"]
    assert "deprecated" in browser.confirm(otp=dave.account.code()).words
    assert packument(server, name)["versions"]["1.0.0"]["deprecated"] == "Use another."


def test_a_package_gets_its_policy_by_keyboard_alone_without_a_script(new_page: NewPage, server: Server) -> None:
    page = new_page(java_script_enabled=False)
    account = accounts.enrol(accounts.sign_up(server))
    name = accounts.fresh_name("core")
    assert accounts.publish(account, name, otp=account.fresh_code()).status == 201
    people.sign_in(page, account, to=f"/package/{name}")
    page.get_by_role("link", name="Settings", exact=True).last.press("Enter")
    page.get_by_label(POLICIES["none"]).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("publishing access is changed")).to_be_visible()
    expect(page.get_by_label(POLICIES["publish"])).to_be_checked()
