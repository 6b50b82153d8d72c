"""`/settings/~/2fa` over plain HTTP: the same enrolment as in a terminal, several authenticators, recovery codes."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.support import accounts, codes
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.server import Server

PAGE = "/settings/~/2fa"
WIZARD = f"{PAGE}/authenticator"
TEN_MINUTES = 600
NO_2FA = False


def new_here(server: Server) -> tuple[Browser, Account]:
    """Somebody without two-factor authentication, signed in here and with a login token in a terminal."""
    account, browser = accounts.sign_up(server), Browser(server)
    browser.sign_in(account)
    return browser, account


def enrolled(server: Server) -> tuple[Browser, Account]:
    """Somebody with two-factor authentication, signed in with a code a moment ago."""
    account, browser = accounts.enrol(accounts.sign_up(server)), Browser(server)
    browser.sign_in(account)
    return browser, account


def begin_in_terminal(account: Account, mode: str = "auth-only") -> str:
    """`npm profile enable-2fa` up to its QR code: the secret in it."""
    begun = account.ask("POST", accounts.PROFILE, body={"tfa": {"mode": mode, "password": account.password}})
    assert begun.status == 200, begun
    return parse_qs(urlsplit(str(begun.json["tfa"])).query)["secret"][0]


def shown_key(browser: Browser) -> str:
    """The secret that the wizard on this page shows; empty where there is no wizard."""
    found = re.search(r'id="key" data-value="([A-Z2-7]+)"', browser.page.html)
    return found[1] if found else ""


def begin_here(browser: Browser, account: Account, **values: str) -> str:
    """The wizard, after the proof that it takes. The secret."""
    browser.get(PAGE)
    browser.submit(f"{PAGE}/add", **values)
    browser.confirm(**({"otp": account.fresh_code()} if account.secret else {"password": account.password}))
    assert browser.page.path == WIZARD, browser.page.words
    return shown_key(browser)


def enrol_here(browser: Browser, account: Account, **values: str) -> None:
    """Turns two-factor authentication on in the wizard, up to the page of recovery codes."""
    account.secret = begin_here(browser, account, **values)
    page = browser.submit(WIZARD, otp=account.code())
    assert page.status == 200, page.words
    account.recovery_codes = shown_codes(browser)


def add_another(browser: Browser, account: Account, name: str) -> Account:
    """A further authenticator under `name`. The account with that authenticator's secret."""
    second = replace(account, secret=begin_here(browser, account))
    page = browser.submit(WIZARD, otp=second.fresh_code(), name=name)
    assert "The authenticator is added." in page.words
    return second


def shown_codes(browser: Browser) -> list[str]:
    return re.findall(r"<li><code>(\d{4}-\d{4}-\d{4})</code></li>", browser.page.html)


def authenticators(browser: Browser) -> list[str]:
    """The names on the page, oldest first."""
    return re.findall(r"<li><p><strong>(.*?)</strong></p>", browser.get(PAGE).html)


def authenticator_id(browser: Browser, name: str) -> str:
    found = re.search(rf'value="(\w+)"><button class="danger">Remove {re.escape(name)}<', browser.get(PAGE).html)
    assert found is not None, browser.page.words
    return found[1]


def mode_of(account: Account) -> object:
    """The account's mode as npm reads it; False while two-factor authentication is not on."""
    tfa = account.profile()["tfa"]
    return tfa["mode"] if tfa and not tfa["pending"] else NO_2FA


def snapshot(browser: Browser) -> tuple[str, str]:
    """All that the pages show of the second factor, and the secret that is pending."""
    words = browser.get(PAGE).words
    browser.get(WIZARD)
    return words, shown_key(browser)


def publishes(account: Account, name: str, otp: str) -> bool:
    answer = accounts.publish(account, name, otp=otp)
    assert answer.status in (200, 201) or answer.asks_for_a_code, answer
    return accounts.is_published(account.server, name)


# -- the first authenticator -------------------------------------------------------------------------------------


def test_an_enrolment_begun_in_a_terminal_goes_on_here_with_the_same_secret(server: Server) -> None:
    browser, account = new_here(server)
    secret = begin_in_terminal(account, "auth-only")
    assert "An enrolment is under way" in browser.get(PAGE).words
    assert begin_here(browser, account) == secret
    account.secret = secret
    page = browser.submit(WIZARD, otp=account.code(), name="alice's phone")
    assert len(shown_codes(browser)) == 10, page.words
    assert mode_of(account) == "auth-only", "the mode is the one that was asked for in the terminal"
    assert authenticators(browser) == ["alice&#39;s phone"]


