"""`/org/NAME/team/TEAM`: who is in a team, and what it may do with which package."""

from __future__ import annotations

from sqlalchemy import and_

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.roles import MANAGERS, READ_ONLY, READ_WRITE
from twokey.errors import TwokeyError
from twokey.http.answers import Answer
from twokey.orgs import orgs, teams
from twokey.orgs.orgs import EVERY_MEMBER
from twokey.packages import access, packages, search
from twokey.packages.names import PackageName, check_user_name
from twokey.web import render
from twokey.web.forms import check_typed, form
from twokey.web.orgs import named
from twokey.web.visit import Visit, redirect

PERMISSIONS = {READ_WRITE: "Read and write", READ_ONLY: "Read only"}


def enter(visit: Visit) -> None:
    """An organisation's members see its teams."""
    visit.ask(Action.READ_ORGANISATION, _target(visit))


def page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /org/NAME/team/TEAM`."""
    enter(visit)
    user_id = visit.user_id
    with visit.registry.database.read() as connection:
        organisation = orgs.get(connection, named(visit))
        team = teams.get(connection, organisation, visit.params["team"])
        visible = search.visible_to(user_id)
        granted = access.of_team(connection, team.id, visible)
        managed = access.of_team(connection, team.id, and_(visible, access.managed_by(user_id)))
        role = orgs.role_of(connection, organisation.id, user_id)
        inside = teams.members(connection, team)
        everybody = [name for name, _ in orgs.members(connection, organisation.id)]
    words = {access.READ: READ_ONLY, access.WRITE: READ_WRITE}
    return render.form_page(
        visit, "team.html", error, team=team, members=inside, manages=role in MANAGERS, permissions=PERMISSIONS,
        others=[name for name in everybody if name not in set(inside)], is_everybody=team.name == EVERY_MEMBER,
        packages={name: words[level] for name, level in granted.items()}, managed=managed,
        sent={field: visit.one(field) for field in ("user", "package", "permission", "description")},
    )  # fmt: skip


def _add_member(visit: Visit) -> Answer:
    user = check_user_name(visit.one("user"))
    with visit.registry.door.write(visit.ask(Action.TEAMS, _target(visit))) as tx:
        teams.add_member(tx, orgs.get(tx.connection, named(visit)), visit.params["team"], user)
    return _back(visit, "team-member")


def _remove_member(visit: Visit) -> Answer:
    user = check_user_name(visit.one("user"))
    with visit.registry.door.write(visit.ask(Action.TEAMS, _target(visit))) as tx:
        teams.remove_member(tx, orgs.get(tx.connection, named(visit)), visit.params["team"], user)
    return _back(visit, "team-member-removed")


def _grant(visit: Visit) -> Answer:
    name, permission = PackageName.parse(visit.one("package")), visit.one("permission")
    with visit.registry.door.write(_access(visit, name)) as tx:
        team = teams.named(tx.connection, named(visit), visit.params["team"])
        teams.grant(tx, packages.get(tx.connection, name), team, permission)
    return _back(visit, "granted")


def _revoke(visit: Visit) -> Answer:
    name = PackageName.parse(visit.one("package"))
    with visit.registry.door.write(_access(visit, name)) as tx:
        team = teams.named(tx.connection, named(visit), visit.params["team"])
        teams.revoke(tx, packages.get(tx.connection, name), team)
    return _back(visit, "grant-revoked")


def _describe(visit: Visit) -> Answer:
    with visit.registry.door.write(visit.ask(Action.TEAMS, _target(visit))) as tx:
        teams.describe(tx, orgs.get(tx.connection, named(visit)), visit.params["team"], visit.one("description"))
    return _back(visit, "team-described")


def _delete(visit: Visit) -> Answer:
    check_typed(visit, "delete_name", visit.params["team"])
    with visit.registry.door.write(visit.ask(Action.TEAMS, _target(visit))) as tx:
        teams.remove(tx, orgs.get(tx.connection, named(visit)), visit.params["team"])
    return redirect(f"/org/{named(visit)}", done="team-deleted")


def _target(visit: Visit) -> Target:
    return Target(organisation=named(visit), team=visit.params["team"])


def _access(visit: Visit, name: PackageName) -> Permit:
    """The door's yes to who manages the package and is in the organisation."""
    team = _target(visit)
    target = Target(package=str(name), scope=name.scope, organisation=team.organisation, team=team.team)
    return visit.ask(Action.ACCESS, target)


def _back(visit: Visit, done: str) -> Answer:
    return redirect(f"/org/{named(visit)}/team/{visit.params['team']}", done=done)


add_member = form(enter, _add_member, page)
remove_member = form(enter, _remove_member, page)
grant = form(enter, _grant, page)
revoke = form(enter, _revoke, page)
describe = form(enter, _describe, page)
delete = form(enter, _delete, page)
