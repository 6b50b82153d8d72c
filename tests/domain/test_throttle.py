"""The throttle: windows slide, nothing overshoots, a right attempt costs nothing, and a restart forgets nothing."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from tests.domain.conftest import Open
from tests.domain.world import SECOND, START, World
from twokey.db.schema import Attempt
from twokey.throttle import Blocked, Bucket, Limit, Throttle, forget

FIVE = Bucket("five", (Limit(5, 300),))
BOTH = Bucket("both", (Limit(2, 60), Limit(3, 3600)))


def at(seconds: int) -> int:
    return START + seconds * SECOND


def wrong(throttle: Throttle, buckets: list[Bucket], at: int) -> None:
    """An attempt that was judged and stays counted."""
    throttle.keep(throttle.reserve(buckets, at))


def counted(world: World) -> list[str]:
    with world.registry.database.read() as connection:
        return [row[0] for row in connection.execute(select(Attempt.bucket).order_by(Attempt.id))]


def test_the_attempt_after_the_last_is_blocked_until_the_oldest_leaves_the_window(world: World) -> None:
    throttle = world.registry.throttle
    for second in range(5):
        wrong(throttle, [FIVE], at(second))
    with pytest.raises(Blocked) as blocked:
        wrong(throttle, [FIVE], at(299))
    assert (blocked.value.bucket, blocked.value.until) == (FIVE, at(300))
    assert len(counted(world)) == 5, "a blocked attempt is not counted"
    wrong(throttle, [FIVE], at(300))
    with pytest.raises(Blocked) as blocked:
        wrong(throttle, [FIVE], at(300))
    assert blocked.value.until == at(301), "the window slides: the next to leave is the second"


def test_every_limit_of_a_bucket_holds_and_the_latest_end_is_told(world: World) -> None:
    throttle = world.registry.throttle
    wrong(throttle, [BOTH], at(0))
    wrong(throttle, [BOTH], at(1))
    with pytest.raises(Blocked) as blocked:
        wrong(throttle, [BOTH], at(2))
    assert blocked.value.until == at(60)
    wrong(throttle, [BOTH], at(61))
    with pytest.raises(Blocked) as blocked:
        wrong(throttle, [BOTH], at(122))
    assert blocked.value.until == at(3600)


def test_where_one_bucket_is_full_nothing_is_counted_in_the_others(world: World) -> None:
    throttle, other = world.registry.throttle, Bucket("other", (Limit(100, 300),))
    for _ in range(5):
        wrong(throttle, [FIVE], at(0))
    with pytest.raises(Blocked):
        wrong(throttle, [other, FIVE], at(0))
    assert "other" not in counted(world)


def test_a_released_attempt_never_was(world: World) -> None:
    throttle = world.registry.throttle
    for _ in range(50):
        throttle.release(throttle.reserve([FIVE, BOTH], at(0)))
    assert counted(world) == []


def test_releasing_one_attempt_leaves_the_others(world: World) -> None:
    throttle = world.registry.throttle
    wrong(throttle, [FIVE], at(0))
    throttle.release(throttle.reserve([FIVE, BOTH], at(1)))
    assert counted(world) == ["five"]


def test_buckets_with_other_keys_do_not_disturb_each_other(world: World) -> None:
    throttle = world.registry.throttle
    for number in range(20):
        wrong(throttle, [Bucket(f"five:{number}", FIVE.limits)], at(0))


def test_looking_counts_nothing(world: World) -> None:
    throttle = world.registry.throttle
    for _ in range(5):
        throttle.check([FIVE], at(0))
        wrong(throttle, [FIVE], at(0))
    with pytest.raises(Blocked):
        throttle.check([FIVE], at(1))
    assert len(counted(world)) == 5


def test_twenty_threads_at_once_never_overshoot(world: World) -> None:
    throttle, start = world.registry.throttle, threading.Barrier(20)
    taken: list[int] = []
    blocked: list[int] = []

    def attempt(number: int) -> None:
        start.wait()
        try:
            wrong(throttle, [FIVE, Bucket(f"own:{number}", FIVE.limits)], at(0))
            taken.append(number)
        except Blocked:
            blocked.append(number)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(blocked)) == (5, 15)
    assert counted(world).count("five") == 5


def test_what_was_counted_is_there_after_a_restart(opened: Open) -> None:
    before = opened()
    for _ in range(5):
        wrong(before.registry.throttle, [FIVE], at(0))
    before.registry.close()
    with pytest.raises(Blocked):
        wrong(opened().registry.throttle, [FIVE], at(1))


def test_a_clock_that_went_back_opens_no_bucket(world: World) -> None:
    throttle = world.registry.throttle
    for _ in range(5):
        wrong(throttle, [FIVE], at(0))
    with pytest.raises(Blocked):
        wrong(throttle, [FIVE], at(-200))


def test_old_attempts_are_forgotten_and_young_ones_are_not(world: World) -> None:
    for second in (0, 10, 20):
        wrong(world.registry.throttle, [FIVE], at(second))
    with world.registry.database.write() as connection:
        assert forget(connection, at(10)) == 1
    assert len(counted(world)) == 2