def test_an_enrolment_begun_here_is_confirmed_in_a_terminal(server: Server) -> None:
    browser, account = new_here(server)
    account.secret = begin_here(browser, account)
    confirmed = account.ask("POST", accounts.PROFILE, body={"tfa": [account.code()]})
    assert confirmed.status == 200, confirmed
    assert len(confirmed.json["tfa"]) == 10
    assert mode_of(account) == "auth-and-writes"


def test_the_wizard_takes_the_password(server: Server) -> None:
    browser, account = new_here(server)
    browser.get(PAGE)
    asked = browser.submit(f"{PAGE}/add")
    assert "This needs your password" in asked.words
    wrong = browser.confirm(password="not the password")
    assert wrong.status == 401
    assert "Wrong password" in wrong.problem
    assert browser.get(WIZARD).path == PAGE, "there is no secret to see"
    assert "under way" not in browser.page.words
    assert mode_of(account) is NO_2FA


def test_another_session_of_the_account_does_not_see_the_secret(server: Server) -> None:
    browser, account = new_here(server)
    other = Browser(server)
    other.sign_in(account)
    secret = begin_here(browser, account)
    assert other.get(WIZARD).path == PAGE
    assert secret not in other.page.html
    assert "under way" in other.page.words
    assert browser.get(WIZARD).path == WIZARD
    assert shown_key(browser) == secret
    begin_in_terminal(account)
    assert browser.get(WIZARD).path == PAGE, "nor is the secret of a later enrolment shown to this one"


def test_a_wrong_code_in_the_wizard_says_why_and_turns_nothing_on(server: Server) -> None:
    browser, account = new_here(server)
    account.secret = begin_here(browser, account)
    wrong = browser.submit(WIZARD, otp=account.wrong_code(), name="phone")
    assert wrong.status == 401
    assert "use the code shown for" in wrong.problem
    assert shown_key(browser) == account.secret, "the same QR code stays"
    assert 'value="phone"' in wrong.html
    assert mode_of(account) is NO_2FA
    assert len(shown_codes(browser)) == 0
    browser.submit(WIZARD, otp=account.code())
    assert mode_of(account) == "auth-and-writes"


def test_a_cancelled_enrolment_is_gone_everywhere(server: Server) -> None:
    browser, account = new_here(server)
    account.secret = begin_here(browser, account)
    browser.submit(f"{PAGE}/cancel")
    page = browser.confirm(password=account.password)
    assert "The set-up is cancelled." in page.words
    late = account.ask("POST", accounts.PROFILE, body={"tfa": [account.code()]})
    assert late.status == 400
    assert mode_of(account) is NO_2FA


@pytest.mark.parametrize(
    ("values", "mode"),
    [({}, "auth-and-writes"), ({"mode": "auth-and-writes"}, "auth-and-writes"), ({"mode": "auth-only"}, "auth-only")],
    ids=["default", "auth-and-writes", "auth-only"],
)
def test_an_enrolment_is_auth_and_writes_unless_auth_only_is_chosen(
    server: Server, values: dict[str, str], mode: str
) -> None:
    browser, account = new_here(server)
    enrol_here(browser, account, **values)
    assert mode_of(account) == mode
    name = accounts.fresh_name("package")
    asked = accounts.publish(account, name)
    assert asked.asks_for_a_code is (mode == "auth-and-writes"), asked
    assert accounts.is_published(server, name) is (mode == "auth-only")


def test_an_unknown_mode_is_refused(server: Server) -> None:
    browser, account = new_here(server)
    browser.get(PAGE)
    assert browser.submit(f"{PAGE}/add", mode="none").status == 400
    assert mode_of(account) is NO_2FA
    assert browser.get(WIZARD).path == PAGE


# -- recovery codes ----------------------------------------------------------------------------------------------


