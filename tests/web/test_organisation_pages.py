"""Organisations and teams on their pages: who sees what, who changes what, and what npm then says."""

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
from tests.web.test_pages_are_accessible import _tab_to as tab_to
from tests.web.token_pages import generate, secret_of


@pytest.fixture(scope="module")
def alice(server: Server) -> Member:
    """Who owns organisations, with two-factor authentication."""
    return Member(accounts.enrol(accounts.sign_up(server)))


@pytest.fixture(scope="module")
def bob(server: Server) -> Member:
    """Who is added to them, without."""
    return Member(accounts.sign_up(server, accounts.fresh_name("bob")))


@pytest.fixture(scope="module")
def carol(server: Server) -> Member:
    """Who is in none of them."""
    return Member(accounts.sign_up(server, accounts.fresh_name("carol")))


@pytest.fixture
def org(alice: Member, bob: Member) -> str:
    """The address of an organisation that Alice owns and Bob is a developer of."""
    address = alice.make()
    assert "has the role" in alice.send(address, f"{address}/members", user=bob.name, role="developer").words
    return address


def test_an_organisation_is_made_on_the_page_and_its_name_is_taken(alice: Member, bob: Member) -> None:
    org = alice.make()
    assert name_of(org) in alice.browser.get("/orgs").words
    assert by_npm(alice, f"/-{org}/user") == {alice.name: "owner"}
    for name in (name_of(org), alice.name, bob.name):
        refused = bob.send("/orgs", "/orgs", name=name)
        assert (refused.status, "belongs to another" in refused.problem) == (403, True)
        assert f'value="{name}"' in refused.html, "what was typed is still there"
    for name in ("", "Acme", "a/b", "../x", ".x", "a b", "@@x", "x" * 300, "<b>"):
        assert bob.send("/orgs", "/orgs", name=name).status == 400, name


def test_who_is_in_none_is_told_what_one_is_for(carol: Member) -> None:
    assert "You are in no organisation yet." in carol.browser.get("/orgs").words


def test_the_list_is_for_who_is_signed_in(server: Server) -> None:
    assert Browser(server).send("GET", "/orgs").headers["location"] == "/login?next=%2Forgs"


def test_strangers_see_the_packages_that_they_may_know_of_and_nothing_else(
    server: Server, alice: Member, carol: Member, org: str
) -> None:
    name = published(alice, f"@{name_of(org)}/core")
    secret = published(alice, f"@{name_of(org)}/secret")
    settings = f"/package/{secret}/access"
    alice.send(settings, f"{settings}/visibility", access="restricted")
    alice.send(org, f"{org}/teams", team="plumbers", description="")
    assert secret in alice.browser.get(org).words
    for browser in (Browser(server), carol.browser):
        page = browser.get(org)
        assert (page.status, name in page.words) == (200, True)
        shown = page.words.partition("Search packages")[2]
        for hidden in (secret, "Members", "plumbers", "2FA members"):
            assert hidden not in shown, hidden
        assert [form.action for form in page.forms if form.action.startswith(org)] == []
        assert f'href="{org}"' in browser.get(f"/package/{name}").html
    assert carol.browser.get(f"{org}/team/plumbers").status == 404
    assert Browser(server).send("GET", f"{org}/team/plumbers").status == 303


def test_an_organisation_that_is_not_there_is_not_found(alice: Member, carol: Member) -> None:
    for address in ("/org/nobody-is-called-so", f"/org/{alice.name}", "/org/nobody-is-called-so/team/x"):
        assert carol.browser.get(address).status == 404, address


def test_members_come_get_other_roles_and_go(alice: Member, bob: Member, carol: Member, org: str) -> None:
    roles = f"/-{org}/user"
    assert by_npm(bob, roles) == {alice.name: "owner", bob.name: "developer"}
    alice.send(org, f"{org}/members", user=bob.name, role="admin")
    assert by_npm(bob, roles) == {alice.name: "owner", bob.name: "admin"}
    missing = alice.send(org, f"{org}/members", user="nobody-at-all", role="admin")
    assert (missing.status, missing.problem) == (404, "There is no account 'nobody-at-all' here.")
    assert 'value="nobody-at-all"' in missing.html, "what was typed is still there"
    assert alice.send(org, f"{org}/members", user=carol.name, role="king").status == 400
    last = alice.send(org, f"{org}/members", user=alice.name, role="developer")
    assert (last.status, "needs an owner" in last.problem) == (403, True)
    assert "out of the organisation" in alice.send(org, f"{org}/members/remove", user=bob.name).words
    assert by_npm(alice, roles) == {alice.name: "owner"}
    assert by_npm(bob, roles) == 404


