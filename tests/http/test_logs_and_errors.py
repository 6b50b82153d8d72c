"""Every error answer can be found in the log by its request id; no secret ever can."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers, QueryParams

from tests.cli.support import until
from tests.support import accounts
from tests.support.accounts import OTHER_PASSWORD, PASSWORD, PROFILE, TOKENS, Account, user_document, user_path
from tests.support.server import PATIENCE, Server
from tests.support.wire import Answer, request
from twokey.authority.actions import Action
from twokey.authority.principal import ANONYMOUS, Caller, Evidence
from twokey.clock import SystemClock
from twokey.db.engine import Database
from twokey.guard.door import Door
from twokey.http.answers import error_answer
from twokey.http.routing import Call
from twokey.npm_api import health
from twokey.registry import open_registry
from twokey.settings import Settings

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that logs all that it can, and takes small tarballs."""
    limits = {"TWOKEY_LIMIT_TARBALL": "1", "TWOKEY_LIMIT_DOCUMENT": "1", "TWOKEY_LIMIT_SIGNUP": "1000"}
    settings = {"TWOKEY_LOG_LEVEL": "debug", **limits}
    with Server(tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def alice(server: Server) -> Account:
    """An account with two-factor authentication."""
    return accounts.enrol(accounts.sign_up(server))


@pytest.fixture(scope="module")
def bob(server: Server) -> Account:
    """An account without."""
    return accounts.sign_up(server, accounts.fresh_name("bob"))


def log_lines(server: Server) -> list[dict[str, Any]]:
    """What was logged: every whole line is an object of JSON. The banner is not logged."""
    whole = server.log.rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


def logged(server: Server, request_id: str) -> dict[str, Any]:
    """The line of the access log with this request id; it may come a moment after the answer."""
    return until(
        lambda: next(
            (line for line in log_lines(server) if line.get("request_id") == request_id and "status" in line), {}
        ),
        f"the request {request_id} in the log",
    )


def assert_error(server: Server, answer: Answer, status: int) -> None:
    """The answer is an error with a sentence, and can be found in the log."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert re.search(r"\S \S", answer.error), answer
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert logged(server, answer.json["request_id"])["status"] == status


ERRORS: dict[str, tuple[int, Callable[[Account, Account], Answer]]] = {
    "no JSON": (400, lambda a, b: request(a.server, "PUT", user_path("carol"), headers={"x": "y"}, body=None)),
    "no address that anybody means": (400, lambda a, b: request(a.server, "GET", "/a//b")),
    "nobody": (401, lambda a, b: request(a.server, "GET", "/-/whoami")),
    "an unknown token": (401, lambda a, b: request(a.server, "GET", "/-/whoami", token="npm_unknown")),
    "no code": (401, lambda a, b: accounts.publish(a, "core")),
    "a wrong code": (401, lambda a, b: accounts.publish(a, "core", otp=a.wrong_code())),
    "a wrong password": (401, lambda a, b: b.ask("POST", TOKENS, body={"password": "wrong"})),
    "a read-only token": (403, lambda a, b: accounts.publish(b, "core", token=accounts.read_only_token(b))),
    "no such package": (404, lambda a, b: b.ask("GET", "/no-such-package")),
    "no such route": (404, lambda a, b: b.ask("GET", "/-/no-such-route")),
    "a wrong login": (401, lambda a, b: request(a.server, "PUT", user_path(b.name), body=user_document(b.name, "x"))),
    "too much": (413, lambda a, b: b.ask("POST", PROFILE, body={"fullname": "x" * MIB})),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_answer_carries_the_request_id_of_the_log(
    server: Server, alice: Account, bob: Account, case: str
) -> None:
    status, ask = ERRORS[case]
    assert_error(server, ask(alice, bob), status)


def test_a_wrong_method_carries_the_request_id_of_the_log(server: Server) -> None:
    assert_error(server, request(server, "DELETE", "/-/whoami"), 405)


def test_request_ids_are_the_servers_own_and_never_the_clients(server: Server) -> None:
    answers = [request(server, "GET", "/-/ping", headers={"x-request-id": "mine"}) for _ in range(3)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(re.fullmatch(r"[0-9a-f]{16}", each) for each in ids)


def test_an_unexpected_error_tells_the_client_its_request_id_and_nothing_else(server: Server) -> None:
    path = server.data / "twokey.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER broken BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'on purpose'); END")
        database.commit()
    name = accounts.fresh_name("carol")
    try:
        answer = request(server, "PUT", user_path(name), body=user_document(name, PASSWORD, f"{name}@example.com"))
    finally:
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TRIGGER broken")
            database.commit()
    assert_error(server, answer, 500)
    sentence = f"Something went wrong on the server: tell its operator the request id {answer.json['request_id']}."
    assert answer.error == sentence
    (line,) = [line for line in log_lines(server) if "on purpose" in line.get("exception", "")]
    assert line["request_id"] == answer.json["request_id"]
    assert "[parameters: (" not in line["exception"], "what the statement held is not logged"
    assert not re.search("npm_[0-9A-Za-z]{5}", line["exception"])
    with closing(sqlite3.connect(path)) as database:
        left = database.execute("SELECT name FROM users WHERE name = ?", (name,)).fetchall()
    assert left == [], "nothing is left of the sign-up"


def test_the_words_of_an_unexpected_error_stay_on_the_server() -> None:
    answer = error_answer(RuntimeError("SELECT secret FROM table"), "0123456789abcdef", base="")
    assert answer.status == 500
    assert b"SELECT" not in answer.body
    assert b"0123456789abcdef" in answer.body


def _hang_up(server: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(sent + b"expect: 100-continue\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 100")
        connection.sendall(b"{")


def test_a_client_that_hangs_up_is_a_line_in_the_log_and_no_error(server: Server) -> None:
    path = user_path(accounts.fresh_name("gone"))
    _hang_up(server, b"PUT %s HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n" % path.encode())

    def found() -> dict[str, Any]:
        assert "ClientDisconnect" not in server.log
        return next((line for line in log_lines(server) if line.get("path") == path), {})

    line = until(found, "the line of the request")
    assert (line["level"], line["status"]) == ("info", 499)


# -- secrets -----------------------------------------------------------------------------------------------------------


def journey(server: Server) -> list[str]:
    """Sign up, enrol, publish, log in, make and revoke tokens, log out; every secret that was shown on the way."""
    carol = accounts.sign_up(server, accounts.fresh_name("carol"))
    secrets = [carol.password, carol.token, OTHER_PASSWORD]

    def code(text: str) -> str:
        secrets.append(text)
        return text

    accounts.enrol(carol)
    secrets += [carol.secret, *carol.recovery_codes]
    name = accounts.fresh_name("core")
    assert accounts.publish(carol, name, otp=code(carol.wrong_code())).status == 401
    assert accounts.publish(carol, name, otp=code(carol.fresh_code())).status == 201
    assert accounts.publish(carol, name, "1.0.1", otp=carol.recovery_codes[0]).status == 201
    login = user_document(carol.name, carol.password)
    assert request(server, "PUT", user_path(carol.name), body=login, otp=code(carol.fresh_code())).status == 201
    secrets += [accounts.log_in(carol), accounts.automation_token(carol), accounts.read_only_token(carol)]
    basic = base64.b64encode(f"{carol.name}:{carol.password}".encode()).decode()
    secrets.append(basic)
    for header in (f"Basic {basic}", f"basic  {basic}", f"Bearer {basic}", f"Digest {basic}"):
        assert request(server, "GET", "/-/whoami", headers={"authorization": header}).status == 401
    new = {"password": {"old": carol.password, "new": OTHER_PASSWORD}}
    assert carol.ask("POST", PROFILE, body=new, otp=code(carol.fresh_code())).status == 200
    return secrets + ended(carol)


def ended(carol: Account) -> list[str]:
    """Ends tokens by their secrets, in the address as npm has them; secrets of other places, sent there by mistake."""
    server, odd = carol.server, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    carol.password = OTHER_PASSWORD
    by_secret, by_encoded, logged_out = (accounts.publish_token(carol) for _ in range(3))
    assert carol.ask("DELETE", f"{TOKENS}/token/{by_secret}", otp=carol.fresh_code()).status == 200
    encoded = by_encoded.replace("n", "%6e", 1)
    assert carol.ask("DELETE", f"{TOKENS}/token/{encoded}", otp=carol.fresh_code()).status == 200
    carol.ask("DELETE", f"{TOKENS}/token/{odd}", otp=carol.fresh_code())
    carol.ask("DELETE", f"/{logged_out}")
    request(server, "GET", f"/-/whoami?token={logged_out}")
    request(server, "GET", "/-/ping", headers={"user-agent": f"Bearer {logged_out}", "referer": logged_out})
    assert request(server, "DELETE", f"/-/user/token/{logged_out}").status == 200
    assert request(server, "DELETE", f"/-/user/token/{odd}%20%22{odd}").status == 200
    assert request(server, "DELETE", f"/-/user/token/{carol.token}").status == 200
    return [by_secret, by_encoded, encoded, logged_out, odd]


def test_no_secret_of_a_whole_journey_is_in_the_log(server: Server) -> None:
    secrets = journey(server)
    mark = request(server, "GET", "/-/ping").headers["x-request-id"]
    logged(server, mark)
    text = server.log
    lines = log_lines(server)
    assert len([line for line in lines if line["message"] == "request"]) > 20, "the journey is in the log"
    for secret in secrets:
        for form in {secret, urllib.parse.quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}:
            # a code is six digits, which a longer number may hold by chance
            assert not re.search(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])", text), form


def test_every_line_is_json_with_time_level_logger_and_message(server: Server) -> None:
    request(server, "GET", "/caf%C3%A9%F0%9F%98%80", headers={"user-agent": 'a "quoted" one'})
    mark = request(server, "GET", "/-/ping").headers["x-request-id"]
    logged(server, mark)
    for line in log_lines(server):
        assert {"time", "level", "logger", "message"} <= set(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    outside = [line for line in server.log.splitlines() if not line.startswith("{")]
    assert not [line for line in outside if line and not line.startswith(("twokey ", "  "))], "but for the banner"


# -- credentials -------------------------------------------------------------------------------------------------------


def test_two_authorization_headers_are_refused_even_where_both_are_good(server: Server, bob: Account) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest("GET", "/-/whoami")
    for _ in range(2):
        connection.putheader("authorization", f"Bearer {bob.token}")
    connection.endheaders()
    response = connection.getresponse()
    body = json.loads(response.read())
    connection.close()
    assert (response.status, body["error"]) == (
        400,
        "The request carries more than one Authorization header: send one.",
    )


def test_basic_authentication_is_for_accounts_without_two_factor_authentication(
    server: Server, alice: Account, bob: Account
) -> None:
    def whoami(account: Account, password: str, otp: str | None = None) -> Answer:
        basic = base64.b64encode(f"{account.name}:{password}".encode()).decode()
        return request(server, "GET", "/-/whoami", headers={"authorization": f"Basic {basic}"}, otp=otp)

    assert whoami(bob, bob.password).json == {"username": bob.name}
    assert_error(server, whoami(bob, "wrong"), 401)
    assert_error(server, whoami(alice, alice.password), 401)
    assert_error(server, whoami(alice, alice.password, otp=alice.fresh_code()), 401)
    assert "www-authenticate" not in whoami(alice, alice.password).headers, "no code opens this"


def test_a_token_from_an_address_outside_its_range_is_401_and_npm_is_told_why(server: Server, bob: Account) -> None:
    token = accounts.make_token(bob, readonly=True, cidr_whitelist=["127.0.0.9/32"])
    inside = request(server, "GET", "/-/whoami", token=token, source="127.0.0.9")
    assert inside.json == {"username": bob.name}
    outside = request(server, "GET", "/-/whoami", token=token)
    assert_error(server, outside, 401)
    assert outside.headers["www-authenticate"] == "ipaddress"
    assert outside.error == "This token may not be used from this address."


# -- too much ----------------------------------------------------------------------------------------------------------


OVER_A_LIMIT: dict[str, tuple[dict[str, Any], str]] = {
    "the tarball": (
        {"_attachments": {"huge-1.0.0.tgz": {"data": "QUJD" * (MIB // 3 + 1)}}},
        "The tarball is larger than 1 MiB (TWOKEY_LIMIT_TARBALL). Publish a smaller package.",
    ),
    "the document": (
        {"readme": "x" * (MIB + 1)},
        "The document is larger than 1 MiB without its tarball (TWOKEY_LIMIT_DOCUMENT). Send less at once.",
    ),
    "both": (
        {"readme": "x" * 3 * MIB},
        "The request is too large: at most a tarball of 1 MiB (TWOKEY_LIMIT_TARBALL) in a document of 1 MiB "
        "(TWOKEY_LIMIT_DOCUMENT) is taken here.",
    ),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("what", OVER_A_LIMIT)
def test_a_publish_over_a_limit_is_413_with_the_limit_and_leaves_nothing(
    server: Server, bob: Account, what: str, *, chunked: bool
) -> None:
    fields, sentence = OVER_A_LIMIT[what]
    body = json.dumps({"_id": "huge", "name": "huge", **fields}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    sent: Any = (body[at : at + 65536] for at in range(0, len(body), 65536)) if chunked else body
    connection.request(
        "PUT", "/huge", body=sent, headers={"authorization": f"Bearer {bob.token}"}, encode_chunked=chunked
    )
    response = connection.getresponse()
    error = json.loads(response.read())["error"]
    connection.close()
    assert response.status == 413
    # in chunks the envelope passes its limit before the whole does
    assert error == (OVER_A_LIMIT["the document"][1] if chunked and what == "both" else sentence)
    assert bob.ask("GET", "/huge").status == 404
    assert not list((server.data / "blobs" / "tmp").iterdir())


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
def test_a_client_that_sends_far_too_much_hears_why(server: Server, bob: Account, announced: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    headers = {"authorization": f"Bearer {bob.token}"}
    body: Any = b"x" * (20 * MIB) if announced else (b"x" * 65536 for _ in range(320))
    connection.request("POST", PROFILE, body=body, headers=headers, encode_chunked=not announced)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["error"]) == (
        413,
        "The request is too large: at most 262144 bytes are taken here.",
    )
    connection.request("GET", "/-/ping")
    assert connection.getresponse().read() == b"{}", "and may go on with the connection"
    connection.close()


# -- health ------------------------------------------------------------------------------------------------------------


def test_health_tells_database_blobs_clock_and_version(server: Server) -> None:
    with server.held():
        answer = request(server, "GET", "/-/health")
        told = datetime.fromisoformat(answer.json["time"]).timestamp()
        assert told == pytest.approx(server.now(), abs=0.002)  # to the millisecond
    assert (answer.status, answer.json["status"]) == (200, "ok")
    assert answer.json["database"] == answer.json["blobs"] == "ok"
    assert set(answer.json) == {"status", "database", "blobs", "time", "version"}
    assert answer.headers["cache-control"] == "no-store"
    bad = request(server, "GET", "/-/health", token="npm_bad")
    assert bad.status == 200, "a monitor's old token does not matter"


def test_health_is_503_while_the_blob_folder_takes_nothing(server: Server) -> None:
    folder = server.data / "blobs" / "tmp"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("a file: nothing can be put below it, not even by root")
    try:
        answer = request(server, "GET", "/-/health")
    finally:
        folder.unlink()
        aside.rename(folder)
    assert (answer.status, answer.json["status"]) == (503, "failing")
    assert (answer.json["database"], answer.json["blobs"]) == ("ok", "failing")
    assert logged(server, answer.headers["x-request-id"])["status"] == 503
    assert request(server, "GET", "/-/health").status == 200


def test_health_is_503_while_the_database_does_not_answer(tmp_path: Path) -> None:
    clock = SystemClock()
    registry = open_registry(Settings(data=tmp_path / "data"), clock)
    gone = Database(f"sqlite:///{tmp_path}/gone/twokey.db")
    door = Door(
        gone, registry.passwords, registry.redeemer, registry.hand_offs, registry.trail, registry.settings, clock
    )
    caller = Caller(ANONYMOUS, Evidence(), "127.0.0.1", "", "0", clock.now())
    broken = replace(registry, database=gone, door=door)
    call = Call(broken, caller, frozenset({Action.PING}), {}, QueryParams(), Headers(), b"")
    answer = health.health(call)
    assert answer.status == 503
    assert json.loads(answer.body)["database"] == "failing"
    assert call.permits
    registry.close()
    gone.dispose()
