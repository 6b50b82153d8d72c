"""A registry with its application, and everybody who may ask it for something: each column of the document."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select, update

from tests.domain.world import PASSWORD, World, code_of
from tests.domain.world import Person as Account
from tests.support.asgi import HOST, Wire
from tests.support.wire import Answer
from twokey.accounts import sessions, users
from twokey.app import application
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode, TokenLimits
from twokey.authority.roles import OrganisationRole
from twokey.clock import MINUTE
from twokey.db.schema import AuditEvent, Authenticator, Session
from twokey.guard.door import Door
from twokey.orgs import orgs
from twokey.tokens.tokens import Wish
from twokey.two_factor import enrolment

PEOPLE = (Kind.LOGIN, Kind.SESSION)
OLD_SESSION = 11 * MINUTE  # older than what a sign-in or a second factor is remembered for
ANY_CODE = "123456"


@dataclass(frozen=True)
class Who:
    """A column: the credential, the account's mode, and whether a session showed a second factor a moment ago."""

    kind: Kind
    mode: Mode | None = None
    bypass: bool = False
    stepped_up: bool = False

    def __str__(self) -> str:
        """As a test's name has it."""
        words = [self.kind.value, "bypassing" if self.bypass else "", self.mode.value if self.mode else "off"]
        return " ".join([*filter(None, words), *(["stepped up"] if self.stepped_up else [])])


MODES = (None, Mode.AUTH_ONLY, Mode.AUTH_AND_WRITES)
STRANGER = Who(Kind.ANONYMOUS)
TOKENS = (
    *(Who(kind, mode) for kind in (Kind.LOGIN, Kind.PUBLISH, Kind.GRANULAR) for mode in MODES),
    *(Who(Kind.GRANULAR, mode, bypass=True) for mode in MODES),
    *(Who(kind, mode) for kind in (Kind.AUTOMATION, Kind.READ_ONLY) for mode in (None, Mode.AUTH_AND_WRITES)),
)
SESSIONS = (
    *(Who(Kind.SESSION, mode) for mode in MODES),
    *(Who(Kind.SESSION, mode, stepped_up=True) for mode in MODES if mode is not None),
)


class Shown(NamedTuple):
    """What a request brings beside its credential."""

    password: str | None = None
    otp: str | None = None


@dataclass
class Actor:
    """Somebody of a column, on a stage. For a stranger, whose things are asked for."""

    stage: Stage
    who: Who
    account: Account
    limits: TokenLimits
    pending: bytes = b""  # the secret of an enrolment under way

    @cached_property
    def token(self) -> str:
        """The secret of the token in hand, made when it is first used."""
        wish = Wish(self.who.kind, f"token {next(self.stage.numbers)}", self.limits)
        return self.stage.world.mint(self.account, wish)[0]

    @cached_property
    def session(self) -> str:
        """The cookie of a session that was opened a while ago; stepped up just now where the column says so."""
        world, stepped_up = self.stage.world, self.who.stepped_up
        with world.by_operator() as tx:
            secret = sessions.open_session(tx, self.account.id, stepped_up=stepped_up)
            tx.record(Event.LOGIN_OK)
        with world.registry.database.write() as connection:
            newest = select(func.max(Session.id)).where(Session.user_id == self.account.id).scalar_subquery()
            opened = update(Session).where(Session.id == newest).values(created_at=world.clock.at - OLD_SESSION)
            connection.execute(opened)
        return secret

    def code(self) -> str:
        """A code that was not used before: of the enrolment under way, or of the app."""
        secret = self.pending or self.account.secret
        if not secret:
            return ANY_CODE
        self.stage.world.clock.advance(60)
        return code_of(secret, self.stage.world.clock.at)

    def npm(self, method: str, path: str, body: object = None, otp: str | None = None) -> Answer:
        """A request as npm sends it."""
        headers = [("accept", "*/*"), ("npm-auth-type", "legacy")]
        if self.who.kind is not Kind.ANONYMOUS:
            headers.append(("authorization", f"Bearer {self.token}"))
        if otp is not None:
            headers.append(("npm-otp", otp))
        if body is None:
            return self.stage.wire.send(method, path, headers)
        headers.append(("content-type", "application/json"))
        return self.stage.wire.send(method, path, headers, json.dumps(body).encode())

    def page(self, path: str) -> Answer:
        """A page, as a browser asks for it."""
        return self.stage.wire.send("GET", path, [("accept", "text/html"), ("cookie", f"__Host-tk={self.cookie}")])

    def form(self, path: str, fields: Mapping[str, str], shown: Shown) -> Answer:
        """A form of this registry's own page, with what is shown in its fields."""
        sent = {**fields, "csrf": self.csrf}
        sent |= {name: value for name, value in shown._asdict().items() if value is not None}
        headers = [("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")]
        headers += [("cookie", f"__Host-tk={self.cookie}"), ("origin", f"http://{HOST}")]
        return self.stage.wire.send("POST", path, headers, urlencode(sent).encode())

    @property
    def cookie(self) -> str:
        """What the browser's cookie holds: a session's secret, or a visitor's."""
        return self.session if self.who.kind is Kind.SESSION else "a-visitor"

    @property
    def csrf(self) -> str:
        """The token in the forms of this browser."""
        registry, bound = self.stage.world.registry, f"visitor:{self.cookie}"
        if self.who.kind is Kind.SESSION:
            with registry.database.read() as connection:
                found = sessions.find(connection, self.cookie, self.stage.world.clock.at)
            assert found is not None
            bound = found.key
        return hmac.new(registry.form_key, bound.encode(), hashlib.sha256).hexdigest()


