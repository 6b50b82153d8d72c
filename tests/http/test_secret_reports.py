"""Reports of leaked tokens: what is live is revoked and told, what is none changes nothing, and none is repeated."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.server import Server
from tests.support.wire import Answer, request
from twokey.tokens import secret

PATH = "/-/twokey/secret-report"


def report(server: Server, *entries: object, token: str | None = None) -> Answer:
    return request(server, "POST", PATH, token=token, body=list(entries))


def works(server: Server, token: str) -> bool:
    answer = request(server, "GET", "/-/whoami", token=token)
    assert answer.status in (200, 401), answer
    return answer.status == 200


@pytest.fixture
def alice(server: Server) -> Account:
    return accounts.enrol(accounts.sign_up(server))


def test_what_is_live_is_revoked_and_what_is_none_is_said_to_be_none(server: Server, alice: Account) -> None:
    leaked, kept = accounts.automation_token(alice), accounts.read_only_token(alice)
    nobodys, broken = secret.new_secret(), leaked[:-1] + ("a" if leaked[-1] != "a" else "b")
    entries = [
        {"token": leaked, "type": "npm_access_token", "url": "https://example.com/x"},
        *({"token": each, "type": "npm_access_token"} for each in (nobodys, broken, "hello")),
    ]
    answer = report(server, *entries)
    assert answer.status == 200, answer
    labels = ["true_positive", "false_positive", "false_positive", "false_positive"]
    assert [each["label"] for each in answer.json] == labels
    expected = base64.b64encode(hashlib.sha256(leaked.encode()).digest()).decode()
    assert answer.json[0]["token_hash"] == expected
    assert not works(server, leaked)
    assert works(server, kept)
    assert works(server, alice.token)
    for text in (leaked, nobodys):
        assert text not in answer.text
        assert text not in server.log


def test_its_owner_finds_it_in_the_trail(server: Server, alice: Account) -> None:
    request(server, "POST", PATH, body={"token": accounts.read_only_token(alice), "url": "https://example.com/leak"})
    done = server.admin("audit", "list", "--user", alice.name, "--event", "token:token:leaked")
    assert len(done.stdout.splitlines()) == 1, done


def test_a_second_report_is_still_right_and_changes_nothing(server: Server, alice: Account) -> None:
    entry = {"token": accounts.read_only_token(alice)}
    for _ in range(2):
        assert [each["label"] for each in report(server, entry, entry).json] == ["true_positive"] * 2
    done = server.admin("audit", "list", "--user", alice.name, "--event", "token:token:leaked")
    assert len(done.stdout.splitlines()) == 1, done


def test_an_authorization_header_means_nothing_here(server: Server, alice: Account) -> None:
    leaked = accounts.read_only_token(alice)
    assert report(server, {"token": leaked}, token="npm_nonsense").status == 200
    assert not works(server, leaked)


@pytest.mark.parametrize(
    "body", [[], {}, [{"token": 1}], [{"token": "x" * 257}], ["npm_x"], [{"token": "x"}] * 101, "npm_x", None]
)
def test_what_is_no_report_is_refused(server: Server, body: object) -> None:
    answer = request(server, "POST", PATH, body=body)
    assert answer.status == 400, answer


def test_a_report_that_is_half_wrong_revokes_nothing(server: Server, alice: Account) -> None:
    token = accounts.read_only_token(alice)
    assert report(server, {"token": token}, {"token": None}).status == 400
    assert works(server, token)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, {"TWOKEY_LIMIT_REPORTS": "2"}) as running:
        yield running


def test_an_address_reports_so_many_times_in_an_hour(strict: Server) -> None:
    alice = accounts.sign_up(strict)
    token = accounts.read_only_token(alice)
    for _ in range(2):
        assert report(strict, {"token": secret.new_secret()}).status == 200
    refused = report(strict, {"token": token})
    assert (refused.status, "Too many reports" in refused.error) == (403, True), refused
    assert int(refused.headers["retry-after"]) > 0
    assert works(strict, token)
    elsewhere = request(strict, "POST", PATH, body={"token": token}, source="127.0.0.9")
    assert (elsewhere.status, works(strict, token)) == (200, False)
