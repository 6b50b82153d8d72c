"""Security keys and hand-offs without a pointer: Tab, Space and Enter reach everything."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support import accounts
from tests.support.server import Server
from tests.support.wire import request
from tests.web import people
from tests.web.conftest import NewPage
from tests.web.security_keys import PLAIN, VirtualKey
from tests.web.test_security_keys import register_first


def tab_to(page: Page, name: str, role: str = "button") -> None:
    """Presses Tab until the control has the focus."""
    wanted = page.get_by_role(role, name=name)  # type: ignore[arg-type]
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def test_a_publish_is_approved_by_keyboard_alone(server: Server, new_page: NewPage) -> None:
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    account.token = accounts.log_in(account)
    register_first(page, account)
    name = accounts.fresh_name("core")
    headers = {"npm-auth-type": "web", "authorization": f"Bearer {account.token}"}
    document = accounts.publish_document(name, "1.0.0")
    asked = request(server, "PUT", f"/{name}", body=document, headers=headers).json
    page.goto(asked["authUrl"])
    tab_to(page, "Allow publishes with this token from this address for 5 minutes", role="checkbox")
    page.keyboard.press("Space")
    tab_to(page, "Approve")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    tab_to(page, "Use security key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Approved")).to_be_visible()
    assert request(server, "PUT", f"/{name}", body=document, headers=headers).status == 201


def test_a_key_is_added_by_keyboard_alone(server: Server, new_page: NewPage) -> None:
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    page.goto("/settings/~/2fa")
    tab_to(page, "Key name", role="textbox")
    page.keyboard.type("Blue key")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    page.keyboard.type(account.password)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Recovery codes").wait_for()
    tab_to(page, "I have saved these codes", role="checkbox")
    page.keyboard.press("Space")
    tab_to(page, "Continue")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Blue key", exact=True)).to_be_visible()


def test_without_javascript_the_pages_say_that_a_key_needs_it(server: Server, new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    people.sign_up(page, server)
    page.get_by_role("button", name="Sign out").click()
    page.goto("/login")
    expect(page.get_by_text("A security key needs JavaScript")).to_be_visible()
    assert not page.get_by_role("button", name="Use security key").is_visible()
