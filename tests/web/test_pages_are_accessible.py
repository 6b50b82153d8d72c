"""axe-core finds nothing on any page, light or dark, wide or narrow; and everything can be reached by keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support import clients, codes
from tests.support.accounts import PASSWORD, fresh_name
from tests.support.server import Server
from tests.web import catalogue
from tests.web.conftest import NewPage

AXE = clients.MODULES / "axe-core" / "axe.min.js"
PHONE = {"width": 375, "height": 740}
SCREEN = {"width": 1280, "height": 800}


@pytest.fixture(scope="module")
def world(server: Server, clients: None) -> catalogue.World:
    """Something to look at."""
    return catalogue.build(server)


def faults(page: Page) -> list[str]:
    """What axe-core finds, best practices included."""
    # By the debugger, which the page's content security policy does not concern.
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(results => results.violations)")
    return [f"{fault['id']}: {node['html']}: {node['failureSummary']}" for fault in found for node in fault["nodes"]]


@pytest.mark.parametrize("size", [PHONE, SCREEN], ids=["phone", "screen"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(new_page: NewPage, world: catalogue.World, scheme: str, size: dict[str, int]) -> None:
    page = new_page(color_scheme=scheme, viewport=size)
    seen = {}
    for name in catalogue.visited(page, world):
        seen[name] = faults(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            seen[name].append(f"the page is {wide} pixels wider than the screen")
    assert len(seen) >= 65
    assert {name: found for name, found in seen.items() if found} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "heading"),
    [("/package/there-is-no-such-thing", "Page not found"), (f"/reset/{'x' * 43}", "This link has ended")],
)
def test_axe_finds_nothing_on_a_page_that_is_not_there(
    new_page: NewPage, complaints: list[str], scheme: str, path: str, heading: str
) -> None:
    page = new_page(color_scheme=scheme)
    page.goto(path)
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    assert faults(page) == []
    assert len(complaints) == 1  # the browser's own line about the 404
    complaints.clear()


def test_axe_finds_what_is_wrong(new_page: NewPage) -> None:
    """A checker that finds nothing anywhere checks nothing."""
    page = new_page()
    page.goto("/")
    page.evaluate("document.querySelector('h1').remove(); document.documentElement.lang = ''")
    assert {fault.partition(":")[0] for fault in faults(page)} >= {"page-has-heading-one", "html-has-lang"}


def test_from_sign_up_to_the_recovery_codes_by_keyboard_alone(new_page: NewPage, server: Server) -> None:
    page = new_page()
    keys = page.keyboard
    page.goto("/")
    _tab_to(page, "Sign up")
    keys.press("Enter")
    page.wait_for_url("**/signup")
    name = fresh_name()
    for label, text in (("Username", name), ("Email", f"{name}@example.com"), ("Password", PASSWORD)):
        _tab_to(page, label)
        keys.type(text)
    keys.press("Enter")
    page.wait_for_url("**/settings/**")
    _tab_to(page, "Add authenticator app")
    keys.press("Enter")
    expect(page.get_by_label("Password")).to_be_focused()
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_label("One-time password")).to_be_focused()
    secret = page.locator("#key").inner_text().replace(" ", "")
    keys.type(codes.code(secret, server.now()))
    keys.press("Enter")
    page.get_by_role("heading", name="Recovery codes").wait_for()
    _tab_to(page, "I have saved these codes")
    keys.press("Space")
    _tab_to(page, "Continue")
    keys.press("Enter")
    expect(page.get_by_text("It is on, set to auth-and-writes")).to_be_visible()


def test_the_focus_can_be_seen(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/login")
    _tab_to(page, "Username")
    outline = page.evaluate("getComputedStyle(document.activeElement).outline")
    assert "3px" in outline
    assert "none" not in outline


def _tab_to(page: Page, name: str) -> None:
    """Presses Tab until what has this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "(() => { const e = document.activeElement;"
            " return e.labels?.length ? e.labels[0].innerText : (e.ariaLabel ?? e.innerText) })()"
        )
        if (found or "").strip() == name:
            return
    raise AssertionError(f"Tab never reaches {name!r}")
