"""What is done by a link in a mail, over plain HTTP: a new password, a confirmed address, a change undone."""

from __future__ import annotations

import itertools
from time import monotonic

import pytest

from tests.support import accounts, post
from tests.support.accounts import OTHER_PASSWORD, Account
from tests.support.pages import Browser, Page
from tests.support.server import Server
from twokey.web import mailed

ASKED = "If the account exists, a mail with a link to a new password is on its way to its address."
ENDED = "This link has ended"
DAY = 86400
_hosts = itertools.count(1)


def stranger(server: Server) -> Browser:
    """A browser at an address of its own: the limits by address are not the question."""
    number = next(_hosts)
    return Browser(server, source=f"127.7.{number // 250}.{number % 250 + 1}")


def ask(browser: Browser, text: str) -> Page:
    browser.get("/login")
    assert 'href="/forgot"' in browser.page.html
    browser.get("/forgot")
    return browser.submit("/forgot", account=text)


def newest(account: Account, subject: str) -> str:
    """The path of the link in the newest mail with such a subject."""
    return post.path_in([text for title, text in post.waiting(account) if subject in title][-1])


def subjects(account: Account) -> list[str]:
    return [subject.partition("] ")[2] for subject, _ in post.waiting(account)]


def reset_link(account: Account) -> str:
    ask(stranger(account.server), account.name)
    return newest(account, "A new password")


def can_sign_in(account: Account, password: str) -> bool:
    browser = stranger(account.server)
    browser.get("/login")
    page = browser.submit("/login", username=account.name, password=password)
    return page.status == 200


# -- a forgotten password --------------------------------------------------------------------------------------------


def test_the_answer_is_the_same_whether_there_is_such_an_account_or_not(server: Server) -> None:
    account = accounts.sign_up(server)
    pages = [
        ask(stranger(server), text) for text in (account.name, account.email, "nobody", "", "x" * 3000, "a\u00e9'\"%")
    ]
    assert {page.status for page in pages} == {200}
    assert len({page.words for page in pages}) == 1
    assert ASKED in pages[0].words
    assert subjects(account).count("A new password") == 2


def test_the_time_of_the_answer_does_not_tell_either(server: Server) -> None:
    account, browser = accounts.sign_up(server), stranger(server)
    for text in (account.name, "nobody"):
        browser.get("/forgot")
        began = monotonic()
        browser.submit("/forgot", account=text)
        assert monotonic() - began >= mailed.ANSWER_SECONDS


def test_a_mailed_link_leads_to_a_new_password_once(server: Server) -> None:
    account = accounts.sign_up(server)
    browser, signed_in = stranger(server), stranger(server)
    signed_in.sign_in(account)
    link = reset_link(account)
    page = browser.get(link)
    assert "One-time password" not in page.words
    assert 'autocomplete="new-password"' in page.html
    page = browser.submit(link, new_password=OTHER_PASSWORD)
    assert (page.path, page.status) == ("/login", 200)
    assert "sign in with the new one" in page.words
    assert not signed_in.is_signed_in()
    assert not can_sign_in(account, account.password)
    assert can_sign_in(account, OTHER_PASSWORD)
    assert (browser.get(link).status, ENDED in browser.page.words) == (410, True)
    assert "The password was changed" in subjects(account)


def test_a_weak_password_is_refused_and_the_link_stays_good(server: Server) -> None:
    account = accounts.sign_up(server)
    browser, link = stranger(server), reset_link(account)
    browser.get(link)
    for weak in ("short", "password12", account.name * 3, ""):
        page = browser.submit(link, new_password=weak)
        assert page.status == 400
        assert page.problem
    assert browser.submit(link, new_password=OTHER_PASSWORD).path == "/login"


@pytest.mark.parametrize("with_recovery_code", [False, True])
def test_where_2fa_is_on_the_second_factor_comes_first_and_stays(server: Server, with_recovery_code: bool) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    browser, link = stranger(server), reset_link(account)
    page = browser.get(link)
    assert "One-time password" in page.words
    assert "new_password" not in page.html, "no password is asked for before"
    page = browser.submit(link, otp="000000")
    assert (page.status, "one-time password" in page.problem) == (401, True)
    page = browser.submit(link, otp=account.recovery_codes[0] if with_recovery_code else account.fresh_code())
    assert page.status == 200
    assert page.path.startswith("/reset/")
    assert page.path != link
    assert browser.get(link).status == 410, "the code used the mailed link up"
    browser.get(page.path)
    assert browser.submit(page.path, new_password=OTHER_PASSWORD).path == "/login"
    account.password = OTHER_PASSWORD
    again = stranger(server)
    again.get("/login")
    assert "One-time password" in again.submit("/login", username=account.name, password=OTHER_PASSWORD).words
    again.submit("/login", otp=account.fresh_code())
    assert again.is_signed_in()


def test_a_new_password_sent_in_place_of_the_code_sets_none(server: Server) -> None:
    account = accounts.enrol(accounts.sign_up(server))
    browser, link = stranger(server), reset_link(account)
    browser.get(link)
    page = browser.submit(link, new_password=OTHER_PASSWORD)
    assert page.status == 401
    page = browser.submit(link, new_password=OTHER_PASSWORD, otp=account.fresh_code())
    assert page.path.startswith("/reset/"), "the code leads to the form, and to no more"
    assert can_sign_in(account, account.password)


def test_a_reset_with_a_code_steps_no_other_session_up(server: Server) -> None:
    account, other = accounts.enrol(accounts.sign_up(server)), accounts.enrol(accounts.sign_up(server))
    browser = stranger(server)
    browser.sign_in(other)
    server.advance(11 * 60)
    cookie, link = browser.cookie, reset_link(account)
    browser.get(link)
    assert browser.submit(link, otp=account.fresh_code()).path != link
    assert browser.cookie == cookie
    browser.get("/settings/~/profile")
    assert "Confirm that it is you" in browser.submit("/settings/~/profile", fullname="Mallory").words


