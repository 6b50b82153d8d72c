"""Enrolling an authenticator app: pending until its first right code, and never in the place of a working one."""

from __future__ import annotations

import pytest

from tests.domain.conftest import Open
from tests.domain.world import PASSWORD, STEP, Person, World, code_of, wrong_code
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode, Principal
from twokey.db.schema import Attempt, Authenticator, BurnedStep, Continuation, RecoveryCode, User
from twokey.errors import PasswordRequired, ProofReason, ProofRequired, Refused, TwokeyError
from twokey.two_factor import enrolment, recovery_codes

ALICE = Target(account="alice")


@pytest.fixture
def alice(world: World) -> Person:
    return world.account()


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def begin(world: World, login: Principal, person: Person, mode: Mode = Mode.AUTH_AND_WRITES) -> bytes:
    door = world.registry.door
    permit = door.require(world.caller(login, password=PASSWORD), Action.BEGIN_ENROLMENT, ALICE)
    with door.write(permit) as tx:
        return enrolment.begin(tx, person.id, mode, world.registry.vault)


def confirm(world: World, login: Principal, person: Person, otp: str | None) -> tuple[str, ...]:
    registry = world.registry
    permit = registry.door.require(world.caller(login, otp=otp), Action.CONFIRM_ENROLMENT, ALICE)
    assert permit.proof is not None
    made = recovery_codes.generate(person.id, registry.vault, registry.gate)
    with registry.door.write(permit) as tx:
        enrolment.confirm(tx, person.id, permit.proof, made)
    return made.codes


def now(world: World, secret: bytes, offset: int = 0) -> str:
    return code_of(secret, world.clock.at, offset)


