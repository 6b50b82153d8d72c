"""Enrolling an authenticator app: pending from the QR code to its first right code, then active.

A pending secret never replaces a working one; it expires, may be begun again without a code, and is the same for a
terminal and a browser.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from twokey.accounts import sessions
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.permit import JudgedProof
from twokey.authority.principal import Mode
from twokey.clock import MINUTE
from twokey.db.schema import Authenticator, Continuation, User
from twokey.errors import Invalid, NotFound
from twokey.two_factor import factors, recovery_codes, security_keys, totp
from twokey.vault import Vault, key_id_of

PENDING, ACTIVE = "pending", factors.ACTIVE
MOST_AUTHENTICATORS = 10
LONGEST_NAME = 64
DEFAULT_NAME = "Authenticator app"


@dataclass(frozen=True, slots=True)
class Secret:
    """An authenticator with its opened secret."""

    id: str
    secret: bytes
    last_step: int
    mode_wanted: Mode
    session_id: int | None = None

    def __repr__(self) -> str:
        """Names the authenticator, never the secret."""
        return f"Secret(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Listed:
    """An active authenticator as its owner sees it."""

    id: str
    name: str
    confirmed_at: int
    last_used_at: int | None


def begin(tx: Transaction, user_id: int, mode: Mode, vault: Vault) -> bytes:
    """Starts an enrolment, in place of a pending one. Returns the new secret (20 bytes)."""
    _drop_pending(tx.connection, user_id)
    secret, authenticator_id = totp.new_secret(), secrets.token_hex(16)
    sealed = vault.seal(secret, seal_context(authenticator_id, user_id))
    tx.connection.execute(
        insert(Authenticator).values(
            id=authenticator_id, user_id=user_id, name=DEFAULT_NAME, sealed_secret=sealed,
            key_id=key_id_of(sealed), state=PENDING, mode_wanted=mode.value, created_at=tx.now,
            session_id=tx.permit.caller.principal.session_id,
        )
    )  # fmt: skip
    tx.record(Event.ENROLMENT_BEGIN, details={"mode": mode.value})
    return secret


def begin_or_resume(tx: Transaction, user_id: int, mode: Mode, vault: Vault, lifetime_minutes: int) -> None:
    """Lets the acting session see the pending secret: the one that a terminal shows, where there is one, or a new one.

    Raises Invalid where the account has as many authenticators as it may have.
    """
    if len(listing(tx.connection, user_id)) >= MOST_AUTHENTICATORS:
        raise Invalid(f"An account has at most {MOST_AUTHENTICATORS} authenticators: remove one first.")
    not_before = tx.now - lifetime_minutes * MINUTE
    resumed = tx.connection.execute(
        update(Authenticator)
        .where(Authenticator.user_id == user_id, Authenticator.state == PENDING, Authenticator.created_at > not_before)
        .values(session_id=tx.permit.caller.principal.session_id)
    ).rowcount
    if resumed:
        tx.record(Event.ENROLMENT_BEGIN, details={"resumed": True})
    else:
        begin(tx, user_id, mode, vault)


def cancel(tx: Transaction, user_id: int) -> None:
    """Drops a pending enrolment, where there is one."""
    _drop_pending(tx.connection, user_id)
    tx.record(Event.ENROLMENT_CANCEL)


def confirm(tx: Transaction, user_id: int, proof: JudgedProof, codes: recovery_codes.NewSet) -> None:
    """Turns two-factor authentication on with the enrolment that `proof` confirmed, and stores the recovery codes."""
    if proof.new_key is not None:
        mode = proof.new_key.mode_wanted
        tx.record(Event.KEY_ADD, details={"key": proof.source, "name": proof.new_key.name})
    else:
        query = select(Authenticator.mode_wanted).where(Authenticator.id == proof.source)
        mode = tx.connection.execute(query).scalar_one()
    tx.connection.execute(
        update(User).where(User.id == user_id).values(mode=mode, updated_at=tx.now, wrong_codes_in_a_row=0)
    )
    recovery_codes.store(tx.connection, user_id, codes, tx.now)
    tx.record(Event.ENROLMENT_CONFIRM, details={"mode": mode})
    tx.record(Event.RECOVERY_GENERATE, details={"count": len(codes.codes)})
    sessions.end_others(tx, user_id)


def confirm_another(tx: Transaction, user_id: int, proof: JudgedProof) -> None:
    """Adds what `proof` confirmed to the factors that the account has; mode and recovery codes stay."""
    if proof.new_key is not None:
        tx.record(Event.KEY_ADD, details={"key": proof.source, "name": proof.new_key.name})
    else:
        tx.record(Event.AUTHENTICATOR_ADD, details={"authenticator": proof.source})
    sessions.end_others(tx, user_id)


def name(tx: Transaction, authenticator_id: str, text: str) -> None:
    """Names an authenticator. Raises Invalid."""
    text = text.strip() or DEFAULT_NAME
    if len(text) > LONGEST_NAME or not text.isprintable():
        raise Invalid(f"An authenticator's name has 1 to {LONGEST_NAME} characters that can be shown.")
    tx.connection.execute(update(Authenticator).where(Authenticator.id == authenticator_id).values(name=text))


def remove(tx: Transaction, user_id: int, authenticator_id: str) -> None:
    """Removes one of several authenticators. Raises NotFound, and Invalid for the last one."""
    names = {each.id: each.name for each in listing(tx.connection, user_id)}
    if authenticator_id not in names:
        raise NotFound("There is no such authenticator: it may have been removed already.")
    factors.check_not_last(tx.connection, user_id)
    tx.connection.execute(delete(Authenticator).where(Authenticator.id == authenticator_id))
    tx.record(Event.AUTHENTICATOR_REMOVE, details={"authenticator": authenticator_id, "name": names[authenticator_id]})
    sessions.end_others(tx, user_id)


def regenerate_recovery_codes(tx: Transaction, user_id: int, codes: recovery_codes.NewSet) -> None:
    """Stores a new set of recovery codes; the old one is void."""
    recovery_codes.store(tx.connection, user_id, codes, tx.now)
    tx.record(Event.RECOVERY_GENERATE, details={"count": len(codes.codes)})


def listing(connection: Connection, user_id: int) -> list[Listed]:
    """The account's active authenticators, oldest first."""
    query = (
        select(Authenticator.id, Authenticator.name, Authenticator.confirmed_at, Authenticator.last_used_at)
        .where(Authenticator.user_id == user_id, Authenticator.state == ACTIVE)
        .order_by(Authenticator.confirmed_at)
    )
    return [Listed(row[0], row[1], row[2] or 0, row[3]) for row in connection.execute(query)]


