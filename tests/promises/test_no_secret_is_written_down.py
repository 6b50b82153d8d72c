"""No secret that lives is found in what is written down: logs, database, audit export, answers that refuse (goal Q9).

A whole journey is gone through, with every secret in it noted as it is made; then all of it is searched for each one,
plain and as hexadecimal or base64.
"""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.promises.support import ROOM, Instance, Person, at, document, log_in, package, person, publish_body
from tests.support import accounts
from tests.support.wire import Answer, request

WRONG_PASSWORD = "mallory-guessed-Zebra-55"
OPERATORS_PASSWORD = "lantern-Birch-copper-82"
ODD_PASSWORD = "\u00fcber-Pass w\u00f6rd-\U0001f511-1977"


@dataclass
class Journey:
    """A server where everything happened, with the secrets that were used, and the answers that refused."""

    server: Instance
    secrets: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    refused: list[Answer] = field(default_factory=list)

    def note(self, who: Person) -> None:
        """Whatever this account knows is secret."""
        self.secrets[f"password of {who.name}"] = who.password
        self.secrets[f"token {len(self.secrets)} of {who.name}"] = who.token
        if who.secret:
            self.secrets[f"secret of {who.name}"] = who.secret
            self.raw[f"secret of {who.name}"] = base64.b32decode(who.secret)
        for number, code in enumerate(who.recovery_codes):
            self.secrets[f"recovery code {number} of {who.name}"] = code
            self.secrets[f"recovery code {number} of {who.name}, digits"] = code.replace("-", "")

    def code(self, who: Person, code: str) -> str:
        """A one-time password, noted."""
        self.codes[f"code {len(self.codes)} of {who.name}"] = code
        return code

    def token(self, secret: str) -> str:
        """A token, noted."""
        self.secrets[f"token {len(self.secrets)}"] = secret
        return secret

    def refuse(self, answer: Answer) -> Answer:
        """A request that must be refused, noted."""
        assert answer.status >= 400, answer
        self.refused.append(answer)
        return answer


@pytest.fixture(scope="module")
def journey(in_memory: Path) -> Iterator[Journey]:
    """The journey, at the most talkative log level."""
    with Instance(in_memory / "journey", {**ROOM, "TWOKEY_LOG_LEVEL": "debug"}) as server:
        made = Journey(server)
        alice = _enrolled(made)
        _with_tokens(made, alice)
        _with_codes(made, alice)
        _with_passwords(made, alice)
        _operated(made, alice)
        made.note(alice)
        server.restart()
        _after_faults(made, alice)
        yield made


def _enrolled(made: Journey) -> Person:
    alice = person(made.server)
    made.note(alice)
    made.code(alice, alice.code(-3))  # the one that confirmed the enrolment
    bob = person(made.server, "auth-only")
    made.note(bob)
    answer = bob.ask(
        "POST", accounts.PROFILE, otp=made.code(bob, bob.fresh_code()),
        body={"tfa": {"mode": "disable", "password": bob.password}},
    )  # fmt: skip
    assert answer.status == 200
    # An enrolment that stays pending, and one code for it that is wrong.
    begun = bob.ask("POST", accounts.PROFILE, body={"tfa": {"mode": "auth-only", "password": bob.password}})
    bob.secret = begun.json["tfa"].partition("secret=")[2].partition("&")[0]
    made.note(bob)
    made.refuse(bob.ask("POST", accounts.PROFILE, body={"tfa": [made.code(bob, bob.wrong_code())]}))
    return alice


def _with_tokens(made: Journey, alice: Person) -> None:
    server = made.server
    automation = made.token(accounts.automation_token(alice))
    read_only, revoked = made.token(accounts.read_only_token(alice)), made.token(accounts.log_in(alice))
    by_path = made.token(accounts.publish_token(alice))
    assert request(server, "DELETE", f"/-/user/token/{revoked}").status == 200
    code = made.code(alice, alice.fresh_code())
    assert alice.ask("DELETE", f"/-/npm/v1/tokens/token/{by_path}", otp=code).status == 200
    for token in (revoked, by_path, f"{automation}x", automation[:-1]):
        made.refuse(request(server, "GET", "/-/whoami", token=token))
    made.refuse(request(server, "PUT", "/core", token=read_only, body=publish_body("core", "1.0.0", package("core"))))
    made.refuse(alice.ask("DELETE", f"/-/npm/v1/tokens/token/{revoked}", otp=alice.fresh_code()))
    # Where a token does not belong, it is in an address or a header all the same.
    for path in (
        f"/-/user/token/{automation}/x",
        f"/{automation}",
        f"/-/package/{automation}/dist-tags",
        f"/-/{automation}",
    ):
        made.refuse(request(server, "GET", path, token=alice.token))
    made.refuse(request(server, "PATCH", f"/-/user/token/{automation}"))
    made.refuse(request(server, "GET", f"/-/npm/v1/tokens?page={automation}", token=alice.token))
    made.refuse(request(server, "GET", "/-/whoami", headers={"authorization": f"Token {automation}"}))
    made.refuse(request(server, "GET", "/-/whoami", headers={"authorization": f"Bearer {automation} {automation}"}))
    made.refuse(request(server, "GET", "/-/whoami", headers={"authorization": f"Bearer ${{{automation}}}"}))
    assert request(server, "GET", f"/-/ping?token={automation}").status == 200


