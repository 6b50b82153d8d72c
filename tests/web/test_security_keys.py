"""Security keys and passkeys in a real browser: registered, used wherever a proof is asked for, and refused."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support import post
from tests.support.accounts import OTHER_PASSWORD, Account
from tests.support.server import Server
from tests.web import people
from tests.web.conftest import NewPage
from tests.web.security_keys import PASSKEY, PLAIN, VirtualKey


def register_first(page: Page, account: Account, name: str = "Blue key") -> None:
    """Turns two-factor authentication on with a key that is plugged in."""
    page.goto("/settings/~/2fa")
    page.get_by_label("Key name").fill(name)
    page.get_by_role("button", name="Add security key").click()
    page.get_by_label("Password").fill(account.password)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    account.recovery_codes = page.locator("#codes code").all_inner_texts()
    page.get_by_label("I have saved these codes").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text(name, exact=True)).to_be_visible()


def begin_sign_in(page: Page, account: Account) -> None:
    """Name and password."""
    page.goto("/login")
    page.get_by_label("Username").fill(account.name)
    page.get_by_label("Password").fill(account.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("has two-factor authentication on").wait_for()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out").wait_for()


def test_a_key_is_registered_and_signs_in_and_confirms(server: Server, new_page: NewPage) -> None:
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    register_first(page, account)
    assert len(account.recovery_codes) == 10
    sign_out(page)
    begin_sign_in(page, account)
    page.get_by_role("button", name="Use security key").click()
    page.wait_for_url("**/settings/**")
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Make new recovery codes").click()
    page.get_by_role("button", name="Use security key").click()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    assert not set(account.recovery_codes) & set(page.locator("#codes code").all_inner_texts())


def test_a_passkey_signs_in_without_a_password(server: Server, new_page: NewPage) -> None:
    page = new_page()
    VirtualKey(page, PASSKEY)
    account = people.sign_up(page, server)
    register_first(page, account, "Laptop")
    sign_out(page)
    page.goto("/login?next=/settings/~/tokens")
    page.get_by_role("button", name="Use security key").click()
    page.wait_for_url("**/settings/~/tokens")
    expect(page.get_by_role("link", name=account.name, exact=True)).to_be_visible()


def test_a_forgotten_password_asks_for_the_key_first(server: Server, new_page: NewPage) -> None:
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    register_first(page, account)
    sign_out(page)
    page.goto(f"/reset/{post.link(account, 'reset')}")
    assert page.get_by_label("New password").count() == 0
    page.get_by_role("button", name="Use security key").click()
    page.get_by_label("New password").fill(OTHER_PASSWORD)
    page.get_by_role("button", name="Set the new password").click()
    page.wait_for_url("**/login**")
    account.password = OTHER_PASSWORD
    begin_sign_in(page, account)
    page.get_by_role("button", name="Use security key").click()
    page.wait_for_url("**/settings/**")