def activate(connection: Connection, proof: JudgedProof, at: int) -> bool:
    """Makes a pending authenticator active at the step that confirmed it. False where it is gone or was confirmed."""
    result = connection.execute(
        update(Authenticator)
        .where(
            Authenticator.id == proof.source,
            Authenticator.state == PENDING,
            Authenticator.last_step < proof.step,
        )
        .values(state=ACTIVE, last_step=proof.step, confirmed_at=at, last_used_at=at)
    )
    return result.rowcount == 1


def change_mode(tx: Transaction, user_id: int, mode: Mode) -> None:
    """Sets how much the second factor guards; secret and codes stay."""
    tx.connection.execute(update(User).where(User.id == user_id).values(mode=mode.value, updated_at=tx.now))
    tx.record(Event.MODE_CHANGE, details={"mode": mode.value})


def ask_in_browser(tx: Transaction, user_id: int, wanted: bool) -> None:
    """Sets whether a client that can is sent to a page for the second factor, instead of asking for a code itself."""
    tx.connection.execute(update(User).where(User.id == user_id).values(asks_in_browser=wanted, updated_at=tx.now))
    tx.record(Event.BROWSER_CHOICE, details={"in browser": wanted})


def disable(tx: Transaction, user_id: int, event: Event) -> None:
    """Turns two-factor authentication off: secrets, recovery codes and continuations are gone."""
    connection = tx.connection
    connection.execute(delete(Authenticator).where(Authenticator.user_id == user_id))
    security_keys.remove_all(connection, user_id)
    recovery_codes.remove(connection, user_id)
    connection.execute(delete(Continuation).where(Continuation.user_id == user_id))
    connection.execute(
        update(User)
        .where(User.id == user_id)
        .values(mode=None, asks_in_browser=False, updated_at=tx.now, wrong_codes_in_a_row=0, codes_suspended_at=None)
    )
    sessions.end_others(tx, user_id)
    tx.record(event)


def secrets_of(
    connection: Connection, user_id: int, state: str, vault: Vault, *, not_before: int = 0
) -> Sequence[Secret]:
    """The account's authenticators in `state` that were begun after `not_before` (µs), opened."""
    rows = connection.execute(
        select(
            Authenticator.id,
            Authenticator.sealed_secret,
            Authenticator.last_step,
            Authenticator.mode_wanted,
            Authenticator.session_id,
        ).where(
            Authenticator.user_id == user_id,
            Authenticator.state == state,
            Authenticator.created_at > not_before,
        )
    ).all()
    return [
        Secret(row_id, vault.open(sealed, seal_context(row_id, user_id)), last_step, Mode(mode), session_id)
        for row_id, sealed, last_step, mode, session_id in rows
    ]


def pending_since(connection: Connection, user_id: int) -> int | None:
    """When (µs) the account's pending enrolment was begun; None where there is none."""
    return connection.execute(
        select(Authenticator.created_at).where(Authenticator.user_id == user_id, Authenticator.state == PENDING)
    ).scalar_one_or_none()


def is_pending(connection: Connection, user_id: int, at: int, lifetime_minutes: int) -> bool:
    """Whether the account has an enrolment under way that has not expired at `at` (µs)."""
    since = pending_since(connection, user_id)
    return since is not None and since > at - lifetime_minutes * MINUTE


def seal_context(authenticator_id: str, user_id: int) -> str:
    """What the sealed secret of an authenticator is bound to."""
    return f"authenticators|{authenticator_id}|{user_id}|totp-secret"


def _drop_pending(connection: Connection, user_id: int) -> None:
    connection.execute(delete(Authenticator).where(Authenticator.user_id == user_id, Authenticator.state == PENDING))
