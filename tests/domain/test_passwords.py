"""Passwords: what is taken, how it is hashed, what a wrong guess costs, and that a stranger locks nobody out."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import update

from tests.domain.conftest import Open
from tests.domain.world import AWAY, HOME, PASSWORD, SettableClock, World
from twokey.accounts.passwords import HashingGate, address_block, check_rules
from twokey.audit.events import Event
from twokey.authority.principal import CredentialKind
from twokey.db.schema import Attempt, Token, User
from twokey.errors import Busy, Invalid, PasswordRequired, Throttled
from twokey.registry import open_registry
from twokey.settings import Settings
from twokey.tokens.tokens import Wish

WRONG = "a wrong password"
MINUTES = 60


def check(world: World, password: str = PASSWORD, name: str = "alice", address: str = HOME) -> bool:
    return world.registry.passwords.check(name, password, world.caller(address=address)).right


@pytest.fixture
def hashes(world: World, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for every hash that is computed."""
    counted: list[None] = []
    run = HashingGate.run

    def counting(gate: HashingGate, work: Callable[[], object]) -> object:
        counted.append(None)
        return run(gate, work)

    monkeypatch.setattr(HashingGate, "run", counting)
    return counted


@pytest.mark.parametrize(
    "password",
    [
        "short-9-c",
        "x" * 257,
        "1234567890",
        "password123",
        "aliceexample",
        "twokeytwokey",
        "qwertyuiop",
        "zq#7\0kd93-",
        "zq#7\ud800kd93-",
    ],
)
def test_a_password_that_is_short_long_guessable_or_unstorable_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        check_rules(password, context=("alice", "alice@example.com", "alice"))


@pytest.mark.parametrize("password", [PASSWORD, "zq#7mkd93-", "x7" + "Kp0!" * 63, "пять лошадей на крыше"])
def test_a_long_or_uncommon_password_needs_no_composition_rule(password: str) -> None:
    assert check_rules(password, context=("alice",)) == password


def test_the_two_unicode_spellings_of_a_password_are_one(world: World) -> None:
    composed, decomposed = "f\u00e9vrier tracteur 42", "fe\u0301vrier tracteur 42"
    world.account(password=decomposed)
    assert check(world, composed)
    assert check(world, decomposed)


def test_the_right_password_names_the_account_and_a_wrong_one_names_nobody(world: World) -> None:
    alice = world.account()
    checked = world.registry.passwords.check("alice", PASSWORD, world.caller())
    assert (checked.right, checked.user_id) == (True, alice.id)
    checked = world.registry.passwords.check("alice", WRONG, world.caller())
    assert (checked.right, checked.user_id) == (False, None)


