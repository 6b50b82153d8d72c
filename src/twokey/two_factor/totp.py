"""RFC 6238 codes: SHA-1, 6 digits, 30 seconds, a 20-byte secret, as every authenticator app reads them."""

from __future__ import annotations

import base64
import hmac
import os
from urllib.parse import quote

import pyotp

from twokey.clock import MICROSECONDS

STEP_SECONDS = 30
SECRET_BYTES = 20
TOLERANCE = 1  # steps before and after: a documented deviation from ASVS 6.5.5 (security.md 2.1)
HINT_REACH = 10  # steps before and after within which a refusal says what is wrong with the clock
URI_LENGTH = 106  # bytes: a longer one makes npm's QR code wider than 80 columns


def new_secret() -> bytes:
    """A fresh secret of 160 bits."""
    return os.urandom(SECRET_BYTES)


def as_base32(secret: bytes) -> str:
    """The secret as authenticator apps take it: A-Z and 2-7, 32 characters, no padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def step_at(at: int) -> int:
    """The time step that holds the moment `at` (µs)."""
    return at // (STEP_SECONDS * MICROSECONDS)


def seconds_since_step_ended(step: int, at: int) -> int:
    """Seconds from the end of `step` to the moment `at` (µs)."""
    return at // MICROSECONDS - (step + 1) * STEP_SECONDS


def matching_step(secret: bytes, code: bytes, at: int) -> int | None:
    """The time step within HINT_REACH of the moment `at` (µs) whose code is `code`, the nearest first.

    All steps are computed whatever matches, and each is compared in constant time.
    """
    generator = pyotp.TOTP(as_base32(secret))
    now = step_at(at)
    found: int | None = None
    for offset in sorted(range(-HINT_REACH, HINT_REACH + 1), key=abs, reverse=True):
        if hmac.compare_digest(generator.generate_otp(now + offset).encode(), code):
            found = now + offset
    return found


def otpauth_uri(secret: bytes, issuer: str, user: str) -> str:
    """The address that the QR code holds: `otpauth://totp/ISSUER:USER?secret=...&issuer=ISSUER`.

    Algorithm, digits and period are the defaults and stay out; the label loses its issuer where the whole would pass
    106 bytes, so that npm's QR code fits 80 columns.
    """
    query = f"secret={as_base32(secret)}&issuer={quote(issuer, safe='')}"
    uri = f"otpauth://totp/{quote(issuer, safe='')}:{quote(user, safe='')}?{query}"
    return uri if len(uri) <= URI_LENGTH else f"otpauth://totp/{quote(user, safe='')}?{query}"
