"""What a handler gives back, and how an error becomes one."""

from __future__ import annotations

import errno
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec
from sqlalchemy.exc import OperationalError

from twokey.authority.permit import Permit
from twokey.errors import (
    AddressRefused,
    Busy,
    Conflict,
    Invalid,
    NotFound,
    PasswordRequired,
    ProofRequired,
    Refused,
    Throttled,
    TooLarge,
    TwokeyError,
    Unauthenticated,
    UpstreamFailed,
)

JSON = "application/json"
# Of what is told to one caller and may change with any request.
FRESH = {"cache-control": "private, no-cache", "vary": "authorization"}
log = logging.getLogger("twokey.http")


class Passing(Protocol):
    """A body that is still coming. `length` in bytes, None where nobody knows it yet."""

    length: int | None

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes. Raises where the rest will never come: then the connection breaks off, too."""


@dataclass(frozen=True, slots=True)
class Replay:
    """That an answer may be given again to whoever asks the same and holds a permit, as long as nothing is changed.

    `kind` is what is asked for, for the figures. Where the body is a file, `file` is it and `length` its size in bytes.
    `counts`: the package's id and the version of which each answer is a download.
    """

    permit: Permit
    package: str
    kind: str
    etag: str
    file: Path | None = None
    length: int = 0
    counts: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and a body: bytes, a stream of a known length, or one that is still coming (`passing`).

    `cookies`: one header for each.
    `replay`: that the fast lane may give it again, and under what permit it was given.
    """

    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    stream: BinaryIO | None = None
    length: int = 0
    replay: Replay | None = None
    passing: Passing | None = None


def holds(if_none_match: str, etag: str) -> bool:
    """Whether the header's value names the etag, be it as a weak one (RFC 9110, 13.1.2)."""
    return etag in (each.strip().removeprefix("W/") for each in if_none_match.split(","))


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with `value` as JSON."""
    return Answer(status, msgspec.json.encode(value), headers=headers or {})


_STATUS: tuple[tuple[type[TwokeyError], int], ...] = (
    (Invalid, 400),
    (TooLarge, 413),
    (NotFound, 404),
    (Conflict, 409),
    (ProofRequired, 401),
    (AddressRefused, 401),
    (PasswordRequired, 401),
    (Unauthenticated, 401),
    (Refused, 403),
    # npm repeats a 429 or 5xx for over a minute, with the same code each time (npm-protocol.md 0.4).
    (Throttled, 403),
    (Busy, 403),
    # Upstream was asked as often as it makes sense; npm would repeat a 502 or 504 for over a minute.
    (UpstreamFailed, 424),
)


def error_answer(error: Exception, request_id: str, *, base: str) -> Answer:
    """The answer of the npm API for an error: `{"error": sentence, "request_id": ...}`.

    `base` is the registry's address: of the page that explains one-time passwords, and of the one that gives them.

    A one-time password is asked for with `www-authenticate: OTP`, the bare word; every other 401 goes without that
    header, because the client then shows our sentence instead of its own (npm-protocol.md 0.3).
    """
    if isinstance(error, OperationalError):
        log.error("the database failed", exc_info=error, extra={"request_id": request_id})
        sentence = "The database is busy or away: try again in a moment."
        return json_answer({"error": sentence, "request_id": request_id}, 503, {"retry-after": "5"})
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.error("the disk is full", exc_info=error, extra={"request_id": request_id})
        sentence = "The server's disk is full, nothing was stored: tell its operator."
        return json_answer({"error": sentence, "request_id": request_id}, 507)
    if not isinstance(error, TwokeyError):
        log.error("unexpected error", exc_info=error, extra={"request_id": request_id})
        sentence = f"Something went wrong on the server: tell its operator the request id {request_id}."
        return json_answer({"error": sentence, "request_id": request_id}, 500)
    status = status_of(error)
    if status == 500:
        log.error("%s", error.message, extra={"request_id": request_id})
    headers: dict[str, str] = {"cache-control": "no-store"}
    document = {"error": error.message, "request_id": request_id}
    if isinstance(error, ProofRequired):
        headers["www-authenticate"] = "OTP"
    elif isinstance(error, AddressRefused):
        headers["www-authenticate"] = "ipaddress"
    if isinstance(error, Throttled):
        headers["retry-after"] = str(error.retry_after)
    notice = error.notice
    if isinstance(error, ProofRequired):
        guide = f"{base}/guide"
        notice = f"{notice}. Guide: {guide}" if notice else f"How to get a one-time password: {guide}"
        document |= _waiting(error, base)
    if notice is not None:
        headers["npm-notice"] = _header_text(notice)
    return json_answer(document, status, headers)


def _waiting(error: ProofRequired, base: str) -> dict[str, str]:
    """Where the person approves, and where the client waits, for one that can (npm-protocol.md 3.1)."""
    if error.page_id is None:
        return {}
    return {"authUrl": f"{base}/auth/cli/{error.page_id}", "doneUrl": f"{base}/-/v1/done?authId={error.poll_id}"}


def status_of(error: Exception) -> int:
    """The status of an error of ours on the npm API; 500 for any other."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _header_text(text: str) -> str:
    """The text as a header may hold it: one line of ASCII."""
    return " ".join(text.split()).encode("ascii", "replace").decode()
