"""A code that a form brought along opens a step-up only where the form was carried out and used the code up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import select

from tests.promises.support import ROOM, Instance, at_once
from tests.support import accounts
from tests.support.accounts import OTHER_PASSWORD, Account
from tests.support.pages import Browser
from tests.support.server import Server
from twokey.db.schema import InterruptedForm

TOKENS, PASSWORD_PAGE = "/settings/~/tokens", "/settings/~/password"
ELEVEN_MINUTES = 660


def signed_in(server: Server) -> tuple[Browser, Account]:
    """A browser whose session saw a code more than ten minutes ago."""
    account = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.sign_in(account)
    server.advance(ELEVEN_MINUTES)
    return browser, account


def token_names(account: Account) -> Sequence[str]:
    found = account.ask("GET", accounts.TOKENS).json["objects"]
    return [each["name"] for each in found if each["kind"] != "login"]


def makes_a_token_without_a_code(browser: Browser) -> bool:
    browser.get(f"{TOKENS}/new")
    return "npm_" in browser.submit(TOKENS, type="publish", name="without a code").words


def test_a_refused_new_password_leaves_no_step_up_behind(server: Server) -> None:
    browser, account = signed_in(server)
    cookie, code = browser.cookie, account.code()
    browser.get(PASSWORD_PAGE)
    assert browser.submit(PASSWORD_PAGE, otp=code, new_password="short").status == 400
    assert browser.cookie == cookie
    assert not makes_a_token_without_a_code(browser)
    assert token_names(account) == []
    browser.get(PASSWORD_PAGE)
    browser.submit(PASSWORD_PAGE, otp=code, new_password=OTHER_PASSWORD)
    assert "Your password is changed" in browser.page.words, "the code was not used up"
    assert makes_a_token_without_a_code(browser)


def test_a_refused_token_leaves_no_step_up_behind(tmp_path: Path) -> None:
    kinds = ("LOGIN", "PUBLISH", "AUTOMATION", "GRANULAR", "READ_ONLY", "MAXIMUM")
    with Server(tmp_path, {f"TWOKEY_LIFETIME_{kind}": "30" for kind in kinds}) as server:
        browser, account = signed_in(server)
        browser.get(f"{TOKENS}/new")
        browser.submit(TOKENS, type="publish", name="too long", days="31")
        cookie = browser.cookie
        assert browser.confirm(otp=account.code()).status == 400
        assert "at most 30 days" in browser.page.problem
        assert browser.cookie == cookie
        assert not makes_a_token_without_a_code(browser)
        assert token_names(account) == []


def test_two_changes_of_password_with_one_code_are_one_and_neither_is_kept(tmp_path: Path) -> None:
    with Instance(tmp_path, ROOM) as server:
        browser, account = signed_in(server)
        browser.get(PASSWORD_PAGE)
        csrf = dict(browser.page.form(PASSWORD_PAGE).fields)["csrf"]
        fields = {"csrf": csrf, "otp": account.code(), "new_password": OTHER_PASSWORD}
        twins = [Browser(server), Browser(server)]
        for twin in twins:
            twin.cookie = browser.cookie
        answers = at_once([partial(twin.send, "POST", PASSWORD_PAGE, fields) for twin in twins])
        done = [answer for answer in answers if answer.headers.get("location", "").endswith("done=password")]
        assert len(done) == 1, answers
        with server.connect() as connection:
            kept = [row[0] for row in connection.execute(select(InterruptedForm.fields))]
        assert [each for each in kept if OTHER_PASSWORD in json.dumps(each)] == []
