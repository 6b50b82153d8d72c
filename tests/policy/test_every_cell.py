"""The rule table over HTTP: each cell of the document (tests/guard/document.py), asked of the application itself.

Every action that a route names is asked for by a credential of every column, once with nothing and then with more and
more of what the cell wants. No is no whatever is shown and leaves nothing; yes is done; a proof is asked for as its
clients understand it, and the same request with the proof is done.

Not here, because there is no such credential yet: the column of CI identities (workload). The operator's rows have no
route; tests/cli holds them. Actions without a route are named in NOT_BUILT, and a route that names one fails the list.
"""

from __future__ import annotations

import re

import pytest

from tests.guard.document import needs
from tests.policy.cell import Cell
from tests.policy.stage import SESSIONS, STRANGER, TOKENS, Stage, Who
from tests.policy.way import Way
from tests.policy.ways_of_npm import NPM
from tests.policy.ways_of_web import WEB
from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode
from twokey.http.routing import Guarded
from twokey.npm_api.routes import ROUTES
from twokey.web.routes import ASSETS, FORMS, PAGES

FACES = {"npm": ([*ROUTES, *ASSETS], NPM), "web": ([*PAGES, *FORMS], WEB)}
NOT_BUILT = {Action.TRUST, Action.STAGE, Action.DECIDE_STAGE}
BY_COMMAND = {Action.OPERATE}


def cells() -> list[tuple[Way, Who]]:
    by_token = [(way, who) for way in NPM.values() for who in (STRANGER, *TOKENS)]
    return by_token + [(way, who) for way in WEB.values() for who in (STRANGER, *SESSIONS)]


def _id(value: Way | Who) -> str:
    return f"{'npm' if value in NPM.values() else 'web'} {value.action.name}" if isinstance(value, Way) else str(value)


@pytest.mark.parametrize(("way", "who"), cells(), ids=_id)
def test_a_cell_is_what_the_document_says(stage: Stage, way: Way, who: Who) -> None:
    actor = stage.actor(who, alone=way.spoils)
    action = way.action_of(who)
    cell = Cell(actor, way.ready(actor), action, on_npm=way in NPM.values(), tells=way.tells(who))
    cell.holds(needs(action, way.kind_of(who), who.mode, who.bypass))


@pytest.mark.parametrize("face", FACES)
def test_every_action_of_a_route_is_asked_for(face: str) -> None:
    routes, ways = FACES[face]
    named = {action for route in routes for action in route.actions}
    where = f"tests/policy/ways_of_{face}.py"
    assert named - ways.keys() <= set(), f"say in {where} how these are asked for, and their rows are held"
    assert ways.keys() <= named, f"no route takes these any more: take them out of {where}"


@pytest.mark.parametrize("face", FACES)
def test_every_way_is_a_route_that_names_its_action(face: str) -> None:
    routes, ways = FACES[face]
    by_place: dict[tuple[str, str], Guarded] = {(route.method, route.path): route for route in routes}
    for action, way in ways.items():
        route = by_place[way.method, way.route]
        assert action in route.actions
        assert not route.ignores_credentials or way.as_nobody or action is Action.LOG_OUT


def test_what_has_no_route_yet_is_named() -> None:
    named = {action for routes, _ in FACES.values() for route in routes for action in route.actions}
    assert set(Action) - named == NOT_BUILT | BY_COMMAND, "take out what a route names now, and say how it is asked for"


@pytest.mark.parametrize("way", [way for way in NPM.values() if not way.as_nobody], ids=_id)
def test_a_session_is_nobody_on_the_npm_api(stage: Stage, way: Way) -> None:
    """The npm API answers no cookie: a page of another site could make a browser send it."""
    actor = stage.actor(Who(Kind.SESSION, Mode.AUTH_AND_WRITES, stepped_up=True), alone=way.spoils)
    send, headers = stage.wire.send, [("cookie", f"__Host-tk={actor.cookie}")]
    stranger = stage.actor(STRANGER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.wire, "send", lambda method, path, sent, body=b"": send(method, path, sent + headers, body))
        cell = Cell(stranger, way.ready(stranger), way.action, on_npm=True, tells=way.tells(STRANGER))
        cell.holds(needs(way.action, Kind.ANONYMOUS, None))


@pytest.mark.parametrize("route", FORMS, ids=lambda route: route.path)
def test_a_token_opens_no_form(stage: Stage, route: Guarded) -> None:
    """Nor is a token taken on the pages: with a cookie beside it the request is refused for having two credentials."""
    actor = stage.actor(Who(Kind.LOGIN, Mode.AUTH_ONLY))
    path = re.sub(r"\{\w+:\w+\}", "core", route.path)
    token = [("authorization", f"Bearer {actor.token}"), ("content-type", "application/x-www-form-urlencoded")]
    for headers in (token, [*token, ("cookie", "__Host-tk=anything")]):
        before = stage.last_event()
        answer = stage.wire.send("POST", path, headers, b"csrf=anything&otp=123456")
        assert answer.status in (400, 403) or answer.headers.get("location", "").startswith("/login"), answer
        assert stage.changes_since(before) == []