@dataclass
class Stage:
    """A registry, its application, and what its door was asked and granted since `watch` began."""

    world: World
    wire: Wire
    numbers: Iterator[int] = field(default_factory=itertools.count)
    granted: list[Action] = field(default_factory=list)
    asked: list[Action] = field(default_factory=list)
    _accounts: dict[Mode | None, Account] = field(default_factory=dict)

    @contextmanager
    def door_is_watched(self) -> Iterator[None]:
        """Notes every question that the door is asked, and every permit that it gives."""
        require = Door.require

        def watched(door: Door, caller: Any, action: Action, target: Target, **more: Any) -> Permit:
            self.asked.append(action)
            permit = require(door, caller, action, target, **more)
            self.granted.append(action)
            return permit

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Door, "require", watched)
            yield

    def name(self, stem: str) -> str:
        """A name that nothing on this stage has had."""
        return f"{stem}-{next(self.numbers)}"

    def actor(self, who: Who, limits: TokenLimits | None = None, *, alone: bool = False) -> Actor:
        """Somebody of this column, with a credential of their own. `alone`: with an account of their own, too."""
        account = self._accounts.get(who.mode)
        if account is None or alone:
            account = self.world.account(self.name("alice"), who.mode)
        if not alone:
            self._accounts[who.mode] = account
        if limits is None and who.kind is Kind.GRANULAR:
            limits = TokenLimits(permission="read-write", bypass_2fa=who.bypass)
        return Actor(self, who, account, limits or TokenLimits())

    @cached_property
    def founder(self) -> Account:
        """Who makes the organisations that others are in."""
        return self.world.account(self.name("founder"))

    def organisation(self, member: Account, role: OrganisationRole = OrganisationRole.OWNER) -> str:
        """An organisation of the founder's with this member; its name."""
        name, world = self.name("acme"), self.world
        caller = world.caller(world.token(self.founder))
        with world.registry.door.write(
            world.registry.door.require(caller, Action.CREATE_ORGANISATION, Target(organisation=name))
        ) as tx:
            found = orgs.create(tx, name)
            orgs.set_member(tx, found, member.name, role)
        return name

    def administrator(self, account: Account) -> None:
        """Makes the account an administrator."""
        with self.world.by_operator() as tx:
            users.set_administrator(tx, account.name, True)

    def begin_enrolment(self, actor: Actor) -> None:
        """Begins an enrolment of a further, or the first, authenticator."""
        if actor.who.kind is Kind.SESSION:
            assert actor.session  # opened in a transaction of its own
        with self.world.by_operator() as tx:
            actor.pending = enrolment.begin(tx, actor.account.id, Mode.AUTH_ONLY, self.world.registry.vault)
            if actor.who.kind is Kind.SESSION:  # only the session that began it sees it
                own = sessions.find(tx.connection, actor.session, self.world.clock.at)
                assert own is not None
                mine = update(Authenticator).where(Authenticator.user_id == actor.account.id)
                tx.connection.execute(mine.where(Authenticator.state == enrolment.PENDING).values(session_id=own.id))

    def last_event(self) -> int:
        """The seq of the newest event."""
        with self.world.registry.database.read() as connection:
            return connection.execute(select(func.coalesce(func.max(AuditEvent.seq), 0))).scalar_one()

    def changes_since(self, seq: int) -> list[str]:
        """The events after `seq` that are neither a refusal nor the first use of a token."""
        query = select(AuditEvent.document).where(AuditEvent.seq > seq).order_by(AuditEvent.seq)
        with self.world.registry.database.read() as connection:
            found = [json.loads(document) for document in connection.execute(query).scalars()]
        return [
            each["event"] for each in found if each["outcome"] == "ok" and each["event"] != Event.TOKEN_FIRST_USE.value
        ]


def stage_of(world: World) -> Stage:
    """The stage of a registry."""
    return Stage(world, Wire(application(world.registry, 4873)))


__all__ = ["PASSWORD", "Actor", "Shown", "Stage", "Who"]
