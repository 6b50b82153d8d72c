"""What the tests of the fast lane share: connections that send what they are told, and how often the lane answered."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from tests.support.server import PATIENCE, Server
from tests.support.wire import request

MEASURED = {"TWOKEY_METRICS": "127.0.0.0/8", "TWOKEY_FAST_LANE": "on"}
HOST = "localhost:4873"  # what documents then have in their addresses, whatever the port


class Raw(NamedTuple):
    """An answer as it came: its head with the status line, and its body."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def settled(self) -> Raw:
        """The answer with the request's id and the date, which differ each time, made the same."""
        found = re.search(rb"x-request-id: ([0-9a-f]{16})\r\n", self.head)
        assert found, self.head
        head = re.sub(rb"\r\ndate: [^\r]+ GMT\r\n", b"\r\ndate: D\r\n", self.head).replace(found[1], b"I" * 16)
        assert b"date: D" in head
        return Raw(head, self.body.replace(found[1], b"I" * 16))


class Listening(Protocol):
    """A server, whoever started it."""

    port: int


class Connection:
    """A connection to a server; several requests may go over it."""

    def __init__(self, server: Listening, source: str = "127.0.0.1") -> None:
        """Connects from the address `source`."""
        self._socket = socket.create_connection(
            ("127.0.0.1", server.port), timeout=PATIENCE, source_address=(source, 0)
        )
        self._read = b""

    def __enter__(self) -> Self:
        """It is connected."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self._socket.close()

    def send(self, sent: bytes) -> None:
        """Sends bytes."""
        self._socket.sendall(sent)

    def answer(self, *, body: bool = True) -> Raw:
        """The next answer; `body` False for that to a HEAD."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        head += b"\r\n\r\n"
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
        wanted = int(length[1]) if length and body and not head.startswith(b"HTTP/1.1 304") else 0
        while len(self._read) < wanted:
            self._more()
        found, self._read = self._read[:wanted], self._read[wanted:]
        return Raw(head, found)

    def _more(self) -> None:
        block = self._socket.recv(1 << 20)
        assert block, "the connection ended in the middle of an answer"
        self._read += block


def get(target: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request, byte by byte."""
    return "\r\n".join((f"{method} {target} HTTP/{version}", f"host: {HOST}", *lines, "", "")).encode("latin-1")


def by_lane(server: Server) -> int:
    """How many answers the lane has given so far."""
    text = request(server, "GET", "/-/metrics").text
    return sum(int(float(each)) for each in re.findall(r"^twokey_lane_answers_total\{.*\} (.+)$", text, re.MULTILINE))
