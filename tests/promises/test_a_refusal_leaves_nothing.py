"""A refused write changes nothing: no row but the trail's and the counters', no tarball that gc would keep.

And it burns no code: the one that came along, where it was right, still publishes afterwards with another token.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.promises.refusals import ACCOUNT, CHANGES, PUBLISHES, Refusal, World
from tests.promises.support import PATIENCE, ROOM, Instance, at, at_once, document, package, person, publish_body
from tests.support import accounts, postgres
from tests.support.wire import Answer, request

DAY = 86400
# What a refusal may write: the trail, a mail that tells the owner, what the throttle counts, and when a token was last
# used.
FREE_TABLES = {"audit_events", "audit_addresses", "attempts", "anonymous_refusals", "mails"}
FREE_COLUMNS = {
    "tokens": {"last_used_at", "last_used_address", "last_used_agent"},
    "users": {"wrong_codes_in_a_row"},
}


def kept(world: World) -> dict[str, Any]:
    """Everything that a refusal may not touch."""
    return {
        table: [{key: value for key, value in row.items() if key not in FREE_COLUMNS.get(table, ())} for row in rows]
        for table, rows in world.server.dump().items()
        if table not in FREE_TABLES
    }


@pytest.fixture(scope="module")
def world(in_memory: Path) -> Iterator[World]:
    bytes_ = {"TWOKEY_LIMIT_TARBALL": "1", "TWOKEY_LIMIT_DOCUMENT": "1"}
    limits = {**bytes_, "TWOKEY_LIMIT_NAMES": "6", "TWOKEY_LIMIT_PUBLISH": "20"}
    with Instance(in_memory / "refusals", {**ROOM, **limits}) as server:
        alice, bob, plain = person(server), person(server), person(server, mode=None)
        made = World(
            server=server, alice=alice, bob=bob, plain=plain, name=accounts.fresh_name("core"),
            second=accounts.log_in(alice), automation=accounts.automation_token(alice),
            read_only=accounts.read_only_token(alice),
            narrow=accounts.make_token(alice, name="narrow", packages=["elsewhere"]),
            short=accounts.make_token(alice, name="short", packages=[], packages_all=True, expires=1),
            revoked=accounts.log_in(alice),
        )  # fmt: skip
        server.advance(DAY + 3600)  # `short` has ended
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            assert accounts.publish(alice, made.name, version, token=made.automation).status == 201
        _unpublish(made, "1.1.0")
        gone = accounts.publish(alice, f"{made.name}-gone", token=made.automation)
        assert gone.status == 201
        assert accounts.publish(alice, f"@{alice.name}/own", token=made.automation).status == 201
        _remove(made, f"{made.name}-gone")
        assert alice.ask("DELETE", f"/-/user/token/{made.revoked}").status == 200
        yield made


def _unpublish(world: World, version: str) -> None:
    read = document(world.alice, world.name)
    del read["versions"][version]
    answer = world.alice.ask("PUT", f"{at(world.name)}/-rev/{read['_rev']}", otp=world.alice.fresh_code(), body=read)
    assert answer.status == 201, answer


def _remove(world: World, name: str) -> None:
    rev = document(world.alice, name)["_rev"]
    assert world.alice.ask("DELETE", f"{at(name)}/-rev/{rev}", otp=world.alice.fresh_code()).status == 200


EVERY = [pytest.param(each, id=each.name.replace(" ", "-")) for each in (*PUBLISHES, *CHANGES, *ACCOUNT)]


def _assert_code_still_works(world: World, code: str) -> None:
    """With the other login token: nothing that continues could help it."""
    version = f"2.0.{world.server.last_seq()}"
    answer = accounts.publish(world.alice, world.name, version, otp=code, token=world.second)
    assert answer.status == 201, answer


@pytest.mark.parametrize("refusal", EVERY)
def test_a_refusal_leaves_nothing(world: World, refusal: Refusal) -> None:
    world.server.advance(400)
    with world.server.held():
        code = world.alice.code()
        before = kept(world)
        answer = refusal.ask(world, code)
        assert answer.status == refusal.status, answer
        assert refusal.says in answer.error, answer
        assert kept(world) == before
        if refusal.right:
            _assert_code_still_works(world, code)


def test_a_wrong_code_at_an_enrolment_leaves_it_pending(world: World) -> None:
    plain = world.plain
    begun = plain.ask("POST", accounts.PROFILE, body={"tfa": {"mode": "auth-only", "password": plain.password}})
    plain.secret = begun.json["tfa"].partition("secret=")[2].partition("&")[0]
    before = kept(world)
    refused = plain.ask("POST", accounts.PROFILE, body={"tfa": [plain.wrong_code()]})
    assert (refused.status, refused.asks_for_a_code) == (401, True), refused
    assert kept(world) == before
    again = plain.ask("POST", accounts.PROFILE, body={"tfa": {"mode": "disable", "password": plain.password}})
    assert again.status == 200


def test_a_publish_over_a_limit_leaves_nothing(world: World) -> None:
    """The limits of an hour: so many new names, so many publishes; the next is refused with the time to wait."""
    world.server.advance(3700)
    for number in range(6):
        assert accounts.publish(world.plain, f"{world.name}-n{number}").status == 201
    before = kept(world)
    refused = accounts.publish(world.plain, f"{world.name}-n6")
    assert (refused.status, "Too many new package names" in refused.error) == (403, True), refused
    assert kept(world) == before
    for number in range(14):
        assert accounts.publish(world.plain, f"{world.name}-n0", f"2.0.{number}").status == 201
    before = kept(world)
    refused = accounts.publish(world.plain, f"{world.name}-n0", "3.0.0")
    assert (refused.status, "Too many publishes" in refused.error) == (403, True), refused
    assert kept(world) == before
    world.server.advance(int(refused.headers["retry-after"]))
    assert accounts.publish(world.plain, f"{world.name}-n0", "3.0.0").status == 201


@pytest.mark.parametrize("coding", ["content-length: 5000", "transfer-encoding: chunked"])
def test_a_body_that_is_cut_off_leaves_nothing(world: World, coding: str) -> None:
    world.server.advance(400)
    with world.server.held():
        code, before = world.alice.code(), kept(world)
        head = [f"PUT {at(world.name)} HTTP/1.1", f"host: {world.server.host}", coding, f"npm-otp: {code}"]
        head += [f"authorization: Bearer {world.alice.token}", "content-type: application/json", "", ""]
        start = b'{"_id":"core","versions":{'
        sent = start if "length" in coding else b"%x\r\n%s\r\n" % (len(start), start)
        with socket.create_connection(("127.0.0.1", world.server.port), PATIENCE) as wire:
            wire.sendall("\r\n".join(head).encode() + sent)
            wire.shutdown(socket.SHUT_WR)
            said = wire.recv(4096)
        assert not said.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5")), said
        assert kept(world) == before
        _assert_code_still_works(world, code)


def test_gc_takes_every_tarball_that_a_refusal_left(world: World) -> None:
    """A tarball is stored before its row (design.md, promise 3), so a refusal may leave one: until gc."""
    with world.server.held():
        taken = publish_body(world.name, "1.0.0", package(world.name, "1.0.0", description="another content"))
        assert world.publish(taken, world.alice.fresh_code()).status == 403
    old = time.time() - 2 * DAY
    for path in (world.server.data / "blobs").glob("??/??/*"):
        os.utime(path, (old, old))
    done = world.server.operate("gc")
    assert done.exit_code == 0, done
    named = {row["digest"] for row in world.server.dump()["versions"] if row["removed_at"] is None}
    assert world.server.blobs() == named
    assert not list((world.server.data / "blobs" / "tmp").iterdir())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def raced(request: pytest.FixtureRequest, in_memory: Path) -> Iterator[Instance]:
    """A server for several who want the same at once."""
    if request.param == "sqlite":
        with Instance(in_memory / "raced", ROOM) as server:
            yield server
        return
    cluster: postgres.Cluster = request.getfixturevalue("promise_cluster")
    with cluster.database() as url, Instance(in_memory / "raced-postgresql", ROOM, url) as server:
        yield server


def _sign_up(server: Instance, name: str, password: str) -> Answer:
    body = accounts.user_document(name, password, f"{name}@example.com")
    return request(server, "PUT", accounts.user_path(name), body=body)


def test_of_many_who_want_the_same_name_one_gets_it(raced: Instance) -> None:
    """The others are refused in words, whichever moment they lose in; a fault is none."""
    people = [person(raced, mode=None) for _ in range(8)]
    for path in ("{name}", "@{name}/core"):
        name = path.format(name=accounts.fresh_name("wanted"))
        answers = at_once([partial(accounts.publish, who, name) for who in people])
        assert sorted(answer.status for answer in answers) == [201] + [403] * 7, answers
    name = accounts.fresh_name("carol")
    answers = at_once([partial(_sign_up, raced, name, f"plum-Orbit-quartz-{number}") for number in range(8)])
    assert sorted(answer.status for answer in answers)[0] == 201, answers
    assert {answer.status for answer in answers} <= {201, 401, 403}, answers
    assert [answer.status for answer in answers].count(201) == 1


def test_of_many_publishes_of_one_version_one_is_taken(raced: Instance) -> None:
    alice, name = person(raced, mode=None), accounts.fresh_name("core")
    for version in ("1.0.0", "1.1.0"):  # the first makes the package, too
        bodies = [publish_body(name, version, package(name, version, description=f"{number}")) for number in range(8)]
        answers = at_once([partial(alice.ask, "PUT", at(name), body=body) for body in bodies])
        assert sorted(answer.status for answer in answers) == [201] + [403] * 7, answers
