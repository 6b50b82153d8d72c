"""Guessing is throttled, and only the guesser: no stranger keeps an owner from signing in and publishing.

The limits are those of security.md 2.2; every number here is one of its table.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.promises.support import Instance, Person, at_once, log_in, person
from tests.support import accounts, postgres
from tests.support.wire import Answer, request

ROOMY = {"TWOKEY_LIMIT_SIGNUP": "1000"}  # everything else as it is out of the box
WORDS = re.compile(r"locked until (\d\d:\d\d) UTC")
HOUR, FIVE_MINUTES = 3600, 300


@pytest.fixture(scope="module")
def sqlite(in_memory: Path) -> Iterator[Instance]:
    """A server with the limits that it comes with."""
    with Instance(in_memory / "sqlite", ROOMY) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, in_memory: Path) -> Iterator[Instance]:
    """The same, and on PostgreSQL, for what is done in parallel."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite")
        return
    cluster: postgres.Cluster = request.getfixturevalue("promise_cluster")
    fewer = {**ROOMY, "TWOKEY_LIMIT_PASSWORD_ACCOUNT": "40"}  # each costs a hash
    with cluster.database() as url, Instance(in_memory / "postgresql", fewer, url) as running:
        yield running


def guess(who: Person, code: str, source: str = "127.0.0.1", token: str | None = None) -> Answer:
    """A publish with a code that may be wrong."""
    return accounts.publish(who, accounts.fresh_name("guessed"), otp=code, token=token, source=source)


def assert_blocked(server: Instance, answer: Answer) -> int:
    """Refused in words and numbers that the client and the person understand; the seconds to wait."""
    assert answer.status == 403, answer
    said = WORDS.search(answer.error)
    assert said, answer
    wait = int(answer.headers["retry-after"])
    assert 0 < wait <= HOUR
    until = {datetime.fromtimestamp(server.now() + wait + margin, UTC).strftime("%H:%M") for margin in (0, 60)}
    assert said[1] in until, (said[1], until)
    assert WORDS.search(answer.notice), answer.headers
    return wait


def counted(server: Instance, event: str) -> int:
    """How many anonymous refusals of a kind were counted so far."""
    return sum(row["count"] for row in server.dump()["anonymous_refusals"] if row["kind"] == event)


def test_three_hundred_wrong_passwords_of_strangers_do_not_lock_the_owner_out(server: Instance) -> None:
    """From thirty addresses at once; no more than the limit, 10 each and 100 altogether, is ever compared."""
    server.advance(2 * HOUR)
    alice, most = person(server), int(server.setting("TWOKEY_LIMIT_PASSWORD_ACCOUNT", "100"))
    failed, blocked = counted(server, "account:login:failed"), counted(server, "account:password:blocked")
    tries = [
        partial(log_in, alice, password=f"guess number {number}", source=f"127.0.1.{number % 30 + 1}")
        for number in range(3 * most)
    ]
    answers = [answer for start in range(0, len(tries), 30) for answer in at_once(tries[start : start + 30])]
    assert Counter(answer.status for answer in answers) == {401: most, 403: 2 * most}
    assert counted(server, "account:login:failed") - failed == most
    assert counted(server, "account:password:blocked") - blocked == 2 * most
    assert all(WORDS.search(answer.error) for answer in answers if answer.status == 403)
    signed_in = log_in(alice, otp=alice.fresh_code())
    assert signed_in.status == 201, signed_in
    assert accounts.publish(alice, accounts.fresh_name("core"), otp=alice.fresh_code()).status == 201


def test_an_address_has_ten_wrong_passwords_in_five_minutes(sqlite: Instance) -> None:
    sqlite.advance(2 * HOUR)
    alice = person(sqlite)
    with sqlite.held():
        there = partial(log_in, alice, source="127.0.2.1")
        assert {there(password=f"guess number {number}").status for number in range(10)} == {401}
        wait = assert_blocked(sqlite, there(password=alice.password))
        assert wait <= FIVE_MINUTES
        assert_blocked(sqlite, there(password=alice.password))
        sqlite.advance(wait)
        assert there(otp=alice.code()).status == 201


