"""Settings of the site, the audit trail and health, as administrators see and change them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web.administrators import signed_in, submit

SETTINGS = "/admin/settings"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server whose settings no other test depends on."""
    with Server(tmp_path) as running:
        yield running


def test_settings_hold_from_the_next_request_on(own_server: Server) -> None:
    browser, admin = signed_in(own_server)
    plain = accounts.sign_up(own_server)
    page = submit(
        browser, admin, SETTINGS, SETTINGS, signup="closed", require_2fa="publishers", lifetime_automation="7"
    )
    assert "The settings are saved" in page.words
    assert f"Set by {admin.name}" in page.words
    assert "Sign-up is closed" in Browser(own_server).get("/signup").words
    name = accounts.fresh_name("core")
    refused = accounts.publish(plain, name)
    assert (refused.status, "asks for two-factor authentication" in refused.error) == (403, True)
    token = admin.ask(
        "POST", accounts.TOKENS, otp=admin.fresh_code(),
        body={"password": admin.password, "name": "ci", "bypass_2fa": True},
    )  # fmt: skip
    assert token.json["expires"] < "2100", token
    submit(browser, admin, SETTINGS, SETTINGS, signup="open", require_2fa="off", lifetime_automation="365")
    assert accounts.publish(plain, name).status == 201
    assert "Set by" not in browser.get(SETTINGS).words
    accounts.sign_up(own_server)


def test_a_grace_is_a_notice_only(own_server: Server) -> None:
    browser, admin = signed_in(own_server)
    plain = accounts.sign_up(own_server)
    submit(browser, admin, SETTINGS, SETTINGS, require_2fa="everyone", require_2fa_from="2199-01-01")
    published = accounts.publish(plain, accounts.fresh_name("core"))
    assert published.status == 201
    assert "from 2199-01-01 on" in published.headers["npm-notice"]
    own = Browser(own_server)
    own.sign_in(plain)
    assert "from 2199-01-01" in own.get("/settings/~/2fa").words


def test_what_cannot_be_is_said_on_the_page_with_what_was_typed(server: Server) -> None:
    browser, admin = signed_in(server)
    before = dict(browser.get(SETTINGS).form(SETTINGS).fields)
    page = submit(browser, admin, SETTINGS, SETTINGS, lifetime_publish="for ever")
    assert (page.status, "number of days" in page.problem) == (400, True)
    assert dict(page.form(SETTINGS).fields)["lifetime_publish"] == "for ever"
    after = dict(browser.get(SETTINGS).form(SETTINGS).fields)
    assert after == before


@pytest.fixture
def watched(server: Server) -> tuple[Browser, Account, Account]:
    """An administrator's browser, and an account with a history: four events, of which a package has two."""
    bob = accounts.sign_up(server)
    assert accounts.publish(bob, f"{bob.name}-core").status == 201
    browser, admin = signed_in(server)
    return browser, admin, bob


def lines(browser: Browser, query: str) -> list[dict[str, object]]:
    answer = browser.send("GET", f"/admin/audit/export?{query}")
    assert answer.status == 200, answer
    assert answer.headers["content-disposition"].startswith("attachment")
    return [json.loads(line)["event"] for line in answer.text.splitlines()]


def test_the_trail_is_filtered_and_exported(server: Server, watched: tuple[Browser, Account, Account]) -> None:
    browser, _, bob = watched
    kinds = [event["event"] for event in lines(browser, f"account={bob.name}")]
    assert kinds[0] == "account:account:create"
    assert kinds[-1] == "package:version:publish"
    only = lines(browser, f"account={bob.name}&event=package:version:publish&resource={bob.name}-core")
    assert [event["resource"] for event in only] == [f"package:{bob.name}-core@1.0.0"]
    assert lines(browser, "resource=%25") == [], "a sign of the database's own is a letter here"
    page = browser.get(f"/admin/audit?account={bob.name}&event=package:version:publish")
    assert f"package:{bob.name}-core@1.0.0" in page.html
    assert "token:token:create" not in page.html.partition("<tbody>")[2]


def test_the_trail_is_filtered_by_day(server: Server, watched: tuple[Browser, Account, Account]) -> None:
    browser, _, bob = watched
    everything = lines(browser, f"account={bob.name}")
    assert lines(browser, f"account={bob.name}&to=2001-01-01") == []
    assert lines(browser, f"account={bob.name}&from=2001-01-01&to=2199-12-31") == everything
    assert lines(browser, f"account={bob.name}&from=2199-12-31") == []


@pytest.mark.parametrize("query", ["event=x", "from=yesterday", "to=2026-13-01", "before=x", f"account={'x' * 300}"])
def test_a_filter_that_is_none_is_refused(browser: Browser, server: Server, query: str) -> None:
    admin, _ = signed_in(server)
    page = admin.get(f"/admin/audit?{query}")
    assert (page.status, bool(page.problem)) == (400, True)


def test_an_export_holds_no_secret(server: Server, watched: tuple[Browser, Account, Account]) -> None:
    browser, admin, bob = watched
    text = browser.send("GET", "/admin/audit/export").text
    for secret in (bob.token, bob.password, admin.secret, *admin.recovery_codes):
        assert secret not in text


def test_health_says_what_the_probe_says_and_more(server: Server) -> None:
    browser, _ = signed_in(server)
    page = browser.get("/admin/health")
    version = request(server, "GET", "/-/health").json["version"]
    assert f"twokey {version}, schema " in page.words
    assert "Database and tarball store work." in page.words


# -- closing one's own account -----------------------------------------------------------------------------------

CLOSE = "/settings/~/close"


@pytest.mark.parametrize("second_factor", [False, True])
def test_an_account_is_closed_by_its_owner_with_a_proof(server: Server, second_factor: bool) -> None:
    account = accounts.sign_up(server)
    if second_factor:
        accounts.enrol(account)
    browser = Browser(server)
    browser.sign_in(account)
    assert f'href="/settings/{account.name}/close"' in browser.get("/settings/~/profile").html
    browser.get(CLOSE)
    wrong = browser.submit(CLOSE, name="somebody-else")
    assert (wrong.status, "Type your user name" in wrong.problem) == (400, True)
    page = browser.submit(CLOSE, name=account.name)
    assert "Confirm that it is you" in page.words
    assert account.ask("GET", "/-/whoami").status == 200
    proof = {"otp": account.fresh_code()} if second_factor else {"password": account.password}
    page = browser.confirm(**proof)
    assert "Your account is closed." in page.words
    assert not browser.is_signed_in()
    assert account.ask("GET", "/-/whoami").status == 401
    assert browser.get(f"/~{account.name}").status == 404
    again = request(
        server, "PUT", accounts.user_path(account.name),
        body=accounts.user_document(account.name, account.password, "x@example.com"),
    )  # fmt: skip
    assert again.status == 401


def test_an_only_owner_is_told_what_to_hand_over_first(server: Server) -> None:
    account = accounts.sign_up(server)
    name = accounts.fresh_name("core")
    assert accounts.publish(account, name).status == 201
    browser = Browser(server)
    browser.sign_in(account)
    page = browser.get(CLOSE)
    assert f"You are the only owner of {name}" in page.words
    assert CLOSE not in [form.action for form in page.forms]
    fields = dict(page.form("/logout").fields) | {"name": account.name, "password": account.password}
    refused = browser.post(CLOSE, fields)
    assert (refused.status, f"only owner of {name}" in refused.problem) == (403, True)
    assert browser.is_signed_in()
