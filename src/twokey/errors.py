"""What can go wrong, in the words of the domain. No HTTP here: `http/errors.py` gives each its status.

Every message is a sentence for the person who meets it: what was wrong and what to do next.
"""

from __future__ import annotations

from enum import StrEnum


class TwokeyError(Exception):
    """The root of everything that twokey refuses or fails with on purpose."""

    def __init__(self, message: str, *, notice: str | None = None) -> None:
        """`message` goes into the answer's `error`; `notice`, where given, into `npm-notice`."""
        super().__init__(message)
        self.message = message
        self.notice = notice


class Invalid(TwokeyError):
    """What was sent cannot be what it should be (400)."""


class TooLarge(TwokeyError):
    """What was sent is larger than a limit, which the message names (413)."""


class NotFound(TwokeyError):
    """There is no such thing, or the caller may not know of it (404)."""


class Conflict(TwokeyError):
    """The thing has changed since the caller read it (409)."""


class Unauthenticated(TwokeyError):
    """The caller has to say who they are, or the credential that was sent is no good (401)."""


class PasswordRequired(Unauthenticated):
    """The account's password is missing or wrong (401, never with an OTP challenge)."""


class AddressRefused(Unauthenticated):
    """The credential may not be used from this address (401 with `www-authenticate: ipaddress`)."""


class Refused(TwokeyError):
    """The caller may not do this, whatever they show (403)."""


class Throttled(TwokeyError):
    """Too many attempts (403 on the npm API: npm repeats a 429 for over a minute)."""

    def __init__(self, message: str, *, retry_after: int, notice: str | None = None) -> None:
        """`retry_after`: seconds until the next attempt is judged."""
        super().__init__(message, notice=notice)
        self.retry_after = retry_after


class Busy(TwokeyError):
    """The server cannot take more of this kind of work now; trying again soon helps (403 for npm)."""


class UpstreamFailed(TwokeyError):
    """Upstream could not be asked, or sent what cannot be used (424: npm and its like do not repeat it).

    `passing`: another attempt may do better.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        """`passing` for what may be over in a moment: a lost connection, an error 500."""
        super().__init__(message, notice=message)
        self.passing = passing


class ProofReason(StrEnum):
    """Why a one-time password is asked for, for the trail."""

    MISSING = "missing"
    WRONG = "wrong"
    EXPIRED = "expired"
    AHEAD = "ahead"
    USED = "used"
    SUSPENDED = "suspended"


class ProofRequired(TwokeyError):
    """A one-time password is needed, or the one that was shown is no good (401 with `OTP`)."""

    def __init__(
        self, message: str, *, reason: ProofReason, notice: str | None = None, page_id: str | None = None,
        poll_id: str | None = None,
    ) -> None:  # fmt: skip
        """`message` must hold the words "one-time pass": clients look for them.

        `page_id` and `poll_id`, where the proof is asked for in a browser: the ids of the page and of the waiting.
        """
        super().__init__(message, notice=notice)
        self.reason = reason
        self.page_id = page_id
        self.poll_id = poll_id


class ConfigurationError(TwokeyError):
    """A setting is unknown, contradictory or cannot be honoured; the start stops (exit 2)."""


class IntegrityFault(TwokeyError):
    """Something stored is not what was stored: a blob, a sealed secret, the audit chain (500)."""
