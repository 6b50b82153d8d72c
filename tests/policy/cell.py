"""One request that is asked again and again with more to show, and what came of it."""

from __future__ import annotations

from tests.guard.document import Needs
from tests.policy.stage import PASSWORD, Actor, Shown
from tests.policy.way import Ask
from tests.support.wire import Answer
from twokey.authority.actions import READS, Action
from twokey.authority.principal import CredentialKind as Kind

WRONG = "not the password 7"


class Cell:
    """One action, asked for by an actor through `ask`. `tells`: an event says that it was done."""

    def __init__(self, actor: Actor, ask: Ask, action: Action, *, on_npm: bool, tells: bool = True) -> None:
        self.stage, self.actor, self.action, self.on_npm = actor.stage, actor, action, on_npm
        self._ask, self._tells = ask, tells and action not in READS

    def holds(self, wanted: Needs | None) -> None:
        """The request is refused, asked for more, or done, as the document says."""
        if wanted is None:
            self.is_refused(Shown())
            self.is_refused(Shown(PASSWORD, self.actor.code()))
            return
        code = wanted.code != "" and not (wanted.code == "recent" and self.actor.who.stepped_up)
        password = PASSWORD if wanted.password else None
        if wanted.password:
            self.is_asked_for_the_password(Shown())
            self.is_asked_for_the_password(Shown(WRONG, self.actor.code() if code else None))
        if code:
            self.is_asked_for_a_code(Shown(password))
        self.is_allowed(Shown(password, self.actor.code() if code else None))

    def is_refused(self, shown: Shown) -> None:
        answer = self._nothing_done(shown)
        assert not answer.asks_for_a_code, answer
        if self.on_npm:
            assert answer.status in (401, 403, 404), answer
            assert answer.error, answer
        else:
            assert answer.status in (403, 404) or _leads_to_login(answer), answer

    def is_asked_for_the_password(self, shown: Shown) -> None:
        answer = self._nothing_done(shown)
        if self.on_npm:  # where a password has to be, a request without one cannot be read
            assert answer.status == 401 or (answer.status == 400 and shown.password is None), answer
            assert not answer.asks_for_a_code, answer
        else:
            assert _asks_for(answer, "password"), answer

    def is_asked_for_a_code(self, shown: Shown) -> None:
        answer = self._nothing_done(shown)
        if self.on_npm and self.action is not Action.CONFIRM_ENROLMENT:
            assert answer.asks_for_a_code, answer
        elif self.on_npm:  # that one's code stands in the body, so it was a wrong one
            assert answer.status == 401, answer
        else:
            assert _asks_for(answer, "otp") or _leads_to_login(answer), answer

    def is_allowed(self, shown: Shown) -> None:
        answer, changes = self._asked(shown)
        assert answer.status in (200, 201, 303), answer
        assert not _leads_to_login(answer), answer
        assert self.action in self.stage.granted, (answer, self.stage.asked)
        assert bool(changes) or not self._tells, answer

    def _nothing_done(self, shown: Shown) -> Answer:
        answer, changes = self._asked(shown)
        assert changes == [], answer
        assert self.action not in self.stage.granted, answer
        return answer

    def _asked(self, shown: Shown) -> tuple[Answer, list[str]]:
        if self.on_npm and self.actor.who.kind is not Kind.ANONYMOUS:
            assert self.actor.token  # made before the events are counted, as the session is
        elif not self.on_npm:
            assert self.actor.cookie
        before = self.stage.last_event()
        self.stage.asked.clear()
        self.stage.granted.clear()
        answer = self._ask(shown)
        return answer, self.stage.changes_since(before)


def _leads_to_login(answer: Answer) -> bool:
    return answer.status == 303 and answer.headers["location"].startswith("/login?next")


def _asks_for(answer: Answer, field: str) -> bool:
    return answer.status in (200, 401, 403) and f'name="{field}"' in answer.text
