"""Looks for changes that no mark tells of: those of other machines, and of writers that were killed before their mark.

Every change is an event of the trail (promise 4), so whoever knows its end knows whether anything was changed. It is
one small query ten times a second for each process; what this machine's own writers marked is marked once more, which
costs the readers another look and nothing else.
"""

from __future__ import annotations

import logging

from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from twokey.audit.events import Event
from twokey.db.engine import Database
from twokey.db.schema import AuditEvent

EVERY_SECONDS = 0.1
MOST = 100  # events to tell apart at once; with more, everything is forgotten
_NEWEST = select(AuditEvent.seq).order_by(AuditEvent.seq.desc()).limit(1)
_SINCE = (
    select(AuditEvent.event, AuditEvent.resource)
    .where(AuditEvent.seq > bindparam("last"))
    .order_by(AuditEvent.seq)
    .limit(MOST + 1)
)
# Nothing of what others read, but for the package that is named.
_OF_ONE_PACKAGE = {
    Event.PACKAGE_CREATE, Event.PACKAGE_PUBLISH, Event.PACKAGE_DEPRECATE, Event.PACKAGE_TAG, Event.PACKAGE_STAR,
}  # fmt: skip
_NOTHING_READ = {
    Event.ACCESS_DENIED, Event.TOKEN_FIRST_USE, Event.TOKEN_CREATE, Event.LOGIN_OK, Event.LOGIN_FAILED,
    Event.PASSWORD_WRONG, Event.PASSWORD_BLOCKED, Event.OTP_WRONG, Event.OTP_REPLAY, Event.OTP_BLOCKED, Event.KEY_WRONG,
}  # fmt: skip
log = logging.getLogger("twokey")


class Watch:
    """Remembers where the trail ended at the last look."""

    def __init__(self, database: Database) -> None:
        """Looks at `database` and marks its generation."""
        self._database = database
        self._last: int | None = None
        self._failing = False

    def look(self) -> None:
        """Marks what was changed since the last look; everything, while the database does not answer."""
        try:
            self._mark_since()
        except SQLAlchemyError:
            self._database.generation.mark()
            if not self._failing:
                log.exception("changes cannot be looked for: every read asks the database")
            self._failing = True
            return
        self._failing = False

    def _mark_since(self) -> None:
        with self._database.read() as connection:
            last = connection.execute(_NEWEST).scalar_one_or_none() or 0
            if last == self._last:
                return
            new = connection.execute(_SINCE, {"last": self._last or 0}).all()
        generation = self._database.generation
        known = self._last is not None and last > self._last and len(new) <= MOST
        changes = [(event, resource or "") for event, resource in new if event not in _NOTHING_READ]
        if not known or any(event not in _OF_ONE_PACKAGE for event, _ in changes):
            generation.mark()
        else:
            for package in {_package(resource) for _, resource in changes}:
                generation.mark(package)
        self._last = last


def _package(resource: str) -> str:
    """The name in `package:NAME@VERSION`; a scope begins with an @, too."""
    name = resource.removeprefix("package:")
    return name[:1] + name[1:].partition("@")[0]
