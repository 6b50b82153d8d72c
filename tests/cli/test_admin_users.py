"""`twokey admin user`, `second-factor` and `audit`, beside a server that runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.support import Serving, run
from tests.support import accounts
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, PROFILE, Account
from tests.support.server import Server
from twokey.audit.events import Event


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own: the operator changes what belongs to all."""
    with Server(tmp_path_factory.mktemp("server"), {"TWOKEY_SIGNUP": "open"}) as running:
        yield running


def said(server: Server, *args: str, stdin: str = "") -> str:
    """What a command that succeeds prints."""
    done = server.admin(*args, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def refused(server: Server, *args: str, stdin: str = "") -> str:
    """The sentence of a command that is refused, which leaves no event behind."""
    before = events(server)
    done = server.admin(*args, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert events(server) == before
    return done.stderr


def events(server: Server) -> list[tuple[str, str]]:
    """Event and account, oldest first, straight from the database: the command takes seconds."""
    with closing(sqlite3.connect(server.data / "twokey.db")) as database:
        return list(database.execute("SELECT event, account FROM audit_events ORDER BY seq"))


def event_names(server: Server, account: str) -> list[str]:
    return [event for event, concerned in events(server) if concerned == account]


def test_create_makes_an_account_that_signs_in(server: Server) -> None:
    text = said(server, "user", "create", "carol", "--password-stdin", stdin=PASSWORD + "\n")
    assert text == "The account carol is made. It signs in with: npm login\n"
    carol = Account(server, "carol", "", PASSWORD, "")
    carol.token = accounts.log_in(carol)
    assert carol.profile()["name"] == "carol"
    assert event_names(server, "carol")[0] == Event.ACCOUNT_CREATE


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("Carol", PASSWORD, "twokey: "),
        ("dave", "short", "twokey: The password is too short: use at least 10 characters.\n"),
        ("dave", "", "twokey: The password is too short: use at least 10 characters.\n"),
    ],
)
def test_create_refuses_what_cannot_be(server: Server, name: str, password: str, sentence: str) -> None:
    assert refused(server, "user", "create", name, "--password-stdin", stdin=password + "\n").startswith(sentence)
    assert name not in said(server, "user", "list").split()


def test_a_name_that_is_taken_is_refused_and_keeps_its_password(server: Server) -> None:
    alice = accounts.sign_up(server)
    sentence = refused(server, "user", "create", alice.name, "--password-stdin", stdin=OTHER_PASSWORD + "\n")
    assert sentence == f"twokey: The name '{alice.name}' is taken: choose another.\n"
    assert accounts.log_in(alice)


def test_list_and_show_tell_what_an_operator_asks(server: Server) -> None:
    alice = accounts.enrol(accounts.sign_up(server))
    (row,) = [line for line in said(server, "user", "list").splitlines() if line.split()[0] == alice.name]
    assert row.split()[:4] == [alice.name, alice.email, "auth-and-writes", "open"]
    facts = dict(line.split(": ", 1) for line in said(server, "user", "show", alice.name).splitlines())
    assert facts["email"] == alice.email
    assert facts["two-factor auth"] == "auth-and-writes"
    assert facts["recovery codes left"] == str(len(alice.recovery_codes))
    assert facts["tokens"] == "1"
    assert facts["closed"] == facts["administrator"] == facts["codes suspended"] == "False"
    assert refused(server, "user", "show", "nobody") == "twokey: There is no account 'nobody'.\n"


def test_a_mail_address_with_brackets_is_listed_as_it_is(server: Server) -> None:
    name = accounts.fresh_name()
    email = f"[red]{name}@example.com"
    said(server, "user", "create", name, "--password-stdin", "--email", email, stdin=PASSWORD + "\n")
    assert email in said(server, "user", "list").split()


def test_disable_ends_every_credential_at_once_and_enable_gives_them_back(server: Server) -> None:
    alice = accounts.sign_up(server)
    assert (
        said(server, "user", "disable", alice.name) == f"The account {alice.name} is closed: its tokens are refused.\n"
    )
    assert alice.ask("GET", "/-/whoami").status == 401
    assert said(server, "user", "enable", alice.name) == f"The account {alice.name} is open again.\n"
    assert alice.ask("GET", "/-/whoami").status == 200
    assert {Event.ACCOUNT_DISABLE, Event.ACCOUNT_ENABLE} < set(event_names(server, alice.name))


