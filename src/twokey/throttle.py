"""Attempts, counted before they are judged: reserve, then release or keep (security.md 2.2).

An attempt is reserved in a short transaction of its own before the comparison and released when it was right, so
that nothing overshoots in parallel, a right answer costs nothing, and a wrong one stays counted even when the process
dies between the two. Counters are rows: they survive a restart and hold across workers and nodes. Windows slide; a
block ends when the oldest counted attempt leaves its window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Condition

from sqlalchemy import Connection, delete, insert, select

from twokey.clock import MICROSECONDS
from twokey.db.engine import Database
from twokey.db.schema import Attempt

MOST_WAITS, WAIT_SECONDS = 40, 0.25
MOST_WAITING = 24  # callers at once; a flood of guesses must not hold every worker thread


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

    def reserve(self, buckets: Sequence[Bucket], at: int) -> Reservation:
        """Counts one attempt at `at` (µs) in every bucket, or raises Blocked and counts it in none.

        Where a bucket is full of attempts that are still being judged, this waits for their verdicts for a moment:
        many right answers at once are not too many wrong ones. Every reservation is to be released or kept.
        """
        for _ in range(MOST_WAITS):
            try:
                return self._opened(self._reserve(buckets, at))
            except Blocked as blocked:
                if not self._wait(blocked.bucket.key):
                    raise
        return self._opened(self._reserve(buckets, at))

    def _opened(self, reservation: Reservation) -> Reservation:
        with self._settled:
            self._open.update(reservation.keys)
        return reservation

    def _wait(self, key: str) -> bool:
        """Waits until an attempt in the bucket is judged. False where there is none to wait for, or no room to wait."""
        with self._settled:
            if not self._open[key] or self._waiting >= MOST_WAITING:
                return False
            self._waiting += 1
            try:
                self._settled.wait(WAIT_SECONDS)
            finally:
                self._waiting -= 1
        return True

    def _reserve(self, buckets: Sequence[Bucket], at: int) -> Reservation:
        with self._database.write() as connection:
            for bucket in sorted(buckets, key=lambda each: each.key):
                self._database.lock(connection, bucket.key)
            blocks = [(until, bucket) for bucket in buckets if (until := full_until(connection, bucket, at))]
            if blocks:
                until, bucket = max(blocks, key=lambda block: block[0])
                raise Blocked(bucket, until)
            ids = tuple(record(connection, bucket.key, at) for bucket in buckets)
        return Reservation(ids, tuple(bucket.key for bucket in buckets))

    def release(self, reservation: Reservation) -> None:
        """Takes the attempts of `reservation` back: they were right."""
        with self._database.write() as connection:
            connection.execute(delete(Attempt).where(Attempt.id.in_(reservation.ids)))
        self.keep(reservation)

    def keep(self, reservation: Reservation) -> None:
        """Leaves the attempts of `reservation` counted: they were wrong, and nobody waits for them any more."""
        with self._settled:
            self._open.subtract(reservation.keys)
            for key in reservation.keys:
                if self._open[key] <= 0:
                    del self._open[key]
            self._settled.notify_all()

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
            select(Attempt.at)
            .where(Attempt.bucket == bucket.key, Attempt.at > at - window)
            .order_by(Attempt.at.desc())
            .offset(limit.count - 1)
            .limit(1)
        ).scalar_one_or_none()
        if oldest_that_fills is not None:
            latest = max(latest or 0, oldest_that_fills + window)
    return latest


def record(connection: Connection, key: str, at: int) -> int:
    """Counts one attempt in the bucket `key` within the caller's transaction. Returns its id."""
    result = connection.execute(insert(Attempt).values(bucket=key, at=at).returning(Attempt.id))
    return result.scalar_one()


def forget(connection: Connection, before: int) -> int:
    """Deletes attempts older than `before` (µs). Returns how many."""
    return connection.execute(delete(Attempt).where(Attempt.at < before)).rowcount
