"""Recovery codes: ten of `dddd-dddd-dddd`, each good once wherever a one-time password is asked for.

Digits, because npm's prompt takes nothing else. Stored as argon2id over an HMAC: the HMAC's key is sealed by the vault,
so a dump of the database alone cannot be searched, and one salt for the set makes a try cost one hash.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from twokey.accounts.passwords import HashingGate
from twokey.db.schema import RecoveryCode, RecoverySet
from twokey.vault import Vault, key_id_of

COUNT = 10
DIGITS = 12
FEW = 3


@dataclass(frozen=True, slots=True)
class NewSet:
    """A set that is hashed and sealed but not stored yet: hashing is slow and has no place in a transaction."""

    id: str
    codes: tuple[str, ...]
    salt: bytes
    sealed_key: bytes
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The stored code that a shown one is; `used` where it has been used before."""

    id: int
    used: bool


def generate(user_id: int, vault: Vault, gate: HashingGate) -> NewSet:
    """Makes ten different codes for the account. Raises Busy where the hashing queue is full."""
    set_id, salt, key = secrets.token_hex(16), os.urandom(16), os.urandom(32)
    numbers: set[str] = set()
    while len(numbers) < COUNT:
        numbers.add(f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}")
    digits = sorted(numbers, key=lambda _: secrets.randbits(32))
    return NewSet(
        id=set_id,
        codes=tuple("-".join(number[i : i + 4] for i in (0, 4, 8)) for number in digits),
        salt=salt,
        sealed_key=vault.seal(key, seal_context(set_id, user_id)),
        hashes=tuple(_hash(number, salt, key, gate) for number in digits),
    )


def store(connection: Connection, user_id: int, new: NewSet, at: int) -> None:
    """Stores a set in place of whatever codes the account had."""
    remove(connection, user_id)
    connection.execute(
        insert(RecoverySet).values(
            id=new.id, user_id=user_id, salt=new.salt, sealed_key=new.sealed_key,
            key_id=key_id_of(new.sealed_key), created_at=at,
        )
    )  # fmt: skip
    connection.execute(insert(RecoveryCode), [{"set_id": new.id, "hash": each} for each in new.hashes])


def remove(connection: Connection, user_id: int) -> None:
    """Voids every code of the account."""
    sets = select(RecoverySet.id).where(RecoverySet.user_id == user_id)
    connection.execute(delete(RecoveryCode).where(RecoveryCode.set_id.in_(sets)))
    connection.execute(delete(RecoverySet).where(RecoverySet.user_id == user_id))


def find(connection: Connection, user_id: int, digits: str, vault: Vault, gate: HashingGate) -> Match | None:
    """The account's stored code that `digits` (12 of them) is, or None. Costs one hash. Raises Busy."""
    row = connection.execute(
        select(RecoverySet.id, RecoverySet.salt, RecoverySet.sealed_key).where(RecoverySet.user_id == user_id)
    ).one_or_none()
    if row is None:
        return None
    set_id, salt, sealed_key = row
    wanted = _hash(digits, salt, vault.open(sealed_key, seal_context(set_id, user_id)), gate)
    found: Match | None = None
    stored = connection.execute(
        select(RecoveryCode.id, RecoveryCode.hash, RecoveryCode.used_at).where(RecoveryCode.set_id == set_id)
    ).all()
    for code_id, digest, used_at in stored:
        if hmac.compare_digest(digest, wanted):
            found = Match(code_id, used_at is not None)
    return found


def use(connection: Connection, code_id: int, at: int) -> bool:
    """Uses a code up, in the caller's transaction. False where it was used before."""
    result = connection.execute(
        update(RecoveryCode).where(RecoveryCode.id == code_id, RecoveryCode.used_at.is_(None)).values(used_at=at)
    )
    return result.rowcount == 1


def left(connection: Connection, user_id: int) -> int:
    """How many unused codes the account has."""
    query = (
        select(func.count())
        .select_from(RecoveryCode)
        .join(RecoverySet, RecoverySet.id == RecoveryCode.set_id)
        .where(RecoverySet.user_id == user_id, RecoveryCode.used_at.is_(None))
    )
    return connection.execute(query).scalar_one()


def has_set(connection: Connection, user_id: int) -> bool:
    """Whether the account has recovery codes, used or not."""
    query = select(RecoverySet.id).where(RecoverySet.user_id == user_id)
    return connection.execute(query).one_or_none() is not None


def said(count: int) -> str:
    """What whoever has just used a recovery code is told; louder where few are left."""
    sentence = f"You used a recovery code: {count} {'is' if count == 1 else 'are'} left."
    if count > FEW:
        return sentence
    return f"{sentence} Make ten new ones on the page /settings/~/2fa."


def seal_context(set_id: str, user_id: int) -> str:
    """What the sealed key of a set is bound to."""
    return f"recovery_sets|{set_id}|{user_id}|recovery-key"


def _hash(digits: str, salt: bytes, key: bytes, gate: HashingGate) -> bytes:
    return gate.derive(hmac.new(key, digits.encode(), hashlib.sha256).digest(), salt)
