"""A security key proves what it signed for this browser, this account and this address: once, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import insert

from tests.domain.soft_key import ATTESTED, ORIGIN, PRESENT, VERIFIED, SoftKey
from tests.domain.world import PASSWORD, Person, World
from twokey.accounts import sessions, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, ProofKind, Target
from twokey.authority.principal import ANONYMOUS, Caller, CredentialKind, Evidence, KeyAnswer, Mode, Principal
from twokey.db.schema import Session, User
from twokey.db.schema_access import Challenge, SecurityKey
from twokey.errors import Invalid, ProofRequired, Unauthenticated
from twokey.two_factor import enrolment, key_ceremony, recovery_codes, security_keys


@dataclass
class Keyed:
    """An account in a browser's session, with one security key as its only second factor."""

    person: Person
    session: Principal
    key: SoftKey

    @property
    def browser(self) -> str:
        return f"session:{self.session.session_id}"

    @property
    def target(self) -> Target:
        return Target(account=self.person.name)


def in_session(world: World, person: Person) -> Principal:
    """A session of the person, as after a sign-in with the password."""
    with world.by_operator() as tx:
        sessions.open_session(tx, person.id, stepped_up=False)
        tx.record(Event.LOGIN_OK, account=person.name)
    row = world.rows(Session)[-1]
    return Principal(CredentialKind.SESSION, person.id, person.name, session_id=row["id"], session_key=row["key"])


def with_key(world: World, principal: Principal, document: str, *, browser: str, origin: str = ORIGIN) -> Caller:
    caller = world.caller(principal)
    return replace(caller, evidence=Evidence(security_key=KeyAnswer(document, origin, browser)))


def begin(world: World, person: Person, session: Principal, name: str = "Blue") -> str:
    """Begins a registration. Returns its challenge as the browser gets it."""
    browser, door = f"session:{session.session_id}", world.registry.door
    action = Action.BEGIN_ENROLMENT
    caller = world.caller(session, password=PASSWORD)
    with door.write(door.require(caller, action, Target(account=person.name))) as tx:
        key_ceremony.begin_registration(tx, person.id, browser, name, Mode.AUTH_AND_WRITES)
    return registration_challenge(world, person, browser)


def registration_challenge(world: World, person: Person, browser: str) -> str:
    with world.registry.database.read() as connection:
        options = json.loads(
            key_ceremony.registration_options(connection, person.id, browser, ORIGIN, "twokey", world.clock.at)
        )
    return str(options["challenge"])


def confirm(world: World, person: Person, session: Principal, document: str, **where: str) -> Permit:
    browser = where.pop("browser", f"session:{session.session_id}")
    caller = with_key(world, session, document, browser=browser, **where)
    door = world.registry.door
    permit = door.require(caller, Action.CONFIRM_ENROLMENT, Target(account=person.name))
    assert permit.proof is not None
    made = recovery_codes.generate(person.id, world.registry.vault, world.registry.gate)
    with door.write(permit) as tx:
        enrolment.confirm(tx, person.id, permit.proof, made)
    person.recovery = made.codes
    return permit


@pytest.fixture
def keyed(world: World) -> Keyed:
    person = world.account()
    session, key = in_session(world, person), SoftKey()
    confirm(world, person, session, key.registration(begin(world, person, session)))
    key.handle = world.rows(User)[0]["key_handle"]
    return Keyed(person, session, key)


def challenge(world: World, browser: str, user_id: int | None) -> str:
    return str(json.loads(world.registry.challenges.ask(browser, user_id, ORIGIN, world.clock.at))["challenge"])


def prove(world: World, keyed: Keyed, document: str, **where: str) -> Permit:
    """Makes new recovery codes possible with the answer, as a page would."""
    browser = where.pop("browser", keyed.browser)
    caller = with_key(world, keyed.session, document, browser=browser, **where)
    permit = world.registry.door.require(caller, Action.CHANGE_SECOND_FACTOR, keyed.target)
    with world.registry.door.write(permit) as tx:
        tx.record(Event.MODE_CHANGE)
    return permit


def test_the_first_key_turns_two_factor_authentication_on(world: World, keyed: Keyed) -> None:
    assert world.rows(User)[0]["mode"] == "auth-and-writes"
    assert len(world.rows(User)[0]["key_handle"]) == 64
    assert [each["name"] for each in world.rows(SecurityKey)] == ["Blue"]
    assert len(keyed.person.recovery) == 10
    assert world.rows(Challenge) == []
    assert world.events(Event.KEY_ADD, Event.ENROLMENT_CONFIRM, Event.RECOVERY_GENERATE)


def test_a_key_proves_once(world: World, keyed: Keyed) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    permit = prove(world, keyed, document)
    assert permit.proof is not None
    assert (permit.proof.kind, permit.proved_with) == (ProofKind.SECURITY_KEY, "security key")
    with world.nothing_changes(), pytest.raises(ProofRequired, match="used before"):
        prove(world, keyed, document)