def _with_codes(made: Journey, alice: Person) -> None:
    name = accounts.fresh_name("core")
    code = made.code(alice, alice.fresh_code())
    assert accounts.publish(alice, name, otp=code).status == 201
    made.refuse(log_in(alice, otp=code))
    alice.server.advance(3600)
    for otp in (alice.wrong_code(), alice.code(-6), alice.code(6), alice.code()[:5], f"{alice.code()}1"):
        made.refuse(accounts.publish(alice, name, "1.0.1", otp=made.code(alice, otp)))
    made.refuse(accounts.publish(alice, name, "1.0.1", otp=made.code(alice, alice.wrong_code())))  # blocked by now
    made.refuse(accounts.publish(alice, name, "1.0.1"))
    for code in (alice.recovery_codes[0], alice.recovery_codes[1].replace("-", "")):
        assert log_in(alice, otp=code).status == 201
        made.refuse(log_in(alice, otp=code))
    made.refuse(log_in(alice, otp=f"{alice.recovery_codes[2][:-1]}x"))
    read = document(alice, name)
    made.refuse(alice.ask("DELETE", f"{at(name)}/-rev/{read['_rev']}x", otp=alice.recovery_codes[3]))


def _with_passwords(made: Journey, alice: Person) -> None:
    alice.server.advance(3600)
    made.secrets["wrong password"] = WRONG_PASSWORD
    made.refuse(log_in(alice, password=WRONG_PASSWORD))
    made.refuse(alice.ask("POST", accounts.TOKENS, otp=alice.code(), body={"password": WRONG_PASSWORD}))
    shown = base64.b64encode(f"{alice.name}:{alice.password}".encode()).decode()
    made.secrets["password of alice as Basic"] = shown
    made.refuse(request(alice.server, "GET", "/-/whoami", headers={"authorization": f"Basic {shown}"}))
    old, alice.password = alice.password, ODD_PASSWORD
    body = {"password": {"old": old, "new": alice.password}}
    made.refuse(alice.ask("POST", accounts.PROFILE, body=body))
    assert alice.ask("POST", accounts.PROFILE, otp=made.code(alice, alice.fresh_code()), body=body).status == 200
    # A weak one, one that is too long, and one in a body that cannot be read.
    for weak in ("zqpassword", "longer-than-any-" * 20):
        made.secrets[f"weak password {weak[:4]}"] = weak
        made.refuse(alice.ask("POST", accounts.PROFILE, otp=alice.code(), body={"password": {"old": old, "new": weak}}))
        body_of_sign_up = accounts.user_document("carol", weak, "carol@example.com")
        made.refuse(request(alice.server, "PUT", accounts.user_path("carol"), body=body_of_sign_up))
    made.refuse(request(alice.server, "PUT", accounts.user_path("carol"), body=[ODD_PASSWORD]))
    made.refuse(request(alice.server, "PUT", accounts.user_path("carol"), body={"password": [ODD_PASSWORD]}))


def _operated(made: Journey, alice: Person) -> None:
    server = made.server
    made.secrets["password by the operator"] = OPERATORS_PASSWORD
    for arguments in (("user", "create", "dave"), ("user", "password", "dave"), ("user", "create", "dave")):
        done = server.operate(*arguments, "--password-stdin", stdin=f"{OPERATORS_PASSWORD}\n")
        assert OPERATORS_PASSWORD not in done.stdout + done.stderr
    assert server.operate("keys", "rotate").exit_code == 0
    vault = (server.data / "vault.key").read_text()
    for number, key in enumerate(re.findall(r'"key":\s*"([^"]+)"', vault)):
        made.secrets[f"vault key {number}"] = key
        made.raw[f"vault key {number}"] = base64.b64decode(key)
    assert len([name for name in made.raw if name.startswith("vault")]) == 2


