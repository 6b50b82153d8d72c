"""A session is its browser's alone: it cannot be planted, read off the database, or kept after it should have ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, PROFILE
from tests.support.pages import HTML, Browser
from tests.support.server import Server
from tests.support.wire import request

HOUR, FIVE_MINUTES = 3600, 300
PAGE = "/settings/~/profile"


def test_a_cookie_from_before_a_sign_up_opens_nothing_after_it(server: Server) -> None:
    browser = Browser(server)
    browser.get("/signup")
    planted = browser.cookie
    assert planted
    browser.sign_up()
    assert browser.cookie != planted
    assert browser.is_signed_in()
    assert not browser.is_signed_in(planted)


def test_every_proof_changes_the_cookie_and_the_old_one_is_dead(server: Server) -> None:
    alice = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.get("/login")
    seen = [browser.cookie]
    browser.submit("/login", username=alice.name, password=alice.password)
    seen.append(browser.cookie)
    browser.submit("/login", otp=alice.fresh_code())
    seen.append(browser.cookie)
    browser.get("/settings/~/2fa")
    browser.submit("/settings/~/2fa/mode", mode="auth-only")
    browser.confirm(otp=alice.fresh_code())
    seen.append(browser.cookie)
    browser.get("/settings/~/password")
    browser.submit("/settings/~/password", otp=alice.fresh_code(), new_password=OTHER_PASSWORD)
    seen.append(browser.cookie)
    assert len(set(seen)) == len(seen)
    assert [browser.is_signed_in(cookie) for cookie in seen] == [False, False, False, False, True]


def test_a_new_password_without_2fa_changes_the_cookie_too(server: Server) -> None:
    browser = Browser(server)
    browser.sign_up()
    before = browser.cookie
    browser.get("/settings/~/password")
    assert browser.submit("/settings/~/password", password="not the one", new_password=OTHER_PASSWORD).status == 401
    assert browser.cookie == before
    browser.submit("/settings/~/password", password=PASSWORD, new_password=OTHER_PASSWORD)
    assert browser.cookie != before
    assert not browser.is_signed_in(before)
    assert browser.is_signed_in()


def test_the_cookie_is_bound_to_the_host_and_hidden_from_scripts(server: Server) -> None:
    answer = Browser(server).send("GET", "/login")
    name, *attributes = answer.headers["set-cookie"].splitlines()[0].split("; ")
    assert name.startswith("__Host-tk=")
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"}


def test_on_plain_http_between_machines_sign_in_works_and_the_warning_is_there(tmp_path: Path) -> None:
    with Server(tmp_path / "lan", {"TWOKEY_URL": "http://registry.lan", "TWOKEY_SIGNUP": "open"}) as server:
        lan = {"host": "registry.lan"}
        browser = Browser(server, cookie_name="tk")
        page = browser.get("/signup", lan)
        assert "This connection is not encrypted" in page.words
        assert "Secure" not in page.answer.headers["set-cookie"]
        assert "cross-origin-opener-policy" not in page.answer.headers
        filled = {"username": "alice", "email": "a@example.com", "password": PASSWORD}
        fields = dict(page.form("/signup").fields) | filled
        answer = browser.send("POST", "/signup", fields, {**lan, "origin": "http://registry.lan"})
        assert answer.status == 303, answer
        assert browser.is_signed_in()


def test_a_session_ends_after_an_hour_without_use(server: Server) -> None:
    browser = Browser(server)
    browser.sign_up()
    server.advance(HOUR - 5)
    assert browser.is_signed_in()
    server.advance(HOUR + 5)
    assert not browser.is_signed_in()


def test_a_session_ends_after_twelve_hours_of_use(server: Server) -> None:
    browser = Browser(server)
    browser.sign_up()
    for _ in range(23):
        server.advance(HOUR // 2)
        assert browser.is_signed_in()
    server.advance(HOUR // 2)
    assert not browser.is_signed_in()


def test_a_sign_out_ends_it(server: Server) -> None:
    browser = Browser(server)
    browser.sign_up()
    cookie = browser.cookie
    browser.get("/")
    browser.submit("/logout")
    assert browser.cookie != cookie
    assert not browser.is_signed_in(cookie)


@pytest.mark.parametrize("change", ["password", "enable", "disable"])
def test_a_change_by_npm_ends_the_sessions(server: Server, change: str) -> None:
    alice = accounts.sign_up(server)
    if change == "disable":
        accounts.enrol(alice)
    browser = Browser(server)
    browser.sign_in(alice)
    assert browser.is_signed_in()
    if change == "password":
        body: dict[str, object] = {"password": {"old": alice.password, "new": OTHER_PASSWORD}}
        assert alice.ask("POST", PROFILE, body=body).status == 200
    elif change == "enable":
        accounts.enrol(alice)
    else:
        body = {"tfa": {"mode": "disable", "password": alice.password}}
        assert alice.ask("POST", PROFILE, otp=alice.fresh_code(), body=body).status == 200
    assert not browser.is_signed_in()


def test_a_change_in_a_browser_ends_the_other_sessions_and_keeps_its_own(server: Server) -> None:
    alice = accounts.sign_up(server)
    browser, other = Browser(server), Browser(server)
    browser.sign_in(alice)
    other.sign_in(alice)
    browser.get("/settings/~/password")
    browser.submit("/settings/~/password", password=PASSWORD, new_password=OTHER_PASSWORD)
    assert browser.is_signed_in()
    assert not other.is_signed_in()


def test_sessions_are_listed_and_each_can_be_ended(server: Server) -> None:
    alice = accounts.sign_up(server)
    browser, other = Browser(server), Browser(server, "127.0.0.9")
    browser.sign_in(alice)
    other.sign_in(alice)
    page = browser.get("/settings/~/sessions")
    assert "From 127.0.0.9" in page.words
    browser.submit("/settings/~/sessions/end")
    assert not other.is_signed_in()
    assert browser.is_signed_in()
    ended = browser.submit_again("/settings/~/sessions/end", page)
    assert ended.status == 404


def test_a_session_of_somebody_else_cannot_be_ended(server: Server) -> None:
    alice, bob = accounts.sign_up(server), accounts.sign_up(server)
    victim, spare, thief, thief_too = (Browser(server) for _ in range(4))
    for browser, who in ((victim, alice), (spare, alice), (thief, bob), (thief_too, bob)):
        browser.sign_in(who)
    key = dict(victim.get("/settings/~/sessions").form("/settings/~/sessions/end").fields)["key"]
    thief.get("/settings/~/sessions")
    assert thief.submit("/settings/~/sessions/end", key=key).status == 404
    assert spare.is_signed_in()


def test_two_credentials_are_one_too_many(server: Server) -> None:
    browser, bob = Browser(server), accounts.sign_up(server)
    browser.sign_up()
    answer = browser.send("GET", PAGE, headers={"authorization": f"Bearer {bob.token}"})
    assert answer.status == 400


def test_a_token_opens_no_page_and_a_cookie_nothing_of_the_npm_api(server: Server) -> None:
    browser, bob = Browser(server), accounts.sign_up(server)
    alone = request(server, "GET", PAGE, token=bob.token, headers={"accept": HTML})
    assert (alone.status, alone.headers["location"]) == (303, "/login?next=%2Fsettings%2F~%2Fprofile")
    browser.sign_up()
    assert browser.send("GET", "/-/whoami", headers={"accept": "*/*"}).status == 401


def test_a_password_alone_opens_no_page_and_its_wait_for_the_code_ends(server: Server) -> None:
    alice = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.get("/login")
    browser.submit("/login", username=alice.name, password=alice.password)
    assert not browser.is_signed_in()
    server.advance(FIVE_MINUTES + 1)
    late = browser.submit("/login", otp=alice.code())
    assert late.status != 303
    assert not browser.is_signed_in()


def test_the_database_holds_no_cookie(server: Server) -> None:
    browser = Browser(server)
    browser.sign_up()
    for name in ("twokey.db", "twokey.db-wal"):
        path = server.data / name
        assert not path.exists() or browser.cookie.encode() not in path.read_bytes()
