"""Fifty requests at once with one code: it is consumed once, and only the requests of one command go on with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.domain.world import AWAY, HOME, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import ProofKind, Target
from twokey.authority.principal import CredentialKind, Mode, Principal
from twokey.db.schema import Attempt, Authenticator, Continuation, RecoveryCode, User
from twokey.errors import ProofReason, ProofRequired, Throttled

THREADS = 50


class Race:
    """What became of requests that were let go together."""

    def __init__(self, attempts: list[Callable[[], object]]) -> None:
        self.won: list[int] = []
        self.lost: dict[int, Exception] = {}
        start = threading.Barrier(len(attempts))

        def run(number: int, attempt: Callable[[], object]) -> None:
            start.wait()
            try:
                attempt()
                self.won.append(number)
            except Exception as error:
                self.lost[number] = error

        threads = [threading.Thread(target=run, args=each) for each in enumerate(attempts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def assert_lost_as_used(self) -> None:
        """Everyone who lost was told that the code was used; none met a fault, or a limit of guesses."""
        for error in self.lost.values():
            assert isinstance(error, ProofRequired), error
            assert error.reason is ProofReason.USED


@pytest.mark.parametrize("kind", [ProofKind.TOTP, ProofKind.RECOVERY])
def test_a_code_is_consumed_once_where_nothing_continues(world: World, kind: ProofKind) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    tokens = [world.token(alice), world.token(alice)]
    code = world.code(alice) if kind is ProofKind.TOTP else alice.recovery[0]
    target, door = Target(account="alice"), world.registry.door
    # Judged all before any is consumed: the worst that can be.
    permits = [
        door.require(world.caller(tokens[number % 2], otp=code), Action.CHANGE_PROFILE, target)
        for number in range(THREADS)
    ]

    def write(number: int) -> None:
        with door.write(permits[number]) as tx:
            tx.record(Event.PROFILE_CHANGE)

    race = Race([lambda number=number: write(number) for number in range(THREADS)])  # type: ignore[misc]
    assert len(race.won) == 1
    race.assert_lost_as_used()
    assert len(world.events(Event.PROFILE_CHANGE)) == 1
    assert len([row for row in world.rows(RecoveryCode) if row["used_at"] is not None]) == (kind is ProofKind.RECOVERY)
    assert world.rows(Continuation) == []
    assert world.rows(Attempt) == [], "a code that was right is not counted"
    assert world.rows(User)[0]["wrong_codes_in_a_row"] == 0
    assert world.registry.trail.verify().reason is None


def test_only_the_same_token_address_and_family_go_on_with_it(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", alice)
    groups: list[tuple[Principal, str, Action]] = [
        (principal, address, action)
        for principal in (world.token(alice), world.token(alice, CredentialKind.PUBLISH))
        for address, action in ((HOME, Action.DIST_TAG), (AWAY, Action.DIST_TAG), (HOME, Action.PUBLISH))
    ]
    code, target, door = world.code(alice), Target(package="pkg"), world.registry.door
    asked = [groups[number % len(groups)] for number in range(THREADS)]
    permits = [
        door.require(world.caller(principal, otp=code, address=address), action, target)
        for principal, address, action in asked
    ]

    def write(number: int) -> None:
        with door.write(permits[number]) as tx:
            tx.record(Event.PACKAGE_TAG)

    race = Race([lambda number=number: write(number) for number in range(THREADS)])  # type: ignore[misc]
    race.assert_lost_as_used()
    (continuation,) = world.rows(Continuation)
    winners = {(asked[number][0].token_id, asked[number][1]) for number in race.won}
    assert winners == {(continuation["token_id"], continuation["address"])}
    expected = [
        number
        for number, (principal, address, _) in enumerate(asked)
        if (principal.token_id, address) == (continuation["token_id"], continuation["address"])
    ]
    assert sorted(race.won) == expected
    (row,) = world.rows(Authenticator)
    assert row["last_used_at"] == world.clock.at


def test_the_whole_way_at_once_lets_one_through(world: World) -> None:
    """Judging and consuming together: who is late is refused by one or the other, and counted as a replay at most."""
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    tokens = [world.token(alice) for _ in range(10)]
    code = world.code(alice)

    def attempt(principal: Principal) -> None:
        world.do(world.caller(principal, otp=code), Action.CHANGE_PROFILE, Target(account="alice"))

    race = Race([lambda principal=principal: attempt(principal) for principal in tokens])  # type: ignore[misc]
    assert len(race.won) == 1
    assert all(isinstance(error, ProofRequired | Throttled) for error in race.lost.values())
    assert len(world.events(Event.PROFILE_CHANGE)) == 1
    assert world.registry.trail.verify().reason is None
