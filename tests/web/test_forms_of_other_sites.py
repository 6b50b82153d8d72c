"""A form counts only when a page of this registry sent it, in the session that it is for (security.md 2.5).

Every form is sent as another site could send it, with values that would have changed something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import quote

import pytest

from tests.domain.soft_key import SoftKey
from tests.support import accounts, codes, post
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, Account
from tests.support.pages import HTML, Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web import administrators, members
from twokey.web import routes

PATHS = [
    form.path.replace("{user:part}", "~")
    .replace("{id:part}", "ID")
    .replace("{link:part}", "LINK")
    .replace("{name:package}", "NAME")
    for form in routes.FORMS
    # Those have a test of their own: test_admin_forms_of_other_sites.py, test_organisation_forms_of_other_sites.py.
    if form.path not in (*administrators.FORMS, *members.FORMS)
]
OPEN = {
    "/signup", "/login", "/logout", "/security-key/challenge", "/forgot", "/reset/LINK", "/verify/LINK", "/undo/LINK",
}  # fmt: skip
SETTINGS = "/settings/~"
CHANGES_NOTHING = ("/settings/~/2fa/saved", "/security-key/challenge")
LOGIN, PROOF = "/login/cli/ID", "/auth/cli/ID"
ELSEWHERE = "https://other.example"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Person:
    """Somebody signed in with a code a moment ago, for whom every form would be carried out at once."""

    browser: Browser
    account: Account
    key: str  # of the pending authenticator
    confirmation: str  # of the form that waits for a code
    security_key: str  # the answer of a new key
    waiting: Mapping[str, tuple[str, str]]  # of the clients that wait, the page's address and what the client asks
    before: str  # the csrf token of this browser's page before it signed in
    links: Mapping[str, str]
    package: str
    newcomer: str = field(default_factory=lambda: accounts.fresh_name("bob"))

    def csrf(self) -> str:
        """The token that this session's forms carry."""
        return csrf_of(self.browser, f"{SETTINGS}/profile", "/logout")

    def address(self, path: str) -> str:
        """Where the form goes: to a client that waits, or with a link that is good, where it takes one."""
        if path in self.waiting:
            return self.waiting[path][0]
        path = path.replace("NAME", self.package)
        return path.replace("LINK", self.links[path.split("/")[1]]) if "LINK" in path else path

    def fields(self, path: str) -> dict[str, str]:
        """What the form is filled in with."""
        return {key: value() for key, value in FIELDS[path](self).items()}

    def value(self, page: str, action: str, name: str) -> str:
        """A hidden value of the first form of `page` that goes to `action`."""
        return dict(self.browser.get(page).form(action).fields)[name]

    def key_id(self, form: str) -> str:
        """The id of a security key, as a form has it."""
        return self.value(f"{SETTINGS}/2fa", f"{SETTINGS}/2fa/security-keys/{form}", "key_id")

    def token(self) -> str:
        """The key of a token that may be rotated."""
        return self.value(f"{SETTINGS}/tokens", f"{SETTINGS}/tokens/rotate", "key")

    def state(self) -> dict[str, str]:
        """Everything that the forms change, as its owner sees it."""
        ask = self.account.ask
        pages = ("sessions", "2fa", "2fa/authenticator", "security", "tokens")
        return {
            "profile": ask("GET", accounts.PROFILE).text,
            "tokens": ask("GET", accounts.TOKENS).text,
            "stars": ask("GET", "/-/user/v1/star").text,
            "newcomer": str(request(self.account.server, "GET", accounts.user_path(self.newcomer)).status),
            **{path: str(request(self.account.server, "GET", done).status) for path, (_, done) in self.waiting.items()},
            **{page: self.browser.get(f"{SETTINGS}/{page}").words for page in pages},
        }


Values = Mapping[str, Callable[[], str]]


def constant(**values: str) -> Values:
    return {name: lambda value=value: value for name, value in values.items()}  # type: ignore[misc]


