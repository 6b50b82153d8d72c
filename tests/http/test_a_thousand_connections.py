"""A thousand clients at once, for a minute: every one is answered rightly, and the server grows no larger by it."""

from __future__ import annotations

import asyncio
import re
import resource
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.http.test_fast_lane import GZIP, NPM
from tests.support import accounts
from tests.support.accounts import Account
from tests.support.lane import MEASURED, by_lane, get
from tests.support.server import Server

CONNECTIONS = 1000
SECONDS, WARM_UP, PUBLISH_EVERY = 60.0, 15.0, 5.0
GROWTH = 0.10
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


def resident(server: Server) -> int:
    """The server's memory in KiB."""
    assert server._process is not None
    text = Path(f"/proc/{server._process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


async def _client(port: int, sent: bytes, until: float, seen: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        while time.monotonic() < until:
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            assert length is not None, head
            await reader.readexactly(int(length[1]))
            seen[head[:12].decode()] += 1
    finally:
        writer.close()
        await writer.wait_closed()


async def _publishes(account: Account, series: int, until: float) -> int:
    count = 0
    while time.monotonic() < until:
        await asyncio.sleep(PUBLISH_EVERY)
        count += 1
        answer = await asyncio.to_thread(accounts.publish, account, "pkg", f"{series}.{count}.0")
        assert answer.status == 201, answer
    return count


async def _load(
    server: Server, account: Account, series: int, requests: list[bytes], seconds: float
) -> tuple[Counter[str], int]:
    seen: Counter[str] = Counter()
    until = time.monotonic() + seconds
    clients = [_client(server.port, requests[at % len(requests)], until, seen) for at in range(CONNECTIONS)]
    publishing = asyncio.create_task(_publishes(account, series, until))
    await asyncio.gather(*clients)
    return seen, await publishing


@pytest.mark.long
def test_a_thousand_connections_for_a_minute_without_an_error_and_without_growth(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * CONNECTIONS:
        pytest.skip(f"this machine allows {hard} open files, too few for {CONNECTIONS} connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with Server(tmp_path, MEASURED) as server:
            alice = accounts.sign_up(server)
            for name in ("pkg", "other"):
                assert accounts.publish(alice, name).status == 201
            token = f"authorization: Bearer {alice.token}"
            targets = ("/pkg", "/other", "/pkg/-/pkg-1.0.0.tgz", "/other/1.0.0")
            requests = [get(target, NPM, GZIP, *lines) for target in targets for lines in ((), (token,))]
            asyncio.run(_load(server, alice, 2, requests, WARM_UP))
            before, lane = resident(server), by_lane(server)
            seen, publishes = asyncio.run(_load(server, alice, 3, requests, SECONDS))
            after = resident(server)
            given = by_lane(server) - lane
            print(f"{sum(seen.values())} answers, {given} of the lane, {publishes} publishes, {before} to {after} KiB")
            assert set(seen) == {"HTTP/1.1 200"}, seen
            assert given > sum(seen.values()) // 2
            assert after <= before * (1 + GROWTH), f"from {before} to {after} KiB"
            assert '"level": "error"' not in server.log
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
