"""Who may do what with a package: its owners, its organisation's managers, and teams by their grants."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Select, and_, case, literal, or_, select, union_all

from twokey.authority.roles import MANAGERS, READ_WRITE, PackageRole
from twokey.db.schema import Member, Owner, Package, User
from twokey.db.schema_orgs import Grant, TeamMember

READ, WRITE = "read", "write"  # npm's words for what somebody may do with a package
_ROLE = case((Grant.permission == READ_WRITE, PackageRole.WRITE.value), else_=PackageRole.READ.value)
_PRESENT = Package.unpublished_at.is_(None)
_MANAGER_ROLES = tuple(role.value for role in MANAGERS)


def role_of(connection: Connection, package_id: int, organisation_id: int | None, user_id: int) -> PackageRole:
    """The highest role that the user has on the package, by whatever way. A public one may be read by all besides."""
    manage = literal(PackageRole.MANAGE.value)
    ways: list[Select[int]] = [
        select(manage).where(Owner.package_id == package_id, Owner.user_id == user_id),
        select(_ROLE)
        .join_from(Grant, TeamMember, TeamMember.team_id == Grant.team_id)
        .where(Grant.package_id == package_id, TeamMember.user_id == user_id),
    ]
    if organisation_id is not None:
        managers = (Member.user_id == user_id, Member.role.in_(_MANAGER_ROLES))
        ways.append(select(manage).where(Member.organisation_id == organisation_id, *managers))
    found = connection.execute(union_all(*ways)).scalars().all()
    return PackageRole(max(found, default=PackageRole.NONE.value))


def managed_by(user_id: int) -> ColumnElement[bool]:
    """The packages that the user manages, as a condition on `Package`."""
    managed = select(Member.organisation_id).where(Member.user_id == user_id, Member.role.in_(_MANAGER_ROLES))
    return or_(
        Package.id.in_(select(Owner.package_id).where(Owner.user_id == user_id)), Package.organisation_id.in_(managed)
    )


def readable_by(user_id: int) -> ColumnElement[bool]:
    """The packages on which the user has a role, as a condition on `Package`."""
    granted = (
        select(Grant.package_id)
        .join(TeamMember, TeamMember.team_id == Grant.team_id)
        .where(TeamMember.user_id == user_id)
    )
    return or_(managed_by(user_id), Package.id.in_(granted))


def collaborators(connection: Connection, package_id: int, organisation_id: int | None) -> dict[str, str]:
    """Everybody with a role on the package and what they may do, `read` or `write`, by name."""
    write = literal(PackageRole.WRITE.value)
    ways = [
        select(User.name, write).join_from(User, Owner, Owner.user_id == User.id).where(Owner.package_id == package_id),
        select(User.name, _ROLE)
        .join_from(User, TeamMember, TeamMember.user_id == User.id)
        .join(Grant, Grant.team_id == TeamMember.team_id)
        .where(Grant.package_id == package_id),
        select(User.name, write)
        .join_from(User, Member, Member.user_id == User.id)
        .where(Member.organisation_id == organisation_id, Member.role.in_(_MANAGER_ROLES)),
    ]
    return _strongest((name, role) for name, role in connection.execute(union_all(*ways)))


def of_user(connection: Connection, user_id: int, *, everything: bool, visible: ColumnElement[bool]) -> dict[str, str]:
    """The packages that a user owns, with `write`, by name.

    `everything`, for the user's own eyes: also what teams and organisations give, `read` or `write`. `visible` is a
    condition on `Package`: what the reader may know of.
    """
    present = and_(_PRESENT, visible)
    write = literal(PackageRole.WRITE.value)
    ways = [select(Package.name, write).join_from(Package, Owner).where(Owner.user_id == user_id, present)]
    if everything:
        ways += [
            select(Package.name, _ROLE)
            .join_from(Package, Grant, Grant.package_id == Package.id)
            .join(TeamMember, TeamMember.team_id == Grant.team_id)
            .where(TeamMember.user_id == user_id, present),
            select(Package.name, write)
            .join_from(Package, Member, Member.organisation_id == Package.organisation_id)
            .where(Member.user_id == user_id, Member.role.in_(_MANAGER_ROLES), present),
        ]
    return _strongest((name, role) for name, role in connection.execute(union_all(*ways)))


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
    return _strongest((name, role) for name, role in connection.execute(query))


def _strongest(rows: Iterable[tuple[str, int]]) -> dict[str, str]:
    found: dict[str, int] = {}
    for name, role in rows:
        found[name] = max(role, found.get(name, 0))
    return {name: WRITE if found[name] >= PackageRole.WRITE else READ for name in sorted(found)}
