"""Accounts: making, reading and changing them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from twokey.accounts import mail_links, sessions
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.principal import Mode
from twokey.db.schema import Attempt, Continuation, Organisation, Token, User
from twokey.errors import Invalid, NotFound, Refused

PROFILE_FIELDS = ("fullname", "homepage", "github", "twitter", "freenode")
LONGEST_FIELD = 256
LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3
MOST_NAMED = 5
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_EMAIL = re.compile(r"[^\s@<>\"'\\,;]+@[^\s@<>\"'\\,;]+\.?[^\s@<>\"'\\,;.]+")


@dataclass(frozen=True, slots=True)
class Account:
    """One account as everyone but the password check sees it."""

    id: int
    name: str
    email: str
    email_verified: bool
    profile: Mapping[str, str | None]
    mode: Mode | None
    administrator: bool
    disabled: bool
    suspended: bool
    created_at: int
    updated_at: int
    closed: bool = False  # by its owner, for ever


_COLUMNS = (
    User.id, User.name, User.email, User.email_verified_at, User.fullname, User.homepage, User.github, User.twitter,
    User.freenode, User.mode, User.administrator, User.disabled_at, User.codes_suspended_at, User.created_at,
    User.updated_at, User.closed_at,
)  # fmt: skip
_BY_NAME = select(*_COLUMNS).where(User.name == bindparam("name"))
_BY_ID = select(*_COLUMNS).where(User.id == bindparam("user_id"))


def find(connection: Connection, name: str) -> Account | None:
    """The account `name`, or None."""
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    return None if row is None else _account(row._asdict())


def by_id(connection: Connection, user_id: int) -> Account:
    """The account with this id. Raises NotFound."""
    row = connection.execute(_BY_ID, {"user_id": user_id}).one_or_none()
    if row is None:
        raise NotFound("There is no such account.")
    return _account(row._asdict())


def get(connection: Connection, name: str) -> Account:
    """The account `name`. Raises NotFound."""
    account = find(connection, name)
    if account is None:
        raise NotFound(f"There is no account {name!r}.")
    return account


def check_has_second_factor(tx: Transaction) -> None:
    """Raises Refused where whoever acts asks others for two-factor authentication and has none."""
    query = select(User.id).where(User.id == tx.permit.user_id, User.mode.is_(None))
    if tx.connection.execute(query).one_or_none() is not None:
        raise Refused("Turn on two-factor authentication for your own account first, or you would lock yourself out.")


def named(connection: Connection, name_or_email: str) -> list[Account]:
    """The accounts that this is the name or the mail address of, in whatever case; a few at most."""
    text = name_or_email.lower()
    query = select(*_COLUMNS).where((User.name == text) | ((func.lower(User.email) == text) & (User.email != "")))
    return [_account(row._asdict()) for row in connection.execute(query.order_by(User.id).limit(MOST_NAMED))]


def every(connection: Connection) -> list[Account]:
    """All accounts by name."""
    return [_account(row._asdict()) for row in connection.execute(select(*_COLUMNS).order_by(User.name))]


def create(tx: Transaction, name: str, email: str, password_hash: str, *, administrator: bool = False) -> int:
    """Makes an account. Returns its id.

    Raises Refused where the name is a user's or an organisation's: a scope has one owner.
    """
    taken = tx.connection.execute(select(User.id).where(User.name == name)).one_or_none()
    if taken or tx.connection.execute(select(Organisation.id).where(Organisation.name == name)).one_or_none():
        raise Refused(f"The name {name!r} is taken: choose another.")
    user_id = tx.connection.execute(
        insert(User)
        .values(
            name=name, email=email, password_hash=password_hash, administrator=administrator,
            created_at=tx.now, updated_at=tx.now,
        )
        .returning(User.id)
    ).scalar_one()  # fmt: skip
    tx.record(Event.ACCOUNT_CREATE, account=name, resource=f"user:{name}")
    return user_id


def change_profile(tx: Transaction, user_id: int, changes: Mapping[str, str | None]) -> None:
    """Sets profile fields; None clears one."""
    tx.connection.execute(update(User).where(User.id == user_id).values(**changes, updated_at=tx.now))
    tx.record(Event.PROFILE_CHANGE, details={"fields": sorted(changes)})


def change_password(tx: Transaction, user_id: int, name: str, password_hash: str) -> None:
    """Sets the password's hash. Continuations and mailed links to a new one end, and sessions but the one that acts."""
    tx.connection.execute(update(User).where(User.id == user_id).values(password_hash=password_hash, updated_at=tx.now))
    end_continuations(tx, user_id)
    mail_links.end(tx.connection, user_id, mail_links.RESET, mail_links.NEW_PASSWORD)
    sessions.end_others(tx, user_id)
    tx.record(Event.PASSWORD_CHANGE, account=name, resource=f"user:{name}")


