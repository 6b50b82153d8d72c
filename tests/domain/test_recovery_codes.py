"""Recovery codes: ten, each good once wherever a one-time password is asked for, and nothing to search in a dump."""

from __future__ import annotations

import re

import pytest

from tests.domain.conftest import Open
from tests.domain.world import AWAY, HOME, PASSWORD, Person, World
from twokey.accounts.passwords import HashingGate
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, ProofKind, Target
from twokey.authority.principal import Mode, Principal
from twokey.db.schema import RecoveryCode, RecoverySet
from twokey.errors import ProofReason, ProofRequired, Throttled
from twokey.two_factor import recovery_codes


@pytest.fixture
def alice(world: World) -> Person:
    return world.account(mode=Mode.AUTH_AND_WRITES)


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def show(world: World, principal: Principal, otp: str, address: str = HOME) -> Permit:
    caller = world.caller(principal, otp=otp, address=address)
    return world.do(caller, Action.CHANGE_PROFILE, Target(account=principal.user_name))


def refused(world: World, principal: Principal, otp: str) -> ProofRequired:
    with world.nothing_changes(), pytest.raises(ProofRequired) as caught:
        show(world, principal, otp)
    return caught.value


def unused(alice: Person) -> str:
    """Twelve digits that are none of the codes."""
    digits = {code.replace("-", "") for code in alice.recovery}
    return next(guess for guess in map("{:012d}".format, range(20)) if guess not in digits)


def test_there_are_ten_of_twelve_digits_and_no_two_accounts_share_one(world: World, alice: Person) -> None:
    bob = world.account("bob", Mode.AUTH_ONLY)
    both = {*alice.recovery, *bob.recovery}
    assert len(both) == 20
    assert all(re.fullmatch(r"\d{4}-\d{4}-\d{4}", code) for code in both)


def test_each_is_good_once_in_every_spelling(world: World, alice: Person, login: Principal) -> None:
    for number, (separator, code) in enumerate(zip(("-", "", " ", " - "), alice.recovery, strict=False), 1):
        permit = show(world, login, code.replace("-", separator))
        assert permit.proof is not None
        assert permit.proof.kind is ProofKind.RECOVERY
        for again in ("-", "", " "):
            error = refused(world, login, code.replace("-", again))
            assert error.reason is ProofReason.USED
            assert "take the next of your recovery codes" in error.message
        world.clear_attempts()
        assert world.events(Event.RECOVERY_USE)[-1]["details"] == {"left": 10 - number}


def test_the_last_one_says_so(world: World, alice: Person, login: Principal) -> None:
    for code in alice.recovery[:9]:
        show(world, login, code)
    assert world.events(Event.RECOVERY_EXHAUSTED) == []
    show(world, login, alice.recovery[9])
    assert len(world.events(Event.RECOVERY_EXHAUSTED)) == 1
    with world.registry.database.read() as connection:
        assert recovery_codes.left(connection, alice.id) == 0
    assert refused(world, login, alice.recovery[0]).reason is ProofReason.USED


def test_one_logs_in_where_the_phone_is_lost(world: World, alice: Person) -> None:
    caller = world.caller(otp=alice.recovery[4], password=PASSWORD)
    permit = world.do(caller, Action.LOG_IN, Target(account="alice"))
    assert permit.user_id == alice.id
    with world.nothing_changes(), pytest.raises(ProofRequired):
        world.do(world.caller(otp=alice.recovery[4], password=PASSWORD), Action.LOG_IN, Target(account="alice"))


def test_another_accounts_code_is_wrong(world: World, alice: Person, login: Principal) -> None:
    bob = world.account("bob", Mode.AUTH_AND_WRITES)
    assert refused(world, login, bob.recovery[0]).reason is ProofReason.WRONG
    show(world, world.token(bob), bob.recovery[0])


def test_a_wrong_one_is_counted_apart_from_the_codes_of_the_app(world: World, alice: Person, login: Principal) -> None:
    for _ in range(5):
        assert refused(world, login, unused(alice)).reason is ProofReason.WRONG
    with world.nothing_changes(), pytest.raises(Throttled, match="locked until"):
        show(world, login, alice.recovery[0])
    show(world, login, world.code(alice))
    show(world, login, alice.recovery[0], AWAY)
    world.clock.advance(300)
    show(world, login, alice.recovery[1])


def test_five_wrong_codes_of_the_app_leave_the_recovery_codes_open(
    world: World, alice: Person, login: Principal
) -> None:
    for _ in range(5):
        refused(world, login, world.wrong(alice))
    with pytest.raises(Throttled):
        show(world, login, world.code(alice))
    show(world, login, alice.recovery[0])


def test_no_bucket_of_the_apps_codes_blocks_a_recovery_code(opened: Open) -> None:
    """security.md 2.2: "never blocked by the buckets for authenticator codes"; that of the address is one."""
    world = opened(limit_otp_address=3, limit_otp_address_hour=3)
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    login = world.token(alice)
    for _ in range(3):
        refused(world, login, world.wrong(alice))
    with pytest.raises(Throttled):
        show(world, login, world.code(alice))
    show(world, login, alice.recovery[0])


def test_twenty_wrong_ones_a_day_are_the_end_for_that_address(world: World, alice: Person, login: Principal) -> None:
    for _ in range(4):
        for _ in range(5):
            refused(world, login, unused(alice))
        world.clock.advance(300)
    with pytest.raises(Throttled):
        show(world, login, alice.recovery[0])
    world.clock.advance(86_400 - 1200 - 1)
    with pytest.raises(Throttled):
        show(world, login, alice.recovery[0])
    world.clock.advance(1)
    show(world, login, alice.recovery[0])


def test_a_new_set_voids_the_old_one(world: World, alice: Person, login: Principal) -> None:
    new = recovery_codes.generate(alice.id, world.registry.vault, world.registry.gate)
    with world.by_operator() as tx:
        recovery_codes.store(tx.connection, alice.id, new, tx.now)
        tx.record(Event.RECOVERY_GENERATE)
    assert refused(world, login, alice.recovery[0]).reason is ProofReason.WRONG
    show(world, login, new.codes[0])
    assert len(world.rows(RecoveryCode)) == 10


def test_only_hashes_under_a_sealed_key_are_stored(world: World, alice: Person) -> None:
    everything = str(world.stored()) + str(world.events())
    for code in alice.recovery:
        assert code not in everything
        assert code.replace("-", "") not in everything
    (row,) = world.rows(RecoverySet)
    assert len(row["sealed_key"]) == 8 + 12 + 32 + 16
    assert {len(each["hash"]) for each in world.rows(RecoveryCode)} == {32}


def test_a_try_costs_one_hash(world: World, alice: Person, login: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[bytes] = []
    derive = HashingGate.derive

    def counting(gate: HashingGate, secret: bytes, salt: bytes) -> bytes:
        counted.append(salt)
        return derive(gate, secret, salt)

    monkeypatch.setattr(HashingGate, "derive", counting)
    refused(world, login, unused(alice))
    show(world, login, alice.recovery[9])
    assert len(counted) == 2
