"""A running server and a real mail server: mails leave by themselves; without one the operator reads them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.support import until
from tests.cli.test_refused_starts import refused
from tests.support import accounts, post
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.post import PostOffice
from tests.support.server import Server
from twokey import settings

FORM = "must be smtp://USER:PASSWORD@HOST:PORT or smtps://..., with no option but starttls"
BOTH = "must name both a user and a password, or neither (write %40 for an @ in either)"
YES_OR_NO = "must have starttls=yes or starttls=no; smtps:// is encrypted without it"
CONFIRM = "[npm-twokey] Confirm your mail address"


def came(office: PostOffice, account: Account, subject: str = CONFIRM) -> list[str]:
    """The texts of the mails with a subject that came for somebody."""
    return [post.text_of(mail) for mail in office.to(account.email) if mail["subject"] == subject]


def test_mails_arrive_once_also_when_the_mail_server_was_down_for_a_while(tmp_path: Path) -> None:
    with PostOffice() as office, Server(tmp_path, {"TWOKEY_SMTP": office.url}) as server:
        alice = accounts.sign_up(server)
        (text,) = until(lambda: came(office, alice), "the mail of a sign-up")
        browser = Browser(server)
        link = post.path_in(text)
        browser.get(link)
        assert "is confirmed" in browser.submit(link).words
        office.close()
        bob = accounts.sign_up(server, accounts.fresh_name("bob"))
        until(lambda: "was not sent" in server.log, "a try that failed")
        assert accounts.log_in(bob), "whether mail leaves or not is nobody else's matter"
        office.open()
        server.advance(60)
        until(lambda: came(office, bob), "the mail, once the server is back")
        server.restart()
        server.advance(600)
        carol = accounts.sign_up(server, accounts.fresh_name("carol"))
        until(lambda: came(office, carol), "a mail after all of them")
        assert [len(came(office, each)) for each in (alice, bob, carol)] == [1, 1, 1]
        assert link.rpartition("/")[2] not in server.log


def test_a_server_ends_in_time_while_a_mail_server_keeps_it_waiting(tmp_path: Path) -> None:
    with PostOffice() as office, Server(tmp_path, {"TWOKEY_SMTP": office.url}) as server:
        office.silent = True
        accounts.sign_up(server)
        until(lambda: office.waiting, "a mail that the server hears and does not answer")
        assert server.stop() == 0


def test_without_a_mail_server_the_operator_lists_and_shows_mails(tmp_path: Path) -> None:
    with Server(tmp_path, {}) as server:
        listed = server.admin("mail", "list")
        assert (listed.returncode, listed.stdout) == (0, "There is no mail in the outbox.\n")
        alice = accounts.sign_up(server)
        accounts.log_in(alice)
        lines = server.admin("mail", "list").stdout.splitlines()
        line = next(line for line in lines if CONFIRM in line)
        assert re.fullmatch(rf"[0-9a-f]{{16}}  \S+Z  waiting   {re.escape(alice.email)}  .*", line)
        assert len(server.admin("mail", "list", "--last", "1").stdout.splitlines()) == 1
        shown = server.admin("mail", "show", line.split()[0])
        assert shown.returncode == 0
        assert shown.stdout.startswith(f"To: {alice.email}\nSubject: {CONFIRM}\nDate: ")
        browser, link = Browser(server), post.path_in(shown.stdout)
        browser.get(link)
        assert "is confirmed" in browser.submit(link).words
        unknown = server.admin("mail", "show", "0123456789abcdef")
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert "twokey admin mail list" in unknown.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mail.example.com:25", FORM),
        ("smtp://", FORM),
        ("smtp://u:hunter2@mail.example.com/x", FORM),
        ("smtp://u:hunter2@mail.example.com?tls=yes", FORM),
        ("smtp://u:hunter2@mail.example.com:99999", "is not an address"),
        ("smtp://hunter2@mail.example.com", BOTH),
        ("smtp://u:hunter2@mail.example.com?starttls=no", "would send its password unencrypted: leave starttls=no out"),
        ("smtps://u:hunter2@mail.example.com?starttls=yes", YES_OR_NO),
    ],
)
def test_a_mail_server_that_cannot_be_one_stops_the_start_and_its_password_is_not_repeated(
    tmp_path: Path, url: str, said: str
) -> None:
    assert refused(tmp_path, {"TWOKEY_SMTP": url}) == f"TWOKEY_SMTP cannot be used: {said}."


def test_a_sender_that_is_no_address_stops_the_start(tmp_path: Path) -> None:
    sentence = refused(tmp_path, {"TWOKEY_MAIL_FROM": "twokey"})
    assert sentence.endswith("must be a mail address such as twokey@example.com.")


@pytest.mark.parametrize(
    ("url", "port", "tls", "starttls"),
    [
        ("smtp://localhost", 25, False, False),
        ("smtp://[::1]:2525", 2525, False, False),
        ("smtp://localhost?starttls=yes", 25, False, True),
        ("smtp://mail.example.com:587", 587, False, True),
        ("smtp://u:p%40%3A@mail.example.com:587", 587, False, True),
        ("smtp://mail.example.com?starttls=no", 25, False, False),
        ("smtps://u:p%40%3A@mail.example.com", 465, True, False),
    ],
)
def test_what_leaves_the_machine_is_encrypted_unless_it_is_said_otherwise(
    tmp_path: Path, url: str, port: int, tls: bool, starttls: bool
) -> None:
    (tmp_path / "empty.toml").touch()
    found = settings.read({"TWOKEY_SMTP": url, "TWOKEY_CONFIG": str(tmp_path / "empty.toml")})
    assert found.smtp is not None
    assert (found.smtp.port, found.smtp.tls, found.smtp.starttls) == (port, tls, starttls)
    assert found.smtp.password in (None, "p@:")
    assert "p@:" not in repr(found)


@pytest.mark.parametrize(
    ("given", "sender"),
    [
        ({}, "twokey@localhost"),
        ({"TWOKEY_URL": "https://npm.example.com/registry"}, "twokey@npm.example.com"),
        ({"TWOKEY_URL": "http://[::1]:4873"}, "twokey@localhost"),
        ({"TWOKEY_MAIL_FROM": "npm@example.org"}, "npm@example.org"),
    ],
)
def test_the_sender_is_one_and_the_same(tmp_path: Path, given: dict[str, str], sender: str) -> None:
    (tmp_path / "empty.toml").touch()
    assert settings.read({**given, "TWOKEY_CONFIG": str(tmp_path / "empty.toml")}).sender == sender