# A form that is not here stops the tests: say what fills it in.
FIELDS: Mapping[str, Callable[[Person], Values]] = {
    "/settings/~/profile": lambda _: constant(fullname="Bob", homepage="", github="", twitter=""),
    "/settings/~/email": lambda who: {**constant(email="bob@example.com"), "otp": who.account.code},
    "/settings/~/email/confirm": lambda _: {},
    "/settings/~/password": lambda who: {**constant(new_password=OTHER_PASSWORD), "otp": who.account.code},
    "/settings/~/sessions/end": lambda who: {
        "key": lambda: who.value(f"{SETTINGS}/sessions", f"{SETTINGS}/sessions/end", "key")
    },
    "/settings/~/2fa/add": lambda who: {**constant(mode="auth-only"), "otp": who.account.code},
    "/settings/~/2fa/cancel": lambda who: {"otp": who.account.code},
    "/settings/~/2fa/authenticator": lambda who: {
        **constant(name="planted"),
        "otp": lambda: codes.code(who.key, who.account.server.now()),
    },
    "/settings/~/2fa/remove": lambda who: {
        "authenticator": lambda: who.value(f"{SETTINGS}/2fa", f"{SETTINGS}/2fa/remove", "authenticator"),
        "otp": who.account.code,
    },
    "/settings/~/2fa/mode": lambda who: {**constant(mode="auth-only"), "otp": who.account.code},
    "/settings/~/2fa/disable": lambda who: {"otp": who.account.code},
    "/settings/~/2fa/recovery-codes": lambda who: {"otp": who.account.code},
    "/settings/~/2fa/saved": lambda _: constant(saved="yes"),
    "/settings/~/2fa/security-keys": lambda who: {**constant(name="planted"), "otp": who.account.code},
    "/settings/~/2fa/security-key": lambda who: constant(security_key=who.security_key),
    "/settings/~/2fa/security-keys/rename": lambda who: {
        **constant(name="renamed"),
        "otp": who.account.code,
        "key_id": lambda: who.key_id("rename"),
    },
    "/settings/~/2fa/security-keys/remove": lambda who: {
        "otp": who.account.code,
        "key_id": lambda: who.key_id("remove"),
    },
    "/settings/~/2fa/browser": lambda who: {**constant(in_browser="yes"), "otp": who.account.code},
    LOGIN: lambda _: constant(decision="approve"),
    PROOF: lambda who: {**constant(decision="approve"), "otp": who.account.code},
    "/security-key/challenge": lambda _: {},
    "/settings/~/tokens": lambda _: constant(type="automation", name="planted"),
    "/settings/~/tokens/rotate": lambda who: {"key": who.token},
    "/settings/~/tokens/revoke": lambda who: {"key": who.token},
    "/signup": lambda who: constant(
        username=who.newcomer, email=f"{who.newcomer}@example.com", password=PASSWORD, next="/"
    ),
    "/login": lambda who: {**constant(username=who.account.name, password=PASSWORD), "otp": who.account.code},
    "/package/NAME/star": lambda _: constant(starred="yes"),
    "/logout": lambda _: {},
    "/forgot": lambda who: constant(account=who.account.name),
    "/reset/LINK": lambda who: {"otp": who.account.code},
    "/verify/LINK": lambda _: {},
    "/undo/LINK": lambda _: {},
    "/confirm": lambda who: {**constant(key=who.confirmation), "otp": who.account.code},
}


def csrf_of(browser: Browser, page: str, action: str) -> str:
    return dict(browser.get(page).form(action).fields)["csrf"]


def begin_authenticator(browser: Browser, account: Account) -> str:
    """Begins to add an authenticator; its key."""
    browser.get(f"{SETTINGS}/2fa")
    page = browser.submit(f"{SETTINGS}/2fa/add", otp=account.fresh_code())
    found = re.search(r'id="key" data-value="([A-Z2-7]+)"', page.html)
    assert found is not None, browser.page.answer
    return found[1]


def begin_key(browser: Browser, account: Account) -> str:
    """Begins to add a security key; its answer."""
    browser.get(f"{SETTINGS}/2fa")
    page = browser.submit(f"{SETTINGS}/2fa/security-keys", otp=account.fresh_code(), name="blue")
    found = re.search(r'data-new-key="([^"]+)"', page.html)
    assert found is not None, browser.page.answer
    challenge = json.loads(unescape(found[1]))["challenge"]
    return SoftKey().registration(challenge, origin=f"http://{account.server.host}")


def waiting(account: Account) -> dict[str, tuple[str, str]]:
    """Two clients that wait: for a login, and for the proof of a publish."""
    server = account.server
    begun = request(server, "POST", "/-/v1/login", body={}).json
    name = accounts.fresh_name("core")
    document = accounts.publish_document(name, "1.0.0")
    headers = {"npm-auth-type": "web", "authorization": f"Bearer {account.token}"}
    asked = request(server, "PUT", f"/{name}", body=document, headers=headers).json
    found = {LOGIN: (begun["loginUrl"], begun["doneUrl"]), PROOF: (asked["authUrl"], asked["doneUrl"])}
    return {
        path: (page.partition(server.host)[2], done.partition(server.host)[2]) for path, (page, done) in found.items()
    }


