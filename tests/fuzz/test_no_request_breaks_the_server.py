"""Whatever is sent to whatever route, signed in or not, is answered in words: no 5xx, no traceback, no path of a file,
nothing that answers outside of the route tables, and nothing written where no route is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.routing import compile_path

from tests.fuzz.requests import CODE, COOKIE, SECRET, Known, Request, requests
from tests.policy.stage import Actor, Stage, Who
from tests.policy.ways_of_npm import in_organisation, own_package
from tests.support.asgi import HOST
from tests.support.wire import Answer
from twokey.accounts import sessions, users
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode
from twokey.errors import Invalid
from twokey.http.paths import plain_path
from twokey.http.routing import Guarded
from twokey.npm_api.routes import ROUTES
from twokey.tokens import tokens
from twokey.web.routes import ASSETS, FORMS, PAGES

API = [*ASSETS, *FORMS, *ROUTES]
EVERY = [*API, *PAGES]
STATED = {503, 507}  # the database or the disk is away; none of it here, but a hashing queue may be full
LEAKS = re.compile(r'Traceback|File "|site-packages|\.py\b.*line \d|sqlalchemy|psycopg|sqlite3|/dev/shm/|/tmp/tmp')
A_FEW, MANY = 12, 300


@dataclass
class Fuzzed:
    """Who asks: an account with everything, and their token and session; made anew when a request has ended them."""

    stage: Stage
    token: Actor | None = None
    session: Actor | None = None
    known: Known | None = None

    def ready(self) -> Known:
        """The names of what is there, with credentials that are good: requests end sessions, tokens and accounts."""
        if self.token is None or self.session is None or self.known is None:
            self._begin()
        elif not self._live(self.token, self.session):
            self._begin() if self._is_closed(self.token) else self._sign_in(self.token)
        assert self.known is not None
        return self.known

    def _live(self, token: Actor, session: Actor) -> bool:
        at = self.stage.world.clock.at
        with self.stage.world.registry.database.read() as connection:
            found = sessions.find(connection, session.cookie, at)
            return found is not None and not found.pending and tokens.find(connection, token.token, at) is not None

    def _is_closed(self, actor: Actor) -> bool:
        with self.stage.world.registry.database.read() as connection:
            account = users.by_id(connection, actor.account.id)
        return account.disabled or account.mode is None or not account.administrator

    def _sign_in(self, actor: Actor) -> None:
        mode = Mode.AUTH_AND_WRITES
        self.token = Actor(self.stage, Who(Kind.LOGIN, mode), actor.account, actor.limits)
        self.session = Actor(self.stage, Who(Kind.SESSION, mode, stepped_up=True), actor.account, actor.limits)
        assert self.token.token  # made now, as is the session: the door is not to be seen making them later
        assert self.session.cookie

    def _begin(self) -> None:
        account = self.stage.actor(Who(Kind.LOGIN, Mode.AUTH_AND_WRITES), alone=True)
        self.stage.administrator(account.account)
        organisation, package = in_organisation(account), own_package(account)
        key = self.stage.world.token(account.account, Kind.READ_ONLY).token_key
        self._sign_in(account)
        assert key is not None
        self.known = Known({
            "name": [package, f"@{organisation}%2fcore", f"@{organisation}/core", "core"],
            "user": [account.account.name, "~", self.stage.founder.name], "organisation": [organisation],
            "team": ["developers"], "file": [f"{package}-1.0.0.tgz"], "version": ["1.0.0", "latest"],
            "revision": [self.stage.world.found(package).rev], "tag": ["latest", "beta"], "token": [key],
        })  # fmt: skip

    def send(self, request: Request) -> Answer:
        """The request, with the codes and secrets of now."""
        assert self.token is not None
        assert self.session is not None
        words = {SECRET: self.token.token, COOKIE: self.session.cookie, "{origin}": f"http://{HOST}"}
        headers = [(name, _written(value, words)) for name, value in request.headers]
        body = request.body
        if b"{csrf}" in body:
            body = body.replace(b"{csrf}", self.session.csrf.encode())
        if CODE.encode() in body or any(CODE in value for _, value in headers):
            code = self.token.code()
            headers = [(name, value.replace(CODE, code)) for name, value in headers]
            body = body.replace(CODE.encode(), code.encode())
        return self.stage.wire.send(request.method, request.target, headers, body)


def _written(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


@pytest.fixture(scope="module")
def fuzzed(stage: Stage) -> Fuzzed:
    """One account for all; it is made anew as often as it is needed."""
    return Fuzzed(stage)


def route_of(request: Request) -> Guarded | None:
    """The route that the tables have for a request; None where they have none, or its path is none."""
    try:
        path = plain_path(request.target.partition("?")[0].encode())
    except Invalid:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    accepts = [value for name, value in request.headers if name == "accept"]
    page = method == "GET" and "text/html" in accepts
    tables: Sequence[Sequence[Guarded]] = ([*PAGES], API) if page else (API,)
    for table in tables:
        for route in table:
            if route.method == method and compile_path(route.path)[0].match(path):
                return route
    return None


def holds(fuzzed: Fuzzed, request: Request) -> None:
    """What every answer has to be."""
    stage = fuzzed.stage
    fuzzed.ready()
    before = stage.last_event()
    stage.asked.clear()
    stage.granted.clear()
    answer = fuzzed.send(request)
    assert answer.status < 500 or (answer.status in STATED and "retry-after" in answer.headers), answer
    assert not LEAKS.search(answer.text), answer
    assert not LEAKS.search(str(answer.headers)), answer
    route = route_of(request)
    if route is None:
        assert answer.status in (400, 404, 405), answer
        assert stage.asked == []
        assert stage.changes_since(before) == []
    else:
        assert set(stage.asked) <= set(route.actions), (route.path, stage.asked)
    if answer.status >= 400 and request.method != "HEAD":
        if answer.headers["content-type"].startswith("text/html"):
            assert route is None or route not in ROUTES or ("accept", "text/html") in request.headers, answer
        else:
            assert answer.error.strip(), answer
    if request.method == "HEAD":
        assert answer.text == ""
    if not stage.granted:
        assert stage.changes_since(before) == []


def _bounded(examples: int) -> settings:
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def _run(fuzzed: Fuzzed, route: Guarded, examples: int) -> None:
    known = fuzzed.ready()

    @_bounded(examples)
    @given(requests(route, known))
    def run(request: Request) -> None:
        holds(fuzzed, request)

    run()


def _id(route: Guarded) -> str:
    return f"{route.method} {route.path}{' (page)' if route in PAGES else ''}"


ON_SQLITE = pytest.mark.parametrize("stage", ["sqlite"], indirect=True)  # both databases in the long run


@ON_SQLITE
@pytest.mark.parametrize("route", EVERY, ids=_id)
def test_whatever_is_sent_to_a_route_is_answered_in_words(fuzzed: Fuzzed, route: Guarded) -> None:
    _run(fuzzed, route, A_FEW)


@pytest.mark.long
@pytest.mark.parametrize("route", EVERY, ids=_id)
def test_however_much_is_sent_to_a_route_it_is_answered_in_words(fuzzed: Fuzzed, route: Guarded) -> None:
    _run(fuzzed, route, MANY)


@ON_SQLITE
def test_where_no_route_is_nothing_answers(fuzzed: Fuzzed) -> None:
    known = fuzzed.ready()
    part = st.sampled_from(
        ["-", "admin", "settings", "api", ".git", "core", "%2e%2e", "", "@x", "login", "v1", "package"]
    )
    paths = st.lists(part, max_size=6).map(lambda parts: "/" + "/".join(parts))
    methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
    any_route = Guarded("GET", "/", (next(iter(ROUTES)).actions[0],), next(iter(ROUTES)).handler)

    @_bounded(150)
    @given(methods, paths, requests(any_route, known))
    def run(method: str, path: str, request: Request) -> None:
        holds(fuzzed, Request(method, path, request.headers, request.body))

    run()


@ON_SQLITE
@pytest.mark.parametrize("target", ["/core//x", "/%00", "/core", "/@%2f", "/-/nothing"])
def test_head_gets_no_body_even_where_the_address_cannot_be_read(stage: Stage, target: str) -> None:
    answer = stage.wire.send("HEAD", target)
    assert (answer.status in (400, 404), answer.text) == (True, ""), answer
    assert int(answer.headers["content-length"]) > 0
