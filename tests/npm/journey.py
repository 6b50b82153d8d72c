"""The steps of the journey that several tests take, and the words of the client that they wait for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.support.accounts import Account
from tests.support.npm import Npm, Result, Terminal

PASSWORD = "npm password: "
ASKED = "This operation requires a one-time password."
ENTER_OTP = "Enter OTP:"
# npm 6 and 10 ask for the code before they send anything, where 2FA is on already.
ENTER_OTP_UP_FRONT = "Enter one-time password: "
EMAIL = "public)"  # "Email: (this IS public)" up to npm 10, "Email (this will be public):" since
CONFIRM = "And an OTP code from your authenticator: "
RECOVERY = (
    "2FA successfully enabled. Below are your recovery codes, please print these out.\n"
    "You will need these to recover access to your account if you lose your authentication device.\n"
)
TOKEN = re.compile(r"npm_[A-Za-z0-9]{36}")


def asks_up_front(npm: Npm) -> bool:
    """Whether this npm asks for the code of a 2FA change before the server does."""
    return npm.version <= 10


def begin_enabling(npm: Npm, account: Account, *args: str) -> tuple[Terminal, str]:
    """`npm profile enable-2fa` up to the question for the code; the secret as it can be typed."""
    terminal = npm.spawn("profile", "enable-2fa", *args)
    terminal.expect_text(PASSWORD)
    terminal.answer(account.password)
    terminal.expect_text(CONFIRM)
    return terminal, typed_secret(terminal.text)


def typed_secret(text: str) -> str:
    """The secret below the QR code."""
    found = re.findall(r" Or enter code: ([A-Z2-7]+)\n", text)
    assert found, text
    return str(found[-1])


def recovery_codes(text: str) -> list[str]:
    """The codes that npm printed, one line each, after a tab."""
    return re.findall(r"^\t(.+)$", text.partition(RECOVERY)[2], re.MULTILINE)


def change_2fa(npm: Npm, account: Account, code: str, *args: str) -> tuple[int, str]:
    """`npm profile ARGS` for somebody whose 2FA is on: password and code, in the order in which this npm asks."""
    terminal = npm.spawn("profile", *args)
    terminal.expect_text(PASSWORD)
    terminal.answer(account.password)
    terminal.expect_text(ENTER_OTP_UP_FRONT if asks_up_front(npm) else ENTER_OTP)
    terminal.answer(code)
    return terminal.finish()


def log_in(npm: Npm, account: Account, *, password: str | None = None) -> Terminal:
    """`npm login --auth-type=legacy` up to the sent password."""
    terminal = npm.spawn("login", "--auth-type=legacy")
    terminal.expect_text("Username:")
    terminal.answer(account.name)
    terminal.expect_text("Password:")
    terminal.answer(password or account.password)
    if npm.version == 6:  # it has one code for login and adduser
        terminal.expect_text(EMAIL)
        terminal.answer(account.email)
    return terminal


def assert_asked_for_a_code(result: Result) -> None:
    """The client ended with what npm says where a code is needed and there is nobody to ask."""
    assert result.returncode == 1, result
    assert "code EOTP" in result.stderr, result
    assert "This operation requires a one-time password from your authenticator." in result.stderr, result
    assert "by passing --otp=<code>" in result.stderr.replace("\nnpm error ", " "), result


def assert_owner_change_needs_a_code(result: Result) -> None:
    """npm puts words of its own around what `owner` is refused with."""
    assert result.returncode == 1, result
    assert "code EOWNERMUTATE" in result.stderr, result
    assert 'Failed to update package: "OTP required for authentication"' in result.stderr, result


def publish(npm: Npm, folder: Path, *args: str, env: Mapping[str, str] | None = None) -> Result:
    """`npm publish` in a pipe."""
    return npm.run("publish", *args, cwd=folder, env=env)


def assert_published(result: Result, name: str, version: str = "1.0.0") -> None:
    """The client says that it is done."""
    assert result.returncode == 0, result
    assert f"+ {name}@{version}\n" in result.stdout, result
