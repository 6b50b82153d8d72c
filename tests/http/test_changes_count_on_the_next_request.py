"""What is revoked, restricted or published counts on the next request, whichever process was told of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

import pytest

from tests.cli.support import until
from tests.http.test_fast_lane import GZIP, NPM
from tests.support import accounts
from tests.support.accounts import TOKENS, Account
from tests.support.lane import MEASURED, Connection, Raw, by_lane, get
from tests.support.server import Server
from tests.support.wire import Answer


class Two(NamedTuple):
    """Two processes of one data folder: one reads, the other is told of changes."""

    reader: Server
    writer: Server


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """The reader has the lane."""
    folder = tmp_path_factory.mktemp("two")
    with Server(folder / "reader", MEASURED) as reader:
        with Server(folder / "writer", {"TWOKEY_DATA": str(reader.data)}) as writer:
            yield Two(reader, writer)


class Reading:
    """Somebody who reads a package over one connection, and whom the lane has answered."""

    def __init__(self, two: Two, connection: Connection, target: str, token: str | None) -> None:
        lines = [] if token is None else [f"authorization: Bearer {token}"]
        self._server, self._connection = two.reader, connection
        self._sent = get(target, NPM, GZIP, *lines)
        self.first = self.ask()
        until(self._by_lane, "an answer of the lane: else the test says nothing")

    def _by_lane(self) -> bool:
        before = by_lane(self._server)
        assert self.ask().settled == self.first.settled
        return by_lane(self._server) > before

    def ask(self) -> Raw:
        """The answer now."""
        self._connection.send(self._sent)
        return self._connection.answer()


def _access(account: Account, name: str, access: str) -> Answer:
    return account.ask("POST", f"/-/package/{name.replace('/', '%2f')}/access", body={"access": access})


def _ended(two: Two, account: Account, how: str) -> None:
    if how == "revoked":
        assert account.ask("DELETE", f"{TOKENS}/token/{account.token}").status == 200
    elif how == "logged out":
        assert account.ask("DELETE", f"/-/user/token/{account.token}").status == 200
    else:
        done = two.reader.admin("user", "disable", account.name)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["revoked", "logged out", "closed by the operator's command"])
def test_a_token_that_ended_reads_nothing_more(two: Two, how: str) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201
    with Connection(two.reader) as connection:
        reading = Reading(two, connection, f"/{name}", alice.token)
        tarball = Reading(two, connection, f"/{name}/-/{name}-1.0.0.tgz", alice.token)
        _ended(two, alice, how)
        assert reading.ask().status == 401
        assert tarball.ask().status == 401


def _deprecate(account: Account, name: str) -> Answer:
    packument = account.ask("GET", f"/{name}?write=true").json
    packument["versions"]["1.0.0"]["deprecated"] = "old"
    return account.ask("PUT", f"/{name}", body=packument)


CHANGES: dict[str, Callable[[Account, str], object]] = {
    "a version": lambda account, name: accounts.publish(account, name, "1.1.0"),
    "a dist-tag": lambda account, name: account.ask("PUT", f"/-/package/{name}/dist-tags/next", body="1.0.0"),
    "a deprecation": lambda account, name: _deprecate(account, name),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_published_is_read_at_once(two: Two, change: str) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name, other = accounts.fresh_name("pkg"), accounts.fresh_name("other")
    for each in (name, other):
        assert accounts.publish(alice, each).status == 201
    with Connection(two.reader) as connection:
        reading, elsewhere = Reading(two, connection, f"/{name}", None), Reading(two, connection, f"/{other}", None)
        CHANGES[change](alice, name)
        assert reading.ask().settled != reading.first.settled
        assert elsewhere.ask().settled == elsewhere.first.settled


def test_a_package_that_is_restricted_is_gone_for_strangers_and_back_when_it_is_public(two: Two) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    stranger = accounts.sign_up(two.writer, accounts.fresh_name("bob"))
    name = f"@{alice.name}/pkg"
    assert accounts.publish(alice, name).status == 201
    with Connection(two.reader) as connection:
        target = f"/{name.replace('/', '%2f')}"
        nobody, bob, owner = (Reading(two, connection, target, each) for each in (None, stranger.token, alice.token))
        assert _access(alice, name, "restricted").status in (200, 201)
        assert [each.ask().status for each in (nobody, bob, owner)] == [404, 404, 200]
        assert b"private, no-cache" in owner.ask().head
        assert _access(alice, name, "public").status in (200, 201)
        assert [each.ask().status for each in (nobody, bob, owner)] == [200, 200, 200]


def test_what_is_unpublished_is_gone(two: Two) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201
    with Connection(two.reader) as connection:
        reading = Reading(two, connection, f"/{name}", None)
        tarball = Reading(two, connection, f"/{name}/-/{name}-1.0.0.tgz", None)
        rev = alice.ask("GET", f"/{name}?write=true").json["_rev"]
        assert alice.ask("DELETE", f"/{name}/-rev/{rev}").status == 200
        assert reading.ask().status == tarball.ask().status == 404


def test_a_token_that_runs_out_reads_nothing_more(two: Two) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201
    token = accounts.make_token(alice, readonly=True, expires=1)
    two.reader.advance(86400 - 30)  # less than the minute for which a token is not looked up again
    with Connection(two.reader) as connection:
        reading = Reading(two, connection, f"/{name}", token)
        two.reader.advance(31)
        assert reading.ask().status == 401


def test_a_use_of_a_token_is_noted_each_minute_whoever_answers(two: Two) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201

    def noted() -> tuple[int, str]:
        with closing(sqlite3.connect(two.reader.data / "twokey.db")) as connection:
            row: tuple[int, str] = connection.execute(
                "SELECT last_used_at, last_used_address FROM tokens JOIN users ON users.id = tokens.user_id"
                " WHERE users.name = ?", (alice.name,),
            ).fetchone()  # fmt: skip
        return row

    with Connection(two.reader, "127.0.0.7") as connection:
        reading = Reading(two, connection, f"/{name}", alice.token)
        before = noted()
        assert reading.ask().status == 200
        assert noted() == before, "it is not noted each time"
        two.reader.advance(61)
        assert reading.ask().status == 200
        assert noted()[0] >= before[0] + 60_000_000
        assert noted()[1] == "127.0.0.7"


def test_a_token_for_some_addresses_is_no_use_from_others(two: Two) -> None:
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201
    token = accounts.make_token(alice, readonly=True, cidr_whitelist=["127.0.0.9/32"])
    with Connection(two.reader, "127.0.0.9") as inside, Connection(two.reader) as outside:
        assert Reading(two, inside, f"/{name}", token).first.status == 200
        outside.send(get(f"/{name}", NPM, GZIP, f"authorization: Bearer {token}"))
        assert outside.answer().status == 401


def test_a_writer_that_is_killed_before_it_says_so_is_found_out(two: Two) -> None:
    """Its commit is there and its mark is not: as if another machine had written."""
    alice = accounts.sign_up(two.writer, accounts.fresh_name())
    name = accounts.fresh_name("pkg")
    assert accounts.publish(alice, name).status == 201
    with Connection(two.reader) as connection:
        reading = Reading(two, connection, f"/{name}", None)
        with closing(sqlite3.connect(two.reader.data / "twokey.db")) as database:
            database.execute("UPDATE packages SET revision = revision + 1 WHERE name = ?", (name,))
            database.execute(
                "INSERT INTO audit_events SELECT seq + 1, at, 'package:version:publish', account, ?, document, hash"
                " FROM audit_events ORDER BY seq DESC LIMIT 1", (f"package:{name}@2.0.0",),
            )  # fmt: skip
            database.commit()
        until(lambda: reading.ask().settled != reading.first.settled, "the change")
