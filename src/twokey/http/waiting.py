"""Requests that need upstream first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from twokey.errors import Busy, UpstreamFailed
from twokey.upstream.waiting import Waited, Waits

MOST_WAITERS, MOST_WISHES = 2000, 8
T = TypeVar("T")


class Waiting:
    """Work in threads that may have to wait for upstream. Belongs to the running event loop."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._waiters = 0

    async def run(self, work: Callable[[], T], waited: Waited, limiter: CapacityLimiter) -> T:
        """What `work` gives. One that needs upstream first gives its thread back, and begins again when that has
        answered: clients may wait by the hundred, threads may not.

        Raises what `work` raises, UpstreamFailed where it asks for the same again and again, and Busy where too many
        wait.
        """
        while True:
            try:
                return await anyio.to_thread.run_sync(work, limiter=limiter)
            except Waits as wish:
                if wish.key in waited or len(waited) >= MOST_WISHES:
                    raise UpstreamFailed("Upstream gives no answer that lasts: try again in a moment.") from None
                if self._waiters >= MOST_WAITERS:
                    raise Busy("Too many requests wait for upstream: try again in a moment.") from None
                self._waiters += 1
                try:
                    waited[wish.key] = await wish.work()
                except Exception as error:  # the handler is told
                    waited[wish.key] = error
                finally:
                    self._waiters -= 1
