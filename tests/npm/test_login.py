"""Signing up, logging in and out on the command line (S60), by name and password."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import EMAIL, ENTER_OTP, ENTER_OTP_UP_FRONT, TOKEN, log_in
from tests.support import accounts
from tests.support.accounts import Account, user_document, user_path
from tests.support.npm import Npm, Terminal
from tests.support.server import Server
from tests.support.wire import request

EVERY_NPM = pytest.mark.parametrize("version", [12, 11, 10, 6], ids="npm{}".format)


def _adduser(npm: Npm, name: str, password: str, email: str) -> Terminal:
    terminal = npm.spawn("adduser", "--auth-type=legacy")
    for question, answer in [("Username:", name), ("Password:", password), (EMAIL, email)]:
        terminal.expect_text(question)
        terminal.answer(answer)
    return terminal


def _is_free(server: Server, name: str) -> bool:
    """Nobody has the name: its next taker gets it, with a password of their own."""
    document = user_document(name, accounts.OTHER_PASSWORD, f"{name}@example.com")
    return request(server, "PUT", user_path(name), body=document).status == 201


@pytest.mark.parametrize("version", [11, 10, 6], ids="npm{}".format)
def test_adduser_signs_up_and_in(make_npm: MakeNpm, version: int) -> None:
    """`npm adduser`: name, password, mail; npm 12 has it no more."""
    npm = make_npm(version)
    name = accounts.fresh_name()
    exit_code, text = _adduser(npm, name, accounts.PASSWORD, f"{name}@example.com").finish()
    assert exit_code == 0, text
    assert "Logged in" in text
    assert f"on {npm.server.url}" in text
    assert accounts.PASSWORD not in text
    assert TOKEN.fullmatch(npm.token() or ""), "the token is in .npmrc, in the form that npm's logs hide"
    assert npm.run("whoami").stdout == f"{name}\n"


def test_an_account_that_the_operator_made_logs_in(make_npm: MakeNpm, server: Server) -> None:
    """`twokey admin user create`, then `npm login`: the way in for npm 12, and where sign-up is closed."""
    npm = make_npm(12)
    name = accounts.fresh_name()
    created = server.admin(
        "user", "create", name, "--email", f"{name}@example.com", "--password-stdin", stdin=accounts.PASSWORD + "\n"
    )
    assert created.returncode == 0, created
    assert accounts.PASSWORD not in created.stdout + created.stderr
    account = Account(server, name, f"{name}@example.com", accounts.PASSWORD, token="")
    exit_code, text = log_in(npm, account).finish()
    assert exit_code == 0, text
    assert npm.run("whoami").stdout == f"{name}\n"


@EVERY_NPM
def test_login(make_npm: MakeNpm, alice: Account, version: int) -> None:
    """`npm login` with the right password, and `whoami` says who."""
    npm = make_npm(version)
    exit_code, text = log_in(npm, alice).finish()
    assert exit_code == 0, text
    assert "Logged in" in text
    assert alice.password not in text
    token = npm.token()
    assert TOKEN.fullmatch(token or "")
    assert token != alice.token, "every login has a token of its own"
    assert npm.run("whoami").stdout == f"{alice.name}\n"


@EVERY_NPM
def test_login_with_a_wrong_password(make_npm: MakeNpm, alice: Account, version: int) -> None:
    """No token, whoever asks."""
    npm = make_npm(version)
    exit_code, text = log_in(npm, alice, password=accounts.OTHER_PASSWORD).finish()
    assert exit_code != 0
    assert "401" in text
    assert npm.token() is None


@EVERY_NPM
def test_login_asks_for_a_code_where_2fa_is_on(make_npm: MakeNpm, enrolled: Account, version: int) -> None:
    """S60: the password alone is not enough."""
    npm = make_npm(version)
    terminal = log_in(npm, enrolled)
    terminal.expect_text(ENTER_OTP_UP_FRONT if version == 6 else ENTER_OTP)
    terminal.answer(enrolled.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert npm.run("whoami").stdout == f"{enrolled.name}\n"


def test_login_with_a_wrong_code(npm: Npm, enrolled: Account) -> None:
    """S60: password and a wrong code leave no token behind."""
    terminal = log_in(npm, enrolled)
    terminal.expect_text(ENTER_OTP)
    terminal.answer(enrolled.wrong_code())
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "npm notice Invalid OTP: " in text
    assert "code EOTP" in text
    assert npm.token() is None


def test_the_password_alone_yields_no_token(server: Server, enrolled: Account) -> None:
    """S60, on the wire: neither by login nor by adduser nor with an older token beside it."""
    before = len(enrolled.ask("GET", accounts.TOKENS).json["objects"])
    for email in (None, enrolled.email):
        for token in (None, enrolled.token):
            document = user_document(enrolled.name, enrolled.password, email)
            answer = request(server, "PUT", user_path(enrolled.name), body=document, token=token)
            assert answer.asks_for_a_code, answer
            assert not TOKEN.search(answer.text)
    assert len(enrolled.ask("GET", accounts.TOKENS).json["objects"]) == before


@pytest.mark.parametrize("with_code", [False, True], ids=["without a code", "with a code"])
def test_basic_authentication_is_not_enough_with_2fa(enrolled: Account, package_name: str, with_code: bool) -> None:
    """S60: name and password with each request are refused, code or not: one has to log in."""
    pair = base64.b64encode(f"{enrolled.name}:{enrolled.password}".encode()).decode()
    otp = enrolled.fresh_code() if with_code else None
    basic = {"authorization": f"Basic {pair}"}
    assert request(enrolled.server, "GET", "/-/whoami", headers=basic, otp=otp).status == 401
    document = accounts.publish_document(package_name, "1.0.0")
    answer = request(enrolled.server, "PUT", f"/{package_name}", headers=basic, otp=otp, body=document)
    assert answer.status == 401, answer
    assert not accounts.is_published(enrolled.server, package_name)


def test_logout(npm: Npm, alice: Account) -> None:
    """The token is gone from .npmrc, and dead on the server."""
    token = accounts.log_in(alice)
    npm.sign_in(token)
    result = npm.run("logout")
    assert result.returncode == 0, result
    assert npm.token() is None
    assert request(alice.server, "GET", "/-/whoami", token=token).status == 401
    assert npm.run("whoami").returncode == 1
    assert alice.ask("GET", "/-/whoami").json == {"username": alice.name}, "only the token in hand is revoked"


def test_sign_up_with_a_taken_name(server: Server, enrolled: Account, alice: Account) -> None:
    """Somebody else's name with another password: no token, and the account stays as it was."""
    for account in (alice, enrolled):
        document = user_document(account.name, accounts.OTHER_PASSWORD, "bob@example.com")
        answer = request(server, "PUT", user_path(account.name), body=document)
        assert 400 <= answer.status < 500, answer
        assert not answer.asks_for_a_code, "that there is a second factor is told only to those who know the password"
        assert not TOKEN.search(answer.text)
        assert account.profile()["email"] == account.email


