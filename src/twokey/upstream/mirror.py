"""The documents of upstream's packages: one question for any number of waiting clients, asked again when it is time.

A handler asks `look`, in its worker thread. What is kept and fresh is there at once; else the handler ends with Waits,
the application runs the work on the event loop, and the handler is begun again (http/routing.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from twokey.clock import MICROSECONDS, Clock
from twokey.errors import NotFound, UpstreamFailed
from twokey.packages.names import PackageName
from twokey.upstream import document as documents
from twokey.upstream.document import KeptDocument
from twokey.upstream.presence import Presence
from twokey.upstream.storage import Head, Storage
from twokey.upstream.waiting import PATIENCE_SECONDS, Waited, Waits, awaited

if TYPE_CHECKING:
    from twokey.upstream.client import Client, Fetched

STALE_PATIENCE_SECONDS = 2.0  # where there is an older document to give
MISSING_SECONDS = 60  # for which a name that upstream does not have is remembered
ABSENT_SECONDS = 900  # for which such an answer holds for a publish that is under way
RESTING_SECONDS, ALL_RESTING_SECONDS = 30, 10  # between questions that fail, while there is something older to give
FAILED_SECONDS = 5  # for which a publish is not asked about again
MOST_REMEMBERED = 100_000
READING_AT_ONCE, FETCHING_AT_ONCE = 2, 12  # documents may have tens of megabytes
_Result = TypeVar("_Result")
log = logging.getLogger("twokey.upstream")


@dataclass(frozen=True, slots=True)
class Freshness:
    """Both in microseconds: how long a document is not asked about again, and how long one is given at most while
    upstream cannot be asked."""

    fresh: int
    stale: int


class Mirror:
    """The documents of one upstream."""

    def __init__(self, client: Client, storage: Storage, clock: Clock, freshness: Freshness) -> None:
        """Asks `client`, keeps in `storage`."""
        self._client = client
        self._storage = storage
        self._clock = clock
        self._freshness = freshness
        self._flights: dict[str, asyncio.Task[bool]] = {}
        self._missing: OrderedDict[str, int] = OrderedDict()  # name -> when (µs) upstream said so
        self._failed: OrderedDict[str, int] = OrderedDict()  # name -> when (µs) a question about it failed
        self._all_failed = 0
        self._gates: tuple[anyio.CapacityLimiter, asyncio.Semaphore] | None = None

    # -- in worker threads ---------------------------------------------------------------------------------------

    def look(self, name: PackageName, waited: Waited) -> Head:
        """What is kept of `name`. Raises Waits, NotFound, and UpstreamFailed where nothing young enough is kept."""
        now = self._clock.now()
        head = self._storage.head(name)
        age = None if head is None else now - head.checked_at
        if head is not None and age is not None and 0 <= age < self._freshness.fresh:
            return head
        if self._is_missing(name, now, MISSING_SECONDS):
            raise NotFound("Not found")
        usable = head if head is not None and age is not None and age < self._freshness.stale else None
        if usable is not None and self._is_resting(name, now):
            return usable
        patience = PATIENCE_SECONDS if usable is None else STALE_PATIENCE_SECONDS
        try:
            there = awaited(waited, f"document:{name}", partial(self._asked, name, patience))
        except UpstreamFailed as error:
            if usable is None:
                raise
            log.warning("an older document of %s is given: %s", name, error.message)
            return usable
        found = self._storage.head(name) if there else None
        if there and found is None:
            raise UpstreamFailed(f"The document of {name} was evicted before it could be read: try again.")
        if found is None:
            raise NotFound("Not found")
        return found

    def read(self, name: PackageName, waited: Waited) -> tuple[Head, KeptDocument]:
        """The kept document itself. Raises what `look` raises."""
        head = self.look(name, waited)
        found = self._storage.load(name, head.revision)
        if found is None:  # torn by a power cut, or just replaced
            awaited(waited, f"again:{name}", partial(self._asked, name, PATIENCE_SECONDS))
            newer = self._storage.head(name)
            found = self._storage.load(name, newer.revision) if newer is not None else None
            if newer is None or found is None:
                raise UpstreamFailed(f"The document of {name} cannot be kept here: tell the operator.")
            return newer, found
        return head, found

    def presence(self, name: PackageName, *, in_transaction: bool) -> Presence:
        """Whether upstream has `name`, for a publish. Raises Waits, but not `in_transaction`."""
        now = self._clock.now()
        if self._storage.head(name) is not None:
            return Presence.PRESENT
        if self._is_missing(name, now, ABSENT_SECONDS if in_transaction else MISSING_SECONDS):
            return Presence.ABSENT
        failed = self._failed.get(name.full)
        if in_transaction or (failed is not None and 0 <= now - failed < FAILED_SECONDS * MICROSECONDS):
            return Presence.UNKNOWN
        raise Waits(f"presence:{name}", partial(self._asked, name, PATIENCE_SECONDS))

    # -- on the event loop ---------------------------------------------------------------------------------------

    async def _asked(self, name: PackageName, patience: float) -> bool:
        """Whether upstream has the package, whose document is then kept. Raises UpstreamFailed."""
        flight = self._flights.get(name.full)
        if flight is None:
            flight = asyncio.create_task(self._fetch(name))
            self._flights[name.full] = flight
            flight.add_done_callback(partial(self._landed, name.full))
        try:
            return await asyncio.wait_for(asyncio.shield(flight), patience)
        except TimeoutError:
            self._note_failure(name, everywhere=True)
            raise UpstreamFailed(
                f"Upstream is slow: it has not told about {name} in {patience:.0f} seconds. Try again in a moment."
            ) from None

    def stop(self) -> None:
        """Gives up every question that is under way."""
        for flight in self._flights.values():
            flight.cancel()

    def _landed(self, key: str, flight: asyncio.Task[bool]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled() and flight.exception() is not None:
            log.warning("%s: %s", key, flight.exception())

    async def _fetch(self, name: PackageName) -> bool:
        reading, fetching = self._limits()
        head = await self._thread(reading, partial(self._storage.head, name))
        try:
            async with fetching:
                fetched = await self._client.document(name, head.etag if head is not None else None)
            if fetched is None:
                await self._thread(reading, partial(self._storage.remove, name))
                _remember(self._missing, name.full, self._clock.now())
                return False
            await self._thread(reading, partial(self._keep, name, fetched))
        except UpstreamFailed as error:
            self._note_failure(name, everywhere=error.passing)
            raise
        self._missing.pop(name.full, None)
        self._failed.pop(name.full, None)
        return True

    def _keep(self, name: PackageName, fetched: Fetched) -> None:
        if fetched.body is None:
            self._storage.checked(name)
            return
        self._storage.store(name, documents.encoded(documents.received(name, fetched.body)), fetched.etag)

    def _limits(self) -> tuple[anyio.CapacityLimiter, asyncio.Semaphore]:
        if self._gates is None:  # they belong to a running event loop
            self._gates = anyio.CapacityLimiter(READING_AT_ONCE), asyncio.Semaphore(FETCHING_AT_ONCE)
        return self._gates

    async def _thread(self, limiter: anyio.CapacityLimiter, work: Callable[[], _Result]) -> _Result:
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    # -- what is remembered --------------------------------------------------------------------------------------

    def _is_missing(self, name: PackageName, now: int, seconds: int) -> bool:
        since = self._missing.get(name.full)
        return since is not None and 0 <= now - since < seconds * MICROSECONDS

    def _is_resting(self, name: PackageName, now: int) -> bool:
        since = self._failed.get(name.full, 0)
        resting = 0 <= now - since < RESTING_SECONDS * MICROSECONDS
        return resting or 0 <= now - self._all_failed < ALL_RESTING_SECONDS * MICROSECONDS

    def _note_failure(self, name: PackageName, *, everywhere: bool) -> None:
        now = self._clock.now()
        _remember(self._failed, name.full, now)
        if everywhere:
            self._all_failed = now


def _remember(memory: OrderedDict[str, int], key: str, now: int) -> None:
    memory[key] = now
    memory.move_to_end(key)
    while len(memory) > MOST_REMEMBERED:
        memory.popitem(last=False)
