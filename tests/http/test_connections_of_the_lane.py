"""Answers of the lane go out together, in order and whole; then the connection ends like any other when it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS, Caller, Evidence
from twokey.clock import SystemClock
from twokey.http.answers import Replay
from twokey.http.fast_lane import Batch, FastLane
from twokey.http.lane import Asked, Lane
from twokey.registry import open_registry
from twokey.settings import Settings

PATIENCE = 60.0
IDLE: Any = 0.05  # seconds; whole ones are for people
ENDLESS = b"GET /core HTTP/1.1\r\na: "
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

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keeps what is sent."""
        self.sent.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        """All is sent at once."""
        return 0

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed.is_set()

    def close(self) -> None:
        """Closes it."""
        self.closed.set()


async def _application(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError("the lane has it")


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """A lane that has the answer to REQUEST."""
    registry = open_registry(Settings(data=tmp_path / "data"), SystemClock())
    lane = Lane(registry, 1_000_000)
    caller = Caller(ANONYMOUS, Evidence(), "127.0.0.1", "", "0", registry.clock.now())
    permit = Permit(caller, Action.READ_PACKAGE, Target(package="core"), None, None, False, False, False)
    asked = Asked((b"/core", b"", b"", b"a"), b"", registry.database.generation.snapshot())
    headers = [(b"content-length", b"2"), (b"x-request-id", b"0")]
    lane.keep(asked, Replay(permit, "core", "packument", '"1"'), "/core", 200, headers, b"{}")
    yield lane
    registry.close()


def _connected(lane: Lane, batch: Batch | None = None) -> tuple[FastLane, Wire]:
    config = uvicorn.Config(_application, lifespan="off", log_config=None, ws="none", timeout_keep_alive=IDLE)
    protocol, wire = FastLane(config, ServerState(), {}, lane=lane, batch=batch or Batch()), Wire()
    protocol.connection_made(wire)
    return protocol, wire


def _answers(wire: Wire) -> int:
    return b"".join(wire.sent).count(b"HTTP/1.1 200 OK")


async def _idle(lane: Lane) -> int:
    protocol, wire = _connected(lane)
    for _ in range(3):
        protocol.data_received(REQUEST)
        await asyncio.sleep(IDLE / 2)  # the timer of the first answer ends before the last one's time is over
    protocol.data_received(REQUEST)
    await asyncio.wait_for(wire.closed.wait(), PATIENCE)
    protocol.connection_lost(None)
    return _answers(wire)


def test_a_connection_that_asks_nothing_more_is_ended(lane: Lane) -> None:
    assert asyncio.run(_idle(lane)) == 4


async def _together(lane: Lane) -> tuple[list[int], list[int]]:
    batch = Batch()
    ends = [_connected(lane, batch) for _ in range(3)]
    for protocol, _ in ends:
        protocol.data_received(REQUEST)
    before = [_answers(wire) for _, wire in ends]
    await asyncio.sleep(0)
    after = [_answers(wire) for _, wire in ends]
    for protocol, _ in ends:
        protocol.connection_lost(None)
    return before, after


def test_the_answers_of_a_turn_go_out_together_at_its_end(lane: Lane) -> None:
    assert asyncio.run(_together(lane)) == ([0, 0, 0], [1, 1, 1])


async def _followed(lane: Lane, follow: Callable[[FastLane], object]) -> Wire:
    protocol, wire = _connected(lane)
    protocol.data_received(REQUEST)
    follow(protocol)
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire


@pytest.mark.parametrize(
    ("follow", "said"),
    [
        (lambda protocol: protocol.data_received(REQUEST), b"HTTP/1.1 200 OK"),
        (lambda protocol: protocol.data_received(b"no request\r\n\r\n"), b"HTTP/1.1 400 Bad Request"),
        (lambda protocol: [protocol.data_received(each) for each in (ENDLESS, b"a" * 70_000)], b"HTTP/1.1 431 "),
        (lambda protocol: [protocol.eof_received(), protocol.transport.close()], b""),  # as the loop does
        (lambda protocol: protocol.shutdown(), b""),
    ],
    ids=["another request", "what is no request", "a head without end", "the client's end", "the server's end"],
)
def test_an_answer_goes_out_before_whatever_follows(
    lane: Lane, follow: Callable[[FastLane], object], said: bytes
) -> None:
    sent = b"".join(asyncio.run(_followed(lane, follow)).sent)
    first, second = sent.find(b"HTTP/1.1 200 OK"), sent.rfind(b"HTTP/1.1 ")
    assert first == 0
    assert sent.count(b"HTTP/1.1 ") == 1 + bool(said)
    assert sent[second:].startswith(said)
