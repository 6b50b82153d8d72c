"""A form that needs a proof waits for it, and is carried out once, with the values that were sent."""

from __future__ import annotations

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.server import Server

TOKENS = "/settings/~/tokens"
TEN_MINUTES = 600


def signed_in(server: Server) -> tuple[Browser, Account]:
    """A browser whose session was opened with a second factor more than ten minutes ago."""
    account = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.sign_in(account)
    server.advance(TEN_MINUTES + 1)
    return browser, account


def token_names(account: Account) -> list[str]:
    answer = account.ask("GET", accounts.TOKENS)
    assert answer.status == 200, answer
    return [each["name"] for each in answer.json["objects"] if each["kind"] != "login"]


def test_the_form_is_carried_out_after_the_proof_with_its_values(server: Server) -> None:
    browser, account = signed_in(server)
    browser.get(f"{TOKENS}/new")
    asked = browser.submit(TOKENS, type="automation", name="release of core", addresses="192.0.2.0/24, 198.51.100.7")
    assert asked.status == 200
    assert "One-time password" in asked.words
    assert token_names(account) == [], "nothing happens before the proof"
    made = browser.confirm(otp=account.fresh_code())
    assert made.status == 200
    assert "npm_" in made.words
    assert token_names(account) == ["release of core"]
    listed = account.ask("GET", accounts.TOKENS).json["objects"][0]
    assert listed["cidr_whitelist"] == ["192.0.2.0/24", "198.51.100.7/32"]
    assert listed["automation"] is True


def test_a_wrong_code_keeps_the_form_and_says_why(server: Server) -> None:
    browser, account = signed_in(server)
    browser.get(f"{TOKENS}/new")
    browser.submit(TOKENS, type="publish", name="laptop")
    wrong = browser.confirm(otp=account.wrong_code())
    assert wrong.status == 401
    assert "use the code shown for" in wrong.problem
    assert token_names(account) == []
    browser.confirm(otp=account.fresh_code())
    assert token_names(account) == ["laptop"]


def test_it_is_carried_out_once(server: Server) -> None:
    browser, account = signed_in(server)
    browser.get(f"{TOKENS}/new")
    asked = browser.submit(TOKENS, type="publish", name="once")
    fields = [(name, value) for name, value in asked.form("/confirm").fields if name != "otp"]
    browser.confirm(otp=account.fresh_code())
    again = browser.post("/confirm", [*fields, ("otp", account.fresh_code())])
    assert again.status == 400
    assert "not there any more" in again.words
    assert token_names(account) == ["once"]


def test_another_session_cannot_carry_it_out(server: Server) -> None:
    browser, account = signed_in(server)
    other, _ = signed_in(server)
    browser.get(f"{TOKENS}/new")
    key = dict(browser.submit(TOKENS, type="publish", name="mine").form("/confirm").fields)["key"]
    other.get(f"{TOKENS}/new")
    csrf = dict(other.page.form("/logout").fields)["csrf"]
    stolen = other.post("/confirm", {"csrf": csrf, "key": key, "otp": account.fresh_code()})
    assert stolen.status == 400
    assert token_names(account) == []


def test_it_is_forgotten_after_ten_minutes(server: Server) -> None:
    browser, account = signed_in(server)
    browser.get(f"{TOKENS}/new")
    browser.submit(TOKENS, type="publish", name="late")
    server.advance(TEN_MINUTES + 1)
    late = browser.confirm(otp=account.fresh_code())
    assert late.status == 400
    assert token_names(account) == []


def test_a_proof_counts_for_ten_minutes(server: Server) -> None:
    browser, account = signed_in(server)
    browser.get(f"{TOKENS}/new")
    browser.submit(TOKENS, type="publish", name="first")
    browser.confirm(otp=account.fresh_code())
    server.advance(TEN_MINUTES - 5)
    browser.get(f"{TOKENS}/new")
    assert "npm_" in browser.submit(TOKENS, type="publish", name="second").words
    server.advance(10)
    browser.get(f"{TOKENS}/new")
    assert browser.submit(TOKENS, type="publish", name="third").path == TOKENS
    assert "One-time password" in browser.page.words
    assert sorted(token_names(account)) == ["first", "second"]


def test_what_takes_a_code_in_that_very_request_is_not_open_to_a_step_up(server: Server) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    browser = Browser(server)
    browser.sign_in(account)  # with a code, so everything that takes a recent one is open
    browser.get("/settings/~/2fa")
    asked = browser.submit("/settings/~/2fa/disable")
    assert "One-time password" in asked.words
    assert account.profile()["tfa"] == {"pending": False, "mode": "auth-and-writes"}
    browser.confirm(otp=account.fresh_code())
    assert account.profile()["tfa"] is False


def test_an_account_without_2fa_is_asked_for_its_password(server: Server) -> None:
    browser = Browser(server)
    name = browser.sign_up()
    browser.get(f"{TOKENS}/new")
    asked = browser.submit(TOKENS, type="publish", name="laptop")
    assert asked.status == 200
    assert "Password" in asked.words
    wrong = browser.confirm(password="not the password")
    assert wrong.status == 401
    assert "npm_" not in wrong.words
    made = browser.confirm(password=accounts.PASSWORD)
    assert "npm_" in made.words, (name, made.words)
