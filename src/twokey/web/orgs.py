"""`/orgs` and `/org/NAME`: organisations, their members, teams and settings.

Everybody sees an organisation's packages, as far as they may know of them; its members see the rest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.roles import READ_ONLY, READ_WRITE, OrganisationRole
from twokey.db.schema import Package, SearchDocument
from twokey.errors import NotFound, TwokeyError
from twokey.http.answers import Answer
from twokey.orgs import orgs, teams
from twokey.orgs.orgs import NO_ACCESS, FoundOrganisation
from twokey.packages import search
from twokey.packages.names import check_user_name
from twokey.web import render
from twokey.web.forms import check_typed, form
from twokey.web.visit import Visit, redirect

LIST = "/orgs"
PACKAGES_SHOWN = 250
ROLES = {
    OrganisationRole.DEVELOPER: "makes packages, and does with others what teams may",
    OrganisationRole.ADMIN: "also manages teams and every package",
    OrganisationRole.OWNER: "also manages members and the organisation itself",
}
NEW_PACKAGES = {
    READ_WRITE: ("Read and write", "Every member can install and publish them."),
    READ_ONLY: ("Read only", "Every member can install them, restricted ones too; publishing is granted team by team."),
    NO_ACCESS: (
        "Nothing",
        "Only whoever makes a package, and the organisation's owners and admins; the rest is granted team by team.",
    ),
}


def named(visit: Visit) -> str:
    """The organisation that the path names."""
    name: str = visit.params["organisation"]
    return name.removeprefix("@")


def enter_list(visit: Visit) -> None:
    """Whoever is signed in sees their own organisations."""
    visit.ask(Action.READ_PROFILE)


def list_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /orgs`: the organisations that one is in."""
    enter_list(visit)
    with visit.registry.database.read() as connection:
        mine = orgs.of_user(connection, visit.user_id)
    return render.form_page(visit, "orgs.html", error, organisations=mine, sent={"name": visit.one("name")})


def _create(visit: Visit) -> Answer:
    name = visit.one("name").removeprefix("@")
    orgs.check_name(name)
    with visit.registry.door.write(visit.ask(Action.CREATE_ORGANISATION, Target(organisation=name))) as tx:
        orgs.create(tx, name)
    return redirect(f"/org/{name}", done="organisation-made")


def enter(visit: Visit) -> None:
    """An organisation's forms are its members': to everybody else it has none."""
    visit.ask(Action.READ_ORGANISATION, Target(organisation=named(visit)))


def page(visit: Visit) -> Answer:
    """`GET /org/NAME`: its packages for everybody; members, teams and settings for its members."""
    visit.ask(Action.SEARCH, Target())
    return _shown(visit, _is_member(visit))


def _again(visit: Visit, error: TwokeyError) -> Answer:
    """The page, to a member whose form was wrong."""
    return _shown(visit, True, error)


def _shown(visit: Visit, is_member: bool, error: TwokeyError | None = None) -> Answer:
    name = named(visit)
    with visit.registry.database.read() as connection:
        found = orgs.get(connection, name)
        shown = _for_members(visit, connection, found) if is_member else {}
        packages = connection.execute(
            select(Package.name, Package.access, SearchDocument.version, SearchDocument.description,
                   SearchDocument.published_at)
            .join(SearchDocument, SearchDocument.package_id == Package.id)
            .where(Package.organisation_id == found.id, Package.unpublished_at.is_(None),
                   search.visible_to(visit.caller.principal.user_id))
            .order_by(Package.name)
            .limit(PACKAGES_SHOWN)
        ).all()  # fmt: skip
    values: dict[str, Any] = {"found": found, "packages": packages, "is_member": is_member, **shown}
    return render.form_page(visit, "org.html", error, **values)


def _is_member(visit: Visit) -> bool:
    if not visit.signed_in:
        return False
    try:
        enter(visit)
    except NotFound:
        return False
    return True


def _for_members(visit: Visit, connection: Connection, found: FoundOrganisation) -> dict[str, Any]:
    role = orgs.role_of(connection, found.id, visit.user_id)
    is_owner = role is OrganisationRole.OWNER
    sent = {field: visit.one(field) for field in ("user", "role", "team", "description", "new_packages")}
    policy = {"require_2fa": found.require_2fa, "new_packages": found.new_packages}
    if sent["new_packages"]:
        policy = {"require_2fa": visit.one("require_2fa") == "yes", "new_packages": sent["new_packages"]}
    return {
        "role": role,
        "is_owner": is_owner,
        "manages_teams": is_owner or role is OrganisationRole.ADMIN,
        "members": orgs.members(connection, found.id),
        "without_2fa": orgs.without_2fa(connection, found.id) if is_owner else [],
        "teams": teams.listing(connection, found),
        "had_packages": orgs.package_count(connection, found.id, also_removed=True) > 0,
        "roles": ROLES,
        "choices": NEW_PACKAGES,
        "policy": policy,
        "sent": sent,
    }


def _set_member(visit: Visit) -> Answer:
    user, role = check_user_name(visit.one("user").removeprefix("@")), orgs.role_named(visit.one("role"))
    with visit.registry.door.write(_permit(visit, Action.ORGANISATION)) as tx:
        orgs.set_member(tx, orgs.get(tx.connection, named(visit)), user, role)
    return _back(visit, "member")


def _remove_member(visit: Visit) -> Answer:
    user = check_user_name(visit.one("user"))
    with visit.registry.door.write(_permit(visit, Action.ORGANISATION)) as tx:
        orgs.remove_member(tx, orgs.get(tx.connection, named(visit)), user)
    return _back(visit, "member-removed")


def _set_policy(visit: Visit) -> Answer:
    with visit.registry.door.write(_permit(visit, Action.ORGANISATION)) as tx:
        orgs.set_policy(
            tx, orgs.get(tx.connection, named(visit)), require_2fa=visit.one("require_2fa") == "yes",
            new_packages=visit.one("new_packages"),
        )  # fmt: skip
    return _back(visit, "organisation-policy")


def _leave(visit: Visit) -> Answer:
    with visit.registry.door.write(_permit(visit, Action.LEAVE_ORGANISATION)) as tx:
        orgs.remove_member(tx, orgs.get(tx.connection, named(visit)), visit.user)
    return redirect(LIST, done="organisation-left")


def _delete(visit: Visit) -> Answer:
    check_typed(visit, "delete_name", named(visit))
    with visit.registry.door.write(_permit(visit, Action.ORGANISATION)) as tx:
        orgs.remove(tx, orgs.get(tx.connection, named(visit)))
    return redirect(LIST, done="organisation-deleted")


def _create_team(visit: Visit) -> Answer:
    team = visit.one("team")
    teams.check_name(team)
    permit = visit.ask(Action.TEAMS, Target(organisation=named(visit), team=team))
    with visit.registry.door.write(permit) as tx:
        teams.create(tx, orgs.get(tx.connection, named(visit)), team, visit.one("description"))
    return redirect(f"/org/{named(visit)}/team/{team}", done="team-made")


def _permit(visit: Visit, action: Action) -> Permit:
    return visit.ask(action, Target(organisation=named(visit)))


def _back(visit: Visit, done: str) -> Answer:
    return redirect(f"/org/{named(visit)}", done=done)


create = form(enter_list, _create, list_page)
set_member = form(enter, _set_member, _again)
remove_member = form(enter, _remove_member, _again)
set_policy = form(enter, _set_policy, _again)
leave = form(enter, _leave, _again)
delete = form(enter, _delete, _again)
create_team = form(enter, _create_team, _again)
