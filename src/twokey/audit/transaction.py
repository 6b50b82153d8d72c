"""The write transaction that the door hands out: a connection, the permit it was opened with, and the trail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from twokey.audit.events import Event
from twokey.audit.trail import Trail, Value
from twokey.authority.permit import Permit


@dataclass(frozen=True, slots=True)
class _Pending:
    event: Event
    account: str | None
    resource: str
    details: Mapping[str, Value]


@dataclass(slots=True)
class Transaction:
    """What domain functions take first. Made by `guard/door.py` alone.

    `now` (µs) is the moment of the write. Events are recorded here and appended to the chain just before COMMIT, so
    that the chain's lock is held for as short a time as can be; the door refuses to commit a transaction without one.
    """

    connection: Connection
    permit: Permit
    now: int
    _events: list[_Pending] = field(default_factory=list)

    def record(
        self,
        event: Event,
        *,
        account: str | None = None,
        resource: str | None = None,
        details: Mapping[str, Value] | None = None,
    ) -> None:
        """Records an event of this transaction.

        `account` is the account concerned, the actor's own unless named; `resource` the permit's target unless named.
        """
        actor = self.permit.caller.principal.user_name
        concerned = account or self.permit.target.account or actor
        self._events.append(_Pending(event, concerned, resource or str(self.permit.target), dict(details or {})))

    @property
    def recorded(self) -> bool:
        """Whether any event was recorded."""
        return bool(self._events)

    def append_to(self, trail: Trail) -> None:
        """Appends the recorded events to the chain, within this transaction."""
        for pending in self._events:
            trail.append(
                self.connection,
                pending.event,
                self.permit.caller,
                at=self.now,
                account=pending.account,
                resource=pending.resource,
                factor=self.permit.proved_with,
                details=pending.details,
            )
