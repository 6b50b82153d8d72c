"""One code for the several writes of one command: same token, same address, same family, two minutes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.domain.conftest import Open
from tests.domain.world import AWAY, HOME, PASSWORD, Person, World
from twokey import settings
from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, ProofKind, Target
from twokey.authority.principal import CredentialKind, Mode, Principal
from twokey.db.schema import Attempt, Continuation
from twokey.errors import ConfigurationError, ProofReason, ProofRequired, Refused

FAMILY = (Action.PUBLISH, Action.UNPUBLISH, Action.DEPRECATE, Action.DIST_TAG)
PACKAGE = Target(package="pkg")
ELSEWHERE = (
    Action.CHANGE_PROFILE, Action.CHANGE_EMAIL, Action.CHANGE_SECOND_FACTOR, Action.CREATE_TOKEN, Action.OWNERS,
    Action.ACCESS, Action.TRUST,
)  # fmt: skip
PACKAGE_ACTIONS = {*FAMILY, Action.OWNERS, Action.ACCESS, Action.TRUST}
PASSWORD_FOR = {
    Action.CREATE_TOKEN: PASSWORD,
    Action.CHANGE_SECOND_FACTOR: PASSWORD,
    Action.LOG_IN: PASSWORD,
}


@pytest.fixture
def alice(world: World) -> Person:
    person = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", person)
    return person


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def act(world: World, principal: Principal, otp: str, action: Action = Action.DIST_TAG) -> Permit:
    permit = asked(world, principal, otp, action)
    with world.registry.door.write(permit) as tx:
        tx.record(Event.PROFILE_CHANGE)
    return permit


def asked(
    world: World, principal: Principal, otp: str, action: Action = Action.DIST_TAG, address: str = HOME
) -> Permit:
    caller = world.caller(principal, otp=otp, password=PASSWORD_FOR.get(action), address=address)
    target = PACKAGE if action in PACKAGE_ACTIONS else Target(account="alice")
    return world.registry.door.require(caller, action, target)


def assert_used(
    world: World, principal: Principal, otp: str, action: Action = Action.DIST_TAG, address: str = HOME
) -> None:
    """The question alone is refused: no permit is given out."""
    with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
        asked(world, principal, otp, action, address)
    assert caught.value.reason is ProofReason.USED


def kind(permit: Permit) -> ProofKind | None:
    return permit.proof.kind if permit.proof is not None else None


def test_a_used_code_stays_good_for_the_same_token_and_address_within_the_family(
    world: World, alice: Person, login: Principal
) -> None:
    for number, first in enumerate(FAMILY, 1):
        code = world.code(alice)
        assert kind(act(world, login, code, first)) is ProofKind.TOTP
        for action in FAMILY:
            assert kind(act(world, login, code, action)) is ProofKind.CONTINUATION
        assert len(world.rows(Continuation)) == number, "what continues a code opens no continuation of its own"
        assert all(row["bucket"].startswith("publish:") for row in world.rows(Attempt))
        world.clock.advance(30)


@pytest.mark.parametrize("age", [-1, 0, 1])
def test_a_continuation_lasts_two_minutes_from_the_use_of_the_code(
    world: World, alice: Person, login: Principal, age: int
) -> None:
    world.clock.advance(30)
    code = world.code(alice, age)
    act(world, login, code)
    for seconds in (1, 30, 30, 30, 28.999):
        world.clock.advance(seconds)
        assert kind(act(world, login, code)) is ProofKind.CONTINUATION
    for seconds in (0.001, 1, 60):
        world.clock.advance(seconds)
        with world.nothing_changes(), pytest.raises(ProofRequired):
            act(world, login, code)


def test_it_is_for_no_other_token_and_no_other_address(world: World, alice: Person, login: Principal) -> None:
    code, other = world.code(alice), world.token(alice)
    act(world, login, code)
    assert_used(world, other, code)
    assert_used(world, login, code, address=AWAY)
    act(world, login, code)


def test_a_code_that_published_does_nothing_else(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    act(world, login, code)
    for action in (*ELSEWHERE, Action.REVOKE_TOKEN):
        assert_used(world, login, code, action)
        world.clear_attempts()


def test_a_code_that_published_does_not_log_in(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    act(world, login, code)
    anonymous = world.caller(otp=code, password=PASSWORD)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="already used"):
        world.do(anonymous, Action.LOG_IN, Target(account="alice"))


def test_a_code_used_for_anything_else_continues_nowhere(world: World, alice: Person, login: Principal) -> None:
    for first in ELSEWHERE:
        code = world.code(alice)
        act(world, login, code, first)
        assert world.rows(Continuation) == []
        assert_used(world, login, code, first)
        assert_used(world, login, code)
        world.clear_attempts()
        world.clock.advance(30)


def test_several_tokens_are_revoked_with_one_code_which_then_publishes_nothing(
    world: World, alice: Person, login: Principal
) -> None:
    code = world.code(alice)
    act(world, login, code, Action.REVOKE_TOKEN)
    assert kind(act(world, login, code, Action.REVOKE_TOKEN)) is ProofKind.CONTINUATION
    assert_used(world, login, code, Action.PUBLISH)


def test_it_ends_when_the_token_is_revoked(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    act(world, login, code)
    world.revoke(alice, login)
    assert world.rows(Continuation) == []


def test_what_was_judged_as_a_continuation_counts_no_more_when_that_ended_meanwhile(
    world: World, alice: Person, login: Principal
) -> None:
    code = world.code(alice)
    act(world, login, code)
    permit = world.registry.door.require(world.caller(login, otp=code), Action.DIST_TAG, PACKAGE)
    assert kind(permit) is ProofKind.CONTINUATION
    with world.by_operator() as tx:
        users.end_continuations(tx, alice.id)
        tx.record(Event.PASSWORD_CHANGE)
    with world.nothing_changes(), pytest.raises(ProofRequired), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_a_permit_that_continues_is_not_carried_to_another_token_or_address(
    world: World, alice: Person, login: Principal
) -> None:
    code, other = world.code(alice), world.token(alice)
    act(world, login, code)
    permit = asked(world, login, code)
    for caller in (replace(permit.caller, address=AWAY), replace(permit.caller, principal=other)):
        with world.nothing_changes(), pytest.raises(ProofRequired):
            with world.registry.door.write(replace(permit, caller=caller)):
                raise AssertionError("the write must not begin")


def test_a_publish_token_in_auth_and_writes_continues_too(world: World, alice: Person) -> None:
    token, code = world.token(alice, CredentialKind.PUBLISH), world.code(alice)
    act(world, token, code)
    assert kind(act(world, token, code)) is ProofKind.CONTINUATION


def test_set_to_nothing_every_write_needs_a_code_of_its_own(opened: Open) -> None:
    world = opened(otp_continuation=0)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", alice)
    login, code = world.token(alice), world.code(alice)
    act(world, login, code)
    assert world.rows(Continuation) == []
    assert_used(world, login, code)
    world.clock.advance(30)
    act(world, login, world.code(alice))


def test_a_recovery_code_is_continued_in_the_same_way(world: World, alice: Person, login: Principal) -> None:
    code = alice.recovery[0]
    assert kind(act(world, login, code)) is ProofKind.RECOVERY
    for seconds in (1, 118):
        world.clock.advance(seconds)
        assert kind(act(world, login, code.replace("-", " "))) is ProofKind.CONTINUATION
        assert_used(world, login, code, address=AWAY)
    assert_used(world, login, code, Action.OWNERS)
    assert_used(world, world.token(alice), code)
    world.clock.advance(1)
    assert_used(world, login, code)


def test_the_longest_that_can_be_set_is_honoured_to_its_end(opened: Open) -> None:
    longest = max(seconds for seconds in range(601) if is_a_setting(seconds))
    world = opened(otp_continuation=longest)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", alice)
    login = world.token(alice)
    world.clock.advance(29)  # the end of a step, and the oldest code that is still taken
    code = world.code(alice, -1)
    act(world, login, code)
    world.clock.advance(longest - 0.001)
    assert kind(act(world, login, code)) is ProofKind.CONTINUATION
    world.clock.advance(0.001)
    with world.nothing_changes(), pytest.raises(ProofRequired):
        act(world, login, code)


def is_a_setting(seconds: int) -> bool:
    try:
        return settings.read({"TWOKEY_OTP_CONTINUATION": str(seconds)}).otp_continuation == seconds
    except ConfigurationError:
        return False


def test_publishing_the_same_bytes_again_is_the_success_that_the_client_missed(
    world: World, alice: Person, login: Principal
) -> None:
    code = world.code(alice)
    world.publish(login, "pkg", "2.0.0", otp=code)
    before = world.stored()
    world.publish(login, "pkg", "2.0.0", otp=code)
    assert world.stored()["versions"] == before["versions"]
    other = world.token(alice, CredentialKind.AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot publish over"):
        world.publish(other, "pkg", "2.0.0")
    world.clock.advance(150)
    fresh = world.code(alice)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot publish over"):
        world.publish(login, "pkg", "2.0.0", otp=fresh)
