"""What people write is shown as text: READMEs, descriptions, keywords, names and profiles run no script in a page."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Page

from tests.publishing.hostile_markup import HOSTILE
from tests.support import accounts
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web import people
from tests.web.conftest import NewPage

AT_ONCE = 12
# NUL and halves of surrogate pairs are refused as they come in: what is left of those texts is tried.
TEXTS = list(dict.fromkeys(text.replace("\0", "").encode("utf-8", "replace").decode() for text in HOSTILE.values()))
BATCHES = [TEXTS[start : start + AT_ONCE] for start in range(0, len(TEXTS), AT_ONCE)]
HANDLERS = (
    "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
)
FOREIGN = "document.querySelectorAll('main script, iframe, object, embed, base, meta[http-equiv], main style').length"


class Author:
    """Somebody who publishes one version after the other, each with what is to be looked at."""

    def __init__(self, server: Server) -> None:
        self.account = accounts.sign_up(server)
        self.package = accounts.fresh_name("hostile")
        self._number = 0

    def publish(self, *, readme: str | None = None, **fields: object) -> str:
        """The path of the page of the new version."""
        self._number += 1
        version = f"1.0.{self._number}"
        document = accounts.publish_document(self.package, version, readme=readme, **fields)
        account = self.account
        answer = request(account.server, "PUT", f"/{self.package}", token=account.token, body=document)
        assert answer.status == 201, answer
        return f"/package/{self.package}/v/{version}"


@pytest.fixture(scope="module")
def author(server: Server) -> Author:
    """Who writes all of it."""
    return Author(server)


def assert_harmless(page: Page, path: str) -> None:
    """Nothing of it is alive. That no script ran, and the browser stopped none, the fixture of the page holds."""
    page.goto(path)
    page.evaluate(
        "document.querySelectorAll('main [tabindex], main a').forEach(e => e.dispatchEvent(new Event('mouseover')))"
    )
    assert page.evaluate(HANDLERS) == 0
    assert page.evaluate(FOREIGN) == 0
    links = page.eval_on_selector_all("main a", "found => found.filter(each => each.href).map(each => each.protocol)")
    assert set(links) <= {"http:", "https:", "mailto:", ":"}  # ":" is an address that the browser cannot read


def test_there_are_at_least_a_hundred() -> None:
    assert len(set(TEXTS)) >= 100


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: f"from-{TEXTS.index(batch[0])}")
def test_a_readme(new_page: NewPage, author: Author, batch: list[str]) -> None:
    page = new_page()
    for text in batch:
        assert_harmless(page, author.publish(readme=text))


def test_a_description_keywords_licence_and_addresses(new_page: NewPage, author: Author) -> None:
    page = new_page()
    for start in range(0, len(TEXTS), AT_ONCE):
        texts = [text[:400] for text in TEXTS[start : start + AT_ONCE]]
        path = author.publish(
            description=texts[0], keywords=texts, license=texts[-1], homepage=texts[1 % len(texts)],
            repository={"url": "javascript:alert(1)"}, engines={text[:20]: text for text in texts},
            dependencies={"x": "\"><img src=x onerror=alert(1)>"},
        )  # fmt: skip
        assert_harmless(page, path)
        assert_harmless(page, f"/search?q={author.package}")
    assert_harmless(page, "/")


def test_a_profile(new_page: NewPage, server: Server) -> None:
    browser, page = Browser(server), new_page()
    name = browser.sign_up()
    refused = 0
    for text in TEXTS:
        browser.get("/settings/~/profile")
        line = "".join(character for character in text if character.isprintable())[:200]
        saved = browser.submit("/settings/~/profile", fullname=line, github=line, twitter=line, homepage=line)
        refused += saved.status == 400
        if saved.status == 400:
            browser.get("/settings/~/profile")
            browser.submit("/settings/~/profile", fullname=line, github=line, twitter=line)
        assert_harmless(page, f"/~{name}")
    assert refused, "a homepage that is no web address is refused"


def test_descriptions_of_teams_and_messages_of_deprecations(new_page: NewPage, server: Server) -> None:
    page, account = new_page(), accounts.sign_up(server)
    name = accounts.fresh_name("acme")
    assert accounts.publish(account, f"@{name}/core").status == 201
    people.sign_in(page, account)
    browser = Browser(server)
    browser.sign_in(account)
    settings = f"/package/@{name}/core/access"
    for number, text in enumerate(TEXTS):
        line = "".join(character for character in text if character.isprintable())[:250]
        browser.get(f"/org/{name}")
        made = browser.submit(f"/org/{name}/teams", team=f"team-{number}", description=line)
        assert made.path == f"/org/{name}/team/team-{number}", line
        if number % AT_ONCE == 0:
            browser.get(settings)
            browser.submit(f"{settings}/deprecate", versions="*", message=line or "-")
            for path in (made.path, settings):
                assert_harmless(page, path)
    assert_harmless(page, f"/org/{name}")


@pytest.mark.parametrize(
    "path", ["/search?q=", "/login?next=", "/?done=", "/~", "/package/", "/package/x/v/", "/org/", "/"]
)
def test_an_address(server: Server, path: str) -> None:
    browser = Browser(server)
    for text in TEXTS:
        answer = browser.send("GET", path + quote(text[:300].encode("utf-8", "replace"), safe=""))
        assert answer.status < 500
        if "html" in answer.headers.get("content-type", ""):
            body = answer.text.partition("<main")[2]
            for marked in ("<script", "<img", "<svg", "<iframe", "<embed", "<body"):
                assert marked not in body.lower(), (text, marked)
