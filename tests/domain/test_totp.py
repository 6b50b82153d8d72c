"""Codes as RFC 6238 has them, and the address that an app reads them from."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.world import SECOND, START, code_of
from twokey.errors import ConfigurationError
from twokey.settings import read
from twokey.two_factor import totp
from twokey.two_factor.verdicts import late_or_early

RFC_SECRET = b"12345678901234567890"
# RFC 6238, appendix B, SHA-1: time in seconds and the code's last six of eight digits.
RFC_VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


@pytest.mark.parametrize(("seconds", "code"), RFC_VECTORS)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    at = max(seconds, 330) * SECOND  # before that there are no ten steps to look back on
    assert totp.matching_step(RFC_SECRET, code[2:].encode(), at) == seconds // 30
    assert code_of(RFC_SECRET, seconds * SECOND) == code[2:], "what the tests compare with"


@settings(deadline=None)
@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**34), st.integers(-30, 30))
def test_a_code_is_recognised_within_ten_steps_and_not_beyond(secret: bytes, seconds: int, offset: int) -> None:
    at = (seconds + 900) * SECOND
    code = code_of(secret, at, offset)
    near = [each for each in range(-10, 11) if code_of(secret, at, each) == code]  # rarely two steps share a code
    found = totp.matching_step(secret, code.encode(), at)
    assert (found is not None) == (near != [])
    if found is not None:
        assert abs(found - totp.step_at(at)) == min(map(abs, near))
        assert found - totp.step_at(at) in near


@pytest.mark.parametrize("code", [b"", b"12345", b"1234567", b"abcdef", "１２３４５６".encode()])
def test_what_is_no_code_matches_nothing(code: bytes) -> None:
    assert totp.matching_step(RFC_SECRET, code, START) is None


def test_a_secret_has_160_bits_of_its_own() -> None:
    made = {totp.new_secret() for _ in range(50)}
    assert len(made) == 50
    assert {len(secret) for secret in made} == {20}


def may_be_set(issuer: str) -> bool:
    try:
        return read({"TWOKEY_ISSUER": issuer}).issuer == issuer
    except ConfigurationError:
        return False


@settings(deadline=None)
@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=32),
    st.text("abc -.@&?%/", min_size=1, max_size=11).filter(may_be_set),
)
@example("x" * 32, "npm-twokey")
@example("x" * 32, "my registry")
def test_the_address_in_the_qr_code_fits_a_terminal_and_holds_what_an_app_needs(user: str, issuer: str) -> None:
    if not may_be_set(issuer):
        return
    uri = totp.otpauth_uri(RFC_SECRET, issuer, user)
    assert len(uri.encode()) <= 106
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    query = parse_qs(parts.query, strict_parsing=True)
    assert base64.b32decode(query["secret"][0]) == RFC_SECRET
    assert query["issuer"] == [issuer]
    assert unquote(parts.path) in (f"/{issuer}:{user}", f"/{user}")
    assert set(query) == {"secret", "issuer"}


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("second", [0, 29])
def test_a_step_to_either_side_is_neither_late_nor_early(offset: int, second: int) -> None:
    at = START + second * SECOND
    assert late_or_early(totp.step_at(at) + offset, at, "app") is None


def test_a_late_code_is_told_how_late_and_an_early_one_is_burned() -> None:
    now = totp.step_at(START)
    late = late_or_early(now - 3, START + 7 * SECOND, "app")
    assert late is not None
    assert "expired about 67 s ago" in late.sentence
    assert late.burn is None
    early = late_or_early(now + 4, START, "app")
    assert early is not None
    assert "about 120 s ahead" in early.sentence
    assert early.burn == ("app", now + 4)
