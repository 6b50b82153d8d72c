"""Looking into the trail: events by account, kind, resource and time, newest first; and all of them for an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, true

from twokey.audit.trail import Entry
from twokey.db.schema import AuditEvent

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events: empty means all. `since` and `until` in µs, the second excluded."""

    account: str = ""
    event: str = ""
    resource: str = ""
    since: int | None = None
    until: int | None = None


def newest(connection: Connection, wanted: Filter, limit: int, before: int | None = None) -> list[Entry]:
    """The last `limit` events that fit, newest first; those below the seq `before` where it is given."""
    query = select(AuditEvent.seq, AuditEvent.document, AuditEvent.hash).where(*_fits(wanted))
    if before is not None:
        query = query.where(AuditEvent.seq < before)
    rows = connection.execute(query.order_by(AuditEvent.seq.desc()).limit(limit))
    return [Entry(seq, json.loads(text), digest) for seq, text, digest in rows]


def lines(connection: Connection, wanted: Filter) -> Iterator[bytes]:
    """Every event that fits, oldest first, each as a line of JSON with its hash."""
    query = select(AuditEvent.seq, AuditEvent.document, AuditEvent.hash).where(*_fits(wanted))
    after = 0
    while rows := connection.execute(query.where(AuditEvent.seq > after).order_by(AuditEvent.seq).limit(BATCH)).all():
        for _, text, digest in rows:
            yield f'{{"event":{text},"hash":"{digest}"}}\n'.encode()
        after = rows[-1][0]


def _fits(wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [true()]
    if wanted.account:
        found.append(AuditEvent.account == wanted.account)
    if wanted.event:
        found.append(AuditEvent.event == wanted.event)
    if wanted.resource:
        found.append(AuditEvent.resource.contains(wanted.resource, autoescape=True))
    if wanted.since is not None:
        found.append(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        found.append(AuditEvent.at < wanted.until)
    return found
