"""`/package/NAME/access`: who may publish a package and how, who sees it, deprecation, and its end.

The words of the policies are those of the public registry's site.
"""

from __future__ import annotations

from collections.abc import Callable

from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.roles import PackageRole
from twokey.errors import Invalid, NotFound, TwokeyError
from twokey.http.answers import Answer
from twokey.orgs import orgs, teams
from twokey.packages import access, packages, semver
from twokey.packages.names import check_user_name
from twokey.packages.packages import Found
from twokey.publishing import withdraw
from twokey.web import render
from twokey.web.forms import check_typed, form
from twokey.web.teams import PERMISSIONS
from twokey.web.visit import Visit, redirect

MINE = "/settings/~/packages"
VERSIONS_SHOWN = 100
POLICIES = {
    "none": (
        "Don't require two-factor authentication",
        "People are asked for a code where their account says so; tokens that bypass 2FA publish without one.",
    ),
    "automation": (
        "Require two-factor authentication or an automation or granular access token",
        "People need a code; tokens that bypass 2FA publish without one.",
    ),
    "publish": (
        "Require two-factor authentication and disallow tokens (recommended)",
        "Every publish needs a person's code: no token that bypasses 2FA publishes or changes anything.",
    ),
}
ACCESS = {
    "public": ("Public", "Everybody who may use this registry finds and installs it."),
    "restricted": (
        "Restricted", "Only its owners, its organisation's owners and admins, and the teams that are granted it.",
    ),
}  # fmt: skip
FIELDS = ("mfa", "access", "owner", "team", "permission", "versions", "message", "lift_versions", "version")


def enter(visit: Visit) -> None:
    """Whoever may write to the package sees its settings."""
    visit.ask(Action.READ_SETTINGS, visit.package_target())


