"""The download API answers as the public registry's does, and tells nothing of packages that a caller may not know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.server import Server
from tests.support.wire import Answer, request

TODAY = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Package to version to how many days ago to how often.
COUNTS = {
    "pkg": {"1.0.0": {0: 1, 1: 2, 6: 4}, "2.0.0": {7: 8, 29: 16, 364: 32}},
    "@alice/pkg": {"1.0.0": {0: 100}},
    "secret": {"1.0.0": {0: 1000}},
    "downloads": {"1.0.0": {0: 10_000}},
    "versions": {"1.0.0": {0: 20_000}},
}


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Who owns every package, on a server where it is noon of a day in November."""
    with Server(tmp_path_factory.mktemp("downloads")) as server:
        server.advance(TODAY.timestamp() - server.now())
        account = accounts.sign_up(server, "alice")
        for name in COUNTS:
            for version in COUNTS[name]:
                assert accounts.publish(account, name, version).status == 201
        (path,) = server.data.glob("*.db")
        with closing(sqlite3.connect(path)) as connection, connection:
            for name, versions in COUNTS.items():
                for version, days in versions.items():
                    for ago, count in days.items():
                        day = int(TODAY.timestamp()) // 86_400 - ago
                        connection.execute(
                            "INSERT INTO downloads SELECT id, ?, ?, ? FROM packages WHERE name = ?",
                            (version, day, count, name),
                        )
            connection.execute("UPDATE packages SET access = 'restricted' WHERE name = 'secret'")
        yield account


def day(ago: int) -> str:
    return f"{TODAY - timedelta(days=ago):%Y-%m-%d}"


def ask(alice: Account, path: str) -> Answer:
    """As nobody."""
    return request(alice.server, "GET", path)


def answer(alice: Account, path: str) -> Any:
    got = ask(alice, path)
    assert got.status == 200, got
    return got.json


@pytest.mark.parametrize(
    ("period", "first", "count"),
    [("last-day", 0, 1), ("last-week", 6, 7), ("last-month", 29, 31), ("last-year", 364, 63)],
)
def test_a_period_ends_today(alice: Account, period: str, first: int, count: int) -> None:
    expected = {"downloads": count, "start": day(first), "end": day(0), "package": "pkg"}
    assert answer(alice, f"/downloads/point/{period}/pkg") == expected
    days = answer(alice, f"/downloads/range/{period}/pkg")
    assert {**days, "downloads": count} == expected
    assert [each["day"] for each in days["downloads"]] == [day(ago) for ago in range(first, -1, -1)]
    assert sum(each["downloads"] for each in days["downloads"]) == count


def test_a_day_or_days_are_named(alice: Account) -> None:
    one = answer(alice, f"/downloads/point/{day(1)}/pkg")
    assert one == {"downloads": 2, "start": day(1), "end": day(1), "package": "pkg"}
    some = answer(alice, f"/downloads/range/{day(7)}:{day(5)}/pkg")
    assert some["downloads"] == [
        {"downloads": 8, "day": day(7)},
        {"downloads": 4, "day": day(6)},
        {"downloads": 0, "day": day(5)},
    ]


@pytest.mark.parametrize("path", ["@alice/pkg", "@alice%2fpkg", "@alice%2Fpkg"])
def test_a_name_in_a_scope_is_asked_for_in_every_spelling(alice: Account, path: str) -> None:
    assert answer(alice, f"/downloads/point/last-day/{path}")["downloads"] == 100
    assert answer(alice, f"/versions/{path}/last-week") == {"package": "@alice/pkg", "downloads": {"1.0.0": 100}}


def test_versions_are_counted_apart(alice: Account) -> None:
    assert answer(alice, "/versions/pkg/last-week") == {"package": "pkg", "downloads": {"1.0.0": 7}}
    assert answer(alice, "/versions/pkg/last-month")["downloads"] == {"1.0.0": 7, "2.0.0": 24}


def test_several_packages_are_asked_for_at_once(alice: Account) -> None:
    found = answer(alice, "/downloads/point/last-day/pkg,unknown,secret,downloads")
    assert (found["unknown"], found["secret"]) == (None, None)
    assert found["pkg"] == {"downloads": 1, "start": day(0), "end": day(0), "package": "pkg"}
    assert found["downloads"]["downloads"] == 10_000
    own = alice.ask("GET", "/downloads/point/last-day/pkg,secret").json
    assert own["secret"]["downloads"] == 1000
    days = answer(alice, "/downloads/range/last-day/pkg,unknown")
    assert days["pkg"]["downloads"] == [{"downloads": 1, "day": day(0)}]
    assert ask(alice, f"/downloads/point/last-day/{','.join(['pkg'] * 129)}").status == 400
    assert ask(alice, "/downloads/point/last-day/pkg,@alice/pkg").status == 400


def test_all_packages_are_the_public_ones(alice: Account) -> None:
    assert answer(alice, "/downloads/point/last-day") == {"downloads": 30_101, "start": day(0), "end": day(0)}
    days = alice.ask("GET", "/downloads/range/last-day").json
    assert days["downloads"] == [{"downloads": 30_101, "day": day(0)}]


@pytest.mark.parametrize(
    "path", ["/downloads/point/last-day/{}", "/downloads/range/last-day/{}", "/versions/{}/last-week"]
)
def test_a_restricted_package_is_as_if_it_were_not_there(alice: Account, path: str) -> None:
    hidden, missing = ask(alice, path.format("secret")), ask(alice, path.format("unknown"))
    assert (hidden.status, hidden.error) == (missing.status, missing.error) == (404, "Not found")
    assert alice.ask("GET", path.format("secret")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/downloads/point/last-decade/pkg", "/downloads/point/2026-02-30/pkg", "/downloads/point/2026-1-1/pkg",
        "/downloads/range/2026-02-02:2026-02-01/pkg", "/downloads/range/2020-01-01:2026-01-01/pkg",
        "/downloads/range/2026-01-01:/pkg", "/downloads/point/last-decade", "/versions/pkg/2026-01-01",
        "/downloads/point/last-day/pkg/more", "/downloads/point/last-day/,",
    ],
)  # fmt: skip
def test_a_question_that_is_none_is_refused_with_a_sentence(alice: Account, path: str) -> None:
    refused = ask(alice, path)
    assert refused.status == 400
    assert refused.error.endswith(".")


def test_packages_that_are_called_like_the_api_are_read_as_ever(alice: Account) -> None:
    for name in ("downloads", "versions"):
        assert answer(alice, f"/{name}")["name"] == name
        assert answer(alice, f"/{name}/1.0.0")["version"] == "1.0.0"
        assert answer(alice, f"/{name}/latest")["version"] == "1.0.0"
        assert ask(alice, f"/{name}/-/{name}-1.0.0.tgz").status == 200


def test_where_reading_takes_an_account_so_do_downloads(tmp_path: Path) -> None:
    with Server(tmp_path, {"TWOKEY_READ": "authenticated"}) as server:
        for path in ("/downloads/point/last-day", "/downloads/point/last-day/pkg", "/downloads/point/last-day/pkg,two"):
            assert request(server, "GET", path).status == 401
