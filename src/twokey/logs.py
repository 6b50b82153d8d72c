"""Structured logs: one JSON object a line on standard error, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

READY = "is_ready"  # of a record whose text is lines of JSON already
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_SECRETS = (
    (re.compile(r"npm_[A-Za-z0-9]{8,}"), "npm_***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)secret=[A-Z2-7]+"), "secret=***"),
    # What stands where npm puts the token to end is one, whatever it looks like; to the end of the JSON string.
    (re.compile(r"(/-/(?:user|npm/v1/tokens)/token/)(?:[^\"\\]|\\.)+"), r"\1***"),
    (re.compile(r"(/(?:reset|verify|undo|login/cli|auth/cli)/)[A-Za-z0-9]{30,}"), r"\1***"),
    # SQLAlchemy repeats the values of a statement that failed: password hashes, sealed secrets.
    (re.compile(r"\[parameters: .*?\](?=\\n|\"|$)"), "[parameters: ***]"),
)


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time, level, logger, message, and whatever was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with tokens, credentials and TOTP secrets masked."""
        if getattr(record, READY, False):
            return record.getMessage()
        document: dict[str, object] = {
            "time": moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in STANDARD},
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return redacted(json.dumps(document, ensure_ascii=False, default=str))


def moment(seconds: float) -> str:
    """A time (seconds since the epoch) as lines have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def redacted(text: str) -> str:
    """The text with what looks like a secret masked."""
    for pattern, mask in _SECRETS:
        text = pattern.sub(mask, text)
    return text


def set_up(level: str) -> None:
    """Sends every logger's records of `level` and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("uvicorn", "uvicorn.error", "alembic"):
        logging.getLogger(noisy).handlers.clear()
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
