"""`npm org` and `npm team` (npm-protocol.md 6)."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.roles import OrganisationRole
from twokey.http.answers import FRESH, Answer, json_answer
from twokey.http.routing import Call
from twokey.npm_api.access import OK, is_pnpm, organisation_name, team_target
from twokey.orgs import orgs, teams
from twokey.orgs.teams import LONGEST_DESCRIPTION
from twokey.packages.names import check_user_name
from twokey.strict_json import optional_string, required_string


def members(call: Call) -> Answer:
    """`npm org ls`: every member's role, by name."""
    call.require(Action.READ_ORGANISATION, _target(call))
    with call.registry.database.read() as connection:
        found = orgs.get(connection, organisation_name(call))
        return json_answer({name: role.value for name, role in orgs.members(connection, found.id)}, 200, FRESH)


def set_member(call: Call) -> Answer:
    """`npm org set ORGANISATION USER [ROLE]`: adds a member, or gives one another role."""
    body = call.json()
    user = _user(body)
    role = orgs.role_named(optional_string(body, "role", max_length=20) or OrganisationRole.DEVELOPER.value)
    permit = call.require(Action.ORGANISATION, _target(call))
    with call.registry.door.write(permit) as tx:
        found = orgs.get(tx.connection, organisation_name(call))
        orgs.set_member(tx, found, user, role)
        size = len(orgs.members(tx.connection, found.id))
    return json_answer({"org": {"name": found.name, "size": size}, "user": user, "role": role.value})


def remove_member(call: Call) -> Answer:
    """`npm org rm ORGANISATION USER`. Who names themselves leaves."""
    user = _user(call.json())
    leaves = user == call.caller.principal.user_name
    permit = call.require(Action.LEAVE_ORGANISATION if leaves else Action.ORGANISATION, _target(call))
    with call.registry.door.write(permit) as tx:
        orgs.remove_member(tx, orgs.get(tx.connection, organisation_name(call)), user)
    return json_answer(OK)


def teams_of(call: Call) -> Answer:
    """`npm team ls ORGANISATION`."""
    call.require(Action.READ_ORGANISATION, _target(call))
    with call.registry.database.read() as connection:
        found = orgs.get(connection, organisation_name(call))
        names = [name for name, *_ in teams.listing(connection, found)]
    if is_pnpm(call):
        return json_answer([{"name": name} for name in names], 200, FRESH)
    return json_answer([f"{found.name}:{name}" for name in names], 200, FRESH)


def create_team(call: Call) -> Answer:
    """`npm team create ORGANISATION:TEAM`."""
    body = call.json()
    name = required_string(body, "name", max_length=214)
    description = optional_string(body, "description", max_length=LONGEST_DESCRIPTION) or ""
    permit = call.require(Action.TEAMS, Target(organisation=organisation_name(call), team=name))
    with call.registry.door.write(permit) as tx:
        teams.create(tx, orgs.get(tx.connection, organisation_name(call)), name, description)
    return json_answer({"name": name}, 201)


def remove_team(call: Call) -> Answer:
    """`npm team destroy ORGANISATION:TEAM`."""
    permit = call.require(Action.TEAMS, team_target(call))
    with call.registry.door.write(permit) as tx:
        teams.remove(tx, orgs.get(tx.connection, organisation_name(call)), call.params["team"])
    return json_answer(OK)


def team_members(call: Call) -> Answer:
    """`npm team ls ORGANISATION:TEAM`."""
    call.require(Action.READ_ORGANISATION, team_target(call))
    with call.registry.database.read() as connection:
        names = teams.members(connection, teams.named(connection, organisation_name(call), call.params["team"]))
    return json_answer([{"name": name} for name in names] if is_pnpm(call) else names, 200, FRESH)


def add_to_team(call: Call) -> Answer:
    """`npm team add ORGANISATION:TEAM USER`."""
    user = _user(call.json())
    permit = call.require(Action.TEAMS, team_target(call))
    with call.registry.door.write(permit) as tx:
        teams.add_member(tx, orgs.get(tx.connection, organisation_name(call)), call.params["team"], user)
    return json_answer(OK)


def remove_from_team(call: Call) -> Answer:
    """`npm team rm ORGANISATION:TEAM USER`: a DELETE with a body."""
    user = _user(call.json())
    permit = call.require(Action.TEAMS, team_target(call))
    with call.registry.door.write(permit) as tx:
        teams.remove_member(tx, orgs.get(tx.connection, organisation_name(call)), call.params["team"], user)
    return json_answer(OK)


def _target(call: Call) -> Target:
    return Target(organisation=organisation_name(call))


def _user(body: dict[str, object]) -> str:
    """The user that the body names; some clients leave an `@` on."""
    return check_user_name(required_string(body, "user", max_length=214).removeprefix("@"))
