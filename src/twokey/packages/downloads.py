"""How often tarballs are fetched: counted in memory, added to the database every few seconds.

A read never waits for a write; what a crash loses is the last seconds of a statistic.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from twokey.clock import DAY
from twokey.db.engine import Database
from twokey.db.schema import Download, Package
from twokey.packages.search import visible_to

WEEK, WEEKS = 7, 52  # days, and how many weeks are shown


class DownloadCounter:
    """The downloads that are not in the database yet."""

    def __init__(self, database: Database) -> None:
        """Adds to `database`."""
        self._database = database
        self._lock = Lock()
        self._counts: Counter[tuple[int, str, int]] = Counter()

    def count(self, package_id: int, version: str, at: int) -> None:
        """Counts one download at `at` (µs)."""
        with self._lock:
            self._counts[package_id, version, day_of(at)] += 1

    def flush(self) -> None:
        """Adds what was counted to the database. Where that fails, the counts stay for the next time, and it raises.

        Processes may do so at once: each adds to what it finds, in one order, so that none waits for another in a ring.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        rows = [
            {"package_id": package_id, "version": version, "day": day, "count": count}
            for (package_id, version, day), count in sorted(counts.items())
        ]
        try:
            with self._database.write(quietly=True) as connection:
                add = sqlite.insert(Download) if self._database.is_sqlite else postgresql.insert(Download)
                connection.execute(
                    add.on_conflict_do_update(
                        index_elements=[Download.package_id, Download.version, Download.day],
                        set_={"count": Download.count + add.excluded["count"]},
                    ),
                    rows,
                )
        except BaseException:
            with self._lock:
                self._counts.update(counts)
            raise


def day_of(at: int) -> int:
    """The day (UTC, counted from 1970-01-01) of the moment `at` (µs)."""
    return at // DAY


def daily(connection: Connection, package_id: int, first_day: int, last_day: int) -> dict[int, int]:
    """The downloads of all versions on each day from `first_day` to `last_day`; days without any are left out."""
    query = select(Download.day, func.sum(Download.count)).where(
        Download.package_id == package_id, Download.day.between(first_day, last_day)
    )
    return {day: int(count) for day, count in connection.execute(query.group_by(Download.day).order_by(Download.day))}


def daily_of_all(connection: Connection, first_day: int, last_day: int) -> dict[int, int]:
    """The downloads on each day of all packages that everybody may know of; days without any are left out."""
    query = (
        select(Download.day, func.sum(Download.count))
        .join(Package, Package.id == Download.package_id)
        .where(visible_to(None), Download.day.between(first_day, last_day))
    )
    return {day: int(count) for day, count in connection.execute(query.group_by(Download.day))}


def by_version(connection: Connection, package_id: int, first_day: int) -> dict[str, int]:
    """The downloads of each version since `first_day`; versions without any are left out."""
    query = select(Download.version, func.sum(Download.count)).where(
        Download.package_id == package_id, Download.day >= first_day
    )
    return {version: int(count) for version, count in connection.execute(query.group_by(Download.version))}


def weeks(connection: Connection, package_id: int, today: int) -> list[tuple[int, int]]:
    """The downloads of the last 52 spans of seven days, as (first day, count), oldest first.

    The last span ends today, so that whoever has just installed something sees it counted.
    """
    first = today - WEEK * WEEKS + 1
    counts = daily(connection, package_id, first, today)
    starts = range(first, today + 1, WEEK)
    return [(start, sum(counts.get(day, 0) for day in range(start, start + WEEK))) for start in starts]
