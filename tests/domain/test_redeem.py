"""One-time passwords: judged at arrival, consumed once, and what is said of those that are not accepted."""

from __future__ import annotations

import pytest

from tests.domain.conftest import Open
from tests.domain.world import STEP, Person, World, code_of
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, ProofKind, Target
from twokey.authority.principal import CredentialKind, Mode, Principal
from twokey.db.schema import Attempt, Authenticator, BurnedStep, User
from twokey.errors import ProofReason, ProofRequired, Refused

FRESH = Action.CHANGE_PROFILE  # no continuation: each use needs a code of its own


@pytest.fixture
def alice(world: World) -> Person:
    return world.account(mode=Mode.AUTH_AND_WRITES)


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def show(world: World, principal: Principal, otp: str | None, *, at: int | None = None) -> Permit:
    """Uses a code for something that takes a fresh one each time."""
    return world.do(world.caller(principal, otp=otp, at=at), FRESH, Target(account=principal.user_name))


def refused(world: World, principal: Principal, otp: str | None) -> ProofRequired:
    with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
        show(world, principal, otp)
    return caught.value


def last_step(world: World) -> int:
    (row,) = world.rows(Authenticator)
    step: int = row["last_step"]
    return step


def in_a_row(world: World) -> int:
    count: int = world.rows(User)[0]["wrong_codes_in_a_row"]
    return count


def test_without_a_code_one_is_asked_for_in_the_words_that_clients_look_for(
    world: World, alice: Person, login: Principal
) -> None:
    error = refused(world, login, None)
    assert error.reason is ProofReason.MISSING
    assert "one-time pass" in error.message
    assert world.rows(Attempt) == []
    assert in_a_row(world) == 0


def test_the_code_of_this_step_and_of_its_neighbours_is_right(world: World, alice: Person, login: Principal) -> None:
    for offset in (-1, 0, 1):
        world.clock.advance(90)
        permit = show(world, login, world.code(alice, offset))
        assert permit.proof is not None
        assert permit.proof.kind is ProofKind.TOTP
        assert last_step(world) == world.clock.at // STEP + offset


def test_a_code_that_is_late_is_refused_and_told_by_how_much(world: World, alice: Person, login: Principal) -> None:
    world.clock.advance(600 + 7)
    for offset in (-10, -3, -2):
        error = refused(world, login, world.code(alice, offset))
        late = (-offset - 1) * 30 + 7
        assert error.reason is ProofReason.EXPIRED
        assert f"expired about {late} s ago" in error.message
        assert f"if it was fresh, your phone's clock is {late} s behind" in error.message
        assert error.notice is not None
        assert error.notice.startswith("Invalid OTP: ")
    assert world.rows(BurnedStep) == []


@pytest.mark.parametrize("offset", [2, 3, 10])
def test_a_code_that_is_early_is_refused_told_by_how_much_and_burned(
    world: World, alice: Person, login: Principal, offset: int
) -> None:
    code, step = world.code(alice, offset), world.clock.at // STEP + offset
    error = refused(world, login, code)
    assert error.reason is ProofReason.AHEAD
    assert f"your phone's clock is about {offset * 30} s ahead of the server's" in error.message
    assert [row["step"] for row in world.rows(BurnedStep)] == [step]
    world.clock.advance(offset * 30)
    assert refused(world, login, code).reason is ProofReason.USED
    show(world, login, world.code(alice, 1))  # the step after it is good: the monotonic step was not raised


def test_a_code_further_off_is_just_wrong(world: World, alice: Person, login: Principal) -> None:
    world.clock.advance(600)
    for offset in (-12, -11, 11, 12):
        error = refused(world, login, world.code(alice, offset))
        assert error.reason is ProofReason.WRONG
        assert 'use the code shown for "npm-twokey: alice"' in error.message
    assert world.rows(BurnedStep) == []


