"""Guessing one-time passwords: what is blocked, for how long, and that a hundred in a row are the end."""

from __future__ import annotations

import threading

import pytest

from tests.domain.conftest import Open
from tests.domain.world import AWAY, HOME, PASSWORD, Person, World
from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import Mode, Principal
from twokey.db.schema import Attempt, User
from twokey.errors import ProofReason, ProofRequired, Throttled
from twokey.two_factor import enrolment
from twokey.two_factor.limits import account_key


@pytest.fixture
def alice(world: World) -> Person:
    return world.account(mode=Mode.AUTH_AND_WRITES)


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def show(world: World, principal: Principal, otp: str, address: str = HOME) -> Permit:
    caller = world.caller(principal, otp=otp, address=address)
    return world.do(caller, Action.CHANGE_PROFILE, Target(account=principal.user_name))


def guess(world: World, alice: Person, principal: Principal, times: int, address: str = HOME) -> None:
    for _ in range(times):
        with pytest.raises(ProofRequired) as caught:
            show(world, principal, world.wrong(alice), address)
        assert caught.value.reason is ProofReason.WRONG


def test_five_wrong_codes_block_the_token_at_its_address_for_five_minutes(
    world: World, alice: Person, login: Principal
) -> None:
    guess(world, alice, login, 5)
    before = len(world.rows(Attempt))
    with world.nothing_changes(), pytest.raises(Throttled) as blocked:
        show(world, login, world.code(alice))
    assert blocked.value.message == "Too many wrong codes; locked until 08:06 UTC"
    assert blocked.value.notice == blocked.value.message
    assert blocked.value.retry_after == 300
    assert len(world.rows(Attempt)) == before, "a blocked code is neither judged nor counted"
    assert world.rows(User)[0]["wrong_codes_in_a_row"] == 5
    (event,) = world.events(Event.OTP_BLOCKED)
    assert (event["outcome"], event["account"]) == ("refused", "alice")
    world.clock.advance(299)
    with pytest.raises(Throttled):
        show(world, login, world.code(alice))
    world.clock.advance(1)
    show(world, login, world.code(alice))


def test_another_token_or_address_of_the_account_is_not_blocked(world: World, alice: Person, login: Principal) -> None:
    guess(world, alice, login, 5)
    show(world, world.token(alice), world.code(alice, -1))
    show(world, login, world.code(alice), AWAY)


def test_twenty_wrong_codes_block_for_the_hour(world: World, alice: Person, login: Principal) -> None:
    for _ in range(4):
        guess(world, alice, login, 5)
        world.clock.advance(300)
    with pytest.raises(Throttled):
        show(world, login, world.code(alice))
    world.clock.advance(3600 - 1200)
    show(world, login, world.code(alice))


def test_an_address_is_blocked_whatever_it_guesses_at(opened: Open) -> None:
    world = opened(limit_otp_address=6)
    alice, bob = world.account(mode=Mode.AUTH_AND_WRITES), world.account("bob", Mode.AUTH_AND_WRITES)
    of_alice, of_bob = world.token(alice), world.token(bob)
    guess(world, alice, of_alice, 3, "2001:db8::1")
    guess(world, bob, of_bob, 3, "2001:db8::2")
    with world.nothing_changes(), pytest.raises(Throttled):
        show(world, of_bob, world.code(bob), "2001:db8::3")  # the same /64
    show(world, of_bob, world.code(bob), "2001:db8:0:1::3")


def test_a_login_under_way_has_its_own_bucket(world: World, alice: Person, login: Principal) -> None:
    target = Target(account="alice")
    for _ in range(5):
        with pytest.raises(ProofRequired):
            world.do(world.caller(otp=world.wrong(alice), password=PASSWORD), Action.LOG_IN, target)
    with world.nothing_changes(), pytest.raises(Throttled):
        world.do(world.caller(otp=world.code(alice), password=PASSWORD), Action.LOG_IN, target)
    show(world, login, world.code(alice))


def from_everywhere(world: World, alice: Person, login: Principal, times: int) -> None:
    """Wrong codes that no bucket of an address or a token stops."""
    for number in range(times):
        guess(world, alice, login, 1, f"203.0.113.{number}")


def test_a_hundred_wrong_codes_suspend_the_app_and_a_recovery_code_lifts_it(
    world: World, alice: Person, login: Principal
) -> None:
    from_everywhere(world, alice, login, 99)
    assert world.events(Event.OTP_SUSPEND) == []
    guess(world, alice, login, 1)
    assert len(world.events(Event.OTP_SUSPEND)) == 1
    for _ in range(2):
        world.clock.advance(2 * 86_400)  # not even a day later
        with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
            show(world, login, world.code(alice))
        assert caught.value.reason is ProofReason.SUSPENDED
        assert "recovery code" in caught.value.message
    assert len(world.events(Event.OTP_SUSPEND)) == 1
    show(world, login, alice.recovery[0])
    show(world, login, world.code(alice))
    assert world.rows(User)[0]["wrong_codes_in_a_row"] == 0


def test_a_hundred_in_a_row_over_many_days_suspend_too(opened: Open) -> None:
    world = opened(limit_otp_day=6)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    login = world.token(alice)
    for _ in range(3):
        assert world.rows(User)[0]["codes_suspended_at"] is None
        guess(world, alice, login, 2)
        world.clock.advance(2 * 86_400)
    assert world.rows(User)[0]["codes_suspended_at"] is not None


def test_a_right_code_ends_the_row(opened: Open) -> None:
    world = opened(limit_otp_day=6)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    login = world.token(alice)
    for _ in range(4):
        guess(world, alice, login, 4)
        show(world, login, world.code(alice))
        world.clock.advance(2 * 86_400)
    assert world.rows(User)[0]["codes_suspended_at"] is None


def test_the_operator_lifts_a_suspension_by_taking_the_factor_away(opened: Open) -> None:
    world = opened(limit_otp_day=3)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    guess(world, alice, world.token(alice), 3)
    with world.by_operator() as tx:
        enrolment.disable(tx, alice.id, Event.SECOND_FACTOR_RESET)
        users.forget_attempts(tx, [account_key(alice.id)])
    world.enrol(alice)
    show(world, world.token(alice), world.code(alice))


def test_what_was_guessed_while_enrolling_does_not_suspend_the_app_once_it_is_enrolled(opened: Open) -> None:
    world = opened(limit_otp_day=3)
    alice = world.account()
    login, target = world.token(alice), Target(account="alice")
    begin = world.caller(login, password=PASSWORD)
    door = world.registry.door
    with door.write(door.require(begin, Action.BEGIN_ENROLMENT, target)) as tx:
        alice.secret = enrolment.begin(tx, alice.id, Mode.AUTH_AND_WRITES, world.registry.vault)
    for _ in range(3):
        with pytest.raises(ProofRequired):
            door.require(world.caller(login, otp=world.wrong(alice)), Action.CONFIRM_ENROLMENT, target)
    world.clock.advance(86_400)
    world.enrol(alice)
    show(world, login, world.code(alice))


def test_guesses_in_parallel_do_not_overshoot(world: World, alice: Person, login: Principal) -> None:
    start, judged, blocked = threading.Barrier(20), [], []
    wrong = world.wrong(alice)

    def attempt() -> None:
        start.wait()
        try:
            show(world, login, wrong)
        except ProofRequired as error:
            judged.append(error)
        except Throttled as error:
            blocked.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(judged), len(blocked)) == (5, 15)
    assert world.rows(User)[0]["wrong_codes_in_a_row"] == 5
    assert len(world.events(Event.OTP_WRONG)) == 5
    assert world.registry.trail.verify().reason is None