def test_ten_recovery_codes_are_shown_once_and_the_download_holds_them_all(server: Server) -> None:
    browser, account = new_here(server)
    enrol_here(browser, account)
    assert len(set(account.recovery_codes)) == 10
    link = re.search(r'download="[^"]*" href="(data:text/plain[^"]*)"', browser.page.html)
    assert link is not None
    lines = unquote(unescape(link[1]).partition(",")[2]).split("\r\n")
    assert [line for line in lines if re.fullmatch(r"[\d-]+", line)] == account.recovery_codes
    assert account.name in lines[0]
    without = browser.submit(f"{PAGE}/saved")
    assert without.status == 400
    assert "Tick the box" in without.words
    later = browser.get(PAGE).html
    assert not [code for code in account.recovery_codes if code in later]


def test_the_ticked_box_leads_on(server: Server) -> None:
    browser, account = new_here(server)
    enrol_here(browser, account)
    page = browser.submit(f"{PAGE}/saved", saved="yes")
    assert (page.status, page.path) == (200, PAGE)
    assert "your recovery codes are saved" in page.words


def test_new_recovery_codes_void_the_old_ones(server: Server) -> None:
    browser, account = enrolled(server)
    browser.get(PAGE)
    browser.submit(f"{PAGE}/recovery-codes")
    page = browser.confirm(otp=account.fresh_code())
    made = shown_codes(browser)
    assert "The old codes are void." in page.words
    assert len(set(made)) == 10
    assert not set(made) & set(account.recovery_codes)
    name = accounts.fresh_name("package")
    assert not publishes(account, name, account.recovery_codes[0])
    assert publishes(account, name, made[0])


def test_the_page_says_how_many_recovery_codes_are_left_and_warns_at_three(server: Server) -> None:
    browser, account = enrolled(server)
    assert "10 of them are left." in browser.get(PAGE).words
    for used in range(6):
        assert publishes(account, accounts.fresh_name("package"), account.recovery_codes[used])
    before = browser.get(PAGE)
    assert "4 of them are left." in before.words
    assert "note warning" not in before.html
    assert publishes(account, accounts.fresh_name("package"), account.recovery_codes[6])
    at_three = browser.get(PAGE)
    assert "Only 3 are left." in at_three.words
    assert "note warning" in at_three.html


# -- several authenticators --------------------------------------------------------------------------------------


def test_every_authenticator_of_an_account_publishes(server: Server) -> None:
    browser, account = enrolled(server)
    second = add_another(browser, account, "tablet")
    assert second.secret != account.secret
    assert publishes(account, accounts.fresh_name("package"), account.fresh_code())
    assert publishes(account, accounts.fresh_name("package"), second.fresh_code())
    assert mode_of(account) == "auth-and-writes"
    assert publishes(account, accounts.fresh_name("package"), account.recovery_codes[0]), "the recovery codes stay"


def test_a_pending_second_authenticator_proves_nothing(server: Server) -> None:
    browser, account = enrolled(server)
    pending = replace(account, secret=begin_here(browser, account))
    name = accounts.fresh_name("package")
    assert not publishes(account, name, pending.fresh_code())
    wrong = browser.submit(WIZARD, otp=account.fresh_code())
    assert wrong.status == 401, "the code of the first does not confirm the second"
    assert len(authenticators(browser)) == 1
    assert publishes(account, name, account.fresh_code())


def test_names_and_last_use_are_shown(server: Server) -> None:
    browser, account = enrolled(server)
    second = add_another(browser, account, "alice's <tablet>")
    assert authenticators(browser) == ["Authenticator app", "alice&#39;s &lt;tablet&gt;"]
    server.advance(TEN_MINUTES)
    with server.held():
        before = re.findall(r"last used <time datetime=\"([^\"]+)\"", browser.get(PAGE).html)
        assert publishes(account, accounts.fresh_name("package"), second.code())
        after = re.findall(r"last used <time datetime=\"([^\"]+)\"", browser.get(PAGE).html)
    assert after[0] == before[0], "the one that was not used"
    assert after[1] > before[1]


def test_a_removed_authenticator_proves_nothing_any_more(server: Server) -> None:
    browser, account = enrolled(server)
    second = add_another(browser, account, "tablet")
    browser.get(PAGE)
    browser.submit(f"{PAGE}/remove", authenticator=authenticator_id(browser, "tablet"))
    page = browser.confirm(otp=account.fresh_code())
    assert "The authenticator is removed." in page.words
    assert authenticators(browser) == ["Authenticator app"]
    name = accounts.fresh_name("package")
    assert not publishes(account, name, second.fresh_code())
    assert publishes(account, name, account.fresh_code())