def test_a_developer_changes_nothing_and_a_stranger_finds_nothing_to_change(
    alice: Member, bob: Member, carol: Member, org: str
) -> None:
    alice.send(org, f"{org}/teams", team="core", description="")
    team = f"{org}/team/core"
    before = alice.browser.get(org).words, alice.browser.get(team).words
    forms = {
        f"{org}/members": {"user": carol.name, "role": "owner"}, f"{org}/members/remove": {"user": alice.name},
        f"{org}/settings": {"new_packages": "none"}, f"{org}/delete": {"delete_name": name_of(org)},
        f"{org}/teams": {"team": "more"}, f"{team}/members": {"user": bob.name},
        f"{team}/members/remove": {"user": alice.name}, f"{team}/description": {"description": "x"},
        f"{team}/delete": {"delete_name": "core"},
    }  # fmt: skip
    for path, fields in forms.items():
        refused = bob.post(path, **fields)
        assert (refused.status, "ask one of them" in refused.problem) == (403, True), path
        assert carol.post(path, **fields).status == 404, path
    assert carol.post(f"{org}/leave").status == 404
    assert (alice.browser.get(org).words, alice.browser.get(team).words) == before
    offered = {form.action for form in bob.browser.get(org).forms if form.action.startswith(org)}
    assert offered == {f"{org}/leave"}


def test_a_member_leaves_and_the_last_owner_stays(alice: Member, bob: Member, org: str) -> None:
    assert bob.send(org, f"{org}/leave").path == "/orgs"
    assert "You have left the organisation." in bob.browser.page.words
    assert bob.browser.get(org).words.count("Members") == 0
    stays = alice.send(org, f"{org}/leave")
    assert (stays.status, "needs an owner" in stays.problem) == (403, True)


def test_2fa_is_required_and_the_page_says_beforehand_whom_it_shuts_out(
    alice: Member, bob: Member, carol: Member, org: str
) -> None:
    name = f"@{name_of(org)}/core"
    published(bob, name)
    assert f"These would lose write access: {bob.name}" in alice.browser.get(org).words
    alice.send(org, f"{org}/settings", require_2fa="yes", new_packages="read-only")
    assert "settings are saved" in alice.browser.page.words
    assert f"Without write access until they turn it on: {bob.name}" in alice.browser.page.words
    refused = accounts.publish(bob.account, name, "2.0.0")
    assert (refused.status, "asks its members for two-factor" in refused.error) == (403, True)
    late = alice.send(org, f"{org}/members", user=carol.name, role="developer")
    assert (late.status, "has none" in late.problem) == (403, True)
    fresh = published(alice, f"@{name_of(org)}/next")
    assert by_npm(alice, f"/-/team/{name_of(org)}/developers/package") == {name: "write", fresh: "read"}
    wrong = alice.send(org, f"{org}/settings", require_2fa="yes", new_packages="everything")
    assert wrong.status == 400


def test_an_owner_without_a_second_factor_does_not_lock_themselves_out(bob: Member) -> None:
    org = bob.make()
    refused = bob.send(org, f"{org}/settings", require_2fa="yes", new_packages="none")
    assert (refused.status, "your own account first" in refused.problem) == (403, True)
    assert "checked" in refused.html.partition('name="require_2fa"')[2][:80], "what was chosen is still chosen"


def test_only_an_organisation_that_never_had_a_package_is_deleted(alice: Member, org: str) -> None:
    wrong = alice.send(org, f"{org}/delete", delete_name="another")
    assert (wrong.status, "Type the name" in wrong.problem) == (400, True)
    assert alice.send(org, f"{org}/delete", delete_name=name_of(org)).path == "/orgs"
    assert alice.browser.get(org).status == 404
    used = alice.make()
    published(alice, f"@{name_of(used)}/core")
    assert "cannot be deleted" in alice.browser.get(used).words
    assert alice.post(f"{used}/delete", delete_name=name_of(used)).status == 403


def test_a_team_is_made_filled_granted_a_package_and_deleted(alice: Member, bob: Member, org: str) -> None:
    assert "No teams of your own yet" in alice.browser.get(org).words
    name = f"{name_of(org)}-outside"
    published(alice, name)
    team = f"{org}/team/core"
    assert alice.send(org, f"{org}/teams", team="core", description="Those who know").path == team
    assert "Nobody is in this team yet." in alice.browser.page.words
    assert "No packages yet." in alice.browser.page.words
    again = alice.send(org, f"{org}/teams", team="core", description="twice")
    assert (again.status, 'value="twice"' in again.html) == (403, True)
    assert accounts.publish(bob.account, name, "2.0.0").status == 403
    alice.send(team, f"{team}/members", user=bob.name)
    alice.send(team, f"{team}/packages", package=name, permission="read-write")
    assert accounts.publish(bob.account, name, "2.0.0").status == 201
    alice.send(team, f"{team}/packages", package=name, permission="read-only")
    assert accounts.publish(bob.account, name, "3.0.0").status == 403
    alice.send(team, f"{team}/packages/revoke", package=name)
    assert by_npm(bob, f"/-/team/{name_of(org)}/core/package") == {}
    alice.send(team, f"{team}/members/remove", user=bob.name)
    assert by_npm(bob, f"/-/team/{name_of(org)}/core/user") == []
    assert "Better words" in alice.send(team, f"{team}/description", description="Better words").words
    assert alice.send(team, f"{team}/delete", delete_name="cor").status == 400
    assert alice.send(team, f"{team}/delete", delete_name="core").path == org
    assert alice.browser.get(team).status == 404


