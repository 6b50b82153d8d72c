"""Who owns a scope: the user of that name, or an organisation with its members.

A free scope becomes an organisation of whoever first publishes into it (security.md 2.4), or who makes it on the page.
The door holds the organisation's row for every change of it, so that changes come one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from twokey.accounts import users
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.roles import PERMISSIONS, READ_WRITE, OrganisationRole
from twokey.db.schema import Member, Organisation, Owner, Package, User
from twokey.db.schema_orgs import Team, TeamMember
from twokey.errors import Invalid, NotFound, Refused
from twokey.packages import packages
from twokey.packages.names import PackageName, check_new_name

EVERY_MEMBER = "developers"  # the team that every member is in, as on the public registry
NO_ACCESS = "none"
NEW_PACKAGES = (*PERMISSIONS, NO_ACCESS)


@dataclass(frozen=True, slots=True)
class FoundOrganisation:
    """An organisation's row. `new_packages`: what every member may do with packages that are made from now on."""

    id: int
    name: str
    require_2fa: bool
    new_packages: str
    created_at: int

    @property
    def resource(self) -> str:
        """The organisation as the trail names it."""
        return f"organisation:{self.name}"


_COLUMNS = (
    Organisation.id, Organisation.name, Organisation.require_2fa, Organisation.new_packages, Organisation.created_at,
)  # fmt: skip
_BY_NAME = select(*_COLUMNS).where(Organisation.name == bindparam("name"))
_USER = select(User.id).where(User.name == bindparam("name"))
_ROLE = select(Member.role).where(
    Member.organisation_id == bindparam("organisation_id"), Member.user_id == bindparam("user_id")
)


def find(connection: Connection, name: str) -> FoundOrganisation | None:
    """The organisation of that name (without `@`)."""
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    return None if row is None else FoundOrganisation(*row)


def get(connection: Connection, name: str) -> FoundOrganisation:
    """The organisation of that name (without `@`). Raises NotFound."""
    found = find(connection, name)
    if found is None:
        raise NotFound("Not found")
    return found


def scope_is_free(connection: Connection, scope: str) -> bool:
    """Whether the scope (without `@`) belongs to nobody yet."""
    user = connection.execute(_USER, {"name": scope}).one_or_none()
    return user is None and find(connection, scope) is None


def may_create_in_scope(connection: Connection, scope: str, user_id: int) -> bool:
    """Whether the user may make new packages in an owned scope (without `@`)."""
    owner = connection.execute(_USER, {"name": scope}).scalar_one_or_none()
    if owner is not None:
        return owner == user_id
    found = find(connection, scope)
    return found is not None and role_of(connection, found.id, user_id) is not None


def role_of(connection: Connection, organisation_id: int, user_id: int) -> OrganisationRole | None:
    """What the user is in the organisation; None for who is no member."""
    member = {"organisation_id": organisation_id, "user_id": user_id}
    role = connection.execute(_ROLE, member).scalar_one_or_none()
    return None if role is None else OrganisationRole(role)


def members(connection: Connection, organisation_id: int) -> list[tuple[str, OrganisationRole]]:
    """The members' names and roles, by name."""
    query = select(User.name, Member.role).join(Member, Member.user_id == User.id)
    rows = connection.execute(query.where(Member.organisation_id == organisation_id).order_by(User.name))
    return [(name, OrganisationRole(role)) for name, role in rows]


def of_user(connection: Connection, user_id: int) -> list[tuple[str, OrganisationRole]]:
    """The organisations that the user is in, with the role there, by name."""
    query = select(Organisation.name, Member.role).join(Member, Member.organisation_id == Organisation.id)
    rows = connection.execute(query.where(Member.user_id == user_id).order_by(Organisation.name))
    return [(name, OrganisationRole(role)) for name, role in rows]


def requiring_2fa(connection: Connection, user_id: int) -> bool:
    """Whether the user is in an organisation that asks its members for two-factor authentication."""
    query = select(Organisation.id).join(Member, Member.organisation_id == Organisation.id)
    found = connection.execute(query.where(Member.user_id == user_id, Organisation.require_2fa).limit(1))
    return found.one_or_none() is not None


def without_2fa(connection: Connection, organisation_id: int) -> list[str]:
    """The members whose accounts have no second factor, by name: who could change nothing where one is required."""
    query = select(User.name).join(Member, Member.user_id == User.id)
    wanted = (Member.organisation_id == organisation_id, User.mode.is_(None), User.disabled_at.is_(None))
    return list(connection.execute(query.where(*wanted).order_by(User.name)).scalars())


