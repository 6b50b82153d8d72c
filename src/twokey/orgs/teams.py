"""Teams: some members of an organisation, and what they may do with packages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.roles import PERMISSIONS
from twokey.db.schema import Organisation, Package, User
from twokey.db.schema_orgs import Grant, Team, TeamMember
from twokey.errors import Invalid, NotFound, Refused
from twokey.orgs import orgs
from twokey.orgs.orgs import EVERY_MEMBER, FoundOrganisation
from twokey.packages import indexing
from twokey.packages.packages import Found

LONGEST_DESCRIPTION = 256
MOST_TEAMS = 1000
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class FoundTeam:
    """A team's row, with its organisation's name."""

    id: int
    organisation: str
    name: str
    description: str

    @property
    def resource(self) -> str:
        """The team as the trail, and npm, name it."""
        return f"team:{self.organisation}:{self.name}"


def get(connection: Connection, organisation: FoundOrganisation, name: str) -> FoundTeam:
    """The team of that name. Raises NotFound."""
    row = connection.execute(
        select(Team.id, Team.description).where(Team.organisation_id == organisation.id, Team.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound(f"{organisation.name} has no team {name!r}.")
    return FoundTeam(row[0], organisation.name, name, row[1])


def named(connection: Connection, organisation: str, name: str) -> FoundTeam:
    """The team of that name in the organisation of that name (without `@`). Raises NotFound."""
    return get(connection, orgs.get(connection, organisation), name)


def listing(connection: Connection, organisation: FoundOrganisation) -> list[tuple[str, str, int, int]]:
    """Every team's name, description, and how many members and packages it has, by name."""
    people = select(func.count()).where(TeamMember.team_id == Team.id).scalar_subquery()
    packages = select(func.count()).where(Grant.team_id == Team.id).scalar_subquery()
    query = select(Team.name, Team.description, people, packages).where(Team.organisation_id == organisation.id)
    return [tuple(row) for row in connection.execute(query.order_by(Team.name))]


def members(connection: Connection, team: FoundTeam) -> list[str]:
    """The names of the team's members, by name."""
    query = select(User.name).join(TeamMember, TeamMember.user_id == User.id).where(TeamMember.team_id == team.id)
    return list(connection.execute(query.order_by(User.name)).scalars())


def packages(connection: Connection, team: FoundTeam) -> dict[str, str]:
    """What the team may do with which package, by the package's name."""
    query = (
        select(Package.name, Grant.permission)
        .join(Grant, Grant.package_id == Package.id)
        .where(Grant.team_id == team.id, Package.unpublished_at.is_(None))
    )
    return dict(row for row in connection.execute(query.order_by(Package.name)))