def test_an_unknown_user_costs_one_hash_as_a_known_one_does(
    world: World, hashes: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    verify = PasswordHasher.verify

    def noting(hasher: PasswordHasher, stored: str, password: str) -> bool:
        compared.append(stored)
        return verify(hasher, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", noting)
    world.account()
    check(world, name="nobody")  # what stands in for a missing hash is made once
    compared.clear()
    for name in ("alice", "nobody"):
        hashes.clear()
        assert not check(world, WRONG, name)
        assert len(hashes) == 1
    assert len({stored.rpartition("$")[0].rpartition("$")[0] for stored in compared}) == 1, "of the same parameters"
    assert len(set(compared)) == 2


def test_too_long_a_password_is_wrong_without_a_hash(world: World, hashes: list[None]) -> None:
    world.account()
    hashes.clear()
    assert not check(world, "x" * 257)
    assert hashes == []


def test_ten_wrong_passwords_block_the_account_from_that_address_and_no_other(world: World) -> None:
    world.account()
    world.account("bob")
    for _ in range(10):
        assert not check(world, WRONG)
    with world.nothing_changes(), pytest.raises(Throttled, match=r"locked until 08:05 UTC") as blocked:
        check(world)
    assert blocked.value.retry_after == 300
    assert check(world, address=AWAY)
    assert check(world, name="bob")
    world.clock.advance(299)
    with pytest.raises(Throttled):
        check(world)
    world.clock.advance(1)
    assert check(world)


def test_a_right_password_costs_no_attempt(world: World) -> None:
    world.account()
    for _ in range(30):
        assert check(world)
    assert world.rows(Attempt) == []


def test_a_block_is_the_same_for_an_unknown_user(world: World) -> None:
    for _ in range(10):
        check(world, WRONG, "nobody")
    with pytest.raises(Throttled):
        check(world, WRONG, "nobody")


def test_an_address_guesses_a_hundred_times_in_five_minutes_whatever_the_accounts(opened: Open) -> None:
    world = opened(limit_password_address=4)
    for number in range(4):
        check(world, WRONG, f"user{number}", "2001:db8::1")
    with pytest.raises(Throttled):
        check(world, WRONG, "another", "2001:db8::ffff:1")  # the same /64
    check(world, WRONG, "another", "2001:db8:0:1::1")


def test_a_stranger_cannot_lock_an_owner_out_whose_live_token_is_used_from_there(opened: Open) -> None:
    world = opened(limit_password_account=6)
    alice = world.account()
    text, login = world.mint(alice, Wish(CredentialKind.LOGIN, "laptop"))
    world.registry.authenticator.principal([f"Bearer {text}"], world.caller(address=HOME))
    for number in range(6):  # from many addresses: no address is blocked, the account is
        assert not check(world, WRONG, address=f"203.0.113.{number}")
    with pytest.raises(Throttled):
        check(world, address=AWAY)
    assert check(world, address=HOME), "the owner's own address"
    by_token = world.caller(login, address=AWAY)
    assert world.registry.passwords.check("alice", PASSWORD, by_token).right, "the owner's own token"


def test_a_token_of_another_account_does_not_open_the_account(opened: Open) -> None:
    world = opened(limit_password_account=2)
    world.account()
    bob = world.token(world.account("bob"))
    for number in range(2):
        check(world, WRONG, address=f"203.0.113.{number}")
    with pytest.raises(Throttled):
        world.registry.passwords.check("alice", PASSWORD, world.caller(bob, address=AWAY))


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_an_address_is_known_by_live_tokens_only(opened: Open, end: str) -> None:
    world = opened(limit_password_account=2)
    alice = world.account()
    _, token = world.mint(alice, Wish(CredentialKind.PUBLISH, "ci", days=1))
    if end == "revoked":
        world.revoke(alice, token)
    else:
        world.clock.advance(25 * 60 * MINUTES)
    for number in range(2):
        check(world, WRONG, address=f"203.0.113.{number}")
    (row,) = world.rows(Token)
    with pytest.raises(Throttled):
        check(world, address=row["created_address"])


def test_the_block_of_an_account_ends_after_an_hour(opened: Open) -> None:
    world = opened(limit_password_account=2)
    world.account()
    for number in range(2):
        check(world, WRONG, address=f"203.0.113.{number}")
    world.clock.advance(60 * MINUTES - 1)
    with pytest.raises(Throttled):
        check(world, address=AWAY)
    world.clock.advance(1)
    assert check(world, address=AWAY)


def test_a_hash_of_old_parameters_is_made_anew_at_the_next_right_password(world: World) -> None:
    alice = world.account()
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    with world.by_operator() as tx:
        tx.connection.execute(update(User).where(User.id == alice.id).values(password_hash=old))
        tx.record(Event.PASSWORD_CHANGE)
    with world.nothing_changes():
        assert not check(world, WRONG)
    assert check(world)
    fresh = world.rows(User)[0]["password_hash"]
    assert fresh != old
    with world.nothing_changes():
        assert check(world)
        assert not check(world, WRONG)


def test_the_real_parameters_are_those_of_the_threat_model(tmp_path: Path) -> None:
    """The one test without the cheap parameters: argon2id, 46 MiB, one pass, one lane (security.md 2.3)."""
    registry = open_registry(Settings(data=tmp_path), SettableClock())
    try:
        stored = registry.passwords.hash(PASSWORD, context=())
        assert stored.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
        assert PasswordHasher().verify(stored, PASSWORD)
        assert len(registry.gate.derive(b"secret", b"salt of 16 bytes")) == 32
    finally:
        registry.close()


def test_no_more_hashes_run_at_once_than_there_are_slots_and_the_queue_is_bounded() -> None:
    gate, running, most = HashingGate(at_once=2, queue=3), [0], [0]
    entered, leave, guard = threading.Semaphore(0), threading.Event(), threading.Lock()

    def work() -> None:
        with guard:
            running[0] += 1
            most[0] = max(most[0], running[0])
        entered.release()
        leave.wait()
        with guard:
            running[0] -= 1

    threads = [threading.Thread(target=gate.run, args=(work,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    entered.acquire()
    entered.acquire()
    while gate._room._value:  # the other three are on their way into the queue
        pass
    with pytest.raises(Busy, match="try again"):
        gate.run(lambda: None)
    leave.set()
    for thread in threads:
        thread.join()
    assert most == [2]
    gate.run(lambda: None)


def test_a_full_queue_counts_no_attempt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.account()
    check(world, name="nobody")
    before = world.rows(Attempt)

    def full(gate: HashingGate, work: Callable[[], object]) -> object:
        raise Busy("full")

    monkeypatch.setattr(HashingGate, "run", full)
    with world.nothing_changes(), pytest.raises(Busy):
        check(world)
    assert world.rows(Attempt) == before


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_what_counts_as_one_address(address: str, block: str) -> None:
    assert address_block(address) == block


@pytest.mark.parametrize("name", ["al\0ice", "\ud7ff\uffff", "a" * 3000, "alice\n", "Alice"])
def test_a_name_that_is_none_is_refused_like_a_wrong_password(world: World, name: str) -> None:
    """Above all a NUL, which PostgreSQL's text does not take: the answer is the same on both databases."""
    world.account()
    header = "Basic " + base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        world.registry.authenticator.principal([header], world.caller())
