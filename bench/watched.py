"""`twokey serve` with a task beside it that wakes every 5 ms and notes how late it was: `python -m bench.watched`.

`GET /-/bench/lateness` answers with the longest since it was asked last, in ms, and forgets it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from twokey import settings
from twokey.app import application
from twokey.cli import serve
from twokey.clock import SystemClock

PATH = "/-/bench/lateness"
TICK = 0.005


class Watched:
    """An application, with a watch over the event loop that it runs in."""

    def __init__(self, app: ASGIApp) -> None:
        """Watches from the first request on."""
        self._app = app
        self._latest = 0.0
        self._watching: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers for itself, or hands the request on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        body, self._latest = f"{self._latest * 1000:.2f}".encode(), 0.0
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self._latest = max(self._latest, time.perf_counter() - due)


def watched(*args: Any, **options: Any) -> Watched:
    """The application that these make, watched."""
    return Watched(application(*args, **options))


def main() -> int:
    """Serve until told to stop."""
    setattr(serve, "application", watched)  # noqa: B010
    return serve.run(settings.read(os.environ), clock=SystemClock())


if __name__ == "__main__":
    sys.exit(main())
