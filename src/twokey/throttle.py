"""Attempts, counted before they are judged: reserve, then release or keep (security.md 2.2).

An attempt is reserved in a short transaction of its own before the comparison and released when it was right, so
that nothing overshoots in parallel, a right answer costs nothing, and a wrong one stays counted even when the process
dies between the two. Counters are rows: they survive a restart and hold across workers and nodes. Windows slide; a
block ends when the oldest counted attempt leaves its window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition

from sqlalchemy import Connection, Integer, bindparam, delete, insert, select

from twokey.clock import MICROSECONDS, monotonic
from twokey.db.engine import Database
from twokey.db.schema import Attempt

MOST_WAIT_SECONDS = 10.0
_NTH_LATEST = (
    select(Attempt.at)
    .where(Attempt.bucket == bindparam("bucket"), Attempt.at > bindparam("since"))
    .order_by(Attempt.at.desc())
    .offset(bindparam("others", type_=Integer))
    .limit(1)
)
_RECORD = insert(Attempt).returning(Attempt.id)
MOST_WAITING = 64  # callers at once; a flood of guesses must not hold every worker thread (app.py has 96)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in any `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is counted together, and its limits."""

    key: str
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Attempts that are counted unless they are released."""

    ids: tuple[int, ...]
    keys: tuple[str, ...]


class Blocked(Exception):
    """A bucket is full: nothing was counted. `until` (µs) is when its oldest counted attempt leaves the window."""

    def __init__(self, bucket: Bucket, until: int) -> None:
        super().__init__(bucket.key)
        self.bucket = bucket
        self.until = until


class Throttle:
    """The one store of attempts, for all doors."""

    def __init__(self, database: Database) -> None:
        """Counts in `database`."""
        self._database = database
        self._settled = Condition()
        self._open: Counter[str] = Counter()
        self._waiting = 0
        self._releases = 0

    def reserve(self, buckets: Sequence[Bucket], at: int) -> Reservation:
        """Counts one attempt at `at` (µs) in every bucket, or raises Blocked and counts it in none.

        Where a bucket is full of attempts that are still being judged, this waits for their verdicts for a moment:
        many right answers at once are not too many wrong ones. Every reservation is to be released or kept.
        """
        deadline = monotonic() + MOST_WAIT_SECONDS
        keys = tuple(bucket.key for bucket in buckets)
        while True:
            releases = self._begin(buckets, keys, deadline)
            try:
                return Reservation(self._reserve(buckets, at), keys)
            except Blocked as blocked:
                self._end(keys)
                if not self._wait_for_release(blocked.bucket.key, releases, deadline):
                    raise
            except BaseException:
                self._end(keys)
                raise

    def _begin(self, buckets: Sequence[Bucket], keys: Sequence[str], deadline: float) -> int:
        """Announces an attempt before its rows can be seen, once no more are under way than the buckets hold.

        Returns how many releases there were: a later one may have made room that a look at the rows missed.
        """

        def has_room() -> bool:
            return all(self._open[bucket.key] < min(limit.count for limit in bucket.limits) for bucket in buckets)

        with self._settled:
            self._pause(has_room, deadline)
            self._open.update(keys)
            return self._releases

    def _wait_for_release(self, key: str, releases: int, deadline: float) -> bool:
        """Waits until an attempt is released. False where none is while any in the bucket `key` is under way."""
        with self._settled:
            self._pause(lambda: self._releases != releases or not self._open[key], deadline)
            return self._releases != releases and monotonic() < deadline

    def _end(self, keys: Sequence[str], *, released: bool = False) -> None:
        with self._settled:
            self._open.subtract(keys)
            for key in keys:
                if self._open[key] <= 0:
                    del self._open[key]
            self._releases += released
            self._settled.notify_all()

    def _pause(self, until: Callable[[], bool], deadline: float) -> None:
        """Waits until it is true, the deadline has come, or at once where too many wait."""
        if self._waiting >= MOST_WAITING:
            return
        self._waiting += 1
        try:
            self._settled.wait_for(until, deadline - monotonic())
        finally:
            self._waiting -= 1

    def _reserve(self, buckets: Sequence[Bucket], at: int) -> tuple[int, ...]:
        with self._database.write(quietly=True) as connection:
            for bucket in sorted(buckets, key=lambda each: each.key):
                self._database.lock(connection, bucket.key)
            blocks = [(until, bucket) for bucket in buckets if (until := full_until(connection, bucket, at))]
            if blocks:
                until, bucket = max(blocks, key=lambda block: block[0])
                raise Blocked(bucket, until)
            return tuple(record(connection, bucket.key, at) for bucket in buckets)

    def release(self, reservation: Reservation) -> None:
        """Takes the attempts of `reservation` back: they were right."""
        try:
            with self._database.write(quietly=True) as connection:
                connection.execute(delete(Attempt).where(Attempt.id.in_(reservation.ids)))
        finally:
            self._end(reservation.keys, released=True)

    def keep(self, reservation: Reservation) -> None:
        """Leaves the attempts of `reservation` counted: they were wrong, and nobody waits for them any more."""
        self._end(reservation.keys)

    def check(self, buckets: Sequence[Bucket], at: int) -> None:
        """Raises Blocked where a bucket is full; counts nothing."""
        with self._database.read() as connection:
            for bucket in buckets:
                if until := full_until(connection, bucket, at):
                    raise Blocked(bucket, until)


def full_until(connection: Connection, bucket: Bucket, at: int) -> int | None:
    """The time (µs) at which a full bucket takes an attempt again; None while it takes one at `at`."""
    latest: int | None = None
    for limit in bucket.limits:
        window = limit.seconds * MICROSECONDS
        oldest_that_fills = connection.execute(
            _NTH_LATEST, {"bucket": bucket.key, "since": at - window, "others": limit.count - 1}
        ).scalar_one_or_none()
        if oldest_that_fills is not None:
            latest = max(latest or 0, oldest_that_fills + window)
    return latest


def record(connection: Connection, key: str, at: int) -> int:
    """Counts one attempt in the bucket `key` within the caller's transaction. Returns its id."""
    return connection.execute(_RECORD, {"bucket": key, "at": at}).scalar_one()


def forget(connection: Connection, before: int) -> int:
    """Deletes attempts older than `before` (µs). Returns how many."""
    return connection.execute(delete(Attempt).where(Attempt.at < before)).rowcount
