"""The journey in a real browser, end to end: account, authenticator app, recovery codes, token, package page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from tests.npm.journey import assert_published, publish
from tests.support import accounts, codes, packages
from tests.support.npm import Npm
from tests.support.server import Server
from tests.web import people
from tests.web.conftest import NewPage

TOKEN = re.compile(r"npm_[A-Za-z0-9]{36}")


def read_qr(page: Page, folder: Path) -> str:
    """What an app reads off the screen."""
    image = page.get_by_role("img", name="QR code")
    path = folder / "qr.png"
    image.screenshot(path=str(path))
    found = zxingcpp.read_barcodes(Image.open(path).convert("L"))
    assert len(found) == 1
    return str(found[0].text)


def test_from_sign_up_to_a_package_page(new_page: NewPage, server: Server, clients: None, tmp_path: Path) -> None:
    page = new_page()
    page.goto("/")
    expect(page.get_by_text(f"npm config set registry {server.url}")).to_be_visible()
    alice = people.sign_up(page, server)

    key = people.begin_enrolment(page, alice)
    assert re.fullmatch("[A-Z2-7]{32}", key)
    uri = read_qr(page, tmp_path)
    read = codes.parse_uri(uri)
    assert (read["secret"], read["label"]) == (key, alice.name)
    assert "npm" in str(read["issuer"])
    assert parse_qs(urlsplit(uri).query)["secret"] == [key]
    alice.secret = key
    page.get_by_label("One-time password").fill(alice.code())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Recovery codes").wait_for()
    alice.recovery_codes = page.locator("#codes code").all_inner_texts()
    assert len(set(alice.recovery_codes)) == 10
    assert all(re.fullmatch(r"\d{4}-\d{4}-\d{4}", code) for code in alice.recovery_codes)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()  # the box is not ticked
    page.get_by_label("I have saved these codes").check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("It is on, set to auth-and-writes")).to_be_visible()

    token = people.generate_token(page, alice, "Automation", "release of core")
    assert TOKEN.fullmatch(token)
    expect(page.get_by_text(f"npm set //{server.host}/:_authToken {token}")).to_be_visible()
    page.goto(f"/settings/{alice.name}/tokens")
    assert token not in page.content()
    expect(page.get_by_text(f"{token[:12]}…{token[-4:]}")).to_be_visible()

    name = accounts.fresh_name("core")
    npm = Npm(12, server, tmp_path / "home")
    npm.sign_in(token)
    folder = packages.write(tmp_path / "core", name)
    (folder / "README.md").write_text("# Core\n\nThe **core** of it.\n")
    assert_published(publish(npm, folder), name)
    consumer = packages.write(tmp_path / "app", accounts.fresh_name("app"))
    other = Npm(12, server, tmp_path / "another-home")  # the publisher's own cache holds the tarball already
    assert other.run("install", name, cwd=consumer).returncode == 0
    server.restart()  # what was counted is kept
    page.goto(f"/package/{name}")
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    expect(page.get_by_text(f"{alice.name}, with automation token release of core")).to_be_visible()
    expect(page.locator(".readme strong")).to_have_text("core")
    expect(page.locator(".count")).to_have_text("1")
    page.get_by_role("searchbox").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("main").get_by_role("link", name=name, exact=True).click()
    expect(page).to_have_url(f"{server.url}package/{name}")


def test_the_way_back_after_a_sign_in(new_page: NewPage, server: Server) -> None:
    page = new_page()
    alice = people.enrol(page, people.sign_up(page, server))
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"/settings/{alice.name}/tokens")
    page.get_by_label("Username").fill(alice.name)
    page.get_by_label("Password").fill(alice.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("One-time password").fill(alice.recovery_codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Access tokens")).to_be_visible()
    page.goto("/settings/~/2fa")
    expect(page.get_by_text("9 of them are left")).to_be_visible()


def test_without_javascript_everything_works(new_page: NewPage, server: Server) -> None:
    page = new_page(java_script_enabled=False)
    alice = people.enrol(page, people.sign_up(page, server))
    assert TOKEN.fullmatch(people.generate_token(page, alice, "Publish", "laptop"))
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Make new recovery codes").click()
    page.get_by_label("One-time password").fill(alice.fresh_code())
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#codes code")).to_have_count(10)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    saved = Path(download.value.path()).read_text()
    assert all(code in saved for code in page.locator("#codes code").all_inner_texts())
    assert page.get_by_role("button", name="Copy").count() == 0  # what needs a script is not offered
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_copy_buttons_copy(new_page: NewPage, server: Server) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    alice = people.sign_up(page, server)
    key = people.begin_enrolment(page, alice)
    page.get_by_role("button", name="Copy key").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("button", name="Copy link").click()
    assert page.evaluate("navigator.clipboard.readText()").startswith("otpauth://totp/")
