"""What the operator does to an account on the command line counts in its open browsers at once."""

from __future__ import annotations

import pytest

from tests.support import accounts
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, Account
from tests.support.pages import Browser
from tests.support.server import Server

PROFILE, TOKENS = "/settings/~/profile", "/settings/~/tokens"


def signed_in(server: Server, *, second_factor: bool = False) -> tuple[Browser, Account]:
    account = accounts.sign_up(server)
    if second_factor:
        accounts.enrol(account)
    browser = Browser(server)
    browser.sign_in(account)
    return browser, account


def operate(server: Server, *args: str, stdin: str = "") -> None:
    done = server.admin(*args, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, ""), done


def test_a_closed_account_s_session_opens_nothing_and_changes_nothing(server: Server) -> None:
    browser, account = signed_in(server)
    bystander, _ = signed_in(server)
    browser.get(PROFILE)
    form = dict(browser.page.form(PROFILE).fields) | {"fullname": "Bob"}
    operate(server, "user", "disable", account.name)
    assert not browser.is_signed_in()
    assert account.name not in browser.get("/").words
    for path, fields in ((PROFILE, form), (TOKENS, {**form, "type": "publish", "password": PASSWORD})):
        answer = browser.send("POST", path, fields)
        assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, "/login")
    browser.get("/login")
    page = browser.submit("/login", username=account.name, password=account.password)
    assert page.status == 401
    assert "This account is closed" in page.problem
    assert not browser.is_signed_in()
    assert bystander.is_signed_in()
    operate(server, "user", "enable", account.name)
    assert account.profile()["fullname"] is None
    assert len(account.ask("GET", accounts.TOKENS).json["objects"]) == 1, "the login token that it had"


def test_a_closed_account_s_half_sign_in_is_not_finished(server: Server) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.get("/login")
    waiting = browser.submit("/login", username=account.name, password=account.password)
    operate(server, "user", "disable", account.name)
    fields = dict(waiting.form("/login").fields) | {"otp": account.fresh_code()}
    assert browser.post("/login", fields).status in (401, 403)
    assert not browser.is_signed_in()


@pytest.mark.parametrize("second_factor", [False, True])
def test_a_password_that_the_operator_gave_ends_every_session(server: Server, second_factor: bool) -> None:
    browser, account = signed_in(server, second_factor=second_factor)
    bystander, _ = signed_in(server)
    operate(server, "user", "password", account.name, "--password-stdin", stdin=f"{OTHER_PASSWORD}\n")
    assert not browser.is_signed_in()
    assert bystander.is_signed_in()
    account.password = OTHER_PASSWORD
    browser.sign_in(account)
    assert browser.is_signed_in()


def test_a_second_factor_that_the_operator_took_away_ends_every_session(server: Server) -> None:
    browser, account = signed_in(server, second_factor=True)
    operate(server, "second-factor", "reset", account.name)
    assert not browser.is_signed_in()
    account.secret = ""
    browser.sign_in(account)
    assert browser.is_signed_in()
