"""Clients that wait in a terminal while a person decides in a browser: about a login, or about a one-time proof.

A hand-off has two addresses: the page's, which the person opens, and the client's, which it asks again and again.
Neither leads to the other, and of both ids only hashes are kept. What the client gets in the end, a login token or a
one-time password, is kept sealed, and for minutes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from twokey.accounts.passwords import address_block
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.actions import CONTINUED, Action
from twokey.authority.permit import Target
from twokey.authority.principal import Caller
from twokey.clock import MICROSECONDS, MINUTE, hour_minute
from twokey.db.engine import Database
from twokey.db.schema import Continuation, User
from twokey.db.schema_access import HandOff
from twokey.errors import Conflict, Invalid, NotFound, Throttled
from twokey.throttle import Bucket, Limit, full_until, record
from twokey.vault import Vault, hashed, key_id_of, new_secret

LOGIN, PROOF = "login", "proof"
WAITING, APPROVED, DENIED = "waiting", "approved", "denied"
DECIDE_WITHIN = 5 * MINUTE
USE_WITHIN = 2 * MINUTE
REPEAT_WITHIN = 10 * MICROSECONDS  # a client whose answer was lost asks once more
KEPT = 15 * MINUTE
ALLOWANCE = 5 * MINUTE
ALLOWANCE_PREFIX = "allowance:"
MOST_LOGINS = Limit(100, 300)  # begun from one address: an office shares one
MOST_PROOFS = 20  # that wait for one account; the oldest go first
LOGIN_MARK = "login"  # begins the client's id of a login, so that one that is gone can still be told apart
CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"  # nothing that reads like something else, no words
GONE = "This request was answered already, or is older than five minutes: repeat the command in the terminal."


@dataclass(frozen=True, slots=True)
class Opened:
    """A new hand-off: the ids of its two addresses, and the code that both sides show."""

    page_id: str
    poll_id: str
    code: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A hand-off as the person sees it. `user_name` is whoever a proof is asked of; None for a login."""

    id: int
    kind: str
    code: str
    state: str
    address: str
    user_agent: str
    user_id: int | None
    user_name: str | None
    token_id: int | None
    action: Action | None
    target: str | None
    created_at: int

    @property
    def may_allow(self) -> bool:
        """Whether more of the same may be allowed for a while: publishes, with a token."""
        return self.token_id is not None and self.action is not None and CONTINUED.get(self.action) == "publish"


@dataclass(frozen=True, slots=True)
class Polled:
    """What the waiting client is told: `secret` once it was approved, as long as it may be fetched."""

    kind: str
    state: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """The approval whose one-time password was shown; `used` where it has been used before."""

    id: int
    used: bool
    words: str


