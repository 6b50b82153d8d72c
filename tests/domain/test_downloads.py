"""Downloads: every one is counted once, whoever counts at the same time and whatever fails in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from tests.domain.conftest import Open
from tests.domain.world import World
from twokey.db.engine import Database
from twokey.db.schema import Download
from twokey.packages import downloads
from twokey.packages.downloads import DownloadCounter

DAY = 24 * 60 * 60 * 1_000_000


def daily(world: World, package_id: int, first: int, last: int) -> dict[int, int]:
    with world.registry.database.read() as connection:
        return downloads.daily(connection, package_id, first, last)


def test_downloads_are_counted_by_version_and_day_and_added_up(world: World) -> None:
    found = world.package("pkg", world.account(), "1.0.0", "2.0.0")
    other = world.package("other", world.account("bob"))
    counter = world.registry.downloads
    today = downloads.day_of(world.clock.at)
    for version, day in (("1.0.0", 0), ("1.0.0", 0), ("2.0.0", 0), ("2.0.0", 1), ("2.0.0", 5)):
        counter.count(found.id, version, world.clock.at + day * DAY)
    counter.count(other.id, "1.0.0", world.clock.at)
    assert world.rows(Download) == [], "a download waits for no write"
    counter.flush()
    counter.count(found.id, "1.0.0", world.clock.at)
    counter.flush()
    counter.flush()
    assert daily(world, found.id, today, today + 1) == {today: 4, today + 1: 1}
    with world.registry.database.read() as connection:
        assert downloads.by_version(connection, found.id, today) == {"1.0.0": 3, "2.0.0": 3}
        assert downloads.by_version(connection, found.id, today + 1) == {"2.0.0": 2}


def test_the_last_of_fifty_two_weeks_ends_today(world: World) -> None:
    found = world.package("pkg", world.account())
    counter, today = world.registry.downloads, downloads.day_of(world.clock.at)
    for ago, count in ((0, 1), (6, 2), (7, 4), (363, 8), (364, 100)):
        for _ in range(count):
            counter.count(found.id, "1.0.0", world.clock.at - ago * DAY)
    counter.flush()
    with world.registry.database.read() as connection:
        weeks = downloads.weeks(connection, found.id, today)
    assert [start for start, _ in weeks] == list(range(today - 363, today + 1, 7))
    assert [count for _, count in weeks] == [8, *[0] * 49, 4, 3]


def test_two_processes_that_write_at_once_lose_no_download(world: World) -> None:
    found = world.package("pkg", world.account(), "1.0.0", "2.0.0", "3.0.0")
    databases = [Database(world.registry.settings.database_url) for _ in range(2)]
    counters = [DownloadCounter(database) for database in databases]
    start, failed = threading.Barrier(4), []

    def work(number: int) -> None:
        versions = ["1.0.0", "2.0.0", "3.0.0"][:: 1 if number % 2 else -1]
        start.wait()
        try:
            for _ in range(20):
                for version in versions:
                    counters[number % 2].count(found.id, version, world.clock.at)
                counters[number % 2].flush()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for counter, database in zip(counters, databases, strict=True):
        counter.flush()
        database.dispose()
    assert failed == []
    assert {row["version"]: row["count"] for row in world.rows(Download)} == dict.fromkeys(
        ("1.0.0", "2.0.0", "3.0.0"), 80
    )


def test_what_could_not_be_written_is_written_the_next_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = world.package("pkg", world.account())
    counter = world.registry.downloads
    counter.count(found.id, "1.0.0", world.clock.at)

    @contextmanager
    def failing(self: Database, *, quietly: bool) -> Iterator[Connection]:
        counter.count(found.id, "1.0.0", world.clock.at)  # one that comes meanwhile
        raise OSError("the database is away")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(Database, "write", failing)
        with pytest.raises(OSError, match="away"):
            counter.flush()
    assert world.rows(Download) == []
    counter.flush()
    assert [row["count"] for row in world.rows(Download)] == [2]


def test_a_registry_that_closes_writes_the_last_downloads_down(opened: Open) -> None:
    world = opened()
    found = world.package("pkg", world.account())
    world.registry.downloads.count(found.id, "1.0.0", world.clock.at)
    world.registry.close()
    assert [row["count"] for row in opened().rows(Download)] == [1]