def test_begun_it_guards_nothing_yet(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    assert len(secret) == 20
    (row,) = world.rows(Authenticator)
    assert (row["state"], row["last_step"], row["mode_wanted"]) == ("pending", 0, "auth-and-writes")
    assert secret not in row["sealed_secret"]
    assert world.rows(User)[0]["mode"] is None
    world.do(world.caller(login), Action.CHANGE_PROFILE, ALICE)  # and asks for no code


def test_beginning_takes_the_password(world: World, alice: Person, login: Principal) -> None:
    for password in (None, "a wrong password"):
        with world.nothing_changes(), pytest.raises(PasswordRequired):
            world.registry.door.require(world.caller(login, password=password), Action.BEGIN_ENROLMENT, ALICE)


@pytest.mark.parametrize("mode", list(Mode))
def test_its_first_right_code_turns_it_on_and_is_used_up_by_that(
    world: World, alice: Person, login: Principal, mode: Mode
) -> None:
    secret = begin(world, login, alice, mode)
    code = now(world, secret, -1)
    codes = confirm(world, login, alice, code)
    (row,) = world.rows(Authenticator)
    assert (row["state"], row["last_step"], row["confirmed_at"]) == (
        "active",
        world.clock.at // STEP - 1,
        world.clock.at,
    )
    assert world.rows(User)[0]["mode"] == mode.value
    assert len(codes) == len(world.rows(RecoveryCode)) == 10
    with world.nothing_changes(), pytest.raises(ProofRequired, match="already used"):
        world.do(world.caller(login, otp=code), Action.CHANGE_PROFILE, ALICE)
    world.do(world.caller(login, otp=now(world, secret)), Action.CHANGE_PROFILE, ALICE)
    assert world.events(Event.ENROLMENT_CONFIRM)[0]["factor"] == "2FA code"


def test_a_wrong_code_leaves_it_pending_and_is_counted(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
        confirm(world, login, alice, wrong_code(secret, world.clock.at))
    assert caught.value.reason is ProofReason.WRONG
    assert world.rows(Attempt) != []
    with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
        confirm(world, login, alice, None)
    assert caught.value.reason is ProofReason.MISSING
    confirm(world, login, alice, now(world, secret))


@pytest.mark.parametrize("offset", [-4, 4])
def test_a_phone_whose_clock_is_off_is_told_so(world: World, alice: Person, login: Principal, offset: int) -> None:
    secret = begin(world, login, alice)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="your phone's clock is"):
        confirm(world, login, alice, now(world, secret, offset))


def test_a_future_step_that_a_hint_named_confirms_nothing_later(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    early = now(world, secret, 4)
    with pytest.raises(ProofRequired):
        confirm(world, login, alice, early)
    assert len(world.rows(BurnedStep)) == 1
    world.clock.advance(120)
    with world.nothing_changes(), pytest.raises(ProofRequired):
        confirm(world, login, alice, early)
    confirm(world, login, alice, now(world, secret, 1))


def test_it_expires_after_half_an_hour_and_may_be_begun_again(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    world.clock.advance(30 * 60)
    with world.nothing_changes(), pytest.raises(TwokeyError):
        confirm(world, login, alice, now(world, secret))
    second = begin(world, login, alice)
    assert second != secret
    assert len(world.rows(Authenticator)) == 1
    confirm(world, login, alice, now(world, second))


def test_it_lives_for_as_long_as_the_setting_says(opened: Open) -> None:
    world = opened(enrolment_minutes=1)
    alice = world.account()
    login = world.token(alice)
    secret = begin(world, login, alice)
    world.clock.advance(59)
    confirm(world, login, alice, now(world, secret))


def test_begun_again_the_first_qr_code_is_void(world: World, alice: Person, login: Principal) -> None:
    first, second = begin(world, login, alice), begin(world, login, alice, Mode.AUTH_ONLY)
    with world.nothing_changes(), pytest.raises(ProofRequired):
        confirm(world, login, alice, now(world, first))
    confirm(world, login, alice, now(world, second))
    assert world.rows(User)[0]["mode"] == "auth-only"


def test_cancelled_it_is_gone(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    with world.by_operator() as tx:
        enrolment.cancel(tx, alice.id)
    assert world.rows(Authenticator) == []
    with world.nothing_changes(), pytest.raises(TwokeyError):
        confirm(world, login, alice, now(world, secret))


def test_an_active_one_is_never_replaced_by_a_pending_one(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    confirm(world, login, alice, now(world, secret, -1))
    with world.nothing_changes(), pytest.raises(Refused, match="already on"):
        begin(world, login, alice)
    with world.nothing_changes(), pytest.raises(Refused, match="already on"):
        confirm(world, login, alice, now(world, secret))
    world.do(world.caller(login, otp=now(world, secret)), Action.CHANGE_PROFILE, ALICE)


def test_two_who_confirm_at_once_get_one_set_of_recovery_codes(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    caller = world.caller(login, otp=now(world, secret))
    first, second = (world.registry.door.require(caller, Action.CONFIRM_ENROLMENT, ALICE) for _ in range(2))
    assert first.proof is not None
    made = recovery_codes.generate(alice.id, world.registry.vault, world.registry.gate)
    with world.registry.door.write(first) as tx:
        enrolment.confirm(tx, alice.id, first.proof, made)
    with world.nothing_changes(), pytest.raises(ProofRequired), world.registry.door.write(second):
        raise AssertionError("the write must not begin")


def test_another_mode_keeps_secret_and_recovery_codes(world: World) -> None:
    bob = world.account("bob", Mode.AUTH_ONLY)
    before = world.stored()
    with world.by_operator() as tx:
        enrolment.change_mode(tx, bob.id, Mode.AUTH_AND_WRITES)
    assert world.rows(User)[0]["mode"] == "auth-and-writes"
    for table in ("authenticators", "recovery_sets", "recovery_codes"):
        assert world.stored()[table] == before[table]
    assert world.events(Event.MODE_CHANGE)[0]["details"] == {"mode": "auth-and-writes"}


def test_turned_off_nothing_of_it_is_left(world: World) -> None:
    bob = world.account("bob", Mode.AUTH_AND_WRITES)
    world.publish(world.token(bob), "pkg", "1.0.0", otp=world.code(bob))
    with world.by_operator() as tx:
        enrolment.disable(tx, bob.id, Event.SECOND_FACTOR_DISABLE)
    for table in (Authenticator, RecoveryCode, Continuation):
        assert world.rows(table) == []
    assert world.rows(User)[0]["mode"] is None


def test_a_secret_is_never_printed(world: World, alice: Person, login: Principal) -> None:
    secret = begin(world, login, alice)
    with world.registry.database.read() as connection:
        (opened,) = enrolment.secrets_of(connection, alice.id, enrolment.PENDING, world.registry.vault)
    assert opened.secret == secret
    assert repr(secret)[2:-1] not in repr(opened)
