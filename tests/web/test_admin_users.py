"""The administration of accounts: who gets in, what disabling, resetting and inviting do, and what they refuse."""

from __future__ import annotations

import re

import pytest

from tests.support import accounts
from tests.support.accounts import PASSWORD, Account
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web.administrators import administrator, events, signed_in, submit

PAGES = (
    "/admin", "/admin/users", "/admin/invitations", "/admin/packages", "/admin/settings", "/admin/audit",
    "/admin/audit/export", "/admin/health",
)  # fmt: skip
TEN_MINUTES = 600


@pytest.mark.parametrize("path", PAGES)
def test_the_pages_are_there_for_administrators_alone(server: Server, path: str) -> None:
    admin, _ = signed_in(server)
    assert admin.get(path).status == 200
    ordinary = Browser(server)
    ordinary.sign_in(accounts.enrol(accounts.sign_up(server)))
    assert ordinary.get(path).status == 404
    stranger = Browser(server).send("GET", path)
    assert (stranger.status, stranger.headers["location"].partition("?")[0]) == (303, "/login")


def test_the_way_there_is_shown_to_administrators_alone(server: Server, browser: Browser) -> None:
    admin, _ = signed_in(server)
    assert 'href="/admin"' in admin.get("/").html
    assert 'href="/admin"' not in browser.get("/").html


def test_an_administrator_without_a_second_factor_is_told_to_turn_it_on(server: Server) -> None:
    account = accounts.sign_up(server)
    server.admin("user", "grant", account.name)
    browser = Browser(server)
    browser.sign_in(account)
    page = browser.get("/admin")
    assert (page.status, "Two-factor authentication is off" in page.words) == (403, True)


def test_an_administrators_token_opens_nothing(server: Server) -> None:
    account = administrator(server)
    answer = account.ask("GET", "/admin", otp=account.fresh_code())
    assert answer.status == 404, "a package of that name, and there is none"


def test_a_second_factor_of_ten_minutes_ago_is_asked_for_again_and_leads_back(server: Server) -> None:
    browser, account = signed_in(server)
    server.advance(TEN_MINUTES)
    page = browser.get("/admin/users?q=nobody-at-all")
    assert "Confirm that it is you" in page.words
    wrong = browser.confirm(otp=account.wrong_code())
    assert (wrong.status, bool(wrong.problem)) == (401, True)
    page = browser.confirm(otp=account.fresh_code())
    assert (page.status, page.path) == (200, "/admin/users")
    assert "No account is called so." in page.words
    assert browser.get("/admin").status == 200
    assert events(server, account.name, "account:administration:enter")


def test_who_is_no_administrator_any_more_does_nothing_more(server: Server) -> None:
    browser, account = signed_in(server)
    bob = accounts.sign_up(server)
    page = browser.get(f"/admin/users/{bob.name}")
    server.admin("user", "revoke", account.name)
    assert browser.submit_again(f"/admin/users/{bob.name}/disable", page).status == 404
    assert bob.ask("GET", "/-/whoami").status == 200


def test_a_disabled_account_is_refused_until_it_is_enabled(server: Server) -> None:
    browser, admin = signed_in(server)
    bob = accounts.sign_up(server)
    on = f"/admin/users/{bob.name}"
    assert "The account is disabled" in submit(browser, admin, on, f"{on}/disable").words
    assert bob.ask("GET", "/-/whoami").status == 401
    assert "The account is enabled" in submit(browser, admin, on, f"{on}/enable").words
    assert bob.ask("GET", "/-/whoami").status == 200
    assert len(events(server, bob.name, "account:account:disable")) == 1


def test_nobody_disables_themselves(server: Server) -> None:
    browser, admin = signed_in(server)
    page = browser.get(f"/admin/users/{admin.name}")
    fields = dict(page.form("/logout").fields)
    refused = browser.post(f"/admin/users/{admin.name}/disable", fields)
    assert (refused.status, "your own account" in refused.problem) == (403, True)
    assert browser.get("/admin").status == 200


def test_users_are_found_by_name_and_by_address(server: Server) -> None:
    browser, _ = signed_in(server)
    bob = accounts.sign_up(server)
    for text in (bob.name, bob.email):
        assert f'href="/admin/users/{bob.name}"' in browser.get(f"/admin/users?q={text}").html
    assert "No account is called so." in browser.get("/admin/users?q=%25_nobody").words
    assert browser.get("/admin/users?page=0").status == 400
    assert browser.get("/admin/users/nobody-at-all").status == 404


# -- the reset of a second factor --------------------------------------------------------------------------------


@pytest.fixture
def bob(server: Server) -> Account:
    return accounts.enrol(accounts.sign_up(server))


