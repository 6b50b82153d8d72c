"""The changes of packages' access, of organisations and of teams: rows of the table in `changes.py`."""

from __future__ import annotations

from tests.promises.cast import Cast, Change
from tests.support.wire import Answer

ACCESS, MEMBERS = "/-/package/{name:package}/access", "/-/org/{organisation:part}/user"
OWNERS = "/-/package/{name:package}/owners"
TEAMS, TEAM = "/-/org/{organisation:part}/team", "/-/team/{organisation:part}/{team:part}"


def _access(cast: Cast, **wanted: object) -> Answer:
    return cast.ask("POST", f"/-/package/@{cast.organisation()}%2fcore/access", wanted)


def _member(cast: Cast, method: str, **body: object) -> Answer:
    return cast.ask(method, f"/-/org/{cast.organisation()}/user", {"user": cast.bob.name, **body})


def _leave(cast: Cast) -> Answer:
    return cast.bob.ask("DELETE", f"/-/org/{cast.organisation()}/user", body={"user": cast.bob.name})


def _team_member(cast: Cast, method: str) -> Answer:
    team = cast.team()
    user = cast.alice.name if method == "PUT" else cast.bob.name
    return cast.ask(method, f"/-/team/{team}/user", {"user": user})


def _grant(cast: Cast, method: str) -> Answer:
    team = cast.team()
    path, package = f"/-/team/{team}/package", f"@{team.partition('/')[0]}/core"
    granted = {"package": package, "permissions": "read-only"}
    if method == "DELETE":
        assert cast.ask("PUT", path, granted).status == 200
        return cast.ask(method, path, {"package": package})
    return cast.ask(method, path, granted)


def _owner(cast: Cast, method: str) -> Answer:
    name, user = cast.published(), cast.bob.name
    added = cast.ask("PUT", f"/-/package/{name}/owners", {"user": user})
    return added if method == "PUT" else cast.ask("DELETE", f"/-/package/{name}/owners/{user}")


OF_ORGANISATIONS = (
    Change("an owner of pnpm's", "PUT", OWNERS, ("package:owners:change",), lambda c: _owner(c, "PUT")),
    Change(
        "an owner of pnpm's removed", "DELETE", f"{OWNERS}/{{user:part}}", ("package:owners:change",),
        lambda c: _owner(c, "DELETE"),
    ),
    Change("access", "POST", ACCESS, ("package:access:change",), lambda c: _access(c, access="restricted")),
    Change(
        "a package's policy", "POST", ACCESS, ("package:mfa:change",), lambda c: _access(c, publish_requires_tfa=True)
    ),
    Change("a member", "PUT", MEMBERS, ("organisation:member:set",), lambda c: _member(c, "PUT", role="admin")),
    Change("remove a member", "DELETE", MEMBERS, ("organisation:member:remove",), lambda c: _member(c, "DELETE")),
    Change(
        "leave an organisation", "DELETE", MEMBERS, ("organisation:member:remove",), _leave, "bob", "login token"
    ),
    Change(
        "a team", "PUT", TEAMS, ("organisation:team:create",),
        lambda c: c.ask("PUT", f"/-/org/{c.organisation()}/team", {"name": "writers"}),
    ),
    Change(
        "remove a team", "DELETE", TEAM, ("organisation:team:remove",),
        lambda c: c.ask("DELETE", f"/-/team/{c.team()}"),
    ),
    Change(
        "a member of a team", "PUT", f"{TEAM}/user", ("organisation:team-member:add",),
        lambda c: _team_member(c, "PUT"),
    ),
    Change(
        "remove a member of a team", "DELETE", f"{TEAM}/user", ("organisation:team-member:remove",),
        lambda c: _team_member(c, "DELETE"),
    ),
    Change("grant", "PUT", f"{TEAM}/package", ("package:grant:change",), lambda c: _grant(c, "PUT")),
    Change("revoke a grant", "DELETE", f"{TEAM}/package", ("package:grant:change",), lambda c: _grant(c, "DELETE")),
)  # fmt: skip
