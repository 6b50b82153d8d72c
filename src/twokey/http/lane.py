"""What the fast lane gives again: answers that the application gave, as long as nothing was changed since.

The application's own answer is kept as it went out, head and body, under everything of the request that it hangs on;
so the lane's answers are the application's, byte for byte, but for date and request id. Whether the caller may have it
is the door's to say: its grant for this credential and package must still hold (guard/grants.py).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.types import Scope

from twokey.clock import monotonic
from twokey.db.generation import place_of, stamp_in
from twokey.guard.grants import Grant
from twokey.http.access_log import AccessLog, rendered
from twokey.http.answers import Replay
from twokey.http.caller import client_address
from twokey.registry import Registry

OVERHEAD = 1024  # bytes, about, of an answer beside its head and body
IDS_AT_ONCE = 512
LARGEST_PART = 8  # no answer may be larger than this part of what the lane may hold
Headers = Sequence[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """A request that the lane could answer the next time: what it hangs on, who asked, the generation before it."""

    key: tuple[bytes, ...]
    credential: bytes
    snapshot: bytes


@dataclass(slots=True)
class Ready:
    """An answer that may be given again. `head` and `unchanged` (that of the 304) end before the request's id.

    `path` is as the log has it.
    """

    replay: Replay
    path: str
    place: int
    stamp: bytes
    head: bytes = b""
    body: bytes = b""
    unchanged: bytes = b""

    @property
    def size(self) -> int:
        """The memory that it takes, in bytes, about."""
        return OVERHEAD + len(self.head) + len(self.body) + len(self.unchanged)


@dataclass(slots=True)
class Answering:
    """One answer of the lane, under the request's id and from the moment (s) when its head was read."""

    ready: Ready
    grant: Grant
    status: int
    request_id: str
    address: str
    agent: bytes
    started: float


class Lane:
    """The answers of one process. For its event loop alone."""

    def __init__(self, registry: Registry, most: int) -> None:
        """Holds at most `most` bytes, and forgets what was not asked for the longest first."""
        self.registry = registry
        self.generation = registry.database.generation
        self._most = most
        self._size = 0
        self._ready: OrderedDict[tuple[bytes, ...], Ready] = OrderedDict()
        self.names_host = registry.settings.url is None  # documents then hold the host that the client named
        self.log = AccessLog()
        self._ids: list[str] = []
        self._proxies = bool(registry.settings.trusted_proxies)

    @property
    def open(self) -> bool:
        """Whether anything may be answered here: not where links hang on what a proxy says of each request."""
        return not (self.names_host and self._proxies)

    def address(self, scope: Scope, peer: str) -> str:
        """The client's address; `peer` is the connection's own, in its plain form."""
        return client_address(self.registry.settings, scope) if self._proxies else peer

    def request_id(self) -> str:
        """An id of a request, as the application makes them; many are drawn at once, in one call of the system."""
        if not self._ids:
            drawn = os.urandom(8 * IDS_AT_ONCE).hex()
            self._ids = [drawn[at : at + 16] for at in range(0, len(drawn), 16)]
        return self._ids.pop()

    def find(self, asked: tuple[bytes, ...], credential: bytes, address: str) -> tuple[Ready, Grant] | None:
        """The answer to the request, with the grant that allows it; None where the application is to be asked."""
        ready = self._ready.get(asked)
        if ready is None:
            return None
        stamp = self.generation.stamp(ready.place)
        if ready.stamp != stamp:
            self._forget(asked)
            return None
        package = ready.replay.package
        grant = self.registry.grants.find(credential, package, stamp, address, self.registry.clock.now())
        if grant is None:
            return None
        self._ready.move_to_end(asked)
        return ready, grant

    def keep(self, asked: Asked, replay: Replay, path: str, status: int, headers: Headers, body: bytes) -> None:
        """Keeps an answer of the application, and the permit that it was given under. The last header is its id."""
        self.registry.grants.keep(replay.permit, asked.credential, asked.snapshot)
        if status not in (200, 304) or any(name in (b"set-cookie", b"npm-notice") for name, _ in headers):
            return
        place = place_of(replay.package)
        stamp = stamp_in(asked.snapshot, place)
        known = self._forget(asked.key)
        if known is None or known.stamp != stamp or known.replay.etag != replay.etag:
            known = Ready(replay, rendered(path), place, stamp)
        head = b"".join(b"%s: %s\r\n" % pair for pair in headers[:-1])
        if status == 304:
            known.unchanged = head
        else:
            known.replay, known.head = replay, head
            known.body = b"" if replay.file is not None else body
        if known.size > self._most // LARGEST_PART:
            return
        self._ready[asked.key] = known
        self._size += known.size
        while self._size > self._most:
            self._forget(next(iter(self._ready)))

    def tell(self, answer: Answering, length: int) -> None:
        """Counts and logs an answer, of which `length` bytes were sent, as the application does its own."""
        replay, seconds = answer.ready.replay, monotonic() - answer.started
        if replay.counts is not None and answer.status == 200:
            self.registry.downloads.count(*replay.counts, self.registry.clock.now())
        self.registry.figures.count(replay.kind, answer.status, seconds, by_lane=True)
        self.log.note(
            answer.ready.path, answer.request_id, answer.status, length, seconds, answer.address, answer.grant.actor,
            answer.agent,
        )  # fmt: skip

    def _forget(self, key: tuple[bytes, ...]) -> Ready | None:
        ready = self._ready.pop(key, None)
        if ready is not None:
            self._size -= ready.size
        return ready