def test_a_package_is_granted_by_who_manages_it_alone(alice: Member, bob: Member, org: str) -> None:
    team = f"{org}/team/developers"
    mine, hers = published(bob, accounts.fresh_name("bobs")), published(alice, accounts.fresh_name("hers"))
    refused = bob.send(team, f"{team}/packages", package=hers, permission="read-write")
    assert (refused.status, "not an owner" in refused.problem) == (403, True)
    assert f'value="{hers}"' in refused.html
    assert bob.send(team, f"{team}/packages", package="no-such-package", permission="read-write").status == 404
    assert bob.send(team, f"{team}/packages", package="Not A Name", permission="read-write").status == 400
    assert bob.send(team, f"{team}/packages", package=mine, permission="all").status == 400
    assert mine in bob.send(team, f"{team}/packages", package=mine, permission="read-only").words
    actions = [form.action for form in alice.browser.get(team).forms]
    assert f"{team}/packages/revoke" not in actions, "an owner of the organisation does not manage Bob's own package"


def test_the_team_of_every_member_keeps_everybody(alice: Member, bob: Member, org: str) -> None:
    team = f"{org}/team/developers"
    page = alice.browser.get(team)
    assert "Every member of" in page.words
    assert {f"{team}/members/remove", f"{team}/delete"}.isdisjoint(form.action for form in page.forms)
    assert alice.post(f"{team}/members/remove", user=bob.name).status == 403
    assert alice.post(f"{team}/delete", delete_name="developers").status == 403


def test_a_form_waits_for_the_code_and_is_then_carried_out_once(server: Server, bob: Member) -> None:
    dave = accounts.enrol(accounts.sign_up(server, accounts.fresh_name("dave")))
    browser = Browser(server)
    browser.sign_in(dave)
    server.advance(11 * 60)  # what was shown at the sign-in counts no more
    name = accounts.fresh_name("acme")
    browser.get("/orgs")
    assert "Confirm that it is you" in browser.submit("/orgs", name=name).words
    assert request(server, "GET", f"/-/org/{name}/user", token=dave.token).status == 404
    browser.confirm(otp=dave.code())
    assert browser.page.path == f"/org/{name}"
    browser.submit(f"/org/{name}/members", user=bob.name, role="admin")
    assert "has the role" in browser.page.words, "and the code counts for a while"


def test_a_granular_token_is_limited_to_organisations_on_the_page(server: Server, alice: Member, org: str) -> None:
    other, browser = alice.make(), alice.browser
    made = generate(browser, type="granular", name="members", orgs=name_of(org), orgs_permission="read-only")
    if any(form.action == "/confirm" for form in made.forms):
        made = browser.confirm(otp=alice.account.fresh_code())
    token = secret_of(made)
    assert request(server, "GET", f"/-{org}/user", token=token).status == 200
    assert request(server, "GET", f"/-{other}/user", token=token).status == 404
    assert f"Organisations: read-only on {name_of(org)}." in browser.get("/settings/~/tokens").words
    foreign = generate(browser, type="granular", name="kept", orgs="somebody-elses", orgs_permission="read-write")
    assert (foreign.status, "You are in no organisation" in foreign.problem) == (400, True)
    assert 'value="kept"' in foreign.html


def test_an_organisation_is_made_and_filled_by_keyboard_alone_without_a_script(
    new_page: NewPage, server: Server, bob: Member
) -> None:
    page = new_page(java_script_enabled=False)
    people.sign_in(page, accounts.enrol(accounts.sign_up(server)))
    keys, name = page.keyboard, accounts.fresh_name("acme")
    page.get_by_role("link", name="Organisations").press("Enter")
    page.get_by_label("Name", exact=True).press_sequentially(name)
    keys.press("Enter")
    expect(page.get_by_role("heading", name=f"@{name}", exact=True)).to_be_visible()
    page.get_by_label("Username").press_sequentially(bob.name)
    keys.press("Enter")
    expect(page.get_by_role("link", name=bob.name)).to_be_visible()
    page.get_by_label("Name of the team").press_sequentially("core")
    keys.press("Enter")
    expect(page.get_by_text("Nobody is in this team yet.")).to_be_visible()


def test_every_control_of_an_organisation_is_reached_by_tab(new_page: NewPage, alice: Member, org: str) -> None:
    page = new_page()
    people.sign_in(page, alice.account, to=org)
    tab_to(page, "Username")
    tab_to(page, "Name of the team")
    tab_to(page, "Save settings")
    tab_to(page, "Delete organisation")