@pytest.mark.parametrize("password", ["short-1Z", "password1234", "a" * 257], ids=["short", "common", "endless"])
def test_sign_up_with_a_bad_password(server: Server, password: str) -> None:
    """Refused with a reason, and there is no such account afterwards."""
    name = accounts.fresh_name()
    answer = request(server, "PUT", user_path(name), body=user_document(name, password, f"{name}@example.com"))
    assert 400 <= answer.status < 500, answer
    assert "password" in answer.error.lower()
    assert password not in answer.text
    assert _is_free(server, name)


def test_sign_up_can_be_closed(tmp_path: Path) -> None:
    """TWOKEY_SIGNUP=closed: strangers are refused, accounts come from the operator."""
    with Server(tmp_path, {"TWOKEY_SIGNUP": "closed"}) as closed:
        answer = request(
            closed, "PUT", user_path("alice"), body=user_document("alice", accounts.PASSWORD, "alice@example.com")
        )
        assert answer.status in (401, 403), answer
        assert not TOKEN.search(answer.text)
        created = closed.admin(
            "user", "create", "alice", "--email", "alice@example.com", "--password-stdin", stdin=accounts.PASSWORD
        )
        assert created.returncode == 0, created
        answer = request(closed, "PUT", user_path("alice"), body=user_document("alice", accounts.PASSWORD))
        assert answer.status == 201, answer
        assert TOKEN.fullmatch(answer.json["token"])
