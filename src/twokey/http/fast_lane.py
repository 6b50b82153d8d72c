"""uvicorn's protocol with a lane for reads that were answered before: no task, no framework, one write to the socket.

What the lane does not know goes to the application as ever, and so does everything that is not a plain GET on an idle
connection. It overrides `on_headers_complete` and what belongs to it, which uvicorn's version range is pinned for.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any, cast

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from twokey.clock import monotonic
from twokey.http.answers import holds
from twokey.http.caller import plain_address
from twokey.http.lane import Answering, Asked, Lane
from twokey.http.sending import FileSending

MOST_HEAD = 64 * 1024
HEAD_TOO_LARGE = b'{"error":"The request line and its headers are too large: at most 64 KiB are taken."}'
# A body that follows, an answer before it, another protocol: for the application.
_NOT_PLAIN = frozenset({b"content-length", b"transfer-encoding", b"expect", b"upgrade"})


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the head of a request, which it would gather in memory without end.

    And with a client's leave told to the answer under way: uvicorn tells the last one that was asked for.
    """

    _in_head = False
    _head = 0
    _under_way: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._under_way is not None and not self._under_way.response_complete:
            self._under_way.disconnected = True
            self._under_way.message_event.set()
        super().connection_lost(exc)

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


class Batch:
    """Sends the answers of one turn of the event loop one after the other, at the turn's end.

    A client on another processor is woken by the first, and not once more by each: a quarter of an answer's cost.
    """

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: list[FastLane] = []

    def add(self, connection: FastLane) -> None:
        """Sends what the connection has to say at the end of this turn, or with `send`."""
        if not self._waiting:
            connection.loop.call_soon(self.send)
        self._waiting.append(connection)

    def send(self) -> None:
        """Sends everything now."""
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            connection.send_unsent()


class FastLane(BoundedProtocol):
    """The protocol with the lane before the application."""

    _answered = False
    _unsent: tuple[bytes, bytes] | None = None  # an answer that goes out with this turn's batch: one at most
    _peer = ""
    _sending: FileSending | None = None
    _idle_since = 0.0  # when (s) the lane gave the last answer; 0 while another is awaited
    _idle_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, lane: Lane, batch: Batch, **named: Any) -> None:
        """`lane` holds the answers, `batch` sends them; both are all connections'. The rest is uvicorn's."""
        super().__init__(*args, **named)
        self._lane = lane
        self._batch = batch

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._peer = plain_address(self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._sending is not None:
            self._sending.abandon()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Answers from the lane where it can, else asks the application."""
        self._answered = False
        self._send_first()
        if self.parser.get_method() == b"GET" and self._is_idle() and self._replayed():
            self._in_head, self._answered = False, True
            return
        self._idle_since = 0.0
        self._unset_keepalive_if_required()  # set behind a file that came within the same bytes
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is read to its end."""
        if not self._answered:
            super().on_message_complete()

    def send_unsent(self) -> None:
        """Sends the answer that waits, if the client is still there."""
        parts, self._unsent = self._unsent, None
        if parts is not None and not self.transport.is_closing():
            self.transport.writelines(parts)

    def _send_first(self) -> None:
        """What waits goes out before anything else is said on this connection."""
        if self._unsent is not None:
            self._batch.send()

    def send_400_response(self, msg: str) -> None:
        """To what cannot be read, behind what waits."""
        self._send_first()
        super().send_400_response(msg)

    def _refuse_head(self) -> None:
        self._send_first()
        super()._refuse_head()

    def eof_received(self) -> None:
        """The client says no more, upon which the transport closes."""
        self._send_first()
        super().eof_received()

    def shutdown(self) -> None:
        """The server ends: what waits goes out first."""
        self._send_first()
        super().shutdown()

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
        if len(named) != len(self.headers) or not named.keys().isdisjoint(_NOT_PLAIN):
            return False  # a header that is there twice is for the application to understand
        lane = self._lane
        accept, encoding = named.get(b"accept", b""), named.get(b"accept-encoding", b"")
        key = (self.url, accept, encoding, named.get(b"host", b"")) if lane.names_host else (self.url, accept, encoding)
        shown = named.get(b"authorization")
        credential = b"" if shown is None else sha256(shown).digest()
        address = lane.address(cast("Scope", self.scope), self._peer)
        found = lane.find(key, credential, address)
        if found is not None:
            ready, grant = found
            has = holds(named.get(b"if-none-match", b"").decode("latin-1"), ready.replay.etag)
            status = 304 if has else 200
            agent = named.get(b"user-agent", b"")
            answering = Answering(ready, grant, status, lane.request_id(), address, agent, started)
            if self._gave(answering):
                return True
        self.scope["state"]["asked"] = Asked(key, credential, lane.generation.snapshot())
        return False

    def _gave(self, answering: Answering) -> bool:
        """Sends the answer, where the lane has it in the form that is asked for."""
        ready, status = answering.ready, answering.status
        head, body = (ready.unchanged, b"") if status == 304 else (ready.head, ready.body)
        if not head:
            return False
        date = b"".join(b"%s: %s\r\n" % pair for pair in self.server_state.default_headers)
        request_id = answering.request_id.encode()
        start = b"%s%s%sx-request-id: %s\r\n\r\n" % (STATUS_LINE[status], date, head, request_id)
        if status == 200 and ready.replay.file is not None:
            return self._sends_file(answering, start)
        self._unsent = (start, body)
        self._batch.add(self)
        self._lane.tell(answering, len(body))
        self._wait_for_more()
        return True

    def _wait_for_more(self) -> None:
        """Ends the connection in the end, if nothing more is asked. One timer for many answers: each costs as much as
        a tenth of an answer."""
        self.server_state.total_requests += 1
        self._idle_since = monotonic()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._idle_for_long)

    def _idle_for_long(self) -> None:
        self._idle_timer = None
        if not self._idle_since:
            return  # uvicorn has a timer for what comes after
        left = self._idle_since + self.timeout_keep_alive - monotonic()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._idle_for_long)
        else:
            self.timeout_keep_alive_handler()

    def _sends_file(self, answering: Answering, start: bytes) -> bool:
        """Begins to send a file. Whatever is asked meanwhile waits, as behind a request of the application."""
        replay, transport = answering.ready.replay, self.transport
        if self.scheme != "http" or transport.get_write_buffer_size() or replay.file is None:
            return False
        cycle = self._cycle()

        def done(whole: bool) -> None:
            self._sending = None
            cycle.response_complete = True
            self._lane.tell(answering, sending.sent)
            if not whole or not cycle.keep_alive:
                transport.close()
            self.on_response_complete()

        try:
            sending = FileSending(transport, replay.file, replay.length, start, done)
        except OSError:
            return False
        self.cycle, self._sending, self._idle_since = cycle, sending, 0.0
        sending.proceed()
        return True

    def _cycle(self) -> RequestResponseCycle:
        """What uvicorn waits for where it has to wait for an answer."""
        cycle = RequestResponseCycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.response_started = True
        return cycle