def prepared(server: Server) -> Person:
    """Two authenticators and a pending one, a security key and one that is being added, two sessions, a token, clients
    that wait, and a form that waits for its code."""
    account = accounts.enrol(accounts.sign_up(server))
    accounts.publish_token(account)
    package = accounts.fresh_name("core")
    assert accounts.publish(account, package, otp=account.fresh_code()).status == 201
    browser = Browser(server)
    before = csrf_of(browser, "/login", "/login")
    browser.sign_in(account, account.fresh_code())
    key = begin_authenticator(browser, account)
    browser.submit(f"{SETTINGS}/2fa/authenticator", otp=codes.code(key, server.now()), name="tablet")
    browser.post(
        f"{SETTINGS}/2fa/security-key",
        {"csrf": csrf_of(browser, f"{SETTINGS}/profile", "/logout"), "security_key": begin_key(browser, account)},
    )
    browser.get(f"{SETTINGS}/2fa")
    browser.submit(f"{SETTINGS}/2fa/browser", otp=account.fresh_code(), in_browser="yes")
    key = begin_authenticator(browser, account)
    security_key = begin_key(browser, account)
    Browser(server).sign_in(account)
    browser.get(f"{SETTINGS}/2fa")
    confirmation = dict(browser.submit(f"{SETTINGS}/2fa/disable").form("/confirm").fields)["key"]
    account.fresh_code()  # moves the clock past every code that was used
    links = {purpose: post.link(account, purpose) for purpose in ("reset", "verify", "undo")}
    return Person(browser, account, key, confirmation, security_key, waiting(account), before, links, package)


@pytest.fixture(scope="module")
def alice(server: Server) -> Iterator[Person]:
    """One person for all that is refused: it leaves nothing behind. The clock is held, so that codes stay good."""
    with server.held():
        yield prepared(server)


@pytest.fixture(scope="module")
def bob(server: Server, alice: Person) -> Person:
    """Somebody else, signed in too."""
    return prepared(server)


Attempt = tuple[Mapping[str, str], Mapping[str, str]]  # fields and headers


def refused(who: Person, path: str, *attempts: Attempt, status: int = 403) -> None:
    """Sends the form in several ways, and shows that each was refused and nothing changed."""
    before, cookie = who.state(), who.browser.cookie
    for fields, headers in attempts:
        answer = who.browser.send("POST", who.address(path), fields, headers)
        assert answer.status == status, (path, fields, headers, answer)
        assert "set-cookie" not in answer.headers
    assert who.browser.cookie == cookie
    assert who.state() == before


def own(server: Server) -> dict[str, str]:
    return {"origin": f"http://{server.host}", "sec-fetch-site": "same-origin"}


every_form = pytest.mark.parametrize("path", PATHS)


def test_every_form_is_tried() -> None:
    assert sorted(FIELDS) == sorted(PATHS)
    assert len(PATHS) > 15


@every_form
def test_a_form_without_its_token_changes_nothing(server: Server, alice: Person, path: str) -> None:
    fields = alice.fields(path)
    refused(alice, path, (fields, own(server)), ({**fields, "csrf": ""}, own(server)))


@every_form
def test_a_form_with_the_token_of_another_session_or_of_none_changes_nothing(
    server: Server, alice: Person, bob: Person, path: str
) -> None:
    fields, tokens = alice.fields(path), (bob.csrf(), bob.before, alice.before)
    refused(alice, path, *(({**fields, "csrf": token}, own(server)) for token in tokens))


@every_form
def test_a_form_whose_origin_is_not_this_registry_changes_nothing(server: Server, alice: Person, path: str) -> None:
    fields = {**alice.fields(path), "csrf": alice.csrf()}
    host = server.host
    origins = (
        ELSEWHERE,
        "null",
        "",
        "http://localhost",
        f"https://{host}",
        f"http://{host}.example",
        f"http://x.{host}",
    )
    refused(alice, path, *((fields, {"origin": origin}) for origin in origins))
    refused(alice, path, *((fields, {**own(server), "origin": origin}) for origin in origins))


@every_form
def test_a_form_that_the_browser_says_comes_from_another_site_changes_nothing(
    server: Server, alice: Person, path: str
) -> None:
    fields = {**alice.fields(path), "csrf": alice.csrf()}
    for site in ("cross-site", "same-site"):
        refused(alice, path, (fields, {"sec-fetch-site": site}), (fields, {**own(server), "sec-fetch-site": site}))


