"""Any TOTP app (S9, S13): the codes of several implementations, from the secret alone, are accepted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pyotp
import pytest

from tests.support import accounts, codes
from tests.support.accounts import Account

# RFC 6238, appendix B, SHA-1: the secret "12345678901234567890", and the last six of the eight digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}

App = Callable[[str, float], str]


def _pyotp(secret: str, at: float) -> str:
    return pyotp.TOTP(secret).at(int(at))


def _oathtool(secret: str, at: float) -> str:
    if shutil.which("oathtool") is None:
        pytest.skip("oathtool is not installed (Debian: apt-get install oathtool)")
    command = ["oathtool", "--totp", "--base32", f"--now=@{int(at)}", secret]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


APPS = pytest.mark.parametrize("app", [codes.code, _pyotp, _oathtool], ids=["otpauth", "pyotp", "oathtool"])


@APPS
def test_the_app_follows_the_standard(clients: None, app: App) -> None:
    """The published values: what the tests take for an app is one."""
    assert {at: app(RFC_SECRET, at) for at in RFC_CODES} == RFC_CODES


@APPS
def test_its_code_is_accepted(clients: None, enrolled: Account, package_name: str, app: App) -> None:
    """S13: of each of them."""
    enrolled.fresh_code()
    code = app(enrolled.secret, enrolled.server.now())
    assert accounts.publish(enrolled, package_name, otp=code).status in (200, 201)
    assert accounts.is_published(enrolled.server, package_name)
