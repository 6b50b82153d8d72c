"""The security keys and passkeys that an account has, and the use of what they signed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from twokey.accounts import sessions
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.permit import JudgedProof
from twokey.db.schema_access import Challenge, SecurityKey
from twokey.errors import Conflict, Invalid, NotFound
from twokey.two_factor import factors

LONGEST_NAME = 64
MOST_KEYS = 10
DEFAULT_NAME = "Security key"


@dataclass(frozen=True, slots=True)
class Listed:
    """A security key as its owner sees it."""

    id: str
    name: str
    created_at: int
    last_used_at: int | None
    backed_up: bool


def use_challenge(connection: Connection, challenge: bytes) -> bool:
    """Uses a challenge up, in the caller's transaction. False where it was used before."""
    return connection.execute(delete(Challenge).where(Challenge.challenge == challenge)).rowcount == 1


def use(connection: Connection, proof: JudgedProof, at: int) -> bool:
    """Uses an answer up, in the caller's transaction. False where it was used before, or its key is gone."""
    grown = SecurityKey.sign_count < proof.step if proof.step else SecurityKey.sign_count == 0
    changed = connection.execute(
        update(SecurityKey)
        .where(SecurityKey.id == proof.source, SecurityKey.user_id == proof.user_id, grown)
        .values(sign_count=proof.step, last_used_at=at)
    ).rowcount
    return changed == 1 and use_challenge(connection, proof.challenge)


def register(connection: Connection, proof: JudgedProof, at: int) -> bool:
    """Stores the key that signed its registration. False where that was used before. Raises Conflict, Invalid."""
    new = proof.new_key
    assert new is not None
    if not use_challenge(connection, proof.challenge):
        return False
    check_room(connection, proof.user_id)
    known = select(SecurityKey.id).where(SecurityKey.credential_id == new.credential_id)
    if connection.execute(known).one_or_none() is not None:
        raise Conflict("This security key has just been registered.")
    connection.execute(
        insert(SecurityKey).values(
            id=proof.source, user_id=proof.user_id, name=new.name, credential_id=new.credential_id,
            public_key=new.public_key, sign_count=new.sign_count, transports=json.dumps(new.transports),
            backed_up=new.backed_up, created_at=at,
        )
    )  # fmt: skip
    return True


def listing(connection: Connection, user_id: int) -> list[Listed]:
    """The account's security keys, oldest first."""
    query = (
        select(
            SecurityKey.id, SecurityKey.name, SecurityKey.created_at, SecurityKey.last_used_at, SecurityKey.backed_up
        )
        .where(SecurityKey.user_id == user_id)
        .order_by(SecurityKey.created_at, SecurityKey.id)
    )
    return [Listed(*row) for row in connection.execute(query)]


def check_room(connection: Connection, user_id: int) -> None:
    """Raises Invalid where the account has as many keys as it may have."""
    if factors.of(connection, user_id).keys >= MOST_KEYS:
        raise Invalid(f"An account has at most {MOST_KEYS} security keys: remove one first.")


def remove_all(connection: Connection, user_id: int) -> None:
    """Forgets the account's keys and whatever they were asked."""
    connection.execute(delete(SecurityKey).where(SecurityKey.user_id == user_id))
    connection.execute(delete(Challenge).where(Challenge.user_id == user_id))


def checked_name(text: str) -> str:
    """The name that a key gets. Raises Invalid."""
    text = text.strip() or DEFAULT_NAME
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Invalid(f"A security key's name has 1 to {LONGEST_NAME} characters that can be shown.")
    return text


def rename(tx: Transaction, user_id: int, key_id: str, text: str) -> None:
    """Gives a key another name. Raises NotFound, Invalid."""
    name = checked_name(text)
    mine = (SecurityKey.id == key_id, SecurityKey.user_id == user_id)
    if not tx.connection.execute(update(SecurityKey).where(*mine).values(name=name)).rowcount:
        raise NotFound("There is no such security key: it may have been removed already.")
    tx.record(Event.KEY_RENAME, details={"key": key_id, "name": name})


def remove(tx: Transaction, user_id: int, key_id: str) -> None:
    """Removes a key. Raises NotFound, and Invalid for the last second factor."""
    names = {each.id: each.name for each in listing(tx.connection, user_id)}
    if key_id not in names:
        raise NotFound("There is no such security key: it may have been removed already.")
    factors.check_not_last(tx.connection, user_id)
    tx.connection.execute(delete(SecurityKey).where(SecurityKey.id == key_id))
    tx.record(Event.KEY_REMOVE, details={"key": key_id, "name": names[key_id]})
    sessions.end_others(tx, user_id)