def test_who_is_signed_in_may_use_a_link_of_theirs_too(server: Server) -> None:
    account = accounts.sign_up(server)
    browser, link = stranger(server), reset_link(account)
    browser.sign_in(account)
    browser.get(link)
    browser.submit(link, new_password="short")
    assert browser.submit(link, new_password=OTHER_PASSWORD).path == "/login"
    assert can_sign_in(account, OTHER_PASSWORD)


def test_five_links_a_day_for_an_account_and_ten_in_ten_minutes_from_an_address(server: Server) -> None:
    account = accounts.sign_up(server)
    for _ in range(7):
        assert ASKED in ask(stranger(server), account.name).words
    assert subjects(account).count("A new password") == 5
    crowd = [accounts.sign_up(server) for _ in range(11)]
    browser = stranger(server)
    for each in crowd:
        assert ASKED in ask(browser, each.name).words
    assert sum("A new password" in subjects(each) for each in crowd) == 10


def test_opening_a_link_changes_nothing(server: Server) -> None:
    account = accounts.sign_up(server)
    links = [reset_link(account), newest(account, "Confirm your mail address")]
    for link in links:
        for method in ("GET", "HEAD", "GET"):
            assert stranger(server).send(method, link).status == 200
    browser = stranger(server)
    browser.get(links[1])
    assert "is confirmed" in browser.submit(links[1]).words


@pytest.mark.parametrize("path", ["/reset/", "/verify/", "/undo/"])
@pytest.mark.parametrize("secret", ["x" * 43, "x", "%3Cscript%3E", "x" * 500])
def test_a_link_that_never_was_has_ended(server: Server, path: str, secret: str) -> None:
    page = stranger(server).get(path + secret)
    assert page.status == 410
    assert ENDED in page.words
    assert "<script>x" not in page.html


def test_no_link_stands_in_the_log(server: Server) -> None:
    account = accounts.sign_up(server)
    browser, link = stranger(server), reset_link(account)
    browser.get(link)
    browser.submit(link, new_password=OTHER_PASSWORD)
    assert link.rpartition("/")[2] not in server.log


# -- addresses -------------------------------------------------------------------------------------------------------


def test_the_address_of_a_sign_up_is_confirmed_by_one_press_of_a_button(server: Server) -> None:
    browser = stranger(server)
    name = browser.sign_up()
    account = Account(server, name, f"{name}@example.com", accounts.PASSWORD, "")
    assert "Unverified" in browser.get("/settings/~/profile").words
    link, reader = newest(account, "Confirm your mail address"), stranger(server)
    assert account.email in reader.get(link).words
    assert "is confirmed" in reader.submit(link).words
    words = browser.get("/settings/~/profile").words
    assert "Confirmed." in words
    assert "Send confirmation mail" not in words
    assert reader.get(link).status == 410


def test_another_confirmation_mail_can_be_had_a_few_times_a_day(server: Server) -> None:
    browser = stranger(server)
    name = browser.sign_up()
    account = Account(server, name, f"{name}@example.com", accounts.PASSWORD, "")
    for _ in range(5):
        browser.get("/settings/~/profile")
        assert "is on its way" in browser.submit("/settings/~/email/confirm").words
    browser.get("/settings/~/profile")
    assert browser.submit("/settings/~/email/confirm").status == 429
    assert subjects(account).count("Confirm your mail address") == 6


def test_the_old_address_is_told_of_a_change_and_can_undo_it(server: Server) -> None:
    account, browser = accounts.sign_up(server), stranger(server)
    browser.sign_in(account)
    browser.get("/settings/~/profile")
    thiefs = f"thief-{account.email}"
    assert "was told" in browser.submit("/settings/~/email", email=thiefs).words
    link, reader = newest(account, "Your mail address was changed"), stranger(server)
    assert "Undo the change" in reader.get(link).words
    assert f"is {account.email} again" in reader.submit(link).words
    assert not browser.is_signed_in()
    browser.sign_in(account)
    page = browser.get("/settings/~/profile")
    assert f'value="{account.email}"' in page.html
    assert "Confirmed." in page.words


# -- devices ---------------------------------------------------------------------------------------------------------


def test_a_sign_in_from_a_new_device_is_told_and_from_a_known_one_not(server: Server) -> None:
    browser = stranger(server)
    name = browser.sign_up()
    account = Account(server, name, f"{name}@example.com", accounts.PASSWORD, "")
    browser.get("/")
    browser.submit("/logout")
    browser.sign_in(account)
    assert "Sign-in from a new device" not in subjects(account)
    other = stranger(server)
    other.sign_in(account)
    assert subjects(account).count("Sign-in from a new device") == 1
    text = post.waiting(account)[-1][1]
    assert other.source in text
    assert "a test's browser" in text


def test_the_cookie_of_a_device_opens_nothing(server: Server) -> None:
    browser = stranger(server)
    account = accounts.sign_up(server)
    browser.get("/login")
    answer = browser.send("POST", "/login", {**dict(browser.page.form("/login").fields), "username": account.name,
                          "password": account.password})  # fmt: skip
    session, device = answer.headers["set-cookie"].splitlines()
    assert session.startswith("__Host-tk=")
    assert device.startswith("__Host-tk-device=")
    assert set(device.split("; ")[1:]) == {"Path=/", "HttpOnly", "SameSite=Lax", "Secure", f"Max-Age={365 * DAY}"}
    assert not stranger(server).is_signed_in(device.partition("=")[2].partition(";")[0])
