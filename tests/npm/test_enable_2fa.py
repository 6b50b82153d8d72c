"""Steps 1 to 4 of the guide: enable, scan, confirm, keep the recovery codes (S2 to S21)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import CONFIRM, PASSWORD, RECOVERY, begin_enabling, recovery_codes
from tests.support import accounts, codes, screen
from tests.support.accounts import PROFILE, Account
from tests.support.npm import Npm


def _spaced(code: str) -> str:
    """As apps show it: `123 456`."""
    return f"{code[:3]} {code[3:]}"


def _assert_off(account: Account) -> None:
    """2FA is off: nobody is asked for a code, and a package goes up without one."""
    tfa = account.profile()["tfa"]
    assert not tfa or tfa["pending"], tfa
    name = accounts.fresh_name("off")
    assert accounts.publish(account, name).status in (200, 201)
    assert accounts.is_published(account.server, name)


@pytest.mark.parametrize("version", [12, 11, 10, 6], ids="npm{}".format)
def test_the_guide(make_npm: MakeNpm, alice: Account, version: int) -> None:
    """S2, S6 to S10, S15 to S17, S20, S21: from the command to the recovery codes."""
    npm = make_npm(version)
    npm.sign_in(alice.token)
    terminal, alice.secret = begin_enabling(npm, alice, "auth-and-writes")
    drawn = screen.qr_code(terminal.raw)
    _check_uri(drawn.text, alice)
    assert drawn.fits, f"{drawn.columns} columns"

    terminal.answer("abcdef")  # S17: letters are no code, the client asks again
    terminal.expect_text(CONFIRM)
    terminal.answer(_spaced(alice.code()))
    exit_code, text = terminal.finish()

    assert exit_code == 0, text
    assert "npm notice profile Enabling two factor authentication for auth-and-writes\n" in text
    assert "Scan into your authenticator app:" in text
    assert RECOVERY in text
    printed = recovery_codes(text)
    assert len(set(printed)) == len(printed) == 10
    assert all(re.fullmatch(r"\d{4}-\d{4}-\d{4}", each) for each in printed), printed
    assert alice.password not in text, "the password is not echoed"
    assert alice.profile()["tfa"] == {"pending": False, "mode": "auth-and-writes"}
    assert accounts.publish(alice, accounts.fresh_name("core")).asks_for_a_code


def _check_uri(uri: str, account: Account) -> None:
    """S6 to S10, S12, S15: what the QR code holds is what every app reads, and says "npm" to its user."""
    assert uri.startswith("otpauth://totp/")
    assert len(uri.encode()) <= 106
    parts = urlsplit(uri)
    assert set(parse_qs(parts.query, keep_blank_values=True)) == {"secret", "issuer"}
    assert unquote(parts.path) == f"/npm-twokey:{account.name}"
    read = codes.parse_uri(uri)
    assert (read["algorithm"], read["digits"], read["period"]) == ("SHA1", 6, 30)
    assert read["issuer"] == "npm-twokey"
    assert read["label"] == account.name
    assert read["secret"] == account.secret, "the secret below the QR code is the one in it"
    assert re.fullmatch(r"[A-Z2-7]{32}", account.secret), "160 bit, without padding"


def test_the_qr_code_of_a_long_name_fits_the_terminal(make_npm: MakeNpm, alice: Account) -> None:
    """S6: a user name of 20 characters."""
    name = accounts.fresh_name("a-rather-long").ljust(20, "x")
    account = accounts.sign_up(alice.server, name)
    npm = make_npm(12)
    npm.sign_in(account.token)
    terminal, account.secret = begin_enabling(npm, account)
    drawn = screen.qr_code(terminal.raw)
    assert drawn.fits, f"{drawn.columns} columns"
    read = codes.parse_uri(drawn.text)
    assert read["label"] == name
    assert read["secret"] == account.secret
    terminal.interrupt()
    terminal.finish()
    _assert_off(account)


def test_a_wrong_password(npm: Npm, alice: Account) -> None:
    """S3: a message that names the password, no QR code, 2FA still off."""
    npm.sign_in(alice.token)
    terminal = npm.spawn("profile", "enable-2fa", "auth-and-writes")
    terminal.expect_text(PASSWORD)
    terminal.answer(accounts.OTHER_PASSWORD)
    terminal.expect_text("npm error")
    exit_code, text = terminal.finish()
    assert exit_code != 0
    assert re.search(r"npm error .*password", text, re.IGNORECASE), text
    assert "EOTP" not in text
    assert "Scan into" not in text
    assert alice.profile()["tfa"] in (None, False)
    _assert_off(alice)


def test_wrong_passwords_are_counted(alice: Account) -> None:
    """S3: ten in five minutes; then the right one is not heard either, and no client takes it for "try again"."""
    enable = {"tfa": {"mode": "auth-and-writes", "password": alice.password}}
    guess = {"tfa": {"mode": "auth-and-writes", "password": accounts.OTHER_PASSWORD}}
    for _ in range(10):
        refused = alice.ask("POST", PROFILE, body=guess)
        assert refused.status == 401, refused
        assert not refused.asks_for_a_code
        assert "password" in refused.error.lower()
    blocked = alice.ask("POST", PROFILE, body=enable)
    assert blocked.status == 403, blocked
    assert alice.profile()["tfa"] in (None, False)
    alice.server.advance(301)
    assert alice.ask("POST", PROFILE, body=enable).status == 200


@pytest.mark.parametrize(("args", "mode"), [((), "auth-and-writes"), (("auth-only",), "auth-only")])
def test_the_mode(npm: Npm, alice: Account, args: tuple[str, ...], mode: str) -> None:
    """S4: auth-and-writes where none is named; auth-only where it is."""
    npm.sign_in(alice.token)
    terminal, alice.secret = begin_enabling(npm, alice, *args)
    terminal.answer(alice.code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"Enabling two factor authentication for {mode}\n" in text
    assert alice.profile()["tfa"] == {"pending": False, "mode": mode}


def test_what_the_client_refuses(npm: Npm, alice: Account) -> None:
    """S4 and S54: an unknown mode, and JSON, where somebody has to scan."""
    npm.sign_in(alice.token)
    unknown = npm.run("profile", "enable-2fa", "foo")
    assert unknown.returncode == 1
    assert 'Invalid two-factor authentication mode "foo".' in unknown.stderr
    machine = npm.run("profile", "enable-2fa", "--json")
    assert machine.returncode == 1
    assert "interactive operation" in machine.text
    assert alice.profile()["tfa"] in (None, False)


def test_not_logged_in(npm: Npm) -> None:
    """S5: told to log in, by the client or by the server."""
    terminal = npm.spawn("profile", "enable-2fa", "auth-and-writes")
    exit_code, text = terminal.finish()
    assert exit_code != 0
    assert re.search(r"need to be logged in|log in|npm login", text), text
    assert "Scan into" not in text


def test_a_wrong_code_and_once_more(npm: Npm, alice: Account) -> None:
    """S18, S19, S51: nothing is on after a wrong code or Ctrl-C, and the next try begins with a new QR code."""
    npm.sign_in(alice.token)
    terminal, first = begin_enabling(npm, alice, "auth-and-writes")
    terminal.answer(codes.wrong(first, alice.server.now()))
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "code EOTP" in text
    assert "npm notice Invalid OTP: " in text.partition("code EOTP")[0], text
    assert RECOVERY not in text
    assert npm.run("profile", "get", "two-factor auth").stdout == "disabled\n"
    _assert_off(alice)

    terminal, second = begin_enabling(npm, alice, "auth-and-writes")
    assert second != first
    assert codes.parse_uri(screen.qr_code(terminal.raw).text)["secret"] == second
    terminal.interrupt()
    assert terminal.finish()[0] != 0
    _assert_off(alice)

    terminal, third = begin_enabling(npm, alice, "auth-and-writes")
    assert third not in (first, second)
    terminal.answer(codes.code(third, alice.server.now()))
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert RECOVERY in text
    assert alice.profile()["tfa"] == {"pending": False, "mode": "auth-and-writes"}


def test_while_pending(alice: Account) -> None:
    """S18, S19, S51: GET says so, the secret is not active, and no code is asked for to begin again."""
    body = {"tfa": {"mode": "auth-and-writes", "password": alice.password}}
    secrets = []
    for _ in range(2):
        begun = alice.ask("POST", PROFILE, body=body)
        assert begun.status == 200, begun
        secrets.append(parse_qs(urlsplit(begun.json["tfa"]).query)["secret"][0])
        assert alice.profile()["tfa"] == {"pending": True, "mode": "auth-and-writes"}
        _assert_off(alice)
        reset = {"tfa": {"mode": "disable", "password": alice.password}}
        assert alice.ask("POST", PROFILE, body=reset).status == 200
        assert alice.profile()["tfa"] in (None, False)
    assert secrets[0] != secrets[1]
    late = alice.ask("POST", PROFILE, body={"tfa": [codes.code(secrets[1], alice.server.now())]})
    assert 400 <= late.status < 500, "what was taken back cannot be confirmed"
    _assert_off(alice)


def test_a_code_of_an_earlier_qr_code(alice: Account) -> None:
    """S18: a second start replaces the first secret."""
    secrets = []
    for _ in range(2):
        begun = alice.ask("POST", PROFILE, body={"tfa": {"mode": "auth-and-writes", "password": alice.password}})
        secrets.append(parse_qs(urlsplit(begun.json["tfa"]).query)["secret"][0])
    old = alice.ask("POST", PROFILE, body={"tfa": [codes.code(secrets[0], alice.server.now())]})
    assert old.asks_for_a_code, old
    assert old.notice.startswith("Invalid OTP: ")
    _assert_off(alice)


def test_a_pending_enrolment_expires(alice: Account) -> None:
    """S19: after half an hour its code does nothing any more."""
    begun = alice.ask("POST", PROFILE, body={"tfa": {"mode": "auth-and-writes", "password": alice.password}})
    secret = parse_qs(urlsplit(begun.json["tfa"]).query)["secret"][0]
    alice.server.advance(31 * 60)
    late = alice.ask("POST", PROFILE, body={"tfa": [codes.code(secret, alice.server.now())]})
    assert 400 <= late.status < 500, late
    assert late.error
    assert alice.profile()["tfa"] in (None, False)
    _assert_off(alice)


def test_enabling_needs_the_password_in_that_request(alice: Account) -> None:
    """S2, S3: the token alone begins nothing."""
    for password in (None, "", accounts.OTHER_PASSWORD):
        answer = alice.ask("POST", PROFILE, body={"tfa": {"mode": "auth-and-writes", "password": password}})
        assert 400 <= answer.status < 500, answer
        assert "otpauth" not in answer.text
    assert alice.profile()["tfa"] in (None, False)
