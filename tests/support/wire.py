"""Plain HTTP, where a test says what goes over the wire itself, or has to come from another address."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.server import Server

_PATIENCE = 60.0


@dataclass(frozen=True)
class Answer:
    """What the server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.text)

    @property
    def error(self) -> str:
        """The sentence that npm shows; empty when there is none."""
        try:
            body = self.json
        except ValueError:
            return ""
        return str(body.get("error", "")) if isinstance(body, dict) else ""

    @property
    def notice(self) -> str:
        """What npm prints after `npm notice`."""
        return self.headers.get("npm-notice", "")

    @property
    def asks_for_a_code(self) -> bool:
        """Whether every client takes this for the question for a one-time password (npm-protocol.md 3.1)."""
        return self.status == 401 and self.headers.get("www-authenticate") == "OTP" and "one-time pass" in self.text


def request(
    server: Server,
    method: str,
    path: str,
    *,
    token: str | None = None,
    otp: str | None = None,
    body: object = None,
    text: str | None = None,
    headers: Mapping[str, str] | None = None,
    source: str = "127.0.0.1",
) -> Answer:
    """One request as npm sends it: JSON, the token as Bearer, the code in `npm-otp`; it comes from `source`.

    `text` is a body of any other kind.
    """
    sent = {"host": server.host, "accept": "*/*", "user-agent": "a test", "npm-auth-type": "legacy"}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    if otp is not None:
        sent["npm-otp"] = otp
    payload = None if text is None else text.encode()
    if body is not None:
        payload = json.dumps(body).encode()
        sent["content-type"] = "application/json"
    sent.update(headers or {})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE, source_address=(source, 0))
    try:
        connection.request(method, path, body=payload, headers=sent)
        response = connection.getresponse()
        answer = response.read().decode("utf-8", errors="replace")
        found: dict[str, str] = {}
        for name, value in ((name.lower(), value) for name, value in response.getheaders()):
            found[name] = f"{found[name]}\n{value}" if name == "set-cookie" and name in found else value
        return Answer(response.status, found, answer)
    finally:
        connection.close()
