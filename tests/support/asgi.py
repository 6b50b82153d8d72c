"""The application without a socket: one request at a time, straight into ASGI, in the process of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message

from tests.support.wire import Answer

HOST = "localhost:4873"
HOME = "192.0.2.1"


class Wire:
    """A client of an application. What an exception would end in a socket ends the test here."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is asked as uvicorn asks it."""
        self._app = app
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """Ends the loop, and the threads that handlers ran in."""
        self._runner.close()

    def send(
        self,
        method: str,
        target: str | bytes,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        address: str = HOME,
    ) -> Answer:
        """One request for `target` (path and query, as they stand in the request line) from `address`."""
        raw = target if isinstance(target, bytes) else target.encode("ascii")
        path, _, query = raw.partition(b"?")
        sent = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in headers]
        named = {name for name, _ in sent}
        defaults = ((b"host", HOST.encode()), (b"user-agent", b"a test"), (b"content-length", b"%d" % len(body)))
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": method, "scheme": "http", "path": unquote(path), "raw_path": path, "root_path": "",
            "query_string": query, "headers": [*(pair for pair in defaults if pair[0] not in named), *sent],
            "client": (address, 50000), "server": ("localhost", 4873), "state": {},
        }  # fmt: skip
        return self._runner.run(self._exchange(scope, body))

    async def _exchange(self, scope: dict[str, Any], body: bytes) -> Answer:
        messages: list[Message] = []
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start = messages[0]
        found: dict[str, str] = {}
        for name, value in ((name.decode().lower(), value.decode("latin-1")) for name, value in start["headers"]):
            found[name] = f"{found[name]}\n{value}" if name == "set-cookie" and name in found else value
        text = b"".join(message.get("body", b"") for message in messages[1:]).decode("utf-8", errors="replace")
        return Answer(start["status"], found, text)
