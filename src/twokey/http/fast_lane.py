"""uvicorn's protocol with a lane for reads that were answered before: no task, no framework, one write to the socket.

What the lane does not know goes to the application as ever, and so does everything that is not a plain GET on an idle
connection. It overrides `on_headers_complete` and what belongs to it, which uvicorn's version range is pinned for.
"""

from __future__ import annotations

import asyncio
import secrets
from hashlib import sha256
from typing import Any, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from twokey.clock import monotonic
from twokey.guard.grants import Grant
from twokey.http.caller import plain_address
from twokey.http.lane import Asked, Lane, Ready

MOST_HEAD = 64 * 1024
HEAD_TOO_LARGE = b'{"error":"The request line and its headers are too large: at most 64 KiB are taken."}'
# A body that follows, an answer before it, another protocol: for the application.
_NOT_PLAIN = (b"content-length", b"transfer-encoding", b"expect", b"upgrade")


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the head of a request, which it would gather in memory without end."""

    _in_head = False
    _head = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is read."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Takes bytes. What comes beside the end of one request or the beginning of the next is not counted."""
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse_head()

    def _refuse_head(self) -> None:
        lines = (
            b"HTTP/1.1 431 Request Header Fields Too Large",
            b"content-type: application/json",
            b"content-length: %d" % len(HEAD_TOO_LARGE),
            b"connection: close",
        )
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + HEAD_TOO_LARGE)
        self.transport.close()


class FastLane(BoundedProtocol):
    """The protocol with the lane before the application."""

    _answered = False
    _peer = ""

    def __init__(self, *args: Any, lane: Lane, **named: Any) -> None:
        """`lane` holds the answers; the rest is uvicorn's."""
        super().__init__(*args, **named)
        self._lane = lane

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._peer = plain_address(self.client[0] if self.client else "")

    def on_headers_complete(self) -> None:
        """Answers from the lane where it can, else asks the application."""
        self._answered = False
        if self.parser.get_method() == b"GET" and self._is_idle() and self._replayed():
            self._in_head, self._answered = False, True
            return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is read to its end."""
        if not self._answered:
            super().on_message_complete()

    def _is_idle(self) -> bool:
        """Whether nothing is under way on the connection, and it is to stay."""
        parser = self.parser
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.transport.is_closing()
        )

    def _replayed(self) -> bool:
        """Answers the request from the lane; False, with a note of what was asked, for the application."""
        started = monotonic()
        named = dict(self.headers)
        if len(named) != len(self.headers) or any(name in named for name in _NOT_PLAIN):
            return False  # a header that is there twice is for the application to understand
        lane = self._lane
        accept, encoding = named.get(b"accept", b""), named.get(b"accept-encoding", b"")
        key = (self.url, accept, encoding, named.get(b"host", b"")) if lane.names_host else (self.url, accept, encoding)
        shown = named.get(b"authorization")
        credential = b"" if shown is None else sha256(shown).digest()
        address = lane.address(cast("Scope", self.scope), self._peer)
        found = lane.find(key, credential, address)
        if found is None or not self._gave(*found, named, address, started):
            self.scope["state"]["asked"] = Asked(key, credential, lane.generation.snapshot())
            return False
        return True

    def _gave(self, ready: Ready, grant: Grant, named: dict[bytes, bytes], address: str, started: float) -> bool:
        """Sends the answer, where the lane has it in the form that is asked for."""
        wanted = named.get(b"if-none-match")
        if wanted is not None and b"," in wanted:
            return False
        same = wanted is not None and wanted.strip().removeprefix(b"W/") == ready.etag
        status, head, body = (304, ready.unchanged, b"") if same else (200, ready.head, ready.body)
        if not head or ready.file is not None:
            return False
        request_id = secrets.token_hex(8)
        date = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        start = b"%s%s%sx-request-id: %s\r\n\r\n" % (STATUS_LINE[status], date, head, request_id.encode())
        self.transport.writelines((start, body))
        self.on_response_complete()
        return True