def test_the_only_authenticator_cannot_be_removed(server: Server) -> None:
    browser, account = enrolled(server)
    second = add_another(browser, account, "tablet")
    first_id, second_id = (authenticator_id(browser, name) for name in ("Authenticator app", "tablet"))
    browser.submit(f"{PAGE}/remove", authenticator=first_id)
    browser.confirm(otp=second.fresh_code())
    assert authenticators(browser) == ["tablet"]
    assert f"{PAGE}/remove" not in browser.page.html, "the page does not offer it"
    csrf = dict(browser.page.form("/logout").fields)["csrf"]
    browser.post(f"{PAGE}/remove", {"csrf": csrf, "authenticator": second_id})
    refused = browser.confirm(otp=second.fresh_code())
    assert refused.status == 400
    assert "the only second factor" in refused.words
    assert authenticators(browser) == ["tablet"]
    assert publishes(account, accounts.fresh_name("package"), second.fresh_code())


# -- mode, off, and the proof ------------------------------------------------------------------------------------


def test_the_mode_is_changed_with_a_code(server: Server) -> None:
    browser, account = enrolled(server)
    browser.get(PAGE)
    browser.submit(f"{PAGE}/mode", mode="auth-only")
    assert "The mode is changed." in browser.confirm(otp=account.fresh_code()).words
    assert mode_of(account) == "auth-only"
    name = accounts.fresh_name("package")
    assert accounts.publish(account, name).status in (200, 201)
    assert accounts.is_published(server, name)


def test_disabled_it_asks_for_no_code_and_voids_the_recovery_codes(server: Server) -> None:
    browser, account = enrolled(server)
    browser.get(PAGE)
    browser.submit(f"{PAGE}/disable")
    page = browser.confirm(otp=account.fresh_code())
    assert "Two-factor authentication is off." in page.words
    assert mode_of(account) is NO_2FA
    assert accounts.publish(account, accounts.fresh_name("package")).status in (200, 201)
    old, account.secret = account.secret, ""
    enrol_here(browser, account)
    assert account.secret != old
    name = accounts.fresh_name("package")
    gone = replace(account, secret=old)
    assert not publishes(account, name, gone.fresh_code())
    assert publishes(account, name, account.fresh_code())


@pytest.mark.parametrize("form", ["add", "cancel", "remove", "mode", "disable", "recovery-codes"])
def test_without_a_code_of_its_own_nothing_changes_however_fresh_the_step_up(server: Server, form: str) -> None:
    browser, account = enrolled(server)
    second = add_another(browser, account, "tablet")  # the session is stepped up by codes of a moment ago
    fields = {"authenticator": authenticator_id(browser, "tablet"), "mode": "auth-only"}
    if form != "add":
        begin_here(browser, account)
    before = snapshot(browser)
    fields["csrf"] = dict(browser.page.form("/logout").fields)["csrf"]
    asked = browser.post(f"{PAGE}/{form}", fields)
    assert "This needs a fresh one-time password" in asked.words
    assert asked.status == 200
    wrong = browser.confirm(otp=account.wrong_code())
    assert wrong.status == 401
    assert snapshot(browser) == before
    assert mode_of(account) == "auth-and-writes"
    assert publishes(account, accounts.fresh_name("package"), second.fresh_code())
    assert publishes(account, accounts.fresh_name("package"), account.recovery_codes[0])


def test_a_registry_that_requires_it_refuses_to_turn_it_off_and_says_why(tmp_path: Path) -> None:
    with Server(tmp_path, {"TWOKEY_REQUIRE_2FA": "everyone"}) as server:
        account, browser = accounts.sign_up(server), Browser(server)
        browser.sign_in(account)
        assert "This registry asks for it." in browser.get(PAGE).words
        enrol_here(browser, account)
        page = browser.get(PAGE)
        assert "the last factor cannot be removed" in page.words
        assert f"{PAGE}/disable" not in page.html
        server.advance(3 * codes.STEP)
        csrf = dict(page.form("/logout").fields)["csrf"]
        refused = browser.post(f"{PAGE}/disable", {"csrf": csrf, "otp": account.code()})
        assert refused.status == 403
        told = "This registry, or a package or organisation of yours, asks for two-factor authentication"
        assert told in refused.words
        assert mode_of(account) == "auth-and-writes"
        assert publishes(account, accounts.fresh_name("package"), account.fresh_code())
