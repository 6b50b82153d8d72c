"""Sign-up and sign-in over plain HTTP: what is refused, what is kept, and where it leads."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest

from tests.conftest import ROOM
from tests.support import accounts
from tests.support.accounts import PASSWORD, Account
from tests.support.pages import Browser, Page
from tests.support.server import Server
from tests.support.wire import request

PROFILE = "/settings/~/profile"
LOCKED = re.compile(r"locked until \d\d:\d\d UTC")

HOSTILE = [
    "https://evil.example/",
    "HTTPS://evil.example/",
    "http:evil.example",
    "https:/evil.example",
    "//evil.example/",
    "///evil.example/",
    "////evil.example",
    "//evil.example@localhost/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "\\/evil.example/",
    "/settings\\..\\..\\evil.example",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "/\r\n/evil.example/",
    "\t//evil.example/",
    " //evil.example/",
    "/ /evil.example/",
    "/settings\r\nset-cookie: __Host-tk=evil",
    "/settings\r\n\r\n<script>alert(1)</script>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//",
    "data:text/html,<script>alert(1)</script>",
    "mailto:alice@evil.example",
    "evil.example",
    "@evil.example",
    ".evil.example",
    ":80/",
    "?next=//evil.example",
    "#//evil.example",
    "",
    "/\u2028/evil.example",
    "/\u200b/evil.example",
    "/\u0000/evil.example",
    "\uff0f\uff0fevil.example/",
    "/\u4e2d/\uff0fevil.example",
    "/\xe9/evil.example",
    "/" + "a" * 5000,
]


def outcome(page: Page) -> tuple[int, str, str]:
    """What tells one refusal from another."""
    return page.status, page.problem, page.words


def is_signed_in(browser: Browser) -> bool:
    return browser.send("GET", PROFILE).status == 200


def try_to_sign_in(browser: Browser, name: str, password: str) -> Page:
    browser.get("/login")
    return browser.submit("/login", username=name, password=password)


def second_step(server: Server) -> tuple[Browser, Account]:
    """Somebody with two-factor authentication whose password was right a moment ago."""
    account, browser = accounts.enrol(accounts.sign_up(server)), Browser(server)
    page = try_to_sign_in(browser, account.name, account.password)
    assert "One-time password" in page.words
    return browser, account


def has_account(server: Server, name: str, password: str = PASSWORD) -> bool:
    """Whether npm can log in so."""
    answer = request(server, "PUT", quote(accounts.user_path(name)), body=accounts.user_document(name, password))
    return answer.status == 201


# -- sign-in -----------------------------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing(server: Server) -> None:
    account, browser = accounts.sign_up(server), Browser(server)
    wrong = outcome(try_to_sign_in(browser, account.name, "not the password"))
    assert not is_signed_in(browser)
    unknown = outcome(try_to_sign_in(browser, accounts.fresh_name("bob"), "not the password"))
    assert wrong == unknown
    assert wrong[:2] == (401, "Unknown user or wrong password.")


def test_a_password_alone_opens_no_session_where_2fa_is_on(server: Server) -> None:
    browser, account = second_step(server)
    assert not is_signed_in(browser)
    assert browser.get("/settings/~/tokens").path == "/login"
    assert account.name in browser.page.words
    browser.submit("/login", otp=account.fresh_code())
    assert is_signed_in(browser)


def test_a_recovery_code_signs_in_once(server: Server) -> None:
    browser, account = second_step(server)
    browser.submit("/login", otp=account.recovery_codes[0])
    assert is_signed_in(browser)
    again = Browser(server)
    try_to_sign_in(again, account.name, account.password)
    used = again.submit("/login", otp=account.recovery_codes[0])
    assert (used.status, is_signed_in(again)) == (401, False)
    assert "already used" in used.problem


def test_a_wrong_code_says_why_and_asks_again(server: Server) -> None:
    browser, account = second_step(server)
    wrong = browser.submit("/login", otp=account.wrong_code())
    assert wrong.status == 401
    assert "use the code shown for" in wrong.problem
    assert not is_signed_in(browser)
    assert "One-time password" in wrong.words
    browser.submit("/login", otp=account.fresh_code())
    assert is_signed_in(browser)


def test_the_password_step_is_forgotten_after_five_minutes(server: Server) -> None:
    browser, account = second_step(server)
    server.advance(301)
    late = browser.submit("/login", otp=account.fresh_code())
    assert not is_signed_in(browser), late.words


def test_too_many_wrong_codes_lock_until_a_time_that_is_said(server: Server) -> None:
    browser, account = second_step(server)
    wrong = account.wrong_code()
    for _ in range(5):
        assert browser.submit("/login", otp=wrong).status == 401
    for code in (wrong, account.code()):
        locked = browser.submit("/login", otp=code)
        assert locked.status == 429
        assert LOCKED.search(locked.problem), locked.problem
        assert not is_signed_in(browser), "not even with the right code"
    server.advance(int(locked.answer.headers["retry-after"]))
    try_to_sign_in(browser, account.name, account.password)
    browser.submit("/login", otp=account.code())
    assert is_signed_in(browser)


def test_too_many_wrong_passwords_lock_until_a_time_that_is_said(tmp_path: Path) -> None:
    with Server(tmp_path, {"TWOKEY_LIMIT_PASSWORD": "3"}) as server:
        account, browser = accounts.sign_up(server), Browser(server)
        for _ in range(3):
            assert try_to_sign_in(browser, account.name, "not the password").status == 401
        locked = try_to_sign_in(browser, account.name, account.password)
        assert locked.status == 429
        assert LOCKED.search(locked.problem), locked.problem
        assert f'value="{account.name}"' in locked.html
        assert not is_signed_in(browser)
        server.advance(int(locked.answer.headers["retry-after"]))
        try_to_sign_in(browser, account.name, account.password)
        assert is_signed_in(browser)


# -- sign-up -----------------------------------------------------------------------------------------------------

TAKEN = "bob-who-was-here-first"


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"password": "plum-71"}, 400, "The password is too short"),
        ({"password": "password1234"}, 400, "too easy to guess"),
        ({"password": "plum-Orbit-quartz-71" * 13}, 400, "The password is too long"),
        ({"username": "Not A Name"}, 400, "A user name has at most 32 lower-case letters"),
        ({"username": "a" * 33}, 400, "A user name has at most 32 lower-case letters"),
        ({"username": ""}, 400, "A user name has at most 32 lower-case letters"),
        ({"email": "alice at example"}, 400, "This is not a mail address"),
        ({"email": ""}, 400, "This is not a mail address"),
        ({"username": TAKEN}, 403, f"The name '{TAKEN}' is taken"),
    ],
    ids=["short", "easy", "long", "letters", "long-name", "no-name", "mail", "no-mail", "taken"],
)
def test_a_refused_sign_up_keeps_what_was_typed_but_the_password_and_makes_nothing(
    server: Server, wrong: dict[str, str], status: int, words: str
) -> None:
    if not has_account(server, TAKEN, accounts.OTHER_PASSWORD):
        accounts.sign_up(server, TAKEN, accounts.OTHER_PASSWORD)
    name = accounts.fresh_name()
    browser = Browser(server)
    browser.get("/signup")
    typed = {"username": name, "email": f"{name}@mail.example", "password": PASSWORD} | wrong
    refused = browser.submit("/signup", **typed)
    assert refused.status == status
    assert words in refused.problem
    kept = dict(refused.form("/signup").fields)
    assert (kept["username"], kept["email"], kept["password"]) == (typed["username"], typed["email"], "")
    assert typed["password"] not in refused.html
    assert not is_signed_in(browser)
    assert not has_account(server, typed["username"], typed["password"])
    assert has_account(server, TAKEN, accounts.OTHER_PASSWORD)
    if status == 400:
        browser.submit("/signup", username=name, email=f"{name}@mail.example", password=PASSWORD)
        assert is_signed_in(browser), "the same page, put right, is taken"


def test_closed_sign_up_has_no_form_and_takes_none(tmp_path: Path) -> None:
    with Server(tmp_path, ROOM | {"TWOKEY_SIGNUP": "closed"}) as server:
        browser = Browser(server)
        page = browser.get("/signup")
        assert "Sign-up is closed on this registry" in page.words
        assert [form for form in page.forms if form.action == "/signup"] == []
        csrf = dict(browser.get("/login").form("/login").fields)["csrf"]
        sent = {"csrf": csrf, "username": "alice", "email": "alice@mail.example", "password": PASSWORD}
        refused = browser.post("/signup", sent)
        assert refused.status == 403
        assert "Sign-up is closed" in refused.problem
        assert not is_signed_in(browser)
        assert not has_account(server, "alice")
        assert "/signup" not in browser.get("/").html


# -- where it leads ----------------------------------------------------------------------------------------------


def assert_stays(server: Server, location: str, sent: str) -> None:
    """The address is a path of this registry for every browser, whatever it strips or turns around."""
    assert re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", location), (sent, location)
    assert urlsplit(urljoin(server.url, location)).netloc == server.host, (sent, location)
    assert "evil.example" not in location, (sent, location)


def form_fields(browser: Browser, action: str, **values: str) -> dict[str, str]:
    """The fields of the form on a fresh page; where the page has none, those that it would have."""
    csrf = dict(browser.get("/").form("/logout").fields)["csrf"] if is_signed_in(browser) else ""
    return {"csrf": csrf or dict(browser.get(action).form(action).fields)["csrf"], **values}


def visitor(server: Server) -> Browser:
    return Browser(server)


def member(server: Server) -> Browser:
    browser = Browser(server)
    browser.sign_in(accounts.sign_up(server))
    return browser


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_a_hostile_next_leaves_no_trace_on_the_page(server: Server, path: str) -> None:
    browser = visitor(server)
    for sent in HOSTILE:
        page = browser.get(f"{path}?{urlencode({'next': sent})}")
        assert page.status == 200, sent
        assert "evil.example" not in page.html, sent
        wanted = dict(page.form(path).fields)["next"]
        assert wanted in ("", PROFILE) or sent.startswith("/"), (sent, wanted)


@pytest.mark.parametrize("path", ["/login", "/signup"])
def test_whoever_is_signed_in_is_sent_nowhere_else(server: Server, path: str) -> None:
    browser = member(server)
    for sent in HOSTILE:
        answer = browser.send("GET", f"{path}?{urlencode({'next': sent})}")
        assert answer.status == 303, (sent, answer)
        assert_stays(server, answer.headers["location"], sent)


@pytest.mark.parametrize("who", [visitor, member])
def test_a_sign_in_leads_nowhere_else(server: Server, who: Callable[[Server], Browser]) -> None:
    account, browser = accounts.sign_up(server), who(server)
    for sent in HOSTILE:
        browser = visitor(server) if who is visitor else browser
        fields = form_fields(browser, "/login", username=account.name, password=account.password, next=sent)
        answer = browser.send("POST", "/login", fields)
        if answer.status == 400:
            assert "location" not in answer.headers
            continue
        assert answer.status == 303, (sent, answer)
        assert_stays(server, answer.headers["location"], sent)


@pytest.mark.parametrize("who", [visitor, member])
def test_a_sign_up_leads_nowhere_else(server: Server, who: Callable[[Server], Browser]) -> None:
    browser = member(server)
    for sent in HOSTILE:
        browser = visitor(server) if who is visitor else browser
        name = accounts.fresh_name()
        values = {"username": name, "email": f"{name}@mail.example", "password": PASSWORD, "next": sent}
        answer = browser.send("POST", "/signup", form_fields(browser, "/signup", **values))
        if answer.status == 400:
            assert "location" not in answer.headers
            continue
        assert answer.status == 303, (sent, answer)
        assert_stays(server, answer.headers["location"], sent)


def test_the_second_step_keeps_no_hostile_next(server: Server) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    for sent in ("//evil.example/", "/\\evil.example", "https://evil.example/"):
        browser = visitor(server)
        values = {"username": account.name, "password": account.password, "next": sent}
        browser.post("/login", form_fields(browser, "/login", **values))
        assert "evil.example" not in browser.page.html
        answer = browser.send("POST", "/login", {**dict(browser.page.forms[1].fields), "otp": account.fresh_code()})
        assert (answer.status, answer.headers["location"]) == (303, PROFILE)


@pytest.mark.parametrize(
    "wanted",
    ["/", "/search?q=left+pad&page=2", "/package/@acme/core", "/settings/~/2fa", "/package/core/v/1.0.0-rc.1%2B5"],
)
def test_a_path_of_this_registry_is_followed(server: Server, wanted: str) -> None:
    account, browser = accounts.sign_up(server), Browser(server)
    browser.get(f"/login?{urlencode({'next': wanted})}")
    fields = dict(browser.page.form("/login").fields) | {"username": account.name, "password": account.password}
    assert browser.send("POST", "/login", fields).headers["location"] == wanted
    signed_in = browser.send("GET", f"/login?{urlencode({'next': wanted})}")
    assert signed_in.headers["location"] == wanted


@pytest.mark.parametrize("path", ["/settings/~/tokens", "/settings/~/2fa", "/settings/~/security?page=2"])
def test_settings_lead_to_the_sign_in_and_back(server: Server, path: str) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    sent_away = browser.send("GET", path)
    assert (sent_away.status, sent_away.headers["location"]) == (303, f"/login?next={quote(path, safe='~')}")
    browser.get(path)
    browser.submit("/login", username=account.name, password=account.password)
    fields = {**dict(browser.page.forms[1].fields), "otp": account.fresh_code()}
    back = browser.send("POST", "/login", fields)
    assert back.headers["location"] == path
    assert browser.get(path).status == 200


SETTINGS = ["", "/profile", "/password", "/sessions", "/security", "/packages", "/2fa", "/2fa/authenticator"]


@pytest.mark.parametrize("page", [*SETTINGS, "/tokens", "/tokens/new"])
def test_the_settings_of_another_user_are_not_found_whether_there_is_one_or_not(server: Server, page: str) -> None:
    browser, bob = member(server), accounts.sign_up(server, accounts.fresh_name("bob"))
    there, not_there = (browser.send("GET", f"/settings/{name}{page}") for name in (bob.name, f"{bob.name}x"))
    assert there.status == not_there.status
    if page:
        assert there.status == 404
        assert bob.name not in there.text
    bodies = [re.sub(r"request <code>[^<]*</code>", "", answer.text) for answer in (there, not_there)]
    assert bodies[0] == bodies[1]
    varying = ("date", "x-request-id", "npm-request-id")
    headers = [
        {name: value for name, value in answer.headers.items() if name not in varying} for answer in (there, not_there)
    ]
    assert headers[0] == headers[1]
