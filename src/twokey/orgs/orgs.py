"""Who owns a scope: the user of that name, or an organisation.

A free scope becomes an organisation of whoever first publishes into it (security.md 2.4). Members, roles and teams
beyond that first owner come with the organisation pages.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import Member, Organisation, User

OWNER = "owner"


def scope_is_free(connection: Connection, scope: str) -> bool:
    """Whether the scope (without `@`) belongs to nobody yet."""
    user = connection.execute(select(User.id).where(User.name == scope)).one_or_none()
    return user is None and _organisation(connection, scope) is None


def may_create_in_scope(connection: Connection, scope: str, user_id: int) -> bool:
    """Whether the user may make new packages in an owned scope (without `@`)."""
    owner = connection.execute(select(User.id).where(User.name == scope)).scalar_one_or_none()
    if owner is not None:
        return owner == user_id
    member = select(Member.user_id).join(Organisation, Organisation.id == Member.organisation_id)
    row = connection.execute(member.where(Organisation.name == scope, Member.user_id == user_id)).one_or_none()
    return row is not None


def claim_scope(tx: Transaction, scope: str, user_id: int) -> None:
    """Makes a free scope an organisation that the user owns."""
    organisation_id = tx.connection.execute(
        insert(Organisation).values(name=scope, created_at=tx.now).returning(Organisation.id)
    ).scalar_one()
    tx.connection.execute(insert(Member).values(organisation_id=organisation_id, user_id=user_id, role=OWNER))
    tx.record(Event.SCOPE_CLAIM, resource=f"organisation:{scope}")


def _organisation(connection: Connection, name: str) -> int | None:
    return connection.execute(select(Organisation.id).where(Organisation.name == name)).scalar_one_or_none()
