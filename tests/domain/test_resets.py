"""A reset of a second factor waits a day, or for another administrator; its owner can stop it until then."""

from __future__ import annotations

import pytest

from tests.domain.administrators import acts, administrator, session
from tests.domain.world import PASSWORD, Person, World
from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode, Principal
from twokey.db.schema import Authenticator, RecoveryCode
from twokey.errors import NotFound, ProofRequired, Refused, Unauthenticated
from twokey.registry import reset_due_factors
from twokey.two_factor import resets

DAY, TARGET = 86_400, Target(account="alice")


@pytest.fixture
def alice(world: World) -> Person:
    return world.account(mode=Mode.AUTH_AND_WRITES)


@pytest.fixture
def admin(world: World, alice: Person) -> Principal:
    return administrator(world)


def ask(world: World, admin: Principal, name: str = "alice") -> None:
    with acts(world, admin, Target(account=name)) as tx:
        resets.ask(tx, name)


def mode(world: World) -> Mode | None:
    with world.registry.database.read() as connection:
        return users.get(connection, "alice").mode


def test_it_is_carried_out_after_a_day_and_not_before(world: World, alice: Person, admin: Principal) -> None:
    login = session(world, alice)
    ask(world, admin)
    world.clock.advance(DAY - 1)
    with world.nothing_changes():
        reset_due_factors(world.registry)
    assert mode(world) is Mode.AUTH_AND_WRITES
    world.clock.advance(1)
    reset_due_factors(world.registry)
    assert mode(world) is None
    assert [row for row in world.rows(Authenticator) if row["user_id"] == alice.id] == []
    (event,) = world.events(Event.SECOND_FACTOR_RESET)
    assert (event["account"], event["actor_kind"]) == ("alice", "operator")
    with pytest.raises(Unauthenticated):
        world.registry.door.require(world.caller(login), Action.READ_PROFILE, TARGET)
    with world.nothing_changes():
        reset_due_factors(world.registry)


def test_another_administrator_may_approve_it_at_once(world: World, alice: Person, admin: Principal) -> None:
    ask(world, admin)
    other = administrator(world, "second")
    with acts(world, other, TARGET) as tx:
        resets.approve(tx, "alice")
    assert mode(world) is None
    assert len(world.rows(RecoveryCode)) == 20, "those of the administrators"
    assert [event["actor"] for event in world.events(Event.SECOND_FACTOR_RESET)] == ["second"]
    world.clock.advance(DAY)
    world.enrol(alice)
    with world.nothing_changes():
        reset_due_factors(world.registry)
    assert mode(world) is Mode.AUTH_AND_WRITES, "a reset is carried out once"


def test_whoever_asked_cannot_approve(world: World, alice: Person, admin: Principal) -> None:
    ask(world, admin)
    with world.nothing_changes(), pytest.raises(Refused, match="Another administrator"), acts(world, admin) as tx:
        resets.approve(tx, "alice")


def test_the_one_it_is_for_cannot_approve(world: World, alice: Person, admin: Principal) -> None:
    with world.by_operator() as tx:
        users.set_administrator(tx, "alice", True)
    ask(world, admin)
    own = session(world, alice)
    with world.nothing_changes(), pytest.raises(Refused, match="Another administrator"), acts(world, own) as tx:
        resets.approve(tx, "alice")


def test_its_owner_stops_it(world: World, alice: Person, admin: Principal) -> None:
    ask(world, admin)
    with acts(world, session(world, alice, stepped_up=False), TARGET, Action.KEEP_SECOND_FACTOR) as tx:
        resets.cancel(tx, "alice")
    world.clock.advance(DAY)
    with world.nothing_changes():
        reset_due_factors(world.registry)
    assert mode(world) is Mode.AUTH_AND_WRITES
    again = session(world, alice)
    with world.nothing_changes(), pytest.raises(NotFound):
        with acts(world, again, TARGET, Action.KEEP_SECOND_FACTOR) as tx:
            resets.cancel(tx, "alice")


def test_a_reset_by_somebody_who_is_no_administrator_any_more_is_stopped(
    world: World, alice: Person, admin: Principal
) -> None:
    ask(world, admin)
    with world.by_operator() as tx:
        users.set_administrator(tx, "root-of-all", False)
    second = administrator(world, "second")
    with world.nothing_changes(), pytest.raises(Refused, match="no administrator any more"), acts(world, second) as tx:
        resets.approve(tx, "alice")
    world.clock.advance(DAY)
    reset_due_factors(world.registry)
    assert mode(world) is Mode.AUTH_AND_WRITES
    assert len(world.events(Event.SECOND_FACTOR_RESET_CANCEL)) == 1


def test_there_is_one_reset_at_a_time_and_none_of_what_is_off_or_ones_own(
    world: World, alice: Person, admin: Principal
) -> None:
    world.account("bob")
    ask(world, admin)
    for name, words in (("alice", "under way"), ("bob", "no second factor"), ("root-of-all", "your own account")):
        with world.nothing_changes(), pytest.raises(Refused, match=words):
            ask(world, admin, name)


def test_an_administrator_shows_the_second_factor_in_that_very_request(
    world: World, alice: Person, admin: Principal
) -> None:
    person = world.account("third", Mode.AUTH_AND_WRITES)
    with world.by_operator() as tx:
        users.set_administrator(tx, "third", True)
    stepped_up = session(world, person)
    for evidence in ({}, {"password": PASSWORD}):
        with world.nothing_changes(), pytest.raises(ProofRequired):
            with acts(world, stepped_up, TARGET, Action.ADMIN_SECOND_FACTOR, **evidence):
                raise AssertionError("the write must not begin")
    with acts(world, stepped_up, TARGET, Action.ADMIN_SECOND_FACTOR, otp=world.code(person)) as tx:
        resets.ask(tx, "alice")
