"""A registry under test: its accounts, their authenticator apps and tokens, their requests, and what is stored."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from tests.publishing.tar_maker import tarball
from twokey.accounts import users
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS, Caller, CredentialKind, Evidence, Mode, Principal, TokenLimits
from twokey.db.schema import Attempt, Table
from twokey.packages import packages
from twokey.packages.names import PackageName
from twokey.packages.packages import Found
from twokey.publishing import publish
from twokey.publishing.document import Publish
from twokey.publishing.publish import Prepared
from twokey.publishing.received import received
from twokey.registry import Registry
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish
from twokey.two_factor import enrolment, recovery_codes

SECOND = 1_000_000
STEP = 30 * SECOND
START = 1_800_000_000 * SECOND  # the first moment of a time step
PASSWORD = "violet tractor sings 42"
HOME, AWAY = "192.0.2.1", "198.51.100.7"

# What a refusal may leave: the count of attempts, the record of the refusal, and a mail that tells its owner.
# Everything else is a change.
TRACES = {"attempts", "audit_events", "audit_addresses", "anonymous_refusals", "burned_steps", "mails"}
TRACE_COLUMNS = {"wrong_codes_in_a_row"}


@dataclass
class SettableClock:
    """A clock that stands still until it is moved."""

    at: int = START

    def now(self) -> int:
        """The moment it was set to."""
        return self.at

    def advance(self, seconds: float) -> None:
        """Moves on."""
        self.at += round(seconds * SECOND)


@dataclass
class Person:
    """An account, with what only its owner knows."""

    id: int
    name: str
    secret: bytes = field(default=b"", repr=False)
    recovery: tuple[str, ...] = field(default=(), repr=False)


def code_of(secret: bytes, at: int, offset: int = 0) -> str:
    """The RFC 6238 code of the step `offset` steps from the moment `at` (µs), computed without the code under test."""
    digest = hmac.new(secret, struct.pack(">Q", at // STEP + offset), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


def wrong_code(secret: bytes, at: int) -> str:
    """A code that belongs to no step near `at`."""
    near = {code_of(secret, at, offset) for offset in range(-40, 41)}
    return next(guess for guess in map("{:06d}".format, range(100)) if guess not in near)


def packed(name: str, version: str, **manifest: object) -> bytes:
    """A tarball; `manifest` is what its package.json holds besides."""
    return tarball(package_json=json.dumps({"name": name, "version": version, **manifest}).encode())


@dataclass
class World:
    """A registry with a clock in hand."""

    registry: Registry
    clock: SettableClock
    _requests: Iterator[int] = field(default_factory=itertools.count)

    def caller(
        self,
        principal: Principal = ANONYMOUS,
        *,
        otp: str | None = None,
        password: str | None = None,
        address: str = HOME,
        at: int | None = None,
    ) -> Caller:
        """A request of `principal` with what it shows, arriving now unless `at` says otherwise."""
        return Caller(
            principal=principal,
            evidence=Evidence(password=password, otp=otp),
            address=address,
            user_agent="npm/11.0.0",
            request_id=f"request-{next(self._requests)}",
            received_at=self.clock.at if at is None else at,
        )

    def operator(self) -> Permit:
        """The operator's permit."""
        return self.registry.door.require(
            self.caller(Principal(CredentialKind.OPERATOR, user_name="root")), Action.OPERATE, Target()
        )

    def by_operator(self) -> AbstractContextManager[Transaction]:
        """A write transaction of the operator, who may do everything that a test must have done beforehand."""
        return self.registry.door.write(self.operator())

    def account(self, name: str = "alice", mode: Mode | None = None, *, password: str = PASSWORD) -> Person:
        """Makes an account; in a mode, with an authenticator app whose next code is fresh."""
        password_hash = self.registry.passwords.hash(password, context=())
        with self.by_operator() as tx:
            person = Person(users.create(tx, name, f"{name}@example.com", password_hash), name)
        if mode is not None:
            self.enrol(person, mode)
        return person

    def enrol(self, person: Person, mode: Mode = Mode.AUTH_AND_WRITES) -> None:
        """Turns 2FA on as npm does, by the account's login, and moves on until the next code is fresh."""
        door, login = self.registry.door, self.token(person)
        begin = self.caller(login, password=PASSWORD)
        with door.write(door.require(begin, Action.BEGIN_ENROLMENT, Target(account=person.name))) as tx:
            person.secret = enrolment.begin(tx, person.id, mode, self.registry.vault)
        confirm = self.caller(login, otp=self.code(person))
        permit = door.require(confirm, Action.CONFIRM_ENROLMENT, Target(account=person.name))
        assert permit.proof is not None
        made = recovery_codes.generate(person.id, self.registry.vault, self.registry.gate)
        with door.write(permit) as tx:
            enrolment.confirm(tx, person.id, permit.proof, made)
        person.recovery = made.codes
        self.clock.advance(60)

    def code(self, person: Person, offset: int = 0) -> str:
        """What the person's app shows now, or `offset` steps from now."""
        return code_of(person.secret, self.clock.at, offset)

    def wrong(self, person: Person) -> str:
        """A code of no moment near now."""
        return wrong_code(person.secret, self.clock.at)

    def mint(self, person: Person, wish: Wish) -> tuple[str, Principal]:
        """Makes a token. Returns its secret, and who comes with it."""
        with self.by_operator() as tx:
            text, made = tokens.mint(tx, person.id, wish, self.registry.lifetimes)
        return text, Principal(
            kind=made.kind, user_id=person.id, user_name=person.name, token_id=made.id, token_key=made.key,
            token_name=made.name, token_expires_at=made.expires_at, limits=made.limits,
        )  # fmt: skip

    def token(
        self, person: Person, kind: CredentialKind = CredentialKind.LOGIN, limits: TokenLimits | None = None
    ) -> Principal:
        """Who comes with a new token of this kind."""
        return self.mint(person, Wish(kind, f"{kind.value} of {person.name}", limits or TokenLimits()))[1]

    def revoke(self, person: Person, principal: Principal) -> None:
        """Revokes a token."""
        assert principal.token_key is not None
        with self.by_operator() as tx:
            tokens.revoke(tx, person.id, principal.token_key)

    def do(self, caller: Caller, action: Action, target: Target) -> Permit:
        """The whole way through the door, with a write that changes nothing but the trail."""
        permit = self.registry.door.require(caller, action, target)
        with self.registry.door.write(permit) as tx:
            tx.record(Event.PROFILE_CHANGE)
        return permit

    def package(self, name: str, owner: Person, *versions: str, access: str = "public", mfa: str = "none") -> Found:
        """Makes a package of `owner` with these versions, whatever the rules would say."""
        principal = self.token(owner, CredentialKind.AUTOMATION)
        parsed = PackageName.parse(name)
        with self.by_operator() as tx:
            found = packages.create(tx, parsed, access, owner.id)
        for version in versions or ("1.0.0",):
            self.publish(principal, name, version)
        if mfa != "none":
            with self.by_operator() as tx:
                packages.changed(tx, found.id, mfa=mfa)
                tx.record(Event.PACKAGE_CREATE)
        return self.found(name)

    def publish(self, principal: Principal, name: str, version: str, otp: str | None = None) -> Permit:
        """Publishes a version through the door, as `npm publish` does."""
        target = Target(package=name, scope=PackageName.parse(name).scope, version=version)
        permit = self.registry.door.require(self.caller(principal, otp=otp), Action.PUBLISH, target)
        prepared = self.prepared(name, version)
        self.registry.blobs.put(prepared.digest, packed(name, version))
        with self.registry.door.write(permit) as tx:
            publish.publish(tx, prepared, self.registry.signer)
        return permit

    def prepared(self, name: str, version: str, **manifest: object) -> Prepared:
        """A version that is ready to be written; `manifest` is what its package.json holds besides."""
        data = packed(name, version, **manifest)
        intent = Publish(
            version=version, manifest={"name": name, "version": version, **manifest}, tags=["latest"], access=None,
            tarball=data, readme=None, provenance=None, other_versions=(), revision=None,
        )  # fmt: skip
        return self.prepare(name, intent, data)

    def prepare(self, name: str, intent: Publish, data: bytes) -> Prepared:
        """What `intent` asks for, ready to be written. Its tarball, `data`, is not stored."""
        limits = self.registry.tarball_limits
        with closing(received(self.registry.blobs, data, limits)) as arrived:
            return publish.prepare(PackageName.parse(name), intent, arrived, limits, "public")

    def clear_attempts(self) -> None:
        """Empties the throttle's buckets, where the limit of guesses is not the question."""
        with self.registry.database.write() as connection:
            connection.execute(delete(Attempt))

    def found(self, name: str) -> Found:
        """The package's row, be it unpublished or not."""
        with self.registry.database.read() as connection:
            found = packages.find(connection, PackageName.parse(name))
        assert found is not None
        return found

    def events(self, *kinds: Event) -> list[dict[str, Any]]:
        """The documents of the trail, of these kinds where any is named."""
        return [
            dict(entry.document)
            for entry in self.registry.trail.entries()
            if not kinds or entry.document["event"] in [kind.value for kind in kinds]
        ]

    def rows(self, table: type[Table]) -> list[dict[str, Any]]:
        """Every row of a table."""
        columns = table.__table__
        with self.registry.database.read() as connection:
            found = connection.execute(select(columns).order_by(*columns.primary_key)).mappings().all()
        return [dict(row) for row in found]

    def stored(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that is stored, but what a refusal may leave behind."""
        kept: dict[str, list[dict[str, Any]]] = {}
        for mapper in Table.registry.mappers:
            table: type[Table] = mapper.class_
            if table.__tablename__ not in TRACES:
                kept[table.__tablename__] = [
                    {name: value for name, value in row.items() if name not in TRACE_COLUMNS}
                    for row in self.rows(table)
                ]
        return kept

    @contextmanager
    def nothing_changes(self) -> Iterator[None]:
        """Asserts that the block leaves no row, no burned code: nothing but the trace of a refusal."""
        before = self.stored()
        yield
        assert self.stored() == before
