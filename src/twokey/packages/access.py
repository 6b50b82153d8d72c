"""Who may do what with a package: its owners, its organisation's managers, and teams by their grants."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)

from twokey.authority.roles import MANAGERS, READ_WRITE, PackageRole
from twokey.db.schema import Member, Organisation, Owner, Package, User
from twokey.db.schema_orgs import Grant, Team, TeamMember
from twokey.packages.indexing import Facet, mark

READ, WRITE = "read", "write"  # npm's words for what somebody may do with a package
_ROLE = case((Grant.permission == READ_WRITE, PackageRole.WRITE.value), else_=PackageRole.READ.value)
_PRESENT = Package.unpublished_at.is_(None)
_MANAGER_ROLES = tuple(role.value for role in MANAGERS)
_MANAGE = literal(PackageRole.MANAGE.value).label("role")
# THE ways to a role on a package, each by package and user.
_OWNING = select(Owner.package_id, Owner.user_id, _MANAGE)
_GRANTED = select(Grant.package_id, TeamMember.user_id, _ROLE.label("role")).join_from(
    Grant, TeamMember, TeamMember.team_id == Grant.team_id
)
_MANAGING = (
    select(Package.id.label("package_id"), Member.user_id, _MANAGE)
    .join_from(Package, Member, Member.organisation_id == Package.organisation_id)
    .where(Member.role.in_(_MANAGER_ROLES))
)
_WAYS = union_all(_OWNING, _GRANTED, _MANAGING).subquery("ways")
_ROLE_OF = select(func.max(_WAYS.c.role)).where(
    _WAYS.c.package_id == bindparam("package_id"), _WAYS.c.user_id == bindparam("user_id")
)
_OWN = select(literal(Facet.MAINTAINER.value), User.name).where(User.id == bindparam("user_id"))
_MANAGED = (
    select(literal(Facet.SCOPE.value), Organisation.name)
    .join(Member, Member.organisation_id == Organisation.id)
    .where(Member.user_id == bindparam("user_id"), Member.role.in_(_MANAGER_ROLES))
    .order_by(Organisation.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_IN_TEAMS = (
    select(literal(Facet.TEAM.value), cast(TeamMember.team_id, Text))
    .where(TeamMember.user_id == bindparam("user_id"))
    .order_by(TeamMember.team_id.desc())
    .limit(bindparam("more", type_=Integer))
)
_MARKED = union_all(_OWN, select(_MANAGED.subquery()), select(_IN_TEAMS.subquery()))


def role_of(connection: Connection, package_id: int, user_id: int) -> PackageRole:
    """The highest role that the user has on the package, by whatever way. A public one may be read by all besides."""
    role = connection.execute(_ROLE_OF, {"package_id": package_id, "user_id": user_id}).scalar_one()
    return PackageRole(role or PackageRole.NONE)


def managed_by(user_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """The packages that the user manages, as a condition on `Package`.

    `user_id` is one user, or the parameter of a statement that is made once.
    In its own words and not by `_WAYS`: so it asks for organisations, and not for each package that they have.
    """
    managed = select(Member.organisation_id).where(Member.user_id == user_id, Member.role.in_(_MANAGER_ROLES))
    return or_(
        Package.id.in_(select(Owner.package_id).where(Owner.user_id == user_id)), Package.organisation_id.in_(managed)
    )


def readable_by(user_id: int | BindParameter[int]) -> ColumnElement[bool]:
    """The packages on which the user has a role, as a condition on `Package`; see `managed_by`."""
    granted = (
        select(Grant.package_id)
        .join(TeamMember, TeamMember.team_id == Grant.team_id)
        .where(TeamMember.user_id == user_id)
    )
    return or_(managed_by(user_id), Package.id.in_(granted))


def marks_readable_by(connection: Connection, user_id: int, most: int) -> list[str]:
    """The marks (`indexing.py`) of packages on which the user has a role: one for each way, as `readable_by` has them.

    At most `most` of organisations that the user manages, and as many of teams, the newest; of somebody in more teams
    than that, the teams' organisations. What a mark finds is still to be asked by `readable_by`: an organisation has
    more packages than a team, and a team that is gone leaves its marks behind.
    """
    ways = connection.execute(_MARKED, {"user_id": user_id, "most": most, "more": most + 1}).all()
    marks = [mark(Facet(facet), value) for facet, value in ways]
    of_teams = [each for each, (facet, _) in zip(marks, ways, strict=True) if facet == Facet.TEAM]
    if len(of_teams) <= most:
        return marks
    joined = select(Team.organisation_id).join(TeamMember, TeamMember.team_id == Team.id)
    names = select(Organisation.name).where(Organisation.id.in_(joined.where(TeamMember.user_id == user_id)))
    found = connection.execute(names.order_by(Organisation.id.desc()).limit(most)).scalars()
    return [*(each for each in marks if each not in of_teams), *(mark(Facet.SCOPE, each) for each in found)]


def collaborators(connection: Connection, package_id: int) -> dict[str, str]:
    """Everybody with a role on the package and what they may do, `read` or `write`, by name."""
    query = select(User.name, func.max(_WAYS.c.role)).join(_WAYS, _WAYS.c.user_id == User.id)
    return _levels(connection, query.where(_WAYS.c.package_id == package_id).group_by(User.name).order_by(User.name))


def of_user(connection: Connection, user_id: int, *, everything: bool, visible: ColumnElement[bool]) -> dict[str, str]:
    """The packages that a user owns, with `write`, by name.

    `everything`, for the user's own eyes: also what teams and organisations give, `read` or `write`. `visible` is a
    condition on `Package`: what the reader may know of.
    """
    ways = _WAYS if everything else _OWNING.subquery("ways")
    query = select(Package.name, func.max(ways.c.role)).join(ways, ways.c.package_id == Package.id)
    query = query.where(ways.c.user_id == user_id, _PRESENT, visible)
    return _levels(connection, query.group_by(Package.name).order_by(Package.name))


def of_organisation(connection: Connection, organisation_id: int, visible: ColumnElement[bool]) -> list[str]:
    """The names of the packages in an organisation's scope that are `visible`, by name."""
    query = select(Package.name).where(Package.organisation_id == organisation_id, _PRESENT, visible)
    return list(connection.execute(query.order_by(Package.name)).scalars())


def of_team(connection: Connection, team_id: int, visible: ColumnElement[bool]) -> dict[str, str]:
    """What the team may do with which `visible` package, `read` or `write`, by the package's name."""
    query = (
        select(Package.name, _ROLE)
        .join_from(Package, Grant, Grant.package_id == Package.id)
        .where(Grant.team_id == team_id, _PRESENT, visible)
    )
    return _levels(connection, query.order_by(Package.name))


def _levels(connection: Connection, query: Select[str, int]) -> dict[str, str]:
    """Names and roles, the latter in npm's words."""
    return {name: WRITE if role >= PackageRole.WRITE else READ for name, role in connection.execute(query)}
