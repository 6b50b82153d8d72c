"""A connection whose last answer was the lane's ends like any other when nothing more is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS, Caller, Evidence
from twokey.clock import SystemClock
from twokey.http.answers import Replay
from twokey.http.fast_lane import FastLane
from twokey.http.lane import Asked, Lane
from twokey.registry import open_registry
from twokey.settings import Settings

PATIENCE = 60.0
IDLE: Any = 0.05  # seconds; whole ones are for people
REQUEST = b"GET /core HTTP/1.1\r\nhost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """What a protocol writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = asyncio.Event()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Both ends are on this machine."""
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def writelines(self, parts: Any) -> None:
        """Keeps what is sent."""
        self.sent += parts

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed.is_set()

    def close(self) -> None:
        """Closes it."""
        self.closed.set()


async def _application(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("the lane has it")


async def _idle(lane: Lane) -> int:
    config = uvicorn.Config(_application, lifespan="off", log_config=None, ws="none", timeout_keep_alive=IDLE)
    protocol, wire = FastLane(config, ServerState(), {}, lane=lane), Wire()
    protocol.connection_made(wire)
    for _ in range(3):
        protocol.data_received(REQUEST)
        await asyncio.sleep(IDLE / 2)  # the timer of the first answer ends before the last one's time is over
    protocol.data_received(REQUEST)
    await asyncio.wait_for(wire.closed.wait(), PATIENCE)
    protocol.connection_lost(None)
    return sum(part.startswith(b"HTTP/1.1 200 OK") for part in wire.sent)


def test_a_connection_that_asks_nothing_more_is_ended(tmp_path: Path) -> None:
    registry = open_registry(Settings(data=tmp_path / "data"), SystemClock())
    lane = Lane(registry, 1_000_000)
    caller = Caller(ANONYMOUS, Evidence(), "127.0.0.1", "", "0", registry.clock.now())
    permit = Permit(caller, Action.READ_PACKAGE, Target(package="core"), None, None, False, False, False)
    asked = Asked((b"/core", b"", b"", b"a"), b"", registry.database.generation.snapshot())
    headers = [(b"content-length", b"2"), (b"x-request-id", b"0")]
    lane.keep(asked, Replay(permit, "core", "packument", '"1"'), "/core", 200, headers, b"{}")
    try:
        assert asyncio.run(_idle(lane)) == 4
    finally:
        registry.close()