def test_one_answer_under_two_permits_writes_once(world: World, keyed: Keyed) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    caller, door = with_key(world, keyed.session, document, browser=keyed.browser), world.registry.door
    first, second = (door.require(caller, Action.CHANGE_SECOND_FACTOR, keyed.target) for _ in range(2))
    with door.write(first) as tx:
        tx.record(Event.MODE_CHANGE)
    with world.nothing_changes(), pytest.raises(ProofRequired), door.write(second):
        raise AssertionError("the write must not begin")


BENT: list[dict[str, Any]] = [
    {"type": "webauthn.create"},
    {"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    {"challenge": ""},
    {"origin": "http://localhost:4874"},
    {"origin": "https://localhost:4873"},
    {"origin": "http://evil.example"},
    {"origin": "http://localhost:4873/"},
    {"crossOrigin": True},
    {"topOrigin": "http://evil.example"},
    {"rp_id": "evil.example"},
    {"rp_id": "localhost:4873"},
    {"flags": 0},
    {"flags": VERIFIED},
    {"flags": PRESENT | 0x10},  # backed up, though it cannot be: BS without BE
    {"signature": b""},
    {"signature": b"\0" * 70},
    {"handle": b"\1" * 64},
]


@pytest.mark.parametrize("bent", BENT, ids=str)
def test_an_answer_that_is_bent_proves_nothing(world: World, keyed: Keyed, bent: dict[str, Any]) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id), **bent)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="security key was not accepted"):
        prove(world, keyed, document)
    assert world.events(Event.KEY_WRONG)


@pytest.mark.parametrize("counter", [0, 4, 5])
def test_a_counter_that_does_not_grow_is_a_copy(world: World, keyed: Keyed, counter: int) -> None:
    prove(world, keyed, keyed.key.answer(challenge(world, keyed.browser, keyed.person.id), counter=5))
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id), counter=counter)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="counter did not grow"):
        prove(world, keyed, document)
    assert world.events(Event.KEY_COUNTER)


def test_a_key_without_a_counter_goes_on_without_one(world: World, keyed: Keyed) -> None:
    for _ in range(2):
        prove(world, keyed, keyed.key.answer(challenge(world, keyed.browser, keyed.person.id), counter=0))


def test_a_challenge_ends_after_five_minutes(world: World, keyed: Keyed) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    world.clock.advance(300)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="older than five minutes"):
        prove(world, keyed, document)


def test_another_browser_cannot_use_the_answer(world: World, keyed: Keyed) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    with world.nothing_changes(), pytest.raises(ProofRequired, match="another browser"):
        prove(world, keyed, document, browser="session:999")


def test_the_registry_at_another_address_takes_no_answer_of_this_one(world: World, keyed: Keyed) -> None:
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    with world.nothing_changes(), pytest.raises(ProofRequired, match="does not fit"):
        prove(world, keyed, document, origin="http://registry.example")


def test_another_accounts_key_and_challenge_prove_nothing(world: World, keyed: Keyed) -> None:
    bob = world.account("bob")
    session, key = in_session(world, bob), SoftKey()
    confirm(world, bob, session, key.registration(begin(world, bob, session)))
    theirs = challenge(world, keyed.browser, bob.id)
    mine = challenge(world, keyed.browser, keyed.person.id)
    for document, because in (
        (keyed.key.answer(theirs), "belongs to another account"),
        (key.answer(mine), "not one of this account"),
    ):
        with world.nothing_changes(), pytest.raises(ProofRequired, match=because):
            prove(world, keyed, document)


NO_ANSWERS = ["", "{", "[]", "null", '{"response": 5}', '{"id": "", "response": {}}', "\0", "[" * 5000]


@pytest.mark.parametrize("text", NO_ANSWERS)
def test_what_is_no_answer_is_refused(world: World, keyed: Keyed, text: str) -> None:
    with world.nothing_changes(), pytest.raises(ProofRequired):
        prove(world, keyed, text)


@pytest.mark.parametrize(
    "bent",
    [
        {"type": "webauthn.get"},
        {"origin": "http://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": ATTESTED},
        {"flags": PRESENT},
        {"alg": -37},
        {"crossOrigin": True},
        {"topOrigin": ORIGIN},
    ],
    ids=str,
)
def test_a_registration_that_is_bent_adds_nothing(world: World, bent: dict[str, Any]) -> None:
    person = world.account()
    session = in_session(world, person)
    document = SoftKey().registration(begin(world, person, session), **bent)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="not accepted"):
        confirm(world, person, session, document)
    assert world.rows(User)[0]["mode"] is None