class HandOffs:
    """Begins hand-offs and answers the clients that wait. It decides nothing: the door does."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """Keeps them in `database`, what they yield under `vault`."""
        self._database = database
        self._vault = vault

    def begin_login(self, caller: Caller) -> Opened:
        """Begins a login through the browser. Raises Throttled where one address begins too many."""
        block = address_block(caller.address)
        bucket = Bucket(f"hand-off:{block}", (MOST_LOGINS,))
        with self._database.write(quietly=True) as connection:
            self._database.lock(connection, bucket.key)
            until = full_until(connection, bucket, caller.received_at)
            if until is not None:
                sentence = f"Too many logins were begun from this address; the next is taken at {hour_minute(until)}"
                raise Throttled(sentence, retry_after=max(1, (until - caller.received_at) // MICROSECONDS + 1))
            record(connection, bucket.key, caller.received_at)
            return _insert(connection, caller, LOGIN)

    def begin_proof(self, caller: Caller, user_id: int, action: Action, target: Target) -> Opened:
        """Begins the approval of one action of the account, for the credential that asked."""
        with self._database.write(quietly=True) as connection:
            mine = (HandOff.user_id == user_id, HandOff.kind == PROOF, HandOff.state == WAITING)
            newest = select(HandOff.id).where(*mine).order_by(HandOff.id.desc()).limit(MOST_PROOFS - 1)
            connection.execute(delete(HandOff).where(*mine, HandOff.id.not_in(newest)))
            return _insert(
                connection, caller, PROOF, user_id=user_id, token_id=caller.principal.token_id, action=action.value,
                target=str(target),
            )  # fmt: skip

    def poll(self, poll_id: str, at: int) -> Polled:
        """What the client that waits under `poll_id` is told at `at` (µs). Raises NotFound where it waited too long."""
        query = select(
            HandOff.id, HandOff.kind, HandOff.state, HandOff.created_at, HandOff.decided_at, HandOff.delivered_at,
            HandOff.sealed_secret,
        ).where(HandOff.poll_hash == hashed("hand-off poll", poll_id))  # fmt: skip
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(GONE)
        hand_off_id, kind, state, created_at, decided_at, delivered_at, sealed = row
        if state == DENIED:
            return Polled(kind, state)
        if state == WAITING:
            if at >= created_at + DECIDE_WITHIN:
                raise NotFound("Nobody approved this within five minutes: repeat the command.")
            return Polled(kind, state)
        if at >= (decided_at or 0) + USE_WITHIN or (delivered_at is not None and at >= delivered_at + REPEAT_WITHIN):
            raise NotFound(GONE)
        if delivered_at is None:
            self._note_delivery(hand_off_id, at)
        assert sealed is not None
        return Polled(kind, state, self._vault.open(sealed, seal_context(hand_off_id)).decode())

    def _note_delivery(self, hand_off_id: int, at: int) -> None:
        with self._database.write(quietly=True) as connection:
            connection.execute(
                update(HandOff).where(HandOff.id == hand_off_id, HandOff.delivered_at.is_(None)).values(delivered_at=at)
            )


def find(connection: Connection, page_id: str, at: int) -> Asked:
    """The hand-off whose page is `page_id`. Raises Invalid where there is none that can still be decided."""
    query = (
        select(
            HandOff.id, HandOff.kind, HandOff.code, HandOff.state, HandOff.address, HandOff.user_agent,
            HandOff.user_id, User.name, HandOff.token_id, HandOff.action, HandOff.target, HandOff.created_at,
        )
        .join(User, User.id == HandOff.user_id, isouter=True)
        .where(HandOff.page_hash == hashed("hand-off page", page_id), HandOff.created_at > at - KEPT)
    )  # fmt: skip
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Invalid(GONE)
    hand_off_id, kind, code, state, address, agent, user_id, user_name, token_id, action, target, created_at = row
    asked = Asked(
        hand_off_id, kind, code, state, address, agent, user_id, user_name, token_id,
        None if action is None else Action(action), target, created_at,
    )  # fmt: skip
    if asked.state != WAITING or at >= asked.created_at + DECIDE_WITHIN:
        raise Invalid(GONE)
    return asked


def approve(tx: Transaction, asked: Asked, vault: Vault, make_secret: Callable[[], str]) -> None:
    """Lets the client have what `make_secret` makes. Raises Conflict where the request was answered or is too old."""
    _decide(tx, asked, APPROVED)
    secret = make_secret()
    sealed = vault.seal(secret.encode(), seal_context(asked.id))
    tx.connection.execute(
        update(HandOff)
        .where(HandOff.id == asked.id)
        .values(
            sealed_secret=sealed, key_id=key_id_of(sealed), proof=tx.permit.proved_with,
            secret_hash=hashed("hand-off proof", secret) if asked.kind == PROOF else None,
            user_id=tx.permit.actor,
        )
    )  # fmt: skip
    tx.record(Event.HAND_OFF_APPROVE, details=_details(asked))


def allow_more(tx: Transaction, asked: Asked) -> None:
    """Allows publishes with the token that asked, from the address that it asked from, for five minutes."""
    assert asked.may_allow
    tx.connection.execute(
        insert(Continuation).values(
            user_id=tx.permit.actor, token_id=asked.token_id, address=asked.address, family="publish",
            proof=f"{ALLOWANCE_PREFIX}{asked.id}", opened_at=tx.now, expires_at=tx.now + ALLOWANCE,
        )
    )  # fmt: skip
    tx.record(Event.ALLOWANCE_OPEN, details={"client address": asked.address, "minutes": ALLOWANCE // MINUTE})


def deny(tx: Transaction, asked: Asked) -> None:
    """Tells the client no. Raises Conflict where the request was answered or is too old."""
    _decide(tx, asked, DENIED)
    tx.record(Event.HAND_OFF_DENY, details=_details(asked))


def match(connection: Connection, caller: Caller, user_id: int, action: Action, shown: str) -> Match | None:
    """The approval whose one-time password is `shown`, for the account, credential and action that it was given for."""
    row = connection.execute(
        select(HandOff.id, HandOff.used_at, HandOff.proof).where(
            HandOff.secret_hash == hashed("hand-off proof", shown), HandOff.user_id == user_id,
            HandOff.state == APPROVED,
            HandOff.token_id.is_not_distinct_from(caller.principal.token_id),
            HandOff.decided_at > caller.received_at - USE_WITHIN,
            HandOff.action.in_(_same_family(action)),
        )
    ).one_or_none()  # fmt: skip
    return None if row is None else Match(row[0], row[1] is not None, row[2] or "2FA code")


def use(connection: Connection, hand_off_id: int, at: int) -> bool:
    """Uses an approval's one-time password up, in the caller's transaction. False where it was used before."""
    result = connection.execute(
        update(HandOff).where(HandOff.id == hand_off_id, HandOff.used_at.is_(None)).values(used_at=at)
    )
    return result.rowcount == 1


def forget(connection: Connection, now: int) -> int:
    """Deletes hand-offs that are over. Returns how many."""
    return connection.execute(delete(HandOff).where(HandOff.created_at < now - KEPT)).rowcount


def seal_context(hand_off_id: int) -> str:
    """What the sealed secret of a hand-off is bound to."""
    return f"hand_offs|{hand_off_id}|-|secret"


def _same_family(action: Action) -> list[str]:
    family = CONTINUED.get(action)
    return [action.value] if family is None else [each.value for each, other in CONTINUED.items() if other == family]


def _details(asked: Asked) -> dict[str, str | int | None]:
    return {
        "kind": asked.kind,
        "client": asked.user_agent,
        "client address": asked.address,
        "action": asked.action.value if asked.action else None,
        "target": asked.target,
    }


def _decide(tx: Transaction, asked: Asked, state: str) -> None:
    changed = tx.connection.execute(
        update(HandOff)
        .where(HandOff.id == asked.id, HandOff.state == WAITING, HandOff.created_at > tx.now - DECIDE_WITHIN)
        .values(state=state, decided_at=tx.now)
    ).rowcount
    if changed != 1:
        raise Conflict(GONE)


def _insert(
    connection: Connection, caller: Caller, kind: str, *, user_id: int | None = None, token_id: int | None = None,
    action: str | None = None, target: str | None = None,
) -> Opened:  # fmt: skip
    mark = LOGIN_MARK if kind == LOGIN else ""
    digits = [secrets.choice(CODE_ALPHABET) for _ in range(8)]
    opened = Opened(new_secret(), mark + new_secret(), "".join(digits[:4]) + "-" + "".join(digits[4:]))
    connection.execute(
        insert(HandOff).values(
            kind=kind, page_hash=hashed("hand-off page", opened.page_id),
            poll_hash=hashed("hand-off poll", opened.poll_id),
            code=opened.code, state=WAITING, address=caller.address, user_agent=caller.user_agent, user_id=user_id,
            token_id=token_id, action=action, target=target, created_at=caller.received_at,
        )
    )  # fmt: skip
    return opened
