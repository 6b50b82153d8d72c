"""What stands beside the rule table, over HTTP: a package's own policy, and how far a granular token reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.guard.document import needs, needs_under_policy
from tests.policy import ways_of_npm as npm
from tests.policy.cell import Cell
from tests.policy.stage import MODES, STRANGER, TOKENS, Actor, Stage, Who
from tests.policy.way import Ask
from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode, TokenLimits

Request = Callable[[Actor, str], Ask]
CHANGES: dict[Action, Request] = {
    Action.PUBLISH: npm.publish, Action.DIST_TAG: npm.dist_tag, Action.DEPRECATE: npm.deprecate,
    Action.UNPUBLISH: npm.unpublish,
}  # fmt: skip


def _read(actor: Actor, name: str) -> Ask:
    return lambda shown: actor.npm("GET", npm.at(name), otp=shown.otp)


PACKAGE: dict[Action, Request] = {Action.READ_PACKAGE: _read, **CHANGES}
ORGANISATION: dict[Action, Request] = {
    Action.READ_ORGANISATION: npm.members, Action.ORGANISATION: npm.set_member, Action.TEAMS: npm.create_team,
}  # fmt: skip


@pytest.mark.parametrize("who", TOKENS, ids=str)
@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.name)
@pytest.mark.parametrize("mfa", ["automation", "publish"])
def test_a_packages_own_policy_asks_people_for_a_code_and_may_refuse_automation(
    stage: Stage, mfa: str, action: Action, who: Who
) -> None:
    actor = stage.actor(who)
    name = npm.own_package(actor, mfa=mfa)
    cell = Cell(actor, CHANGES[action](actor, name), action, on_npm=True)
    cell.holds(needs_under_policy(action, who.kind, who.mode, who.bypass, mfa))


@dataclass(frozen=True)
class Reach:
    """A granular token: what it is for, what it may do there, and whether it reaches the package asked for."""

    covers: str
    permission: str

    @property
    def allows(self) -> set[Action]:
        """What is within its limits."""
        if self.covers == "another package" or self.covers == "another scope" or self.permission == "no-access":
            return set()
        return set(PACKAGE) if self.permission == "read-write" else {Action.READ_PACKAGE}

    def limits(self, scope: str, name: str, bypass: bool) -> TokenLimits:
        """As a token has them."""
        packages = {"the package": (name,), "another package": (f"{name}-other",)}.get(self.covers, ())
        scopes = {"its scope": (f"@{scope}",), "another scope": (f"@{scope}-other",)}.get(self.covers, ())
        return TokenLimits(
            packages=packages, scopes=scopes, packages_all=False, permission=self.permission, bypass_2fa=bypass
        )


REACHES = (
    *(Reach(covers, "read-write") for covers in ("the package", "its scope", "another package", "another scope")),
    *(Reach("its scope", permission) for permission in ("read-only", "read-write-stage-only", "no-access")),
)


@pytest.mark.parametrize("bypass", [False, True], ids=["granular", "bypassing"])
@pytest.mark.parametrize("action", PACKAGE, ids=lambda action: action.name)
@pytest.mark.parametrize("reach", REACHES, ids=lambda reach: f"{reach.permission} {reach.covers}")
def test_a_granular_token_reaches_its_packages_and_scopes_and_no_further(
    stage: Stage, reach: Reach, action: Action, bypass: bool
) -> None:
    who = Who(Kind.GRANULAR, Mode.AUTH_AND_WRITES, bypass)
    actor = stage.actor(who)
    scope = stage.name("acme")
    name = npm.own_package(actor, scope=scope)
    actor.limits = reach.limits(scope, name, bypass)
    cell = Cell(actor, PACKAGE[action](actor, name), action, on_npm=True)
    cell.holds(needs(action, who.kind, who.mode, bypass) if action in reach.allows else None)


@pytest.mark.parametrize("bypass", [False, True], ids=["granular", "bypassing"])
@pytest.mark.parametrize("action", ORGANISATION, ids=lambda action: action.name)
@pytest.mark.parametrize("permission", ["read-write", "read-only", "another"])
def test_a_granular_token_reaches_its_organisations_and_no_further(
    stage: Stage, permission: str, action: Action, bypass: bool
) -> None:
    who = Who(Kind.GRANULAR, Mode.AUTH_AND_WRITES, bypass)
    actor = stage.actor(who)
    named = npm.in_organisation(actor, "read-write" if permission == "another" else permission)
    organisation = stage.organisation(actor.account) if permission == "another" else named
    within = permission == "read-write" or (permission == "read-only" and action is Action.READ_ORGANISATION)
    cell = Cell(actor, ORGANISATION[action](actor, organisation), action, on_npm=True)
    cell.holds(needs(action, who.kind, who.mode, bypass) if within else None)


@pytest.mark.parametrize("who", [STRANGER, *TOKENS], ids=str)
@pytest.mark.parametrize("own", [True, False], ids=["own", "of others"])
def test_a_restricted_package_is_read_by_those_who_may_and_not_there_for_others(
    stage: Stage, own: bool, who: Who
) -> None:
    actor = stage.actor(who)
    scope = stage.name("acme")
    owner = actor if own else stage.actor(Who(Kind.LOGIN), alone=True)
    name = npm.own_package(owner, access="restricted", scope=scope)
    cell = Cell(actor, _read(actor, name), Action.READ_PACKAGE, on_npm=True)
    cell.holds(needs(Action.READ_PACKAGE, who.kind, who.mode, who.bypass) if own and who != STRANGER else None)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.name)
def test_nobody_changes_what_others_own(stage: Stage, action: Action, mode: Mode | None) -> None:
    actor, owner = stage.actor(Who(Kind.LOGIN, mode)), stage.actor(Who(Kind.LOGIN), alone=True)
    Cell(actor, CHANGES[action](actor, npm.own_package(owner)), action, on_npm=True).holds(None)
