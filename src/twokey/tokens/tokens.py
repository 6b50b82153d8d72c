"""Making, finding, listing and revoking tokens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.principal import CredentialKind, TokenLimits
from twokey.clock import DAY, HOUR, MINUTE
from twokey.db.schema import Continuation, Token, User
from twokey.errors import Invalid, NotFound
from twokey.orgs import orgs
from twokey.tokens import secret

MOST_TOKENS = 1000
LONGEST_NAME = 64
TOUCH_INTERVAL = MINUTE
SOON_DAYS = 14  # before its end a token is said to end


@dataclass(frozen=True, slots=True)
class Wish:
    """The token that is wanted. `days` None: as long as the settings say for its kind."""

    kind: CredentialKind
    name: str
    limits: TokenLimits = field(default_factory=TokenLimits)
    description: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Days per kind of token; None: no end. A login token ends after that many days without use."""

    login: int | None = 30
    publish: int | None = 365
    automation: int | None = 365
    granular: int | None = 90
    read_only: int | None = None
    maximum: int | None = None

    def of(self, kind: CredentialKind) -> int | None:
        """The days of a token of this kind."""
        return {
            CredentialKind.PUBLISH: self.publish,
            CredentialKind.AUTOMATION: self.automation,
            CredentialKind.GRANULAR: self.granular,
            CredentialKind.READ_ONLY: self.read_only,
        }.get(kind)


@dataclass(frozen=True, slots=True)
class Listed:
    """A token as its owner sees it. The secret is not here: nothing has it."""

    id: int
    key: str
    prefix: str
    name: str
    description: str | None
    kind: CredentialKind
    limits: TokenLimits
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    last_used_address: str | None
    suffix: str


@dataclass(frozen=True, slots=True)
class Found:
    """A live token with its account, for authentication."""

    listed: Listed
    user_id: int
    user_name: str
    user_disabled: bool
    first_use: bool
    touch_due: bool


def mint(tx: Transaction, user_id: int, wish: Wish, lifetimes: Lifetimes) -> tuple[str, Listed]:
    """Makes a token for the account. Returns the secret, which is shown once, and the token as it is listed.

    Raises Invalid for a life longer than the settings allow, for an organisation that is not the account's, and where
    the account has a thousand tokens.
    """
    count = len(tx.connection.execute(_live(user_id, tx.now)).all())
    if count >= MOST_TOKENS:
        raise Invalid(f"This account has {count} tokens, the most that it may have: revoke some first.")
    mine = {name for name, _ in orgs.of_user(tx.connection, user_id)} if wish.limits.orgs else set()
    for name in wish.limits.orgs:
        if name not in mine:
            raise Invalid(f"You are in no organisation {name}: a token is for your own (npm org ls {name}).")
    text, key = secret.new_secret(), secrets.token_hex(32)
    expires_at, idle = _end(wish, lifetimes, tx.now)
    values = {
        "user_id": user_id, "key": key, "secret_hash": secret.hashed(text), "prefix": secret.shown(text),
        "suffix": text[-4:], "name": wish.name, "description": wish.description, "kind": wish.kind.value,
        "limits": msgspec.json.encode(wish.limits).decode(), "created_at": tx.now,
        "created_address": tx.permit.caller.address, "expires_at": expires_at, "idle_microseconds": idle,
    }  # fmt: skip
    token_id = tx.connection.execute(insert(Token).values(**values).returning(Token.id)).scalar_one()
    tx.record(
        Event.TOKEN_CREATE,
        resource=f"token:{key}",
        details={
            "kind": wish.kind.value, "name": wish.name, "cidr": list(wish.limits.cidr),
            "packages": list(wish.limits.packages), "scopes": list(wish.limits.scopes),
            "permission": wish.limits.permission, "bypass_2fa": wish.limits.bypass_2fa,
            "orgs": list(wish.limits.orgs), "orgs_permission": wish.limits.orgs_permission,
        },
    )  # fmt: skip
    return text, Listed(
        token_id, key, secret.shown(text), wish.name, wish.description, wish.kind, wish.limits, tx.now, expires_at,
        None, None, text[-4:],
    )  # fmt: skip


