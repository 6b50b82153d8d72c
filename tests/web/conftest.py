"""Real Chromium on the running server: what it complains about is collected, and no test may leave any of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from tests.npm.conftest import make_npm
from tests.support import accounts, pages
from tests.support.accounts import Account
from tests.support.server import Server

MISSING = "Chromium is not installed (Debian: apt-get install chromium)"
__all__ = ["make_npm"]  # a fixture of the npm tests
PATIENCE = 30_000  # milliseconds; when to give up on a page, far above what one takes

NewPage = Callable[..., Page]


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that is installed; otherwise the test is skipped, and in CI it fails."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return path


@pytest.fixture(scope="session")
def chromium(playwright: Playwright, chromium_path: str) -> Iterator[Browser]:
    """That browser, running."""
    browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def alice(server: Server) -> Account:
    """An account with two-factor authentication."""
    return accounts.enrol(accounts.sign_up(server))


@pytest.fixture
def browser(server: Server, alice: Account) -> pages.Browser:
    """Her browser over plain HTTP, signed in with a code a moment ago: what takes a recent one is open."""
    found = pages.Browser(server)
    found.sign_in(alice)
    return found


@pytest.fixture
def complaints() -> list[str]:
    """What browsers of this test complained about: errors and warnings of the console, scripts that failed."""
    return []


@pytest.fixture
def new_page(chromium: Browser, server: Server, complaints: list[str]) -> Iterator[NewPage]:
    """Opens browsers, each with cookies of its own: `new_page(color_scheme="dark", java_script_enabled=False)`.

    At the end nothing may have been complained about: no console error, no breach of the content security policy.
    """
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> Page:
        context = chromium.new_context(
            **{"base_url": server.url, "viewport": {"width": 1280, "height": 800}, **options}
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _note(complaints, message))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"{page.url}: a dialog: {dialog.message}"))
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    if message.type in ("error", "warning"):
        complaints.append(f"{message.location.get('url')}: {message.text}")