def _after_faults(made: Journey, alice: Person) -> None:
    """A database that refuses: the error's own text holds the statement and its values."""
    with made.server.connect() as connection:
        for table in ("users", "tokens", "authenticators"):
            fault = f"CREATE TRIGGER fault_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'fault'); END"
            connection.execute(text(fault))
        name = accounts.fresh_name("erin")
        body = accounts.user_document(name, OPERATORS_PASSWORD, f"{name}@example.com")
        made.refuse(request(made.server, "PUT", accounts.user_path(name), body=body))
        made.refuse(log_in(alice, otp=made.code(alice, alice.fresh_code())))
        for table in ("users", "tokens", "authenticators"):
            connection.execute(text(f"DROP TRIGGER fault_{table}"))


# -- the search ----------------------------------------------------------------------------------------------------


def spellings(journey: Journey) -> dict[str, bytes]:
    """Every secret as it could stand in a text or a file."""
    found: dict[str, bytes] = {}
    for name, secret in journey.secrets.items():
        plain = secret.encode()
        found[name] = plain
        found[f"{name}, hex"] = plain.hex().encode()
        found[f"{name}, base64"] = base64.b64encode(plain).rstrip(b"=")[:-1]
        if not secret.isascii():
            found[f"{name}, escaped"] = secret.encode("ascii", "backslashreplace")
    for name, raw in journey.raw.items():
        found[f"{name}, raw"] = raw
        found[f"{name}, raw hex"] = raw.hex().encode()
        found[f"{name}, raw base64"] = base64.b64encode(raw).rstrip(b"=")[:-1]
    return found


def hits(journey: Journey, where: bytes) -> list[str]:
    """The names of the secrets that are in there."""
    return [name for name, secret in spellings(journey).items() if secret in where]


def code_hits(journey: Journey, where: str) -> list[str]:
    """The names of the one-time passwords that stand there as a word: six digits may be part of a time or a hash."""
    return [name for name, code in journey.codes.items() if re.search(rf"(?<![\w.]){re.escape(code)}(?![\w.])", where)]


def test_the_log_holds_no_secret(journey: Journey) -> None:
    log = journey.server.log
    assert "request" in log
    assert not hits(journey, log.encode())
    assert not code_hits(journey, log)


def test_the_log_holds_no_hash_of_a_password_or_token(journey: Journey) -> None:
    """A statement that fails is logged without its values."""
    log, tables = journey.server.log, journey.server.dump()
    assert "fault" in log
    assert "$argon2" not in log
    assert not [
        row["key"] for row in tables["tokens"] if row["secret_hash"].hex() in log or repr(row["secret_hash"]) in log
    ]


def test_the_database_holds_no_secret(journey: Journey) -> None:
    for table, rows in journey.server.dump().items():
        for row in rows:
            for column, value in row.items():
                assert not hits(journey, _bytes(value)), (table, column)
                if isinstance(value, str):
                    assert not code_hits(journey, value), (table, column)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_the_database_files_hold_no_secret(journey: Journey) -> None:
    """Not even in pages that are free by now."""
    files = list(journey.server.data.glob("twokey.db*"))
    assert files
    for file in files:
        assert not hits(journey, file.read_bytes()), file.name


def test_a_dump_in_sql_holds_no_secret(journey: Journey) -> None:
    connection = sqlite3.connect(journey.server.data / "twokey.db")
    try:
        dumped = "\n".join(connection.iterdump())
    finally:
        connection.close()
    assert "INSERT INTO" in dumped
    assert not hits(journey, dumped.encode())


def test_nothing_else_in_the_data_folder_holds_a_secret(journey: Journey) -> None:
    for path in journey.server.data.rglob("*"):
        if path.is_file() and not path.name.startswith("twokey.db") and path.name != "vault.key":
            assert not hits(journey, path.read_bytes()), path.name


def test_the_audit_trail_holds_no_secret(journey: Journey) -> None:
    exported = journey.server.operate("audit", "export")
    assert exported.exit_code == 0, exported
    listed = journey.server.operate("audit", "list", "--last", "1000")
    assert listed.exit_code == 0, listed
    for output in (exported.stdout, listed.stdout, exported.stderr + listed.stderr):
        assert not hits(journey, output.encode())
        assert not code_hits(journey, output)
        assert "$argon2" not in output
    assert "account:otp:replay" in exported.stdout


def test_no_answer_that_refuses_gives_a_secret_back(journey: Journey) -> None:
    """Neither the one that was sent nor any other, in body or headers."""
    assert len(journey.refused) > 30
    for answer in journey.refused:
        whole = answer.text + "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        assert not hits(journey, whole.encode()), answer
        assert not code_hits(journey, whole), answer


def test_the_search_finds_what_is_there(journey: Journey) -> None:
    """So that the searches above are known to be able to fail."""
    for name, secret in spellings(journey).items():
        assert name in hits(journey, b"before " + secret + b" after")
    for name, code in journey.codes.items():
        assert name in code_hits(journey, f'{{"otp": "{code}"}}')
