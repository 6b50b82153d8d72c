"""Who may see a package, and its own policy on second factors: what npm has, and nothing else."""

from __future__ import annotations

import pytest

from tests.domain.world import Person, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode
from twokey.errors import Invalid, Refused
from twokey.packages import packages

PACKAGE = "@acme/core"


@pytest.fixture
def alice(world: World) -> Person:
    person = world.account("alice", Mode.AUTH_ONLY)
    world.publish(world.token(person), PACKAGE, "1.0.0")
    return person


def test_access_and_policy_of_a_package_are_what_npm_has(world: World, alice: Person) -> None:
    world.publish(world.token(alice), "plain", "1.0.0")
    with world.nothing_changes(), pytest.raises(Invalid, match="no scope"), world.by_operator() as tx:
        packages.set_access(tx, world.found("plain"), "restricted")
    for wrong in ("private", ""):
        with world.nothing_changes(), pytest.raises(Invalid), world.by_operator() as tx:
            packages.set_access(tx, world.found(PACKAGE), wrong)
        with world.nothing_changes(), pytest.raises(Invalid), world.by_operator() as tx:
            packages.set_mfa(tx, world.found(PACKAGE), wrong)
    with world.by_operator() as tx:
        packages.set_access(tx, world.found(PACKAGE), "restricted")
        packages.set_mfa(tx, world.found(PACKAGE), "publish")
    found = world.found(PACKAGE)
    assert (found.access, found.mfa) == ("restricted", "publish")
    assert world.events(Event.PACKAGE_MFA)[0]["details"] == {"before": "none", "after": "publish"}


def test_who_has_no_second_factor_does_not_ask_others_for_one(world: World) -> None:
    login = world.token(world.account("bob"))
    world.publish(login, "plain", "1.0.0")
    door = world.registry.door
    permit = door.require(world.caller(login), Action.ACCESS, Target(package="plain"))
    with world.nothing_changes(), pytest.raises(Refused, match="lock yourself out"), door.write(permit) as tx:
        packages.set_mfa(tx, world.found("plain"), "publish")