@every_form
def test_a_form_without_the_cookie_changes_nothing(server: Server, alice: Person, path: str) -> None:
    fields = {**alice.fields(path), "csrf": alice.csrf()}
    before = alice.state()
    stranger = Browser(server)
    answer = stranger.send("POST", alice.address(path), fields, own(server))
    if path in OPEN:
        assert answer.status == 403
    else:  # whose session ran out is sent to sign in; the form is not kept
        assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2F")
    assert stranger.cookie == ""
    assert alice.state() == before


@every_form
def test_a_body_that_is_no_form_changes_nothing(server: Server, alice: Person, path: str) -> None:
    fields = {**alice.fields(path), "csrf": alice.csrf()}
    kinds = ("application/json", "text/plain", "multipart/form-data; boundary=x", "")
    refused(alice, path, *((fields, {**own(server), "content-type": kind}) for kind in kinds), status=400)
    before = alice.state()
    headers = {
        "accept": HTML, "cookie": f"__Host-tk={alice.browser.cookie}", "content-type": kinds[0], **own(server),
    }  # fmt: skip
    assert request(server, "POST", alice.address(path), text=json.dumps(fields), headers=headers).status == 400
    assert alice.state() == before


@every_form
def test_opening_a_forms_address_changes_nothing(alice: Person, path: str) -> None:
    fields = {**alice.fields(path), "csrf": alice.csrf()}
    before, cookie = alice.state(), alice.browser.cookie
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    for method in ("GET", "HEAD"):
        for address in (alice.address(path), f"{alice.address(path)}?{quote(query, safe='=&')}"):
            answer = alice.browser.send(method, address, headers={"content-type": FORM})
            # 400: a client that waits no more, when the tests before took their time.
            assert answer.status in (200, 303, 400, 404, 405), (address, answer)
            assert "set-cookie" not in answer.headers
    assert alice.browser.cookie == cookie
    assert alice.state() == before


@every_form
def test_a_form_of_this_registrys_own_page_is_carried_out(server: Server, alice: Person, path: str) -> None:
    someone = prepared(server)
    if path == f"{SETTINGS}/2fa/add":  # what is under way would go on
        someone.browser.get(f"{SETTINGS}/2fa/authenticator")
        someone.browser.submit(f"{SETTINGS}/2fa/cancel", otp=someone.account.code())
        someone.account.fresh_code()
    fields = {**someone.fields(path), "csrf": someone.csrf()}
    before = someone.state()
    answer = someone.browser.send("POST", someone.address(path), fields, own(server))
    assert answer.status in (200, 303), (path, answer)
    assert (someone.state() == before) is (path in CHANGES_NOTHING)


# -- signing a browser in from elsewhere -----------------------------------------------------------------------------


def is_signed_in(browser: Browser) -> bool:
    return browser.get(f"{SETTINGS}/profile").path == f"{SETTINGS}/profile"


@pytest.mark.parametrize("opened_a_page", [False, True])
@pytest.mark.parametrize("headers", [{}, {"origin": ELSEWHERE}, {"sec-fetch-site": "cross-site"}])
def test_another_site_cannot_sign_a_browser_in(server: Server, opened_a_page: bool, headers: Mapping[str, str]) -> None:
    attackers, victims = Browser(server), Browser(server)
    bob = accounts.sign_up(server, accounts.fresh_name("bob"))
    csrf = csrf_of(attackers, "/login", "/login")
    if opened_a_page:
        victims.get("/login")
    cookie = victims.cookie
    fields = {"username": bob.name, "password": bob.password, "csrf": csrf}
    answer = victims.send("POST", "/login", fields, headers)
    assert answer.status == 403
    assert "set-cookie" not in answer.headers
    assert victims.cookie == cookie
    assert not is_signed_in(victims)


def test_another_site_cannot_sign_a_browser_in_with_a_cookie_that_it_planted(server: Server) -> None:
    attackers, victims = Browser(server), Browser(server)
    bob = accounts.sign_up(server, accounts.fresh_name("bob"))
    csrf = csrf_of(attackers, "/login", "/login")
    victims.cookie = attackers.cookie
    fields = {"username": bob.name, "password": bob.password, "csrf": csrf}
    assert victims.send("POST", "/login", fields, {"origin": ELSEWHERE}).status == 403
    assert not is_signed_in(victims)
    assert victims.send("POST", "/login", fields, own(server)).status == 303, "the same form, from our page"
    assert is_signed_in(victims)
