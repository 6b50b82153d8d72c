"""Making a token on the page, for the tests of what it is then."""

from __future__ import annotations

from tests.support.pages import Browser, Page

PAGE, NEW = "/settings/~/tokens", "/settings/~/tokens/new"


def generate(browser: Browser, **fields: str) -> Page:
    """Fills the form in and sends it. What comes back is the token, or what was wrong."""
    browser.get(NEW)
    return browser.submit(PAGE, **fields)


def secret_of(page: Page) -> str:
    """The token that the page shows."""
    assert page.status == 200, page.answer
    return next(word for word in page.words.split() if word.startswith("npm_") and len(word) == 40)
