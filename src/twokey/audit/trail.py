"""The append-only chain of audit events: `hash = SHA-256(previous hash || RFC 8785 JSON)`, `seq` without gaps.

An event is appended inside the transaction of the change that it records, so that there is no change without its
event and no event without its change. Documents hold text, integers, booleans and null under ASCII keys only, for
which sorted keys and minimal separators are RFC 8785's canonical form.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from twokey.audit.events import Event
from twokey.authority.principal import Caller
from twokey.db.engine import Database
from twokey.db.schema import AnonymousRefusal, AuditAddress, AuditEvent
from twokey.vault import keyed_hash

GENESIS = "0" * 64
BEFORE_ALL = -(2**63)  # an event slipped in before the first shows too
MINUTE = 60_000_000
_LAST = select(AuditEvent.seq, AuditEvent.hash).order_by(AuditEvent.seq.desc()).limit(1)
_APPEND, _APPEND_ADDRESS = insert(AuditEvent), insert(AuditAddress)
Value = str | int | bool | None | Mapping[str, "Value"] | Sequence["Value"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the trail as it is kept."""

    seq: int
    document: dict[str, Value]
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many events were read, and the first that does not hold."""

    events: int
    broken_at: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as a listener is told of it, within its transaction."""

    event: str
    account: str | None
    resource: str
    details: Mapping[str, Value]
    caller: Caller
    at: int


Listener = Callable[[Connection, Happened], None]


class Trail:
    """Appends to the chain and reads it."""

    def __init__(self, database: Database, address_key: bytes, listener: Listener | None = None) -> None:
        """`address_key` keys the hashes that stand for client addresses; `listener` is told of every event."""
        self._database = database
        self._address_key = address_key
        self._listener = listener

    def append(
        self,
        connection: Connection,
        event: Event,
        caller: Caller,
        *,
        at: int,
        account: str | None,
        resource: str,
        outcome: str = "ok",
        factor: str | None = None,
        reason: str | None = None,
        details: Mapping[str, Value] | None = None,
    ) -> int:
        """Appends one event to the chain, in the caller's transaction. Returns its seq.

        `account` is the account concerned (the actor's own for most events), `resource` what was acted on, `factor`
        what proved it, `details` what changed. None of them may hold a secret.
        """
        self._database.lock(connection, "audit")
        last = connection.execute(_LAST).one_or_none()
        seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
        principal = caller.principal
        document: dict[str, Value] = {
            "seq": seq,
            "at": at,
            "event": event.value,
            "actor": principal.user_name,
            "actor_kind": principal.kind.value,
            "actor_id": principal.user_id,
            "token": principal.token_key,
            "token_name": _printable(principal.token_name),
            "session": principal.session_key,
            "account": account,
            "resource": _printable(resource),
            "outcome": outcome,
            "reason": _printable(reason),
            "factor": factor,
            "address": keyed_hash(self._address_key, caller.address),
            "user_agent": _printable(caller.user_agent),
            "request": caller.request_id,
            "details": _printable_all(dict(details or {})),
        }
        text = canonical(document)
        connection.execute(
            _APPEND,
            {
                "seq": seq, "at": at, "event": event.value, "account": account, "resource": document["resource"],
                "document": text, "hash": chained(previous, text),
            },
        )  # fmt: skip
        connection.execute(_APPEND_ADDRESS, {"seq": seq, "address": caller.address, "at": at})
        if self._listener is not None:
            self._listener(connection, Happened(event.value, account, resource, details or {}, caller, at))
        return seq

    def count_anonymous(self, event: Event, caller: Caller, block: str, at: int) -> None:
        """Counts a refusal of a caller who proved nothing, per minute and address block, in its own transaction."""
        key = {"minute": at // MINUTE, "block": block, "kind": event.value}
        with self._database.write(quietly=True) as connection:
            self._database.lock(connection, f"anonymous:{block}")
            changed = connection.execute(
                AnonymousRefusal.__table__.update()  # type: ignore[attr-defined]
                .where(*(getattr(AnonymousRefusal, name) == value for name, value in key.items()))
                .values(count=AnonymousRefusal.count + 1)
            ).rowcount
            if not changed:
                connection.execute(insert(AnonymousRefusal).values(**key, count=1))

    def entries(self, *, account: str | None = None, event: str | None = None, after: int = 0) -> Iterator[Entry]:
        """The events with a seq above `after`, oldest first; of one account or one kind where named."""
        query = select(AuditEvent.seq, AuditEvent.document, AuditEvent.hash).order_by(AuditEvent.seq).limit(1000)
        if account is not None:
            query = query.where(AuditEvent.account == account)
        if event is not None:
            query = query.where(AuditEvent.event == event)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query.where(AuditEvent.seq > after)).all()
            if not rows:
                return
            for seq, document, digest in rows:
                yield Entry(seq, json.loads(document), digest)
            after = rows[-1][0]

    def latest(self, account: str, limit: int) -> list[Entry]:
        """The last `limit` events that concern an account, newest first."""
        query = (
            select(AuditEvent.seq, AuditEvent.document, AuditEvent.hash)
            .where(AuditEvent.account == account)
            .order_by(AuditEvent.seq.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Entry(seq, json.loads(text), digest) for seq, text, digest in connection.execute(query)]

    def verify(self) -> Verdict:
        """Recomputes the whole chain: any changed, missing, added or moved event shows."""
        previous, expected, after = GENESIS, 1, BEFORE_ALL
        query = select(
            AuditEvent.seq, AuditEvent.at, AuditEvent.event, AuditEvent.account, AuditEvent.resource,
            AuditEvent.document, AuditEvent.hash,
        ).order_by(AuditEvent.seq).limit(1000)  # fmt: skip
        while True:
            with self._database.read() as connection:
                rows = connection.execute(query.where(AuditEvent.seq > after)).all()
            if not rows:
                return Verdict(expected - 1, None, None)
            for seq, at, event, account, resource, text, digest in rows:
                if seq != expected:
                    return Verdict(expected - 1, expected, f"event {expected} is missing")
                if digest != chained(previous, text):
                    return Verdict(expected - 1, seq, f"event {seq} was changed, or the one before it was")
                document = json.loads(text)
                kept = (
                    document["seq"],
                    document["at"],
                    document["event"],
                    document["account"],
                    document["resource"],
                )
                if kept != (seq, at, event, account, resource):
                    return Verdict(expected - 1, seq, f"the columns of event {seq} differ from its document")
                previous, expected, after = digest, expected + 1, seq


def canonical(document: Mapping[str, Value]) -> str:
    """The document as RFC 8785 JSON (see the module's text for why this is enough)."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chained(previous: str, text: str) -> str:
    """The hash of an event whose canonical JSON is `text`, after one whose hash is `previous`."""
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()


def _printable_all(value: Value) -> Value:
    """The value with every text in it made printable."""
    if isinstance(value, str):
        return _printable(value)
    if isinstance(value, Mapping):
        return {key: _printable_all(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_printable_all(each) for each in value]
    return value


def _printable(text: str | None) -> str | None:
    # Control characters would let an event draw over the terminal of whoever reads the trail.
    if text is None:
        return None
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[:512])
