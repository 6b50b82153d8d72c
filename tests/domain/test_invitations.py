"""Invitations: a link makes one account, once, within a week; and sign-up by invitation lets nobody else in."""

from __future__ import annotations

import pytest

from tests.domain.administrators import acts, administrator
from tests.domain.conftest import Open
from tests.domain.world import World
from twokey.accounts import invitations, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Principal
from twokey.db.schema_site import Invitation
from twokey.errors import NotFound, Refused

WEEK = 7 * 86_400


@pytest.fixture
def world(opened: Open) -> World:
    return opened(signup="invite")


@pytest.fixture
def admin(world: World) -> Principal:
    return administrator(world)


def invite(world: World, admin: Principal) -> str:
    with acts(world, admin) as tx:
        return invitations.make(tx, "bob@example.com")


def id_of(world: World, secret: str) -> int | None:
    with world.registry.database.read() as connection:
        found = invitations.find(connection, secret, world.clock.at)
    return None if found is None else found.id


def sign_up(world: World, name: str, invitation: int | None) -> None:
    target = Target(account=name, invitation=invitation)
    permit = world.registry.door.require(world.caller(), Action.SIGN_UP, target)
    with world.registry.door.write(permit) as tx:
        user_id = users.create(tx, name, f"{name}@example.com", "no password")
        if invitation is not None:
            invitations.use(tx, invitation, user_id, name)


def test_an_invitation_makes_one_account(world: World, admin: Principal) -> None:
    invitation = id_of(world, invite(world, admin))
    sign_up(world, "bob", invitation)
    assert [event["account"] for event in world.events(Event.INVITATION_USE)] == ["bob"]
    with world.nothing_changes(), pytest.raises(Refused, match="needs an invitation link"):
        sign_up(world, "carol", invitation)


def test_without_one_nobody_signs_up(world: World, admin: Principal) -> None:
    invite(world, admin)
    for invitation in (None, 999):
        with world.nothing_changes(), pytest.raises(Refused, match="needs an invitation link"):
            sign_up(world, "bob", invitation)


def test_it_ends_after_a_week(world: World, admin: Principal) -> None:
    secret = invite(world, admin)
    invitation = id_of(world, secret)
    world.clock.advance(WEEK - 1)
    assert id_of(world, secret) == invitation
    world.clock.advance(1)
    assert id_of(world, secret) is None
    with world.nothing_changes(), pytest.raises(Refused, match="needs an invitation link"):
        sign_up(world, "bob", invitation)


def test_one_that_was_used_between_question_and_write_makes_no_second_account(world: World, admin: Principal) -> None:
    invitation = id_of(world, invite(world, admin))
    late = world.registry.door.require(world.caller(), Action.SIGN_UP, Target(account="carol", invitation=invitation))
    sign_up(world, "bob", invitation)
    with world.nothing_changes(), pytest.raises(Refused), world.registry.door.write(late):
        raise AssertionError("the write must not begin")


def test_one_that_is_withdrawn_is_worth_nothing(world: World, admin: Principal) -> None:
    secret = invite(world, admin)
    invitation = id_of(world, secret)
    assert invitation is not None
    with acts(world, admin) as tx:
        invitations.withdraw(tx, invitation)
    assert id_of(world, secret) is None
    with world.nothing_changes(), pytest.raises(NotFound), acts(world, admin) as tx:
        invitations.withdraw(tx, invitation)


def test_a_used_one_cannot_be_withdrawn(world: World, admin: Principal) -> None:
    invitation = id_of(world, invite(world, admin))
    assert invitation is not None
    sign_up(world, "bob", invitation)
    with world.nothing_changes(), pytest.raises(NotFound, match="used already"), acts(world, admin) as tx:
        invitations.withdraw(tx, invitation)


def test_its_secret_is_kept_nowhere(world: World, admin: Principal) -> None:
    secret = invite(world, admin)
    assert secret not in repr(world.stored()) + repr(world.events())
    assert len(world.rows(Invitation)) == 1


def test_where_sign_up_is_closed_an_invitation_does_not_help(opened: Open) -> None:
    world = opened(signup="closed")
    invitation = id_of(world, invite(world, administrator(world)))
    with world.nothing_changes(), pytest.raises(Refused, match="closed"):
        sign_up(world, "bob", invitation)
