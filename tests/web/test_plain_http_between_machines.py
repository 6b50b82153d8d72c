"""On plain http with the name of another machine: sign-in works, the warning is there, copy buttons select."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Playwright, expect

from tests.support.accounts import PASSWORD
from tests.support.ports import free_port
from tests.support.server import Server


def test_sign_up_works_with_a_warning_and_copy_selects(
    playwright: Playwright, chromium_path: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"TWOKEY_PORT": str(port), "TWOKEY_URL": f"http://registry.lan:{port}", "TWOKEY_SIGNUP": "open"}
    with Server(tmp_path / "lan", settings) as server:
        assert "is plain http" in server.log
        lan = "--host-resolver-rules=MAP registry.lan 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", lan])
        page = browser.new_page()
        page.goto(f"http://registry.lan:{port}/signup")
        expect(page.get_by_text("This connection is not encrypted.")).to_be_visible()
        page.get_by_label("Username").fill("alice")
        page.get_by_label("Email").fill("alice@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").click()
        expect(page.get_by_role("heading", name="Two-factor authentication")).to_be_visible()
        page.get_by_role("button", name="Copy command").click()
        expect(page.get_by_role("button", name="Selected: press Ctrl+C")).to_be_visible()
        selected = page.evaluate("window.getSelection().toString()")
        assert selected == f"npm profile enable-2fa auth-and-writes --registry=http://registry.lan:{port}/"
        browser.close()