def test_a_used_code_is_refused_and_recorded_as_a_replay(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    show(world, login, code)
    error = refused(world, login, code)
    assert error.reason is ProofReason.USED
    assert "already used, wait for the next code" in error.message
    (event,) = world.events(Event.OTP_REPLAY)
    assert (event["outcome"], event["reason"], event["account"]) == ("refused", "used", "alice")


def test_steps_only_rise_a_b_a(world: World, alice: Person, login: Principal) -> None:
    a, b = world.code(alice, -1), world.code(alice, 0)
    show(world, login, a)
    show(world, login, b)
    assert refused(world, login, a).reason is ProofReason.USED
    assert refused(world, login, b).reason is ProofReason.USED
    assert len(world.events(Event.OTP_REPLAY)) == 2, "refused when it is judged, and on record"


def test_an_older_neighbour_of_a_used_code_is_used_up_with_it(world: World, alice: Person, login: Principal) -> None:
    show(world, login, world.code(alice, 1))
    for offset in (-1, 0, 1):
        assert refused(world, login, world.code(alice, offset)).reason is ProofReason.USED
    world.clock.advance(30)
    show(world, login, world.code(alice, 1))


def test_spaces_and_dashes_in_a_code_do_not_matter_and_are_no_way_to_use_it_twice(
    world: World, alice: Person, login: Principal
) -> None:
    for spelling in ("{0} {1} {2}", "{0}{1}-{2}", "{0}-{1}-{2}", " {0}{1}{2} ", "-{0}{1}{2}-"):
        code = world.code(alice)
        spelt = spelling.format(code[:2], code[2:4], code[4:])
        show(world, login, spelt)
        assert refused(world, login, code).reason is ProofReason.USED
        assert refused(world, login, spelt).reason is ProofReason.USED
        world.clear_attempts()
        world.clock.advance(30)


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def test_nothing_else_is_a_spelling_of_a_code(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    for other in (
        code.translate(FULL_WIDTH), code.translate(ARABIC), code[:3] + "\u00a0" + code[3:], code + "\n", "\t" + code,
        code + "\0", "+" + code, "0" + code, code[:5], code + code, code[:3] + "_" + code[3:], "",
        " " * 59 + code,  # 65 characters: a header that is no code
    ):  # fmt: skip
        assert refused(world, login, other).reason is ProofReason.WRONG
        world.clear_attempts()
    show(world, login, code)


def test_a_header_of_64_characters_is_still_read(world: World, alice: Person, login: Principal) -> None:
    show(world, login, " " * 58 + world.code(alice))


def test_a_code_is_judged_by_when_the_headers_arrived(world: World, alice: Person, login: Principal) -> None:
    """A slow upload does not outlive its code, and a stopped clock does not make an old code new."""
    arrived = world.clock.at
    code = world.code(alice)
    world.clock.advance(300)
    show(world, login, code, at=arrived)
    world.clock.advance(300)
    late = code_of(alice.secret, arrived, 1)
    assert refused(world, login, late).reason is not ProofReason.USED


def test_judging_alone_uses_nothing_up(world: World, alice: Person, login: Principal) -> None:
    caller = world.caller(login, otp=world.code(alice))
    with world.nothing_changes():
        for _ in range(3):
            world.registry.door.require(caller, FRESH, Target(account="alice"))
    assert world.rows(Attempt) == []
    assert world.events(Event.OTP_WRONG, Event.OTP_REPLAY) == []
    show(world, login, caller.evidence.otp)


def test_a_wrong_code_is_counted_and_recorded_and_a_right_one_ends_the_row(
    world: World, alice: Person, login: Principal
) -> None:
    for _ in range(3):
        assert refused(world, login, world.wrong(alice)).reason is ProofReason.WRONG
    assert in_a_row(world) == 3
    kinds = {row["bucket"].partition(":")[0] for row in world.rows(Attempt)}
    assert kinds == {"otp", "otp-account", "otp-address"}
    events = world.events(Event.OTP_WRONG)
    assert [(event["outcome"], event["reason"]) for event in events] == [("refused", "wrong")] * 3
    assert events[0]["details"] == {"action": "account:profile"}
    assert events[0]["token"] == login.token_key
    before = len(world.rows(Attempt))
    show(world, login, world.code(alice))
    assert in_a_row(world) == 0
    assert len(world.rows(Attempt)) == before, "a right code costs no attempt, and forgives none"


def test_the_code_is_nowhere_on_record(world: World, alice: Person, login: Principal) -> None:
    wrong, right = world.wrong(alice), world.code(alice)
    refused(world, login, wrong)
    show(world, login, right)
    for text in (wrong, right, alice.secret.hex()):
        documents = [event for event in world.events() if f'"{text}"' in str(event).replace("'", '"')]
        assert documents == []


def test_another_accounts_code_is_wrong(world: World, alice: Person, login: Principal) -> None:
    bob = world.account("bob", Mode.AUTH_AND_WRITES)
    assert refused(world, login, world.code(bob)).reason is ProofReason.WRONG
    show(world, world.token(bob), world.code(bob))


def test_a_code_that_was_right_but_lost_the_race_is_refused_and_not_counted(
    world: World, alice: Person, login: Principal
) -> None:
    other = world.token(alice, CredentialKind.LOGIN)
    code, target = world.code(alice), Target(account="alice")
    first, second = (
        world.registry.door.require(world.caller(each, otp=code), FRESH, target) for each in (login, other)
    )
    with world.registry.door.write(first) as tx:
        tx.record(Event.PROFILE_CHANGE)
    with world.nothing_changes(), pytest.raises(ProofRequired, match="already used"):
        with world.registry.door.write(second) as tx:
            tx.record(Event.PROFILE_CHANGE)
    assert world.rows(Attempt) == []
    assert in_a_row(world) == 0


def test_a_code_shown_where_none_is_asked_for_is_not_looked_at(world: World, alice: Person, login: Principal) -> None:
    """npm sends `--otp` with every request of a command."""
    with world.nothing_changes():
        for otp in (world.code(alice), world.wrong(alice)):
            world.registry.door.require(world.caller(login, otp=otp), Action.WHOAMI, Target())
    assert world.rows(Attempt) == []
    show(world, login, world.code(alice))


def test_two_apps_of_one_account_have_steps_of_their_own(world: World, alice: Person) -> None:
    """The step is the authenticator's: another account's use of the same step does not matter."""
    bob = world.account("bob", Mode.AUTH_AND_WRITES)
    show(world, world.token(alice), world.code(alice))
    show(world, world.token(bob), world.code(bob))


def test_a_token_without_two_factor_proof_is_refused_not_asked(world: World, alice: Person) -> None:
    token = world.token(alice, CredentialKind.AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused):
        show(world, token, world.code(alice))
    show(world, world.token(alice), world.code(alice))


def test_a_used_code_stays_used_after_a_restart(opened: Open) -> None:
    world = opened()
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    login = world.token(alice)
    code = world.code(alice)
    show(world, login, code)
    world.registry.close()
    again = opened()
    assert refused(again, login, code).reason is ProofReason.USED
