"""The only caller of time. Everything else is handed a `Clock`, so that a test can hold the hour.

Time is an integer count of microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

MICROSECONDS = 1_000_000
MINUTE = 60 * MICROSECONDS
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """What twokey needs of a clock."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000


def monotonic() -> float:
    """Seconds on a clock that never goes back, for measuring how long something took."""
    return time.monotonic()


def machine() -> float:
    """Seconds since the epoch by the machine's own clock, as the log has them."""
    return time.time()


def iso(at: int) -> str:
    """`at` (µs) as npm writes time: `2026-11-24T03:25:08.123Z`."""
    moment = datetime.fromtimestamp(at // MICROSECONDS, UTC)
    return f"{moment.isoformat()[:19]}.{at // 1000 % 1000:03d}Z"


def hour_minute(at: int) -> str:
    """`at` (µs) as `HH:MM UTC`, rounded up to the full minute so that it is never too early."""
    moment = datetime.fromtimestamp(-(-at // MINUTE) * 60, UTC)
    return f"{moment:%H:%M} UTC"
