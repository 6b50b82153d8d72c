"""What people do in a browser: the steps that several tests share, in the words of the pages."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support import codes
from tests.support.accounts import PASSWORD, Account, fresh_name
from tests.support.server import Server


def sign_up(page: Page, server: Server, name: str | None = None) -> Account:
    """A new account, signed in. Its login token is empty: it has none."""
    name = name or fresh_name()
    page.goto("/signup")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/settings/**")
    return Account(server, name, f"{name}@example.com", PASSWORD, "")


def sign_in(page: Page, account: Account, to: str | None = None) -> None:
    """Signs in, with a code where the account has two-factor authentication on, and goes to the page `to`."""
    page.goto("/login")
    page.get_by_label("Username").fill(account.name)
    page.get_by_label("Password").fill(account.password)
    page.get_by_role("button", name="Sign in").click()
    if account.secret:
        page.get_by_label("One-time password").fill(account.fresh_code())
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/settings/**")
    if to is not None:
        page.goto(to)


def begin_enrolment(page: Page, account: Account) -> str:
    """Opens the wizard. The key as the page writes it, without blanks."""
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Add authenticator app").click()
    page.get_by_label("Password").fill(account.password)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Add authenticator app").wait_for()
    return page.locator("#key").inner_text().replace(" ", "").strip()


def enrol(page: Page, account: Account) -> Account:
    """Turns two-factor authentication on and saves the recovery codes."""
    account.secret = begin_enrolment(page, account)
    page.get_by_label("One-time password").fill(account.code())
    page.get_by_role("button", name="Turn on two-factor authentication").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    account.recovery_codes = page.locator("#codes code").all_inner_texts()
    page.get_by_label("I have saved these codes").check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/settings/~/2fa?**")
    account.server.advance(3 * codes.STEP)
    return account


def generate_token(page: Page, account: Account, kind: str, name: str) -> str:
    """A new token of a kind, made on the tokens page; the secret that is shown."""
    page.goto(f"/settings/{account.name}/tokens")
    page.get_by_role("button", name="Generate New Token").click()
    page.get_by_role("radio", name=kind).check()
    page.get_by_label("Token name").fill(name)
    page.get_by_role("button", name="Generate token").click()
    shown = page.locator("#token")
    page.get_by_role("heading", name="Confirm that it is you").or_(shown).first.wait_for()
    if not shown.is_visible():
        page.get_by_label("One-time password").fill(account.fresh_code())
        page.get_by_role("button", name="Continue").click()
    return shown.inner_text().strip()
