"""Plain requests of the bench, for what wrk is not made for."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Connection:
    """One kept connection to a server of this machine."""

    def __init__(self, port: int, token: str | None = None) -> None:
        """`token` is shown with every request."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        self._headers = {"host": f"localhost:{port}", **({"authorization": f"Bearer {token}"} if token else {})}

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, and its whole answer."""
        sent = {**self._headers, **({"content-type": "application/json"} if body else {}), **(headers or {})}
        self._connection.request(method, path, body=body, headers=sent)
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def once(port: int, path: str, token: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """One GET on a connection of its own. Raises OSError where nobody listens."""
    connection = Connection(port, token)
    try:
        return connection.request("GET", path, headers=headers)
    finally:
        connection.close()
