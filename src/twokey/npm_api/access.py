"""`npm access`: who may see a package, what it asks of its publishers, and who may work on it (npm-protocol.md 6)."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from twokey.accounts import users
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import Invalid, NotFound
from twokey.http.answers import FRESH, Answer, json_answer
from twokey.http.routing import Call
from twokey.npm_api.search import sees_as
from twokey.orgs import orgs, teams
from twokey.packages import access, packages, search
from twokey.packages.names import PackageName, check_user_name
from twokey.packages.packages import Found
from twokey.strict_json import optional_bool, optional_string, required_string

OK = {"ok": True}
SETTINGS = frozenset({"access", "publish_requires_tfa", "automation_token_overrides_tfa"})


def visibility(call: Call) -> Answer:
    """`npm access get status`: whether everybody may read the package."""
    return json_answer({"public": _read(call).access == "public"}, 200, FRESH)


def status(call: Call) -> Answer:
    """`pnpm access get status`: the same, and the package's own policy, in one document."""
    found = _read(call)
    document = {
        "public": found.access == "public",
        "access": found.access,
        "publish_requires_tfa": found.mfa != "none",
        "automation_token_overrides_tfa": found.mfa == "automation",
    }
    return json_answer(document, 200, FRESH)


def change(call: Call) -> Answer:
    """`npm access set status=` and `set mfa=`: each command sends one of the two."""
    body = call.json()
    unknown = sorted(set(body) - SETTINGS)
    if unknown or not body:
        named = f"{unknown[0]!r} is no setting of a package's access" if unknown else "Nothing is to be changed"
        raise Invalid(f"{named}: send access, or publish_requires_tfa.")
    wanted, mfa = optional_string(body, "access", max_length=20), _mfa(body)
    permit = call.require(Action.ACCESS, call.package_target())
    with call.registry.door.write(permit) as tx:
        found = packages.get(tx.connection, call.package)
        if wanted is not None:
            packages.set_access(tx, found, wanted)
        if mfa is not None:
            packages.set_mfa(tx, found, mfa)
    return json_answer(OK)


def collaborators(call: Call) -> Answer:
    """`npm access list collaborators`: an object by name; pnpm wants a list.

    Whoever has no role on a public package sees its owners, who stand in its document anyway.
    """
    found = _read(call)
    with call.registry.database.read() as connection:
        everybody = access.collaborators(connection, found.id)
        if call.caller.principal.user_name not in everybody:
            everybody = dict.fromkeys(packages.owner_names(connection, found.id), access.WRITE)
    only = call.query.get("user")
    shown = {name: level for name, level in everybody.items() if only is None or name == only}
    if is_pnpm(call):
        return json_answer([{"user": name, "username": name, "permissions": shown[name]} for name in shown], 200, FRESH)
    return json_answer(shown, 200, FRESH)


def add_owner(call: Call) -> Answer:
    """`pnpm owner add PACKAGE USER`: an address of its own, where npm sends the whole list."""
    user = check_user_name(required_string(call.json(), "user", max_length=214))
    permit = call.require(Action.OWNERS, call.package_target())
    with call.registry.door.write(permit) as tx:
        packages.add_owner(tx, packages.get(tx.connection, call.package), user)
    return json_answer(OK)


def remove_owner(call: Call) -> Answer:
    """`pnpm owner rm PACKAGE USER`."""
    user = check_user_name(call.params["user"])
    permit = call.require(Action.OWNERS, call.package_target())
    with call.registry.door.write(permit) as tx:
        packages.remove_owner(tx, packages.get(tx.connection, call.package), user)
    return json_answer(OK)


def of_user(call: Call) -> Answer:
    """`npm access list packages USER`: what the user owns; for the user's own eyes, all that they may work on."""
    call.require(Action.SEARCH, Target())
    principal = call.caller.principal
    with call.registry.database.read() as connection:
        account = users.find(connection, call.params["user"])
        if account is None or account.disabled:
            raise NotFound("Not found")
        mine = account.id == principal.user_id
        return json_answer(access.of_user(connection, account.id, everything=mine, visible=_visible(call)), 200, FRESH)


def of_organisation(call: Call) -> Answer:
    """`npm access list packages ORGANISATION`: those of its scope that the caller may know of."""
    call.require(Action.SEARCH, Target())
    with call.registry.database.read() as connection:
        organisation = orgs.get(connection, organisation_name(call))
        found = access.of_organisation(connection, organisation.id, _visible(call))
        return json_answer(dict.fromkeys(found, access.WRITE), 200, FRESH)


def of_team(call: Call) -> Answer:
    """`npm access list packages ORGANISATION:TEAM`: what the team may do with which package."""
    call.require(Action.READ_ORGANISATION, team_target(call))
    with call.registry.database.read() as connection:
        team = teams.named(connection, organisation_name(call), call.params["team"])
        return json_answer(access.of_team(connection, team.id, _visible(call)), 200, FRESH)


def grant(call: Call) -> Answer:
    """`npm access grant read-only|read-write ORGANISATION:TEAM PACKAGE`."""
    body = call.json()
    permission = required_string(body, "permissions", max_length=20)
    name = PackageName.parse(required_string(body, "package", max_length=214))
    permit = call.require(Action.ACCESS, _granted(call, name))
    with call.registry.door.write(permit) as tx:
        team = teams.named(tx.connection, organisation_name(call), call.params["team"])
        teams.grant(tx, packages.get(tx.connection, name), team, permission)
    return json_answer(OK)


def revoke(call: Call) -> Answer:
    """`npm access revoke ORGANISATION:TEAM PACKAGE`: a DELETE with a body."""
    name = PackageName.parse(required_string(call.json(), "package", max_length=214))
    permit = call.require(Action.ACCESS, _granted(call, name))
    with call.registry.door.write(permit) as tx:
        team = teams.named(tx.connection, organisation_name(call), call.params["team"])
        teams.revoke(tx, packages.get(tx.connection, name), team)
    return json_answer(OK)


def organisation_name(call: Call) -> str:
    """The organisation that the path names; some clients leave its `@` on."""
    name: str = call.params["organisation"]
    return name.removeprefix("@")


def team_target(call: Call) -> Target:
    """The team that the path names."""
    return Target(organisation=organisation_name(call), team=call.params["team"])


def _read(call: Call) -> Found:
    call.require(Action.READ_PACKAGE, call.package_target())
    with call.registry.database.read() as connection:
        return packages.get(connection, call.package)


def _mfa(body: dict[str, object]) -> str | None:
    """The policy that the body asks for. Where it does not say whether automation passes (pnpm, npm 6), it does not."""
    required = optional_bool(body, "publish_requires_tfa")
    automation = optional_bool(body, "automation_token_overrides_tfa")
    if required is None:
        if automation is not None:
            raise Invalid("automation_token_overrides_tfa means nothing without publish_requires_tfa.")
        return None
    if not required:
        return "none"
    return "automation" if automation else "publish"


def _granted(call: Call, name: PackageName) -> Target:
    team = team_target(call)
    return Target(package=str(name), scope=name.scope, organisation=team.organisation, team=team.team)


def _visible(call: Call) -> ColumnElement[bool]:
    """The packages that the caller may know of, by the rule that search goes by."""
    return search.visible_to(sees_as(call.caller.principal))


def is_pnpm(call: Call) -> bool:
    """Whether pnpm asks: it reads lists of objects where npm reads names."""
    return call.headers.get("user-agent", "").startswith("pnpm/")
