"""Every change is recorded in the transaction that makes it (design.md, promise 4), every refusal in one of its own.

Who, with which credential, proved by what, on what, with which outcome; in a chain in which any edit shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.promises.cast import NOBODY, Cast, Change
from tests.promises.changes import CHANGES
from tests.promises.in_process import Threaded, Trace, Write, traced
from tests.promises.support import ROOM, Instance, Person, at, log_in, package, person, publish_body
from tests.support import accounts
from tests.support.wire import Answer, request
from twokey.db.schema import Token
from twokey.tokens import secret

TRAIL = {"audit_events", "audit_addresses"}
# What changes without an event: counters, and when a token was last used (its first use has one).
UNTOLD = {"attempts", "anonymous_refusals", "instance_secrets", "alembic_version"}
LAST_USE = {"last_used_at", "last_used_address", "last_used_agent"}


@pytest.fixture(scope="module")
def world(in_memory: Path) -> Iterator[tuple[Cast, Trace]]:
    """A server in this process, and what it commits together."""
    with traced() as trace, Threaded(in_memory / "audited", ROOM) as server:
        yield Cast.of(server), trace


@cache
def _key(server: Instance, token: str) -> str:
    with server.connect() as connection:
        return str(connection.execute(select(Token.key).where(Token.secret_hash == secret.hashed(token))).scalar_one())


def _told(events: list[dict[str, Any]], change: Change) -> list[dict[str, Any]]:
    """The events of the request under test: the last one that changed something."""
    told = [event for event in events if event["event"] != "token:token:first-use"]
    return [event for event in told if event["request"] == told[-1]["request"]]


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[change.name.replace(" ", "-") for change in CHANGES])
def test_a_change_has_its_events(world: tuple[Cast, Trace], number: int) -> None:
    cast, _ = world
    change = CHANGES[number]
    _lead_up(cast, change)
    before = cast.server.last_seq()
    answer = change.ask(cast)
    assert answer.status in (200, 201), answer
    told = _told(cast.server.events(before), change)
    assert tuple(event["event"] for event in told) == change.events
    for event in told:
        assert event["outcome"] == "ok"
        assert event["reason"] is None
        assert event["request"] == answer.headers["x-request-id"]
        assert event["factor"].startswith(change.factor), event
        assert event["account"], event
        assert event["address"]
        assert event["user_agent"] == "a test"
        if change.who is None:
            assert (event["actor"], event["actor_kind"], event["token"]) == (None, NOBODY, None)
            continue
        actor: Person = getattr(cast, change.who)
        assert event["actor"] == actor.name
        if change.factor in ("2FA code", "password"):
            assert event["token"] == _key(cast.server, actor.token)
        else:
            assert event["token"], event


def _lead_up(cast: Cast, change: Change) -> None:
    """The steps of an enrolment need the ones before; each test may run alone."""
    before = {
        "begin an enrolment": (),
        "cancel it": ("begin an enrolment",),
        "begin it anew": ("begin an enrolment",),
        "confirm it": ("begin an enrolment",),
        "turn it off": ("begin an enrolment", "confirm it"),
    }
    if change.name not in before:
        return
    now = cast.plain.profile()["tfa"]
    for name in ("turn it off",) if now and not now["pending"] else ():
        _step(cast, name)
    for name in before[change.name]:
        _step(cast, name)


def _step(cast: Cast, name: str) -> None:
    answer = next(change for change in CHANGES if change.name == name).ask(cast)
    assert answer.status == 200, answer


def test_no_change_is_committed_without_an_event(world: tuple[Cast, Trace]) -> None:
    cast, trace = world
    trace.committed.clear()
    for change in CHANGES:
        assert change.ask(cast).status in (200, 201), change.name
    assert cast.plain.secret == ""  # the enrolment's steps ran in their order
    telling = [writes for writes in trace.committed if not all(_untold(write) for write in writes)]
    assert len(telling) >= len(CHANGES)
    for writes in telling:
        assert {write.table for write in writes} >= TRAIL, writes


def _untold(write: Write) -> bool:
    return write.table in UNTOLD or (write.table == "tokens" and bool(write.columns) and write.columns <= LAST_USE)


FAULTS: dict[str, Callable[[Cast, str | None], Answer]] = {
    "publish": lambda c, code: accounts.publish(c.alice, "at-commit", otp=code),
    "token": lambda c, code: c.alice.ask(
        "POST", accounts.TOKENS, otp=code, body={"password": c.alice.password, "readonly": True}
    ),
    "name": lambda c, code: c.alice.ask("POST", accounts.PROFILE, otp=code, body={"fullname": "Alice at commit"}),
    "login": lambda c, code: log_in(c.alice, otp=code),
    "2fa": lambda c, code: c.alice.ask(
        "POST", accounts.PROFILE, otp=code, body={"tfa": {"mode": "auth-and-writes", "password": c.alice.password}}
    ),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_commit_that_fails_leaves_neither_change_nor_event(
    world: tuple[Cast, Trace], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the code is still good: the same request succeeds as soon as the database does."""
    cast, trace = world
    cast.server.advance(300)
    cast.alice.profile()  # the token's use is noted now, not by the request under test
    with cast.server.held():
        code = cast.alice.code()
        before, failed = _all_but_attempts(cast.server), trace.failed
        trace.fail_commits = True
        try:
            answer = FAULTS[kind](cast, code)
        finally:
            trace.fail_commits = False
        assert trace.failed > failed, "nothing reached its commit"
        assert answer.status >= 500, answer
        assert "the commit of a test fails" not in answer.text
        assert _all_but_attempts(cast.server) == before
        assert FAULTS[kind](cast, code).status in (200, 201)
        assert len(cast.server.events()) > len(before["audit_events"])