def check_name(name: str) -> None:
    """Raises Invalid where no team may be called so."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            "A team's name has 1 to 64 of a-z, 0-9, dot, dash and underscore; it begins with a letter or digit."
        )


def create(tx: Transaction, organisation: FoundOrganisation, name: str, description: str) -> None:
    """Makes a team without members. Raises Invalid, Refused."""
    check_name(name)
    _check_description(description)
    existing = [each for each, *_ in listing(tx.connection, organisation)]
    if name in existing:
        raise Refused(f"{organisation.name} has a team {name} already.")
    if len(existing) >= MOST_TEAMS:
        raise Refused(f"An organisation has at most {MOST_TEAMS:,} teams: delete some first.")
    tx.connection.execute(
        insert(Team).values(organisation_id=organisation.id, name=name, description=description, created_at=tx.now)
    )
    tx.record(Event.TEAM_CREATE, resource=f"team:{organisation.name}:{name}")


def describe(tx: Transaction, organisation: FoundOrganisation, name: str, description: str) -> None:
    """Gives a team another description. Raises Invalid, NotFound."""
    team = get(tx.connection, organisation, name)
    _check_description(description)
    tx.connection.execute(update(Team).where(Team.id == team.id).values(description=description))
    tx.record(Event.TEAM_DESCRIBE, resource=team.resource, details={"before": team.description, "after": description})


def remove(tx: Transaction, organisation: FoundOrganisation, name: str) -> None:
    """Deletes a team, and with it what it may do. Raises NotFound, Refused for the team of all members."""
    team = get(tx.connection, organisation, name)
    _check_not_everybody(team, "cannot be deleted")
    before = packages(tx.connection, team)
    tx.connection.execute(delete(Team).where(Team.id == team.id))  # its members and grants go with it
    tx.record(Event.TEAM_REMOVE, resource=team.resource, details={"packages": dict(before)})


def add_member(tx: Transaction, organisation: FoundOrganisation, name: str, user_name: str) -> None:
    """Adds a member of the organisation to a team; one who is in it stays. Raises NotFound, Refused."""
    team = get(tx.connection, organisation, name)
    user_id = orgs.member_id(tx.connection, organisation, user_name)
    if user_name not in members(tx.connection, team):
        tx.connection.execute(insert(TeamMember).values(team_id=team.id, user_id=user_id))
    tx.record(Event.TEAM_MEMBER_ADD, account=user_name, resource=team.resource, details={"user": user_name})


def remove_member(tx: Transaction, organisation: FoundOrganisation, name: str, user_name: str) -> None:
    """Takes a member out of a team. Raises NotFound, Refused for the team of all members."""
    team = get(tx.connection, organisation, name)
    _check_not_everybody(
        team, f"keeps every member: take {user_name} out with npm org rm {team.organisation} {user_name}"
    )
    user_id = orgs.member_id(tx.connection, organisation, user_name)
    gone = tx.connection.execute(delete(TeamMember).where(TeamMember.team_id == team.id, TeamMember.user_id == user_id))
    if gone.rowcount != 1:
        raise NotFound(f"{user_name!r} is not in the team {team.organisation}:{team.name}.")
    tx.record(Event.TEAM_MEMBER_REMOVE, account=user_name, resource=team.resource, details={"user": user_name})


def grant(tx: Transaction, found: Found, team: FoundTeam, permission: str) -> None:
    """Lets a team do something with a package: `read-only` or `read-write`. Raises Invalid."""
    if permission not in PERMISSIONS:
        raise Invalid(f"The permission is one of {' and '.join(PERMISSIONS)}.")
    before = _permission(tx.connection, found.id, team)
    where = (Grant.team_id == team.id, Grant.package_id == found.id)
    if before is None:
        tx.connection.execute(insert(Grant).values(team_id=team.id, package_id=found.id, permission=permission))
    else:
        tx.connection.execute(update(Grant).where(*where).values(permission=permission))
    indexing.reindex(tx.connection, found.id)
    tx.record(
        Event.PACKAGE_GRANT, resource=f"package:{found.name}",
        details={"team": f"{team.organisation}:{team.name}", "before": before, "after": permission},
    )  # fmt: skip


def revoke(tx: Transaction, found: Found, team: FoundTeam) -> None:
    """Ends what a team may do with a package. Raises NotFound."""
    before = _permission(tx.connection, found.id, team)
    if before is None:
        raise NotFound(f"The team {team.organisation}:{team.name} has no access of its own to {found.name}.")
    tx.connection.execute(delete(Grant).where(Grant.team_id == team.id, Grant.package_id == found.id))
    indexing.reindex(tx.connection, found.id)
    tx.record(
        Event.PACKAGE_GRANT, resource=f"package:{found.name}",
        details={"team": f"{team.organisation}:{team.name}", "before": before, "after": None},
    )  # fmt: skip


def grant_to_every_member(tx: Transaction, found: Found, organisation: FoundOrganisation) -> None:
    """What an organisation gives all its members of a package that was just made in its scope."""
    if organisation.new_packages != orgs.NO_ACCESS:
        grant(tx, found, get(tx.connection, organisation, EVERY_MEMBER), organisation.new_packages)


def _permission(connection: Connection, package_id: int, team: FoundTeam) -> str | None:
    query = select(Grant.permission).where(Grant.team_id == team.id, Grant.package_id == package_id)
    return connection.execute(query).scalar_one_or_none()


def of_package(connection: Connection, package_id: int) -> list[tuple[str, str, str]]:
    """The teams with access of their own to a package: organisation, team, permission, by name."""
    query = (
        select(Organisation.name, Team.name, Grant.permission)
        .join_from(Grant, Team, Team.id == Grant.team_id)
        .join(Organisation, Organisation.id == Team.organisation_id)
        .where(Grant.package_id == package_id)
    )
    rows = connection.execute(query.order_by(Organisation.name, Team.name))
    return [(organisation, team, permission) for organisation, team, permission in rows]


def _check_description(description: str) -> None:
    if len(description) > LONGEST_DESCRIPTION or not (description == "" or description.isprintable()):
        raise Invalid(f"A team's description has at most {LONGEST_DESCRIPTION} characters, on one line.")


def _check_not_everybody(team: FoundTeam, why: str) -> None:
    if team.name == EVERY_MEMBER:
        raise Refused(f"The team {team.organisation}:{EVERY_MEMBER} {why}.")