def check_name(name: str) -> None:
    """Raises Invalid where no organisation may be called so (without `@`): where no package could be in its scope."""
    try:
        check_new_name(PackageName.parse(f"@{name}/x"))
    except Invalid:
        raise Invalid(
            "An organisation's name holds lower-case letters, digits, '-', '_' and '.', "
            "and does not begin with a dot: choose another."
        ) from None


def create(tx: Transaction, name: str) -> FoundOrganisation:
    """Makes a free scope (without `@`) an organisation that whoever acts owns. Raises Refused, Invalid."""
    check_name(name)
    if not scope_is_free(tx.connection, name):
        raise Refused(f"The name {name} belongs to another user or organisation: choose another.")
    organisation_id = tx.connection.execute(
        insert(Organisation)
        .values(name=name, created_at=tx.now, require_2fa=False, new_packages=READ_WRITE)
        .returning(Organisation.id)
    ).scalar_one()
    tx.connection.execute(
        insert(Team).values(
            organisation_id=organisation_id, name=EVERY_MEMBER, description="Every member", created_at=tx.now
        )
    )
    _join(tx, organisation_id, tx.permit.actor, OrganisationRole.OWNER)
    tx.record(Event.SCOPE_CLAIM, resource=f"organisation:{name}")
    return get(tx.connection, name)


def role_named(text: str) -> OrganisationRole:
    """The role that npm calls so. Raises Invalid."""
    try:
        return OrganisationRole(text)
    except ValueError:
        raise Invalid(f"A member's role is one of {', '.join(OrganisationRole)}.") from None


def set_member(tx: Transaction, found: FoundOrganisation, user_name: str, role: OrganisationRole) -> None:
    """Makes a user a member, or gives a member another role. Raises NotFound, Refused.

    The last owner stays one, and who has no second factor does not come in where one is required.
    """
    account = users.find(tx.connection, user_name)
    if account is None or account.disabled:
        raise NotFound(f"There is no account {user_name!r} here.")
    user_id = account.id
    before = role_of(tx.connection, found.id, user_id)
    if before is OrganisationRole.OWNER and role is not OrganisationRole.OWNER:
        _check_not_last(tx, found, user_id)
    if before is None:
        if found.require_2fa and account.mode is None:
            raise Refused(
                f"{found.name} asks its members for two-factor authentication, and {user_name} has none: "
                "ask them to run npm profile enable-2fa auth-and-writes first."
            )
        _join(tx, found.id, user_id, role)
    elif before is not role:
        membership = (Member.organisation_id == found.id, Member.user_id == user_id)
        tx.connection.execute(update(Member).where(*membership).values(role=role.value))
    tx.record(
        Event.MEMBER_SET, account=user_name, resource=found.resource,
        details={"user": user_name, "before": before.value if before else None, "after": role.value},
    )  # fmt: skip


def remove_member(tx: Transaction, found: FoundOrganisation, user_name: str) -> None:
    """Takes a member out of the organisation, its teams, and the owners of its packages.

    A package that nobody else owns goes to an owner of the organisation. Raises NotFound where the user is
    no member, Refused for the last owner.
    """
    user_id = member_id(tx.connection, found, user_name)
    if role_of(tx.connection, found.id, user_id) is OrganisationRole.OWNER:
        _check_not_last(tx, found, user_id)
    connection = tx.connection
    teams = select(Team.id).where(Team.organisation_id == found.id)
    connection.execute(delete(TeamMember).where(TeamMember.team_id.in_(teams), TeamMember.user_id == user_id))
    connection.execute(delete(Member).where(Member.organisation_id == found.id, Member.user_id == user_id))
    for package_id in _give_up(connection, found.id, user_id):
        packages.changed(tx, package_id)
    tx.record(Event.MEMBER_REMOVE, account=user_name, resource=found.resource, details={"user": user_name})


def set_policy(tx: Transaction, found: FoundOrganisation, *, require_2fa: bool, new_packages: str) -> None:
    """What members must have, and what they may do with new packages. Raises Invalid, Refused."""
    if new_packages not in NEW_PACKAGES:
        raise Invalid(f"What members may do with new packages is one of {', '.join(NEW_PACKAGES)}.")
    if require_2fa:
        users.check_has_second_factor(tx)
    tx.connection.execute(
        update(Organisation)
        .where(Organisation.id == found.id)
        .values(require_2fa=require_2fa, new_packages=new_packages)
    )
    tx.record(
        Event.ORGANISATION_POLICY, resource=found.resource,
        details={
            "before": {"require_2fa": found.require_2fa, "new_packages": found.new_packages},
            "after": {"require_2fa": require_2fa, "new_packages": new_packages},
        },
    )  # fmt: skip