def _all_but_attempts(server: Instance) -> dict[str, Any]:
    return {table: rows for table, rows in server.dump().items() if table != "attempts"}


def _wrong_token(cast: Cast) -> Answer:
    return cast.alice.ask("POST", accounts.TOKENS, body={"password": "not the password"})


def _wrong_code(cast: Cast) -> Answer:
    return accounts.publish(cast.alice, "never", otp=cast.alice.wrong_code())


def _denied(cast: Cast) -> Answer:
    body = publish_body("not-by-bob", "2.0.0", package("not-by-bob", "2.0.0"))
    accounts.publish(cast.alice, "not-by-bob", token=cast.automation)
    return cast.bob.ask("PUT", at("not-by-bob"), body=body)


def _blocked_password(cast: Cast) -> Answer:
    for _ in range(10):
        _wrong_token(cast)
    return _wrong_token(cast)


def _blocked_code(cast: Cast) -> Answer:
    wrong = cast.alice.wrong_code()
    for _ in range(5):
        accounts.publish(cast.alice, "never", otp=wrong)
    return accounts.publish(cast.alice, "never", otp=wrong)


def _replayed(cast: Cast) -> Answer:
    code = cast.alice.fresh_code()
    log_in(cast.alice, otp=code)
    return accounts.publish(cast.alice, "never", otp=code)


def _from_elsewhere(cast: Cast) -> Answer:
    token = accounts.make_token(cast.alice, readonly=True, cidr_whitelist=["192.0.2.0/24"])
    return request(cast.server, "GET", "/-/whoami", token=token)


def _too_many_names(cast: Cast) -> Answer:
    for number in range(61):
        answer = accounts.publish(cast.plain, f"{accounts.fresh_name('many')}-{number}")
    return answer


