"""The access log of the fast lane: the lines that the application would write, many at a time.

A line written by itself costs more than the answer that it tells of: what is the same in many lines is rendered once,
and a twentieth of a second's lines go out together; their times are their own.
"""

from __future__ import annotations

import asyncio
import json
import logging

from twokey.clock import machine
from twokey.logs import READY, moment, redacted

LONGEST_AGENT = 256
EVERY_SECONDS = 0.05
MOST_WAITING = 500
MOST_AGENTS = 1000
log = logging.getLogger("twokey.access")


class AccessLog:
    """The lines of one process that wait to be written. For its event loop alone."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._lines: list[str] = []
        self._agents: dict[bytes, str] = {}

    def note(
        self, path: str, request_id: str, status: int, length: int, seconds: float, address: str,
        actor: str | None, agent: bytes,
    ) -> None:  # fmt: skip
        """Adds the line of a GET of `path` (as it was `rendered`). `actor`: the account's name, which needs no care."""
        if not log.isEnabledFor(logging.INFO):
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(EVERY_SECONDS, self.write)
        self._lines.append(
            f'{{"time": "{moment(machine())}", "level": "info", "logger": "twokey.access", "message": "request", '
            f'"request_id": "{request_id}", "method": "GET", "path": {path}, "status": {status}, "bytes": {length}, '
            f'"milliseconds": {round(seconds * 1000, 1)}, "address": "{address}", "actor": {_quoted(actor)}, '
            f'"user_agent": {self._agent(agent)}}}'
        )
        if len(self._lines) >= MOST_WAITING:
            self.write()

    def write(self) -> None:
        """Writes what waits."""
        lines, self._lines = self._lines, []
        if lines:
            log.info("\n".join(lines), extra={READY: True})

    def _agent(self, agent: bytes) -> str:
        known = self._agents.get(agent)
        if known is None:
            if len(self._agents) >= MOST_AGENTS:
                self._agents.clear()
            known = self._agents[agent] = rendered(agent.decode("latin-1")[:LONGEST_AGENT])
        return known


def _quoted(actor: str | None) -> str:
    return "null" if actor is None else f'"{actor}"'


def rendered(value: str | None) -> str:
    """The value as it stands in a line: JSON, without what looks like a secret."""
    return redacted(json.dumps(value, ensure_ascii=False))
