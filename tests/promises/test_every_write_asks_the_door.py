"""No write passes the door by (design.md, promise 1): every route asks it, and nothing else opens a transaction.

The allow-list below says who else may write, and what: nothing of it is anything that somebody decides.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.promises.cast import Cast
from tests.promises.changes import CHANGES
from tests.promises.in_process import Threaded, Trace, Write, traced
from tests.promises.support import ROOM, log_in, person
from tests.support import accounts
from tests.support.wire import request
from twokey.audit.transaction import Transaction
from twokey.authority.actions import READS, Action
from twokey.authority.permit import Permit
from twokey.errors import Refused
from twokey.guard.door import Door
from twokey.http.routing import Guarded
from twokey.npm_api.routes import ROUTES

WRITES = [route for route in ROUTES if not set(route.actions) <= READS]
TRAIL = {"audit_events", "audit_addresses", "mails"}  # an event that its account is to know of puts a mail out
DOOR = "twokey.guard.door.write"

# Which modules besides the door write: the tables, and of a table that holds more than that, the columns.
ALLOWED: dict[str, dict[str, set[str] | None]] = {
    "twokey.guard.door": dict.fromkeys(TRAIL),  # of what it refuses; what it allows is written by its `write`
    "twokey.guard.authenticate": {
        "tokens": {"last_used_at", "last_used_address", "last_used_agent"}, **dict.fromkeys(TRAIL),
    },
    "twokey.throttle": {"attempts": None},
    "twokey.two_factor.redeem": {
        "users": {"wrong_codes_in_a_row", "codes_suspended_at"}, "burned_steps": None, **dict.fromkeys(TRAIL),
    },
    "twokey.audit.trail": {"anonymous_refusals": None},
    "twokey.accounts.passwords": {"users": {"password_hash"}},
    "twokey.packages.downloads": {"downloads": None},
    "twokey.registry": {"instance_secrets": None},
}  # fmt: skip


@dataclass
class Doorkeeper:
    """What the door was asked, and which transactions it gave."""

    asked: list[Action] = field(default_factory=list)
    given: list[Action] = field(default_factory=list)
    shut: bool = False

    def forget(self) -> None:
        """A new request begins."""
        self.asked.clear()
        self.given.clear()


@pytest.fixture(scope="module")
def world(in_memory: Path) -> Iterator[tuple[Cast, Trace]]:
    """A server in this process, and everything that it writes from its first start on."""
    with traced() as trace, Threaded(in_memory / "door", ROOM) as server:
        yield Cast.of(server), trace


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Doorkeeper:
    """The door, with somebody who notes what goes on at it and may shut it."""
    keeper, require, write = Doorkeeper(), Door.require, Door.write

    def watched_require(self: Door, caller: Any, action: Action, target: Any, **more: Any) -> Permit:
        keeper.asked.append(action)
        if keeper.shut:
            raise Refused("The door is shut.")
        return require(self, caller, action, target, **more)

    @contextlib.contextmanager
    def watched_write(self: Door, permit: Permit) -> Iterator[Transaction]:
        with write(self, permit) as tx:
            keeper.given.append(permit.action)
            yield tx

    monkeypatch.setattr(Door, "require", watched_require)
    monkeypatch.setattr(Door, "write", watched_write)
    return keeper


def unlawful(write: Write) -> bool:
    """Whether a statement was sent by somebody who may not."""
    if write.opener == DOOR or write.table == "alembic_version":
        return False
    tables = ALLOWED.get((write.opener or "").rpartition(".")[0], {})
    if write.table not in tables:
        return True
    columns = tables[write.table]
    return columns is not None and not (write.columns and write.columns <= columns)


@pytest.mark.parametrize("route", WRITES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_that_writes_asks_for_an_action_of_its_own(
    world: tuple[Cast, Trace], door: Doorkeeper, route: Guarded
) -> None:
    cast, trace = world
    changes = [change for change in CHANGES if (change.method, change.route) == (route.method, route.path)]
    assert changes, "say in changes.py how this route is called"
    for change in changes:
        door.forget()
        trace.writes.clear()
        answer = change.ask(cast)
        assert answer.status in (200, 201), (change.name, answer)
        assert door.asked, change.name
        assert door.asked[-1] in route.actions, change.name
        assert door.given, change.name
        assert door.given[-1] in route.actions, change.name
        assert not [write for write in trace.writes if unlawful(write)], change.name


@pytest.mark.parametrize("route", WRITES, ids=lambda route: f"{route.method} {route.path}")
def test_behind_a_shut_door_nothing_is_written(
    world: tuple[Cast, Trace], door: Doorkeeper, route: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a route does besides asking, it does not do it before: the last request of a change meets a no."""
    cast, trace = world
    sent, original = 0, http.client.HTTPConnection.request

    def counted(self: http.client.HTTPConnection, *args: Any, **more: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == last:
            door.shut = True
            trace.writes.clear()
        original(self, *args, **more)

    monkeypatch.setattr(http.client.HTTPConnection, "request", counted)
    for change in [change for change in CHANGES if (change.method, change.route) == (route.method, route.path)]:
        sent, last, door.shut = 0, -1, False
        change.ask(cast)
        sent, last = 0, sent
        with contextlib.suppress(KeyError):  # the change wanted to read an answer that it did not get
            answer = change.ask(cast)
            assert (answer.status, answer.error) == (403, "The door is shut."), (change.name, answer)
        assert door.shut, change.name
        assert not [write for write in trace.writes if write.opener == DOOR or unlawful(write)], change.name


def test_reads_write_nothing_but_when_a_token_was_used(world: tuple[Cast, Trace], door: Doorkeeper) -> None:
    cast, trace = world
    name = cast.published()
    cast.server.advance(120)  # the token's last use is due
    door.forget()
    trace.writes.clear()
    paths = (
        "/", "/-/ping", "/-/health", "/-/whoami", "/-/npm/v1/user", "/-/npm/v1/tokens",
        accounts.user_path(cast.bob.name), f"/{name}", f"/{name}/1.0.0", f"/{name}/-/{name}-1.0.0.tgz",
        f"/-/package/{name}/dist-tags",
    )  # fmt: skip
    for path in paths:
        assert cast.alice.ask("GET", path, otp=cast.alice.code()).status == 200, path
    assert len(door.asked) == len(paths)
    assert not door.given
    assert {write.opener for write in trace.writes} <= {"twokey.guard.authenticate._note_use"}
    assert not [write for write in trace.writes if unlawful(write)]


def test_refusals_write_the_trail_and_counters_only(world: tuple[Cast, Trace]) -> None:
    cast, trace = world
    trace.writes.clear()
    carol, name = person(cast.server), cast.published()
    seen = len(trace.writes)
    for _ in range(6):  # the sixth is blocked
        accounts.publish(carol, accounts.fresh_name("core"), otp=carol.wrong_code())
    cast.server.advance(3600)
    accounts.publish(carol, accounts.fresh_name("core"), otp=carol.code(5))  # a code of the future is burned
    log_in(carol, password="not the password")
    carol.ask("POST", accounts.TOKENS, body={"password": "not the password"})
    accounts.publish(carol, name, "2.0.0", otp=carol.fresh_code())  # not an owner
    request(cast.server, "PUT", f"/{name}", body={})
    refused = trace.writes[seen:]
    assert not [write for write in refused if unlawful(write)]
    assert {str(write.opener).rpartition(".")[0] for write in refused} >= {
        "twokey.throttle", "twokey.two_factor.redeem", "twokey.audit.trail", "twokey.guard.door",
    }  # fmt: skip
    assert {write.table for write in refused} >= {"burned_steps", "attempts", "anonymous_refusals"}


OPERATOR = (
    ("user", "create", "dave", "--password-stdin"),
    ("user", "password", "dave", "--password-stdin"),
    ("user", "disable", "dave"),
    ("user", "enable", "dave"),
    ("user", "grant", "dave"),
    ("user", "revoke", "dave"),
    ("second-factor", "reset", "dave"),
    ("keys", "rotate"),
    ("signing-key", "rotate"),
    ("gc",),
    ("fsck",),
)


def test_the_operator_comes_through_the_door_too(world: tuple[Cast, Trace], door: Doorkeeper) -> None:
    cast, trace = world
    for arguments in OPERATOR:
        door.forget()
        trace.writes.clear()
        done = cast.server.operate(*arguments, stdin=f"{accounts.OTHER_PASSWORD}\n")
        assert done.exit_code == 0, (arguments, done.output)
        assert door.asked, arguments
        assert door.given or arguments == ("fsck",), arguments
        assert not [write for write in trace.writes if unlawful(write)], arguments


def test_the_trace_sees_what_is_written() -> None:
    """The tables that hold what people decide are written by the door, so a trace that is blind to them shows here."""
    rogue = Write("twokey.npm_api.publish.put", "packages", frozenset({"access"}), "UPDATE packages SET access=?")
    assert unlawful(rogue)
    assert unlawful(Write(None, "tokens", frozenset({"revoked_at"}), "UPDATE tokens SET revoked_at=NULL"))
    more = frozenset({"last_used_at", "revoked_at"})
    assert unlawful(Write("twokey.guard.authenticate._note_use", "tokens", more, "UPDATE tokens SET ..."))
    assert not unlawful(Write(DOOR, "packages", frozenset({"access"}), "UPDATE packages SET access=?"))