def set_disabled(tx: Transaction, name: str, disabled: bool) -> None:
    """Closes an account to every credential, or opens it again. Raises NotFound; Refused where its owner closed it."""
    account = get(tx.connection, name)
    if account.closed:
        raise Refused(f"{name} was closed by its owner: nothing of it is left to open or to close.")
    tx.connection.execute(
        update(User).where(User.id == account.id).values(disabled_at=tx.now if disabled else None, updated_at=tx.now)
    )
    if disabled:
        tx.connection.execute(delete(Continuation).where(Continuation.user_id == account.id))
    tx.record(Event.ACCOUNT_DISABLE if disabled else Event.ACCOUNT_ENABLE, account=name, resource=f"user:{name}")


def set_administrator(tx: Transaction, name: str, administrator: bool) -> None:
    """Makes an account an administrator, or no longer one. Raises NotFound."""
    account = get(tx.connection, name)
    tx.connection.execute(update(User).where(User.id == account.id).values(administrator=administrator))
    tx.record(Event.ACCOUNT_GRANT if administrator else Event.ACCOUNT_REVOKE, account=name, resource=f"user:{name}")


def end_continuations(tx: Transaction, user_id: int) -> None:
    """Ends every continuation of the account."""
    tx.connection.execute(delete(Continuation).where(Continuation.user_id == user_id))


def forget_attempts(tx: Transaction, keys: list[str]) -> None:
    """Empties buckets of the throttle, as the operator may."""
    tx.connection.execute(delete(Attempt).where(Attempt.bucket.in_(keys)))


def live_tokens(connection: Connection, user_id: int) -> int:
    """How many tokens of the account are not revoked."""
    return len(connection.execute(select(Token.id).where(Token.user_id == user_id, Token.revoked_at.is_(None))).all())


def guessable(name: str, email: str) -> tuple[str, ...]:
    """Words that somebody who guesses the account's password would try, for `Passwords.hash`."""
    return name, email, email.partition("@")[0]


def check_name(name: str) -> str:
    """The name, if an account may have it. Raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            "A user name has at most 32 lower-case letters, digits, dots, dashes and underscores, "
            "and begins with a letter or digit."
        )
    return name


def check_email(email: str) -> str:
    """The mail address, if it can be one. Raises Invalid."""
    if len(email) > LONGEST_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email):
        raise Invalid("This is not a mail address: it has the form name@example.com.")
    return email


def check_field(field: str, value: str) -> str:
    """The value of a profile field, if it may be one. Raises Invalid."""
    if len(value) > LONGEST_FIELD:
        raise Invalid(f"{field} is too long: use at most {LONGEST_FIELD} characters.")
    if not value.isprintable():
        raise Invalid(f"{field} holds a character that cannot be shown.")
    return value


def _account(row: Mapping[str, Any]) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        email_verified=row["email_verified_at"] is not None,
        profile={field: row[field] for field in PROFILE_FIELDS},
        mode=None if row["mode"] is None else Mode(row["mode"]),
        administrator=row["administrator"],
        disabled=row["disabled_at"] is not None,
        suspended=row["codes_suspended_at"] is not None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        closed=row["closed_at"] is not None,
    )