def page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /package/NAME/access`."""
    enter(visit)
    with visit.registry.database.read() as connection:
        found = packages.get(connection, visit.package)
        role = access.role_of(connection, found.id, visit.user_id)
        manages = role is PackageRole.MANAGE
        owners = packages.owner_names(connection, found.id)
        granted = teams.of_package(connection, found.id) if manages else []
        mine = {name for name, _ in orgs.of_user(connection, visit.user_id)}
        deprecated = packages.deprecated(connection, found.id)
        versions = packages.version_names(connection, found.id)
    deprecated.sort(key=lambda row: semver.parse(row[0]), reverse=True)
    return render.form_page(
        visit, "package_settings.html", error, found=found, manages=manages, owners=owners, granted=granted, mine=mine,
        scope=visit.package.scope, policies=POLICIES, accesses=ACCESS, permissions=PERMISSIONS,
        deprecated=deprecated[:VERSIONS_SHOWN], deprecated_count=len(deprecated), only=len(versions) == 1,
        sent={field: visit.one(field) for field in FIELDS},
    )  # fmt: skip


def _set_mfa(visit: Visit) -> Answer:
    mfa = visit.one("mfa")
    return _change(visit, Action.ACCESS, "package-mfa", lambda tx, found: packages.set_mfa(tx, found, mfa))


def _set_access(visit: Visit) -> Answer:
    wanted = visit.one("access")
    return _change(visit, Action.ACCESS, "package-access", lambda tx, found: packages.set_access(tx, found, wanted))


def _add_owner(visit: Visit) -> Answer:
    owner = check_user_name(visit.one("owner").removeprefix("@"))
    return _change(visit, Action.OWNERS, "owner-added", lambda tx, found: packages.add_owner(tx, found, owner))


def _remove_owner(visit: Visit) -> Answer:
    owner = visit.one("owner")
    changed = _change(visit, Action.OWNERS, "owner-removed", lambda tx, found: packages.remove_owner(tx, found, owner))
    return redirect(MINE, done="owner-removed") if owner == visit.user else changed


def _grant(visit: Visit) -> Answer:
    organisation, team = _team(visit)
    target = visit.package_target()
    target = Target(package=target.package, scope=target.scope, organisation=organisation, team=team)
    permission = visit.one("permission")

    def act(tx: Transaction, found: Found) -> None:
        teams.grant(tx, found, teams.named(tx.connection, organisation, team), permission)

    return _change(visit, Action.ACCESS, "granted", act, target)


def _revoke(visit: Visit) -> Answer:
    """Asked about the package alone: who manages it need not be in the team's organisation to end what it may do."""
    organisation, team = _team(visit)

    def act(tx: Transaction, found: Found) -> None:
        teams.revoke(tx, found, teams.named(tx.connection, organisation, team))

    return _change(visit, Action.ACCESS, "grant-revoked", act)


def _deprecate(visit: Visit) -> Answer:
    message = visit.one("message")
    if not message:
        raise Invalid("Say why in the message: whoever installs it reads that, and what to use instead.")
    return _mark(visit, visit.one("versions"), message, "deprecated")


def _undeprecate(visit: Visit) -> Answer:
    return _mark(visit, visit.one("lift_versions"), None, "undeprecated")


def _mark(visit: Visit, wanted: str, message: str | None, done: str) -> Answer:
    def act(tx: Transaction, found: Found) -> None:
        versions = semver.matching(wanted, packages.version_names(tx.connection, found.id))
        if not wanted or not versions:
            raise Invalid(f"{found.name} has no version {wanted}".rstrip() + ": write * for all of them.")
        withdraw.deprecate(tx, found, dict.fromkeys(versions, message), None)

    return _change(visit, Action.DEPRECATE, done, act)


def _delete_version(visit: Visit) -> Answer:
    version = visit.one("version")
    check_typed(visit, "version_name", str(visit.package))

    def act(tx: Transaction, found: Found) -> None:
        present = packages.version_names(tx.connection, found.id)
        if version not in present:
            raise NotFound(f"{found.name} has no version {version[:64]}: write one number, such as 1.2.3.")
        if len(present) == 1:
            raise Invalid(f"{version} is the only version of {found.name}: delete the whole package instead.")
        withdraw.remove_versions(tx, found, set(present) - {version}, {}, None)

    return _change(visit, Action.UNPUBLISH, "version-deleted", act, visit.package_target(version=version[:64] or None))


def _delete(visit: Visit) -> Answer:
    check_typed(visit, "package_name", str(visit.package))
    _change(visit, Action.UNPUBLISH, "", lambda tx, found: withdraw.remove_package(tx, found, None))
    return redirect(MINE, done="package-deleted")


def _change(
    visit: Visit, action: Action, done: str, act: Callable[[Transaction, Found], None], target: Target | None = None
) -> Answer:
    with visit.registry.door.write(visit.ask(action, target or visit.package_target())) as tx:
        act(tx, packages.get(tx.connection, visit.package))
    return redirect(f"/package/{visit.package}/access", done=done)


def _team(visit: Visit) -> tuple[str, str]:
    """The organisation and the team of `ORGANISATION:TEAM`, as npm writes a team."""
    organisation, colon, team = visit.one("team").removeprefix("@").partition(":")
    if not (organisation and colon and team):
        raise Invalid("Write the team as ORGANISATION:TEAM, such as acme:developers.")
    return organisation, team


ACTS = {
    "mfa": (Action.ACCESS, form(enter, _set_mfa, page)),
    "visibility": (Action.ACCESS, form(enter, _set_access, page)),
    "owners": (Action.OWNERS, form(enter, _add_owner, page)),
    "owners/remove": (Action.OWNERS, form(enter, _remove_owner, page)),
    "teams": (Action.ACCESS, form(enter, _grant, page)),
    "teams/revoke": (Action.ACCESS, form(enter, _revoke, page)),
    "deprecate": (Action.DEPRECATE, form(enter, _deprecate, page)),
    "undeprecate": (Action.DEPRECATE, form(enter, _undeprecate, page)),
    "delete-version": (Action.UNPUBLISH, form(enter, _delete_version, page)),
    "delete": (Action.UNPUBLISH, form(enter, _delete, page)),
}