def mode_of(account: Account) -> object:
    return account.profile()["tfa"]


def test_a_reset_waits_is_shown_to_its_owner_and_can_be_stopped(server: Server, bob: Account) -> None:
    browser, admin = signed_in(server)
    on = f"/admin/users/{bob.name}"
    page = submit(browser, admin, on, f"{on}/reset")
    assert "reset in 24 hours" in page.words
    assert mode_of(bob) == {"pending": False, "mode": "auth-and-writes"}
    assert f'href="{on}"' in browser.get("/admin").html
    own = Browser(server)
    own.sign_in(bob)
    assert f"An administrator, {admin.name}, is about to take your second factor away" in (
        own.get("/settings/~/security").words
    )
    assert "The reset is cancelled." in own.submit("/settings/~/security/keep").words
    assert "is about to take" not in own.get("/settings/~/security").words
    assert f"{on}/reset" in [form.action for form in browser.get(on).forms]


def test_a_reset_asks_for_a_code_in_that_very_request(server: Server, bob: Account) -> None:
    browser, _ = signed_in(server)
    on = f"/admin/users/{bob.name}"
    browser.get(on)
    assert "Confirm that it is you" in browser.submit(f"{on}/reset").words
    assert events(server, bob.name, "account:second-factor:ask-reset") == []


def test_another_administrator_approves_it_at_once_and_the_one_who_asked_cannot(server: Server, bob: Account) -> None:
    first, asker = signed_in(server)
    on = f"/admin/users/{bob.name}"
    page = submit(first, asker, on, f"{on}/reset")
    assert f"{on}/approve-reset" not in [form.action for form in page.forms]
    fields = dict(page.form("/logout").fields) | {"otp": asker.fresh_code()}
    refused = first.post(f"{on}/approve-reset", fields)
    assert (refused.status, "Another administrator" in refused.problem) == (403, True)
    assert mode_of(bob)
    second, approver = signed_in(server)
    assert "The second factor is reset." in submit(second, approver, on, f"{on}/approve-reset").words
    assert mode_of(bob) is False
    assert len(events(server, bob.name, "account:second-factor:reset")) == 1


# -- invitations -------------------------------------------------------------------------------------------------


def test_an_invitation_makes_one_account_where_nobody_else_gets_in(server: Server) -> None:
    browser, admin = signed_in(server)
    submit(browser, admin, "/admin/settings", "/admin/settings", signup="invite")
    try:
        page = submit(browser, admin, "/admin/invitations", "/admin/invitations", email="guest@example.com")
        found = re.search(r"/signup\?invitation=[\w-]+", page.html)
        assert found is not None, page.words
        link = found[0]
        assert link.partition("=")[2] not in browser.get("/admin/invitations").html, "shown once"
        guest = Browser(server)
        assert "needs an invitation link" in guest.get("/signup").words
        page = guest.get(link)
        assert 'value="guest@example.com"' in page.html
        name = accounts.fresh_name("guest")
        welcome = guest.submit("/signup", username=name, email="guest@example.com", password=PASSWORD)
        assert "Welcome!" in welcome.words
        late = Browser(server)
        assert "Yours was used" in late.get(link).words
        refused = late.submit_again("/signup", page, username=f"{name}-2", email="x@example.com", password=PASSWORD)
        assert refused.status in (400, 403)
        assert browser.get(f"/admin/users/{name}-2").status == 404
        npm = accounts.user_document(f"{name}-3", PASSWORD, "y@example.com")
        answer = request(server, "PUT", accounts.user_path(f"{name}-3"), body=npm)
        assert (answer.status, "needs an invitation link" in answer.error) == (401, True), answer
        assert f'href="/admin/users/{name}"' in browser.get("/admin/invitations").html
    finally:
        submit(browser, admin, "/admin/settings", "/admin/settings", signup="open")


def test_an_invitation_is_withdrawn(server: Server) -> None:
    browser, admin = signed_in(server)
    page = submit(browser, admin, "/admin/invitations", "/admin/invitations", email="")
    found = re.search(r"/signup\?invitation=[\w-]+", page.html)
    assert found is not None
    page = submit(browser, admin, "/admin/invitations", "/admin/invitations/withdraw")
    assert "The invitation is withdrawn" in page.words
    assert "You are invited" not in Browser(server).get(found[0]).words
    assert browser.get("/admin/invitations").status == 200


def test_what_is_no_address_gets_no_invitation(server: Server) -> None:
    browser, admin = signed_in(server)
    page = submit(browser, admin, "/admin/invitations", "/admin/invitations", email="nobody")
    assert (page.status, "not a mail address" in page.problem) == (400, True)
