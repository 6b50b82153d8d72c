"""The rule table over HTTP: each cell of the document (tests/guard/document.py), asked of the application itself.

Every action that a route names is asked for by a credential of every column, once with nothing and then with more and
more of what the cell wants. No is no whatever is shown and leaves nothing; yes is done; a proof is asked for as its
clients understand it, and the same request with the proof is done.

Not here, because there is no such credential yet: the column of CI identities (workload). The operator's rows have no
route; tests/cli holds them. Actions without a route are named in NOT_BUILT, and a route that names one fails the list.
"""

from __future__ import annotations

import pytest

from tests.guard.document import Needs, needs
from tests.policy.stage import PASSWORD, SESSIONS, STRANGER, TOKENS, Actor, Shown, Stage, Who
from tests.policy.way import Ask, Way
from tests.policy.ways_of_npm import NPM
from tests.policy.ways_of_web import WEB
from tests.support.wire import Answer
from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.http.routing import Guarded
from twokey.npm_api.routes import ROUTES
from twokey.web.routes import ASSETS, FORMS, PAGES

FACES = {"npm": ([*ROUTES, *ASSETS], NPM), "web": ([*PAGES, *FORMS], WEB)}
NOT_BUILT = {Action.STAR, Action.CREATE_ORGANISATION, Action.TRUST, Action.STAGE, Action.DECIDE_STAGE}
BY_COMMAND = {Action.OPERATE}
WRONG = "not the password 7"


def cells() -> list[tuple[Way, Who]]:
    by_token = [(way, who) for way in NPM.values() for who in (STRANGER, *TOKENS)]
    return by_token + [(way, who) for way in WEB.values() for who in (STRANGER, *SESSIONS)]


def _id(value: Way | Who) -> str:
    return f"{'npm' if value in NPM.values() else 'web'} {value.action.name}" if isinstance(value, Way) else str(value)


@pytest.mark.parametrize(("way", "who"), cells(), ids=_id)
def test_a_cell_is_what_the_document_says(stage: Stage, way: Way, who: Who) -> None:
    actor = stage.actor(who, alone=way.spoils)
    wanted = needs(way.action_of(who), way.kind_of(who), who.mode, who.bypass)
    cell = Cell(stage, way, actor, way.ready(actor))
    if wanted is None:
        cell.is_refused(Shown())
        cell.is_refused(Shown(PASSWORD, actor.code()))
        return
    code = wanted.code != "" and not (wanted.code == "recent" and who.stepped_up)
    if wanted.password:
        cell.is_asked_for_the_password(Shown())
        cell.is_asked_for_the_password(Shown(WRONG, actor.code() if code else None))
    if code:
        cell.is_asked_for_a_code(Shown(PASSWORD if wanted.password else None))
    cell.is_allowed(Shown(PASSWORD if wanted.password else None, actor.code() if code else None))


class Cell:
    """One way for one actor, and what came of asking."""

    def __init__(self, stage: Stage, way: Way, actor: Actor, ask: Ask) -> None:
        self.stage, self.way, self.actor, self._ask = stage, way, actor, ask
        self.action, self.on_npm = way.action_of(actor.who), way in NPM.values()

    def _done(self, shown: Shown) -> tuple[Answer, list[str]]:
        self.actor.token if self.on_npm and self.actor.who.kind is not Kind.ANONYMOUS else self.actor._cookie()
        before = self.stage.last_event()
        self.stage.asked.clear()
        self.stage.granted.clear()
        answer = self._ask(shown)
        return answer, self.stage.changes_since(before)

    def is_refused(self, shown: Shown) -> None:
        answer, changes = self._done(shown)
        assert changes == [], answer
        assert self.action not in self.stage.granted, answer
        assert not answer.asks_for_a_code, answer
        if self.on_npm:
            assert answer.status in (401, 403, 404), answer
            assert answer.error, answer
        else:
            assert answer.status in (403, 404) or _leads_to_login(answer), answer

    def is_asked_for_the_password(self, shown: Shown) -> None:
        answer, changes = self._done(shown)
        assert changes == [], answer
        assert self.action not in self.stage.granted, answer
        if self.on_npm:  # a password that is not there at all is a request that cannot be read, where it has to be
            assert answer.status == 401 or (answer.status == 400 and shown.password is None), answer
            assert not answer.asks_for_a_code, answer
        else:
            assert _asks_for(answer, "password"), answer

    def is_asked_for_a_code(self, shown: Shown) -> None:
        answer, changes = self._done(shown)
        assert changes == [], answer
        assert self.action not in self.stage.granted, answer
        if self.on_npm and self.action is not Action.CONFIRM_ENROLMENT:  # that one is shown in the body, as a guess
            assert answer.asks_for_a_code, answer
        elif self.on_npm:
            assert answer.status == 401, answer
        else:
            assert _asks_for(answer, "otp") or _leads_to_login(answer), answer

    def is_allowed(self, shown: Shown) -> None:
        answer, changes = self._done(shown)
        assert answer.status in (200, 201, 303), answer
        assert not _leads_to_login(answer), answer
        assert self.action in self.stage.granted, (answer, self.stage.asked)
        assert bool(changes) or not self.way.tells(self.actor.who), answer


def _leads_to_login(answer: Answer) -> bool:
    return answer.status == 303 and answer.headers["location"].startswith("/login?next")


def _asks_for(answer: Answer, field: str) -> bool:
    return answer.status in (200, 401, 403) and f'name="{field}"' in answer.text


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


__all__ = ["Needs"]