REFUSALS: dict[str, tuple[Callable[[Cast], Answer], int, str, str]] = {
    "not an owner": (_denied, 403, "authorisation:action:denied", "bob"),
    "wrong password": (_wrong_token, 401, "account:password:wrong", "alice"),
    "too many wrong passwords": (_blocked_password, 403, "account:password:blocked", "alice"),
    "wrong code": (_wrong_code, 401, "account:otp:wrong", "alice"),
    "a used code": (_replayed, 401, "account:otp:replay", "alice"),
    "too many wrong codes": (_blocked_code, 403, "account:otp:blocked", "alice"),
    "another address": (_from_elsewhere, 401, "authorisation:action:denied", "alice"),
    "over a limit": (_too_many_names, 403, "authorisation:action:denied", "plain"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSALS, ids=[kind.replace(" ", "-") for kind in REFUSALS])
def test_a_refusal_of_somebody_known_is_one_event(world: tuple[Cast, Trace], kind: str) -> None:
    cast, _ = world
    cast.server.advance(2 * 3600)
    ask, status, told, who = REFUSALS[kind]
    before = cast.server.last_seq()
    answer = ask(cast)
    assert answer.status == status, answer
    events = [event for event in cast.server.events(before) if event["request"] == answer.headers["x-request-id"]]
    events = [event for event in events if event["event"] != "token:token:first-use"]
    assert [event["event"] for event in events] == [told]
    assert (events[0]["outcome"], events[0]["actor"]) == ("refused", getattr(cast, who).name)
    assert events[0]["token"]


ANONYMOUS: dict[str, Callable[[Cast], Answer]] = {
    "no-token": lambda c: request(c.server, "PUT", "/core", body={}),
    "wrong-password": lambda c: log_in(c.alice, password="not the password"),
    "unknown-user": lambda c: log_in(Person(**{**vars(c.alice), "name": "nobody"})),
    "wrong-basic": lambda c: request(c.server, "GET", "/-/whoami", headers={"authorization": "Basic YWxpY2U6eA=="}),
    "unknown-token": lambda c: request(c.server, "GET", "/-/whoami", token=secret.new_secret()),
}


@pytest.mark.parametrize("kind", ANONYMOUS)
def test_refusals_of_nobody_known_are_counted_and_fill_no_disk(world: tuple[Cast, Trace], kind: str) -> None:
    cast, _ = world
    cast.server.advance(3600)

    def counted() -> tuple[int, int]:
        rows = cast.server.dump()["anonymous_refusals"]
        return sum(row["count"] for row in rows), len(rows)

    with cast.server.held():
        (count, rows), seq = counted(), cast.server.last_seq()
        for _ in range(5):
            assert ANONYMOUS[kind](cast).status == 401
        assert cast.server.last_seq() == seq
        assert counted() == (count + 5, rows + 1)


EDITS = {
    "document": """SET document = replace(document, '"outcome":"ok"', '"outcome":"OK"') WHERE seq = 4""",
    "hash": "SET hash = CASE substr(hash, 1, 1) WHEN 'f' THEN 'e' ELSE 'f' END || substr(hash, 2) WHERE seq = 4",
    "time": "SET at = at + 1 WHERE seq = 4",
    "kind": "SET event = 'token:token:create!' WHERE seq = 4",
    "account": "SET account = 'mallory' WHERE seq = 4",
    "resource": "SET resource = 'user:mallory' WHERE seq = 4",
    "gone": "SET seq = 99 WHERE seq = 4",
    "first": "SET seq = 99 WHERE seq = 1",
    "swapped": "SET seq = CASE seq WHEN 4 THEN -5 ELSE 4 END WHERE seq IN (4, 5)",
}


@pytest.fixture(scope="module")
def chained(in_memory: Path) -> Iterator[Threaded]:
    """A server with a trail of its own, to be forged."""
    with Threaded(in_memory / "chained", ROOM) as server:
        person(server)
        assert server.last_seq() > 5
        yield server


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_of_the_trail_is_found(chained: Threaded, edit: str) -> None:
    assert chained.registry.trail.verify().reason is None
    with chained.connect() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT * FROM audit_events"))
        try:
            connection.execute(text(f"UPDATE audit_events {EDITS[edit]}"))
            assert connection.execute(text("SELECT * FROM audit_events EXCEPT SELECT * FROM kept")).all()
            assert chained.registry.trail.verify().broken_at == (1 if edit in ("first", "swapped") else 4)
        finally:
            connection.execute(text("DELETE FROM audit_events"))
            connection.execute(text("INSERT INTO audit_events SELECT * FROM kept"))
            connection.execute(text("DROP TABLE kept"))
    assert chained.registry.trail.verify().reason is None


def test_the_operator_is_told_whether_the_trail_holds(chained: Threaded) -> None:
    done = chained.operate("audit", "verify")
    assert (done.exit_code, "holds" in done.stdout) == (0, True), done
    with chained.connect() as connection:
        connection.execute(
            text("UPDATE audit_events SET document = replace(document, 'a test', 'b test') WHERE seq = 5")
        )
    done = chained.operate("audit", "verify")
    assert (done.exit_code, "event 5" in done.stderr) == (1, True), done
