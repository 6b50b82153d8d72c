"""Bodies of requests: heard up to a limit, kept in memory where they are small, taken in blocks where they are large.

A client is heard out up to the limit also where its request is refused: one that is cut off while it still sends sees
a reset connection instead of the sentence, and npm then tries again. One that waits to be told to go on
(`Expect: 100-continue`, RFC 9110 10.1.1) is answered at once instead; its connection ends then, for it may send or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request

from twokey.errors import Invalid, TooLarge
from twokey.http.routing import Call
from twokey.publishing.ingest import Ingest, Ingested
from twokey.registry import MIB, Registry

LARGE = 1024 * 1024
BLOCK = 256 * 1024
IDLE_SECONDS = 60
THREADS = 2
MOST_OF_ONE = 8
T = TypeVar("T")


class Body:
    """The body of one request, read once, from its beginning to its end or to its limit."""

    def __init__(self, request: Request, limit: int, sentence: str) -> None:
        """`limit` in bytes; past it TooLarge is raised with the `sentence`."""
        self._stream = request.stream()
        self._limit = limit
        self._sentence = sentence
        self._heard = 0
        self._silent = False
        length = request.headers.get("content-length", "")
        self._announced = int(length) if length.isascii() and length.isdecimal() else None
        self._waits = request.headers.get("expect", "").lower() == "100-continue"

    @property
    def is_large(self) -> bool:
        """Whether it announces more than fits into memory."""
        return self._announced is not None and self._announced > LARGE

    @property
    def is_unheard(self) -> bool:
        """Whether the client waits to be told to go on, or has stopped to send: nobody knows what comes next."""
        return self._silent or (self._waits and not self._heard)

    def check_announced(self) -> None:
        """Raises TooLarge where more is announced than the limit."""
        if self._announced is not None and self._announced > self._limit:
            raise TooLarge(self._sentence)

    async def next(self) -> bytes:
        """The next bytes, none at the end. Raises TooLarge, ClientDisconnect, and Invalid where no bytes come."""
        try:
            with anyio.fail_after(IDLE_SECONDS):
                part = await self._part()
        except TimeoutError:
            self._silent = True
            raise Invalid(f"Nothing of the request came for {IDLE_SECONDS} seconds: send it again.") from None
        self._heard += len(part)
        if self._heard > self._limit:
            raise TooLarge(self._sentence)
        return part

    async def _part(self) -> bytes:
        async for part in self._stream:
            if part:  # the end is told by none
                return part
        return b""

    async def read(self, most: int | None = None) -> bytes:
        """Everything, or the beginning of it that is longer than `most` bytes. Raises what `next` raises."""
        parts: list[bytes] = []
        while part := await self.next():
            parts.append(part)
            if most is not None and self._heard > most:
                break
        return b"".join(parts)

    async def drain(self) -> None:
        """Hears the client out, up to the limit, without keeping anything."""
        if self.is_unheard:
            return
        with suppress(TooLarge, Invalid):
            while await self.next():
                pass


class Uploads:
    """Takes large bodies in blocks, in few threads: a thread works on a block, and is free while the next one comes.

    While the threads are busy nothing is read from the sockets, so a body takes two blocks of memory however fast it
    comes. An account has a few uploads at once; others of it wait for their turn, and so do their clients.
    """

    def __init__(self, registry: Registry) -> None:
        """Belongs to the running event loop."""
        self._registry = registry
        # Of each kind only as many as there are likely cores: more would make the event loop wait for its turn.
        self._threads, self._handlers = CapacityLimiter(THREADS), CapacityLimiter(THREADS)
        self._turns: WeakValueDictionary[int | None, CapacityLimiter] = WeakValueDictionary()

    async def take(self, body: Body, call: Call, ask_first: Callable[[], Awaitable[object]] | None) -> None:
        """Puts the body into the call: its bytes where they are few, else what was ingested, after `ask_first`.

        Raises what `Body.next`, `ask_first` and `Ingest.feed` raise. Whoever has the call hands it to `finish`.
        """
        start = b"" if body.is_large else await body.read(LARGE)
        if not body.is_large and len(start) <= LARGE:
            call.body = start
            return
        if ask_first is not None:
            await ask_first()
            call.permits.clear()  # the handler asks for what it does
        call.ingested = await self._ingest(body, start, call.caller.principal.user_id)

    async def finish(self, call: Call, work: Callable[[CapacityLimiter], Awaitable[T]]) -> T:
        """Does what a call with an ingested body asks for; afterwards nothing of the body is left."""
        assert call.ingested is not None
        try:
            return await work(self._handlers)
        finally:
            await self._close(call.ingested.close)

    async def _ingest(self, body: Body, start: bytes, user_id: int | None) -> Ingested:
        settings = self._registry.settings
        ingest = Ingest(self._registry.blobs, self._registry.tarball_limits, settings.limit_document * MIB)
        turn = self._turns.setdefault(user_id, CapacityLimiter(MOST_OF_ONE))
        try:
            async with turn:
                block = bytearray(start)
                while part := await body.next():
                    block += part
                    if len(block) >= BLOCK:
                        await anyio.to_thread.run_sync(ingest.feed, bytes(block), limiter=self._threads)
                        block.clear()
                await anyio.to_thread.run_sync(ingest.feed, bytes(block), limiter=self._threads)
                return await anyio.to_thread.run_sync(ingest.finish, limiter=self._threads)
        except BaseException:
            await self._close(ingest.close)
            raise

    async def _close(self, close: Callable[[], None]) -> None:
        with anyio.CancelScope(shield=True):  # also where the server ends
            await anyio.to_thread.run_sync(close, limiter=self._threads)