def test_grant_and_revoke(server: Server) -> None:
    alice = accounts.sign_up(server)
    assert said(server, "user", "grant", alice.name) == f"{alice.name} is an administrator.\n"
    assert "administrator: True" in said(server, "user", "show", alice.name)
    assert said(server, "user", "revoke", alice.name) == f"{alice.name} is no longer an administrator.\n"
    assert "administrator: False" in said(server, "user", "show", alice.name)
    assert refused(server, "user", "grant", "nobody") == "twokey: There is no account 'nobody'.\n"


def test_a_new_password_leaves_two_factor_authentication_as_it_is(server: Server) -> None:
    alice = accounts.enrol(accounts.sign_up(server))
    text = said(server, "user", "password", alice.name, "--password-stdin", stdin=OTHER_PASSWORD + "\n")
    assert text == f"The account {alice.name} has a new password.\n"
    alice.password = OTHER_PASSWORD
    assert accounts.log_in(alice)
    assert "two-factor auth: auth-and-writes" in said(server, "user", "show", alice.name)


def test_a_lost_phone_is_helped_by_a_reset(server: Server) -> None:
    alice = accounts.enrol(accounts.sign_up(server))
    text = said(server, "second-factor", "reset", alice.name)
    assert f"Two-factor authentication of {alice.name} is off." in text
    assert "npm profile enable-2fa auth-and-writes" in text
    assert alice.profile()["tfa"] is False
    assert event_names(server, alice.name)[-1] == Event.SECOND_FACTOR_RESET
    old = alice.secret
    accounts.enrol(alice)
    assert alice.secret != old
    assert refused(server, "second-factor", "reset", "nobody") == "twokey: There is no account 'nobody'.\n"


def test_audit_list_shows_the_newest_of_one_account_and_one_kind(server: Server) -> None:
    alice = accounts.sign_up(server)
    assert alice.ask("POST", PROFILE, body={"fullname": "Alice"}).status == 200
    assert alice.ask("POST", PROFILE, body={"fullname": "Alice A."}).status == 200
    lines = said(server, "audit", "list", "--user", alice.name, "--event", "account:profile:change").splitlines()
    assert len(lines) == 2
    assert all("account:profile:change" in line and alice.name in line for line in lines)
    assert said(server, "audit", "list", "--user", alice.name, "--last", "1").splitlines() == lines[-1:]
    sentence = refused(server, "audit", "list", "--event", "account:profile:chnage")
    assert sentence == "twokey: There is no event 'account:profile:chnage': docs/operate.md lists them all.\n"


def test_audit_export_is_one_line_of_json_for_each_event_in_order(server: Server) -> None:
    alice = accounts.sign_up(server)
    lines = [json.loads(line) for line in said(server, "audit", "export").splitlines()]
    assert [line["event"]["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert all(len(line["hash"]) == 64 for line in lines)
    text = json.dumps(lines)
    assert alice.name in text
    assert alice.token not in text
    assert PASSWORD not in text
    assert '"127.0.0.1"' not in text, "addresses stand there as keyed hashes"


def test_audit_verify_finds_a_change(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        done = serving.admin("user", "create", "alice", "--password-stdin", stdin=PASSWORD + "\n")
        assert done.returncode == 0, done
        done = serving.admin("audit", "verify")
        assert (done.returncode, done.stdout, done.stderr) == (0, "The audit trail holds: 1 events.\n", "")
        with closing(sqlite3.connect(tmp_path / "data" / "twokey.db")) as database:
            database.execute("UPDATE audit_events SET document = replace(document, 'alice', 'mallo')")
            database.commit()
        done = serving.admin("audit", "verify")
        assert (done.returncode, done.stdout) == (1, ""), done
        assert done.stderr.startswith("The audit trail does not hold: event 1 was changed")


def test_an_unknown_command_or_option_is_told_and_makes_nothing(tmp_path: Path) -> None:
    for args in (("admin", "users"), ("admin", "user", "list", "--all"), ("admin", "user", "create"), ("serv",)):
        done = run(*args, cwd=tmp_path)
        assert done.returncode == 2, done
        assert "Usage: twokey" in done.stderr
    assert list(tmp_path.iterdir()) == []
