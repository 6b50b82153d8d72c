"""Closing one's own account: for ever, with nothing left that could act, and nobody left without an owner."""

from __future__ import annotations

import pytest

from tests.domain.administrators import session
from tests.domain.world import PASSWORD, Person, World
from twokey.accounts import closing, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode, Principal
from twokey.db.schema import Authenticator, Owner, RecoveryCode, Session, Token, User
from twokey.errors import PasswordRequired, ProofRequired, Refused, Unauthenticated
from twokey.packages import packages

ALICE = Target(account="alice")


@pytest.fixture
def alice(world: World) -> Person:
    return world.account(mode=Mode.AUTH_AND_WRITES)


def close(world: World, who: Principal, name: str = "alice", **evidence: str) -> None:
    caller = world.caller(who, **evidence)  # type: ignore[arg-type]
    permit = world.registry.door.require(caller, Action.CLOSE_ACCOUNT, Target(account=name))
    with world.registry.door.write(permit) as tx:
        closing.close(tx, who.user_id or 0, world.registry.outbox)


def test_nothing_is_left_that_could_act_and_the_name_stays_taken(world: World, alice: Person) -> None:
    login = session(world, alice)
    with world.by_operator() as tx:
        users.change_profile(tx, alice.id, {"fullname": "Alice Liddell", "homepage": "https://alice.example"})
        users.set_administrator(tx, "alice", True)
    token = world.token(alice)
    close(world, login, otp=world.code(alice))
    (row,) = world.rows(User)
    blank = {"email": "", "fullname": None, "homepage": None, "mode": None, "administrator": False}
    assert {name: row[name] for name in blank} == blank
    assert row["closed_at"] == row["disabled_at"] == world.clock.at
    for table in (Session, Authenticator, RecoveryCode):
        assert world.rows(table) == []
    assert all(each["revoked_at"] for each in world.rows(Token))
    for principal in (token, login):
        with world.nothing_changes(), pytest.raises(Unauthenticated):
            world.registry.door.require(world.caller(principal), Action.WHOAMI, ALICE)
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        world.registry.door.require(world.caller(password=PASSWORD), Action.LOG_IN, ALICE)
    with world.nothing_changes(), pytest.raises(Refused, match="taken"), world.by_operator() as tx:
        users.create(tx, "alice", "other@example.com", "x")
    with world.nothing_changes(), pytest.raises(Refused, match="closed by its owner"), world.by_operator() as tx:
        users.set_disabled(tx, "alice", False)
    assert [event["account"] for event in world.events(Event.ACCOUNT_CLOSE)] == ["alice"]
    last = world.registry.outbox.listing(1)[0]
    assert (last.recipient, last.kind) == ("alice@example.com", "closed")


def test_it_is_refused_while_a_package_would_have_no_owner(world: World, alice: Person) -> None:
    world.package("mine", alice)
    bob = world.account("bob")
    world.package("ours", alice)
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found("ours"), ["alice", "bob"], None)
        users.set_disabled(tx, "bob", True)
    login = session(world, alice)
    with world.nothing_changes(), pytest.raises(Refused, match=r"only owner of mine, ours:"):
        close(world, login, otp=world.code(alice))
    with world.by_operator() as tx:
        users.set_disabled(tx, "bob", False)
        packages.change_owners(tx, world.found("mine"), ["bob"], None)
    before = world.found("ours").revision
    close(world, login, otp=world.code(alice))
    assert {row["user_id"] for row in world.rows(Owner)} == {bob.id}
    assert world.found("ours").revision > before


def test_it_takes_a_code_in_that_very_request_or_the_password(world: World, alice: Person) -> None:
    login = session(world, alice)
    with world.nothing_changes(), pytest.raises(ProofRequired):
        close(world, login)
    bob = world.account("bob")
    login = session(world, bob)
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        close(world, login, "bob")
    close(world, login, "bob", password=PASSWORD)
    assert [event["account"] for event in world.events(Event.ACCOUNT_CLOSE)] == ["bob"]