def test_wrong_codes_in_parallel_do_not_overshoot(server: Instance) -> None:
    """Fifty at once with one credential from one address: five are judged, the rest are told when to come back."""
    server.advance(25 * HOUR)
    bob = person(server)
    after = server.last_seq()
    with server.held():
        wrong = bob.wrong_code()
        answers = at_once([partial(guess, bob, wrong)] * 50)
        assert Counter(answer.status for answer in answers) == {401: 5, 403: 45}
        told = Counter(event["event"] for event in server.events(after) if event["actor"] == bob.name)
        assert told["account:otp:wrong"] == 5
        for answer in answers:
            if answer.status == 403:
                assert_blocked(server, answer)


def test_while_blocked_a_right_code_is_neither_judged_nor_used(sqlite: Instance) -> None:
    sqlite.advance(25 * HOUR)
    bob = person(sqlite)
    with sqlite.held():
        for _ in range(5):
            assert guess(bob, bob.wrong_code()).status == 401
        after = sqlite.last_seq()
        wait = assert_blocked(sqlite, guess(bob, bob.code()))
        assert [event["event"] for event in sqlite.events(after)] == ["account:otp:blocked"]
        attempts = len(sqlite.dump()["attempts"])
        assert_blocked(sqlite, guess(bob, bob.wrong_code()))
        assert len(sqlite.dump()["attempts"]) == attempts
        assert guess(bob, bob.code(), source="127.0.3.1").status == 201  # a block is for one address
        sqlite.advance(wait)
        assert guess(bob, bob.code()).status == 201


def test_a_block_is_for_one_credential_and_recovery_codes_have_their_own(sqlite: Instance) -> None:
    sqlite.advance(25 * HOUR)
    bob = person(sqlite)
    other = accounts.log_in(bob)
    with sqlite.held():
        for _ in range(5):
            guess(bob, bob.wrong_code())
        assert_blocked(sqlite, guess(bob, bob.code()))
        assert guess(bob, bob.recovery_codes[0]).status == 201
        assert guess(bob, bob.code(), token=other).status == 201


def test_twenty_wrong_codes_in_an_hour_are_the_most(sqlite: Instance) -> None:
    sqlite.advance(25 * HOUR)
    bob = person(sqlite)
    with sqlite.held():
        for _ in range(4):
            for _ in range(5):
                assert guess(bob, bob.wrong_code()).status == 401
            sqlite.advance(FIVE_MINUTES + 1)
        wait = assert_blocked(sqlite, guess(bob, bob.code()))
        assert wait > FIVE_MINUTES
        sqlite.advance(wait)
        assert guess(bob, bob.code()).status == 201


def test_an_address_that_guesses_for_many_accounts_is_blocked_and_no_other(sqlite: Instance) -> None:
    """Thirty wrong codes in five minutes from one address, whoever's they are; other addresses do not notice."""
    sqlite.advance(25 * HOUR)
    alice, bob = person(sqlite), person(sqlite)
    tokens = [accounts.log_in(bob) for _ in range(7)]
    with sqlite.held():
        for token in tokens[:6]:
            for _ in range(5):
                assert guess(bob, bob.wrong_code(), "127.0.4.1", token).status == 401
        assert_blocked(sqlite, guess(bob, bob.code(), "127.0.4.1", tokens[6]))
        assert guess(alice, alice.code()).status == 201


def test_a_hundred_wrong_codes_suspend_the_guesser_and_nobody_else(sqlite: Instance) -> None:
    """With one's own password and token at hand; a recovery code lifts it (security.md 2.2, hard stop)."""
    sqlite.advance(25 * HOUR)
    alice, bob = person(sqlite), person(sqlite)
    after = sqlite.last_seq()
    with sqlite.held():
        for number in range(100):
            assert guess(bob, bob.wrong_code(), f"127.0.5.{number // 5 + 1}").status == 401
        suspended = guess(bob, bob.code(), "127.0.6.1")
        assert (suspended.status, "suspended" in suspended.error) == (401, True), suspended
        told = Counter(event["event"] for event in sqlite.events(after) if event["account"] == bob.name)
        assert (told["account:otp:wrong"], told["account:otp:suspend"]) == (100, 1)
        assert guess(alice, alice.code()).status == 201
        assert guess(bob, bob.recovery_codes[0], "127.0.6.1").status == 201
        sqlite.advance(30)
        assert guess(bob, bob.code(), "127.0.6.1").status == 201