def rotate(tx: Transaction, user_id: int, key: str, overlap_hours: int, lifetimes: Lifetimes) -> tuple[str, Listed]:
    """Makes the successor of a token: the same kind, name and limits, for as many days as the old one was made for.

    The old one stays good for `overlap_hours` more, and no longer than it would have been. Raises NotFound, Invalid.
    """
    old = next((each for each in listing(tx.connection, user_id, tx.now) if each.key == key), None)
    if old is None:
        raise NotFound("There is no such token: it may have been revoked or have ended.")
    if old.kind is CredentialKind.LOGIN:
        raise Invalid("A login token is replaced by npm login, not rotated.")
    rotated = select(Token.rotated_at).where(Token.id == old.id)
    if tx.connection.execute(rotated).scalar_one() is not None:
        raise Invalid("This token was rotated already: rotate its successor, or revoke it.")
    days = None if old.expires_at is None else max(1, -(-(old.expires_at - old.created_at) // DAY))
    text, made = mint(tx, user_id, Wish(old.kind, old.name, old.limits, old.description, days), lifetimes)
    ends = tx.now + overlap_hours * HOUR
    if old.expires_at is not None:
        ends = min(ends, old.expires_at)
    tx.connection.execute(update(Token).where(Token.id == old.id).values(expires_at=ends, rotated_at=tx.now))
    tx.record(
        Event.TOKEN_ROTATE, resource=f"token:{key}", details={"successor": made.key, "overlap_hours": overlap_hours}
    )
    return text, made


def find(connection: Connection, text: str, at: int) -> Found | None:
    """The live token whose secret is `text`, or None where it is unknown, expired, idle for too long or revoked."""
    if not secret.is_well_formed(text):
        return None
    row = connection.execute(_BY_SECRET, {"secret_hash": secret.hashed(text)}).one_or_none()
    if row is None:
        return None
    *columns, user_id, user_name, disabled_at, idle = row
    listed = _listed(columns)
    last = listed.last_used_at or listed.created_at
    if (listed.expires_at is not None and listed.expires_at <= at) or (idle is not None and last + idle <= at):
        return None
    return Found(
        listed=listed,
        user_id=user_id,
        user_name=user_name,
        user_disabled=disabled_at is not None,
        first_use=listed.last_used_at is None,
        touch_due=listed.last_used_at is None or listed.last_used_at + TOUCH_INTERVAL <= at,
    )


def is_live(connection: Connection, token_id: int, at: int, *, locked: bool = False) -> bool:
    """Whether the token is neither revoked nor expired. `locked` holds it so until the transaction ends."""
    row = connection.execute(_END_LOCKED if locked else _END, {"token_id": token_id}).one_or_none()
    return row is not None and (row[0] is None or row[0] > at)


def touch(connection: Connection, token_id: int, at: int, address: str, user_agent: str) -> None:
    """Notes a use of the token, in a transaction that the caller opened for it."""
    connection.execute(
        update(Token)
        .where(Token.id == token_id)
        .values(last_used_at=at, last_used_address=address, last_used_agent=user_agent[:256])
    )


def listing(connection: Connection, user_id: int, at: int) -> list[Listed]:
    """The account's live tokens, newest first."""
    return [_listed(row) for row in connection.execute(_live(user_id, at))]


def revoke(tx: Transaction, user_id: int, key: str, *, account: str | None = None) -> None:
    """Revokes a token of the account by its key, and ends its continuations. Raises NotFound.

    `account` is its name, where it is not the account that acts.
    """
    row = tx.connection.execute(
        select(Token.id, Token.kind, Token.name).where(
            Token.user_id == user_id, Token.key == key, Token.revoked_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such token.")
    tx.connection.execute(update(Token).where(Token.id == row[0]).values(revoked_at=tx.now))
    tx.connection.execute(delete(Continuation).where(Continuation.token_id == row[0]))
    tx.record(Event.TOKEN_REVOKE, account=account, resource=f"token:{key}", details={"kind": row[1], "name": row[2]})


def revoke_all(tx: Transaction, user_id: int, *, but: int | None = None) -> int:
    """Revokes every token of the account, but the one with the id `but`. Returns how many."""
    keys = [
        row[0]
        for row in tx.connection.execute(
            select(Token.key).where(Token.user_id == user_id, Token.revoked_at.is_(None), Token.id != (but or 0))
        )
    ]
    for key in keys:
        revoke(tx, user_id, key)
    return len(keys)


def key_of(connection: Connection, user_id: int, key_or_secret: str) -> str | None:
    """The key of the account's live token that is named by its key or, as npm does at times, by its secret."""
    named = (Token.key == key_or_secret) | (Token.secret_hash == secret.hashed(key_or_secret))
    return connection.execute(
        select(Token.key).where(Token.user_id == user_id, Token.revoked_at.is_(None), named)
    ).scalar_one_or_none()


def check_name(name: str) -> str:
    """The name of a token, if it may be one. Raises Invalid."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid(f"A token's name has 1 to {LONGEST_NAME} characters that can be shown.")
    return name.strip()


_LISTED = (
    Token.id, Token.key, Token.prefix, Token.name, Token.description, Token.kind, Token.limits, Token.created_at,
    Token.expires_at, Token.last_used_at, Token.last_used_address, Token.suffix,
)  # fmt: skip
_BY_SECRET = (
    select(*_LISTED, User.id, User.name, User.disabled_at, Token.idle_microseconds)
    .join(User, User.id == Token.user_id)
    .where(Token.secret_hash == bindparam("secret_hash"), Token.revoked_at.is_(None))
)
_END = select(Token.expires_at).where(Token.id == bindparam("token_id"), Token.revoked_at.is_(None))
_END_LOCKED = _END.with_for_update(key_share=True)


def _live(user_id: int, at: int) -> Select[*tuple[Any, ...]]:
    alive = (Token.expires_at.is_(None)) | (Token.expires_at > at)
    used = Token.last_used_at.is_(None)
    idle_since_made = used & (Token.created_at + Token.idle_microseconds > at)
    idle_since_used = ~used & (Token.last_used_at + Token.idle_microseconds > at)
    awake = Token.idle_microseconds.is_(None) | idle_since_made | idle_since_used
    return (
        select(*_LISTED)
        .where(Token.user_id == user_id, Token.revoked_at.is_(None), alive, awake)
        .order_by(Token.created_at.desc(), Token.id.desc())
    )


def _listed(columns: Sequence[Any]) -> Listed:
    token_id, key, prefix, name, description, kind, limits, created_at, expires_at, *used, suffix = columns
    return Listed(
        id=token_id,
        key=key,
        prefix=prefix,
        name=name,
        description=description,
        kind=CredentialKind(kind),
        limits=msgspec.json.decode(limits, type=TokenLimits),
        created_at=created_at,
        expires_at=expires_at,
        last_used_at=used[0],
        last_used_address=used[1],
        suffix=suffix,
    )


def _end(wish: Wish, lifetimes: Lifetimes, now: int) -> tuple[int | None, int | None]:
    """When (µs) the token ends, and after how long (µs) without use."""
    if wish.kind is CredentialKind.LOGIN:
        return None, None if lifetimes.login is None else lifetimes.login * DAY
    days = wish.days if wish.days is not None else lifetimes.of(wish.kind)
    if lifetimes.maximum is not None and (days is None or days > lifetimes.maximum):
        raise Invalid(f"A token lives at most {lifetimes.maximum} days on this registry: ask for fewer.")
    return (None if days is None else now + days * DAY), None