def remove(tx: Transaction, found: FoundOrganisation) -> None:
    """Deletes an organisation that never had a package; its name is free again. Raises Refused."""
    if package_count(tx.connection, found.id, also_removed=True):
        raise Refused(f"{found.name} has packages, or had some: their names stay its own, so it cannot be deleted.")
    tx.connection.execute(delete(Team).where(Team.organisation_id == found.id))
    tx.connection.execute(delete(Member).where(Member.organisation_id == found.id))
    tx.connection.execute(delete(Organisation).where(Organisation.id == found.id))
    tx.record(Event.ORGANISATION_REMOVE, resource=found.resource)


def package_count(connection: Connection, organisation_id: int, *, also_removed: bool = False) -> int:
    """How many packages are in the organisation's scope."""
    query = select(func.count()).select_from(Package).where(Package.organisation_id == organisation_id)
    return connection.execute(query if also_removed else query.where(Package.unpublished_at.is_(None))).scalar_one()


def only_owner_of(connection: Connection, user_id: int) -> list[str]:
    """The organisations that nobody but the user owns, by name."""
    owners = (
        select(Member.organisation_id)
        .join(User, User.id == Member.user_id)
        .where(Member.role == OrganisationRole.OWNER.value, User.disabled_at.is_(None), Member.user_id != user_id)
    )
    query = (
        select(Organisation.name)
        .join(Member, Member.organisation_id == Organisation.id)
        .where(Member.user_id == user_id, Member.role == OrganisationRole.OWNER.value, Organisation.id.not_in(owners))
        .order_by(Organisation.name)
    )
    return list(connection.execute(query).scalars())


def hold_of(connection: Connection, user_id: int) -> None:
    """Holds the organisations that the user is in, in one order: two owners who leave do so one after the other."""
    mine = select(Member.organisation_id).where(Member.user_id == user_id)
    query = select(Organisation.id).where(Organisation.id.in_(mine)).order_by(Organisation.id)
    connection.execute(query.with_for_update(key_share=True))


def leave_all(connection: Connection, user_id: int) -> None:
    """Takes a user out of every organisation and team: the end of closing an account, which records it."""
    connection.execute(delete(TeamMember).where(TeamMember.user_id == user_id))
    connection.execute(delete(Member).where(Member.user_id == user_id))


def _join(tx: Transaction, organisation_id: int, user_id: int, role: OrganisationRole) -> None:
    tx.connection.execute(insert(Member).values(organisation_id=organisation_id, user_id=user_id, role=role.value))
    everybody = select(Team.id).where(Team.organisation_id == organisation_id, Team.name == EVERY_MEMBER)
    tx.connection.execute(
        insert(TeamMember).values(team_id=tx.connection.execute(everybody).scalar_one(), user_id=user_id)
    )


def member_id(connection: Connection, found: FoundOrganisation, user_name: str) -> int:
    """The id of a member's account. Raises NotFound."""
    query = select(User.id).join(Member, Member.user_id == User.id)
    user_id = connection.execute(
        query.where(User.name == user_name, Member.organisation_id == found.id)
    ).scalar_one_or_none()
    if user_id is None:
        raise NotFound(f"{user_name!r} is no member of {found.name}.")
    return user_id


def _check_not_last(tx: Transaction, found: FoundOrganisation, user_id: int) -> None:
    others = _owners(tx.connection, found.id, user_id)
    if not others:
        raise Refused(
            f"{found.name} needs an owner: make somebody else one first (npm org set {found.name} USER owner)."
        )


def _owners(connection: Connection, organisation_id: int, without: int) -> Sequence[int]:
    query = (
        select(Member.user_id)
        .join(User, User.id == Member.user_id)
        .where(
            Member.organisation_id == organisation_id, Member.role == OrganisationRole.OWNER.value,
            Member.user_id != without, User.disabled_at.is_(None),
        )
        .order_by(Member.user_id)
    )  # fmt: skip
    return connection.execute(query).scalars().all()


def _give_up(connection: Connection, organisation_id: int, user_id: int) -> list[int]:
    """Ends a former member's ownership of the organisation's packages."""
    query = (
        select(Package.id)
        .join(Owner, Owner.package_id == Package.id)
        .where(Package.organisation_id == organisation_id, Owner.user_id == user_id)
        .order_by(Package.id)
    )
    owned = list(connection.execute(query.with_for_update(of=Package, key_share=True)).scalars())
    connection.execute(delete(Owner).where(Owner.user_id == user_id, Owner.package_id.in_(owned)))
    kept = select(Owner.package_id).where(Owner.package_id.in_(owned))
    alone = set(owned) - set(connection.execute(kept).scalars())
    if alone:
        heir = _owners(connection, organisation_id, user_id)[0]
        connection.execute(insert(Owner), [{"package_id": each, "user_id": heir} for each in sorted(alone)])
    return owned