def test_a_key_with_too_long_an_id_and_one_that_is_known_are_not_added(world: World, keyed: Keyed) -> None:
    bob = world.account("bob")
    session = in_session(world, bob)
    for key, because in ((SoftKey(credential_id=b"x" * 1024), "longer"), (keyed.key, "registered here already")):
        document = key.registration(begin(world, bob, session))
        with world.nothing_changes(), pytest.raises(ProofRequired, match=because):
            confirm(world, bob, session, document)


def test_a_registration_is_for_whoever_began_it(world: World) -> None:
    alice, bob = world.account("alice"), world.account("bob")
    mine, theirs = in_session(world, alice), in_session(world, bob)
    document = SoftKey().registration(begin(world, alice, mine))
    with world.nothing_changes(), pytest.raises(ProofRequired):
        confirm(world, bob, theirs, document)


def sign_in(world: World, document: str, name: str = "alice", browser: str = "visitor:1") -> Permit:
    caller = with_key(world, ANONYMOUS, document, browser=browser)
    permit = world.registry.door.require(caller, Action.LOG_IN, Target(account=name))
    with world.registry.door.write(permit) as tx:
        tx.record(Event.LOGIN_OK, account=name)
    return permit


def test_a_passkey_that_verified_its_user_signs_in_alone(world: World, keyed: Keyed) -> None:
    asked = challenge(world, "visitor:1", None)
    assert sign_in(world, keyed.key.answer(asked, flags=PRESENT | VERIFIED)).actor == keyed.person.id


@pytest.mark.parametrize(
    ("bent", "because"),
    [({"flags": PRESENT}, "does not fit"), ({"flags": PRESENT | VERIFIED, "handle": None}, "another account's")],
)
def test_without_a_password_a_key_has_to_know_its_user(
    world: World, keyed: Keyed, bent: dict[str, Any], because: str
) -> None:
    document = keyed.key.answer(challenge(world, "visitor:1", None), **bent)
    with world.nothing_changes(), pytest.raises(ProofRequired, match=because):
        sign_in(world, document)


@pytest.mark.parametrize("flags", [PRESENT, PRESENT | VERIFIED])
def test_an_answer_to_a_step_up_does_not_sign_in(world: World, keyed: Keyed, flags: int) -> None:
    """Its challenge was made for an account that had shown something else before."""
    document = keyed.key.answer(challenge(world, "visitor:1", keyed.person.id), flags=flags)
    with world.nothing_changes(), pytest.raises(Unauthenticated, match="has to verify you"):
        sign_in(world, document)


def test_a_closed_account_is_not_signed_in_by_its_passkey(world: World, keyed: Keyed) -> None:
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", True)
    document = keyed.key.answer(challenge(world, "visitor:1", None), flags=PRESENT | VERIFIED)
    with pytest.raises(Unauthenticated, match="closed"):
        sign_in(world, document)


def test_the_last_factor_is_not_removed_and_one_of_two_is(world: World, keyed: Keyed) -> None:
    key_id = world.rows(SecurityKey)[0]["id"]
    with pytest.raises(Invalid, match="only second factor"), world.by_operator() as tx:
        security_keys.remove(tx, keyed.person.id, key_id)
    assert len(world.rows(SecurityKey)) == 1
    with world.by_operator() as tx:
        tx.connection.execute(
            insert(SecurityKey).values(
                id="second", user_id=keyed.person.id, name="b", credential_id=b"2", public_key=b"", sign_count=0,
                transports="[]", backed_up=False, created_at=1,
            )
        )  # fmt: skip
        security_keys.remove(tx, keyed.person.id, key_id)
    assert [each["id"] for each in world.rows(SecurityKey)] == ["second"]


def test_turning_it_off_forgets_the_keys(world: World, keyed: Keyed) -> None:
    with world.by_operator() as tx:
        enrolment.disable(tx, keyed.person.id, Event.SECOND_FACTOR_RESET)
    assert world.rows(SecurityKey) == []


def test_an_account_has_at_most_ten_keys(world: World, keyed: Keyed) -> None:
    with world.by_operator() as tx:
        for number in range(9):
            tx.connection.execute(
                insert(SecurityKey).values(
                    id=str(number), user_id=keyed.person.id, name="b", credential_id=str(number).encode(),
                    public_key=b"", sign_count=0, transports="[]", backed_up=False, created_at=1,
                )
            )  # fmt: skip
        tx.record(Event.KEY_ADD)
    document = keyed.key.answer(challenge(world, keyed.browser, keyed.person.id))
    caller = with_key(world, keyed.session, document, browser=keyed.browser)
    permit = world.registry.door.require(caller, Action.CHANGE_SECOND_FACTOR, keyed.target)
    with world.nothing_changes(), pytest.raises(Invalid, match="at most 10"), world.registry.door.write(permit) as tx:
        key_ceremony.begin_registration(tx, keyed.person.id, keyed.browser, "one more", Mode.AUTH_AND_WRITES)