def test_a_stranger_without_the_password_never_gets_to_the_codes(sqlite: Instance) -> None:
    """Wrong codes for somebody else's account are not even judged: the password comes first."""
    sqlite.advance(25 * HOUR)
    alice = person(sqlite)
    after = sqlite.last_seq()
    for number in range(20):
        tried = log_in(alice, otp=f"{number:06}", password="not the password", source=f"127.0.7.{number // 5 + 1}")
        assert tried.status == 401
        assert not tried.asks_for_a_code
    assert not [event for event in sqlite.events(after) if event["event"].startswith("account:otp")]
    assert log_in(alice, otp=alice.fresh_code()).status == 201


def test_counters_survive_a_restart(sqlite: Instance) -> None:
    sqlite.advance(25 * HOUR)
    bob = person(sqlite)
    with sqlite.held():
        for number in range(5):
            guess(bob, bob.wrong_code())
            log_in(bob, password=f"guess number {number}", source="127.0.8.1")
            log_in(bob, password=f"and number {number}", source="127.0.8.1")
        sqlite.kill()
        sqlite.start()
        assert_blocked(sqlite, guess(bob, bob.code()))
        assert log_in(bob, source="127.0.8.1").status == 403


def test_right_codes_and_passwords_cost_nothing(sqlite: Instance) -> None:
    sqlite.advance(25 * HOUR)
    alice = person(sqlite)
    for _ in range(12):  # more than any limit of five minutes
        assert log_in(alice, otp=alice.fresh_code()).status == 201
    with sqlite.held():
        alice.fresh_code()
        for _ in range(12):
            assert guess(alice, alice.code()).status == 201
    buckets = {row["bucket"].partition(":")[0] for row in sqlite.dump()["attempts"] if alice.name in row["bucket"]}
    assert not buckets


def test_right_codes_at_once_are_not_called_wrong(sqlite: Instance) -> None:
    """`pnpm -r publish --otp` and the like: requests side by side, one continued code, and none of them is a guess."""
    sqlite.advance(25 * HOUR)
    alice, name = person(sqlite), accounts.fresh_name("core")
    versions = [partial(accounts.publish, alice, name, f"1.0.{number}") for number in range(1, 61)]
    with sqlite.held():
        assert accounts.publish(alice, name, otp=alice.code()).status == 201
        answers = at_once([partial(publish, otp=alice.code()) for publish in versions])
    assert not [answer.error for answer in answers if answer.status != 201]


def test_right_passwords_at_once_are_not_called_wrong(sqlite: Instance) -> None:
    """A client with `_auth` in its .npmrc shows the password with every request, and has many under way at once."""
    sqlite.advance(25 * HOUR)
    alice = person(sqlite, mode=None)
    shown = base64.b64encode(f"{alice.name}:{alice.password}".encode()).decode()
    ask = partial(request, sqlite, "GET", "/-/whoami", headers={"authorization": f"Basic {shown}"})
    assert not [answer.error for answer in at_once([ask] * 40) if answer.status != 200]


def test_the_api_never_says_too_many_in_a_way_that_npm_repeats(sqlite: Instance) -> None:
    """npm repeats a request for over a minute on 408, 420, 429 and 5xx, with the same code (npm-protocol.md 0.4)."""
    sqlite.advance(25 * HOUR)
    bob = person(sqlite)
    wrong, token = bob.wrong_code(), accounts.publish_token(bob)
    calls = [
        partial(guess, bob, wrong),
        partial(guess, bob, wrong, token=token),
        partial(guess, bob, "0000-0000-0000"),
        partial(log_in, bob, otp=wrong),
        partial(log_in, bob, password="not the password"),
        partial(bob.ask, "POST", accounts.PROFILE, otp=wrong, body={"fullname": "Bob"}),
        partial(request, sqlite, "GET", "/-/whoami", headers={"authorization": "Basic Ym9iOm5vdC10aGUtcGFzc3dvcmQ="}),
    ]
    seen = {answer.status for _ in range(7) for answer in at_once(calls)}
    assert seen == {401, 403}
