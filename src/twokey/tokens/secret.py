"""The form of a token: `npm_`, 30 random base62 characters (178 bit), 6 base62 characters of their CRC-32.

npm's own log redaction masks `npm_` and 36 to 48 letters and digits; the checksum lets a scanner, and the check in
front of the database, drop what cannot be a token. Only a SHA-256 is stored: with 178 random bits nothing slower helps.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import secrets

from twokey.vault import BASE62

PREFIX = "npm_"
RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
SHOWN_LENGTH = 12
_FORM = re.compile(rf"npm_([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")


def new_secret() -> str:
    """A fresh token."""
    body = "".join(secrets.choice(BASE62) for _ in range(RANDOM_LENGTH))
    return PREFIX + body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether `text` has a token's form and its checksum fits."""
    match = _FORM.fullmatch(text)
    return match is not None and match[2] == _checksum(match[1])


def hashed(text: str) -> bytes:
    """What is stored in a token's place."""
    return hashlib.sha256(b"twokey token\0" + text.encode("utf-8", "replace")).digest()


def shown(text: str) -> str:
    """The beginning that lists show."""
    return text[:SHOWN_LENGTH]


def _checksum(body: str) -> str:
    number, digits = binascii.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits
