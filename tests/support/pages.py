"""A browser's bare bones over plain HTTP: pages, their forms, their cookies. For what a real browser would not send."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from tests.support.accounts import PASSWORD, Account, fresh_name
from tests.support.server import Server
from tests.support.wire import Answer, request

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
REDIRECTS = 5


@dataclass
class Form:
    """A form of a page: where it goes, and the values that it has before anyone types."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """What a browser would show, and the address that it was at last."""

    answer: Answer
    path: str
    forms: Sequence[Form]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.answer.status

    @property
    def html(self) -> str:
        """The page's source."""
        return self.answer.text

    @property
    def words(self) -> str:
        """What stands on the page, without its marks."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.answer.text)).split())

    @property
    def problem(self) -> str:
        """What the page complains about; empty where it does not."""
        found = re.search(r'<p class="note bad"[^>]*>(.*?)</p>', self.answer.text, re.S)
        return " ".join(unescape(found[1]).split()) if found else ""

    def form(self, action: str) -> Form:
        """The form that goes to `action`."""
        return next(form for form in self.forms if form.action == action)


class Browser:
    """One browser: it keeps its cookies, follows redirects, and sends forms as they stand on a page."""

    def __init__(self, server: Server, source: str = "127.0.0.1", cookie_name: str = "__Host-tk") -> None:
        """A browser without a cookie, at the address `source`."""
        self.server = server
        self.source = source
        self.cookie_name = cookie_name
        self.cookie = ""
        self.device = ""
        self.page = Page(Answer(0, {}, ""), "/", ())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Page:
        """Opens an address and follows where it leads."""
        return self._follow(self.send("GET", path, headers=headers), path)

    def post(
        self, path: str, fields: Sequence[tuple[str, str]] | Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Page:
        """Sends a form's fields as they are and follows where it leads."""
        return self._follow(self.send("POST", path, fields, headers), path)

    def submit(self, action: str, /, **values: str) -> Page:
        """Fills in the form on this page that goes to `action`, and sends it as this browser would."""
        form = self.page.form(action)
        kept = [(name, value) for name, value in form.fields if name not in values]
        fields = [*kept, *values.items()]
        if form.method == "get":
            return self.get(f"{action}?{urlencode(fields)}")
        return self.post(action, fields, {"origin": f"http://{self.server.host}", "sec-fetch-site": "same-origin"})

    def submit_again(self, action: str, page: Page, /, **values: str) -> Page:
        """Sends the form of an earlier page."""
        self.page = page
        return self.submit(action, **values)

    def send(
        self,
        method: str,
        path: str,
        fields: Sequence[tuple[str, str]] | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, its redirect not followed; the cookie is kept."""
        sent = {"accept": HTML, "user-agent": "a test's browser"}
        if self.cookie:
            sent["cookie"] = f"{self.cookie_name}={self.cookie}"
        if self.device:
            sent["cookie"] = "; ".join(filter(None, (sent.get("cookie"), f"{self.cookie_name}-device={self.device}")))
        if fields is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        sent |= headers or {}
        text = urlencode(fields) if fields is not None else None
        answer = request(self.server, method, path, text=text, headers=sent, source=self.source)
        for line in answer.headers.get("set-cookie", "").splitlines():
            name, _, value = line.partition(";")[0].partition("=")
            if name == self.cookie_name:
                self.cookie = value
            elif name == f"{self.cookie_name}-device":
                self.device = value
        return answer

    def _follow(self, answer: Answer, path: str) -> Page:
        for _ in range(REDIRECTS):
            if answer.status != 303:
                break
            path = answer.headers["location"]
            assert path.startswith("/"), path
            answer = self.send("GET", path)
        reader = _Forms()
        reader.feed(answer.text if "html" in answer.headers.get("content-type", "") else "")
        self.page = Page(answer, urlsplit(path).path, reader.forms)
        return self.page

    # -- the ways in ---------------------------------------------------------------------------------------------

    def sign_up(self, name: str | None = None, password: str = PASSWORD) -> str:
        """A new account, signed in. Its name."""
        name = name or fresh_name()
        self.get("/signup")
        page = self.submit("/signup", username=name, email=f"{name}@example.com", password=password)
        assert page.status == 200, page.answer
        return name

    def sign_in(self, account: Account, code: str | None = None) -> Page:
        """Signs an account in, with a code where it has two-factor authentication on."""
        self.get("/login")
        page = self.submit("/login", username=account.name, password=account.password)
        if account.secret:
            page = self.submit("/login", otp=code or account.fresh_code())
        assert page.status == 200, page.answer
        return page

    def is_signed_in(self, cookie: str | None = None) -> bool:
        """Whether the cookie (this browser's own unless named) opens a page of settings."""
        headers = {"cookie": f"{self.cookie_name}={cookie or self.cookie}"}
        answer = self.send("GET", "/settings/~/profile", headers=headers)
        assert answer.status in (200, 303), answer
        return answer.status == 200

    def confirm(self, **proof: str) -> Page:
        """Answers the page that asks for a password or a code."""
        return self.submit("/confirm", **proof)


class _Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False
        self._select = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
            self._inside = True
        elif not self._inside:
            return
        elif tag == "input" and "name" in given:
            chosen = given.get("type") not in ("radio", "checkbox") or "checked" in given
            if chosen:
                self.forms[-1].fields.append((given["name"], given.get("value", "")))
        elif tag == "select":
            self._select = given.get("name", "")
        elif tag == "option" and "selected" in given:
            self.forms[-1].fields.append((self._select, given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
