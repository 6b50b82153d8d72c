"""Nobody learns from an answer who has an account here, or which restricted packages there are (goal Q8).

The words are compared; for the time, the argon2 hashes that an answer costs are counted, for they are what takes it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import argon2
import pytest

from tests.promises.in_process import Threaded
from tests.promises.support import ROOM, Instance, Person, at, log_in, package, person, publish_body
from tests.support import accounts
from tests.support.wire import Answer, request
from twokey.tokens import secret

CHANGING = {"date", "x-request-id", "content-length"}


@pytest.fixture(scope="module")
def server(in_memory: Path) -> Iterator[Threaded]:
    """A server in this process whose sign-up is open."""
    with Threaded(in_memory / "open", ROOM) as running:
        yield running


@pytest.fixture(scope="module")
def closed(in_memory: Path) -> Iterator[Threaded]:
    """The same with its sign-up closed."""
    with Threaded(in_memory / "closed", {**ROOM, "TWOKEY_SIGNUP": "closed"}) as running:
        done = running.operate("user", "create", "alice", "--password-stdin", stdin=f"{accounts.PASSWORD}\n")
        assert done.exit_code == 0, done
        yield running


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every comparison with a password's hash from now on."""
    compared: list[str] = []
    verify = argon2.PasswordHasher.verify

    def watched(self: argon2.PasswordHasher, stored: Any, password: Any) -> bool:
        compared.append(stored)
        return bool(verify(self, stored, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", watched)
    return compared


def seen(answer: Answer) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What a stranger sees of an answer, without what differs each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in CHANGING}
    body = json.loads(answer.text)
    body.pop("request_id", None)
    return answer.status, headers, body


def assert_alike(hashes: list[str], *asks: Callable[[], Answer]) -> None:
    """Every one gets the same answer, for the same number of hashes. The second time: the decoy is made by then."""
    costs, answers = [], []
    for ask in (*asks, *asks):
        hashes.clear()
        answers.append(ask())
        costs.append(len(hashes))
    assert answers[0].status >= 400
    shown = [seen(answer) for answer in answers]
    assert shown == [shown[0]] * len(shown)
    lengths = {len(answer.text) for answer in answers}
    assert len(lengths) == 1
    assert costs == [costs[0]] * len(costs)


def basic(name: str, password: str = "not the password") -> dict[str, str]:
    """The header of Basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def by_name(server: Instance, name: str, password: str = "not the password", **more: str) -> Answer:
    """A login of whoever that is."""
    body = {**accounts.user_document(name, password), **more}
    return request(server, "PUT", accounts.user_path(name), body=body)


@pytest.fixture(scope="module")
def known(server: Threaded) -> dict[str, Person]:
    """Accounts of every sort."""
    made = {"plain": person(server, mode=None), "auth-only": person(server, "auth-only"), "writes": person(server)}
    made["closed"] = person(server, mode=None)
    assert server.operate("user", "disable", made["closed"].name).exit_code == 0
    return made


@pytest.mark.parametrize("sort", ["plain", "auth-only", "writes", "closed"])
def test_a_wrong_password_is_answered_like_an_unknown_name(
    server: Threaded, known: dict[str, Person], hashes: list[str], sort: str
) -> None:
    server.advance(3600)
    known_name = known[sort].name
    unknown_name = "x" * len(known_name)
    assert_alike(hashes, lambda: by_name(server, unknown_name), lambda: by_name(server, known_name))
    assert len(hashes) == 1


def test_a_code_beside_a_wrong_password_tells_nothing(
    server: Threaded, known: dict[str, Person], hashes: list[str]
) -> None:
    server.advance(3600)
    alice = known["writes"]
    nobody = Person(**{**vars(alice), "name": "x" * len(alice.name)})
    wrong = "not the password"
    assert_alike(
        hashes,
        lambda: log_in(nobody, password=wrong, otp=alice.code()),
        lambda: log_in(alice, password=wrong, otp=alice.code()),
        lambda: log_in(alice, password=wrong, otp="000000"),
        lambda: log_in(alice, password=wrong),
    )


@pytest.mark.parametrize("password", ["x" * 300, "x", "\u00e9" * 20], ids=["long", "short", "not ASCII"])
def test_an_odd_password_tells_nothing(
    server: Threaded, known: dict[str, Person], hashes: list[str], password: str
) -> None:
    server.advance(3600)
    name = known["plain"].name
    assert_alike(
        hashes, lambda: by_name(server, "x" * len(name), password), lambda: by_name(server, name, password)
    )  # fmt: skip


def test_basic_authentication_tells_nothing(server: Threaded, known: dict[str, Person], hashes: list[str]) -> None:
    server.advance(3600)
    name = known["writes"].name
    assert_alike(
        hashes,
        lambda: request(server, "GET", "/-/whoami", headers=basic("x" * len(name))),
        lambda: request(server, "GET", "/-/whoami", headers=basic(name)),
        lambda: request(server, "GET", "/-/whoami", headers=basic(known["closed"].name.ljust(len(name), "x"))),
    )
    assert len(hashes) == 1


def test_where_sign_up_is_closed_a_name_tells_nothing(closed: Threaded, hashes: list[str]) -> None:
    assert_alike(
        hashes,
        lambda: by_name(closed, "alice"),
        lambda: by_name(closed, "carol"),
        lambda: by_name(closed, "alice", email="m@example.com"),
        lambda: by_name(closed, "carol", email="m@example.com"),
    )


def test_a_block_tells_nothing(server: Threaded, known: dict[str, Person]) -> None:
    """A name that does not exist is blocked as soon as one that does, in the same words."""
    server.advance(3600)
    with server.held():
        names = (known["plain"].name, "x" * len(known["plain"].name))
        told = [[seen(by_name(server, name)) for _ in range(12)] for name in names]
    assert told[0] == told[1]
    assert {answer[0] for answer in told[0][10:]} == {403}


def test_a_stranger_is_told_of_no_user(server: Threaded, known: dict[str, Person], hashes: list[str]) -> None:
    assert_alike(
        hashes,
        lambda: request(server, "GET", accounts.user_path("x" * len(known["plain"].name))),
        lambda: request(server, "GET", accounts.user_path(known["plain"].name)),
    )


def test_tokens_that_do_not_work_are_alike(server: Threaded, hashes: list[str]) -> None:
    alice = person(server)
    ended = accounts.make_token(alice, name="a day", packages_all=True, expires=1)
    revoked = accounts.log_in(alice)
    assert alice.ask("DELETE", f"/-/user/token/{revoked}").status == 200
    server.advance(2 * 86400)
    tokens = (ended, revoked, secret.new_secret(), revoked[:-1] + ("0" if revoked[-1] != "0" else "1"), "npm_short")
    assert_alike(hashes, *(lambda token=token: request(server, "GET", "/-/whoami", token=token) for token in tokens))


# -- restricted packages -------------------------------------------------------------------------------------------

HIDDEN, MISSING = "hidden", "absent"


@pytest.fixture(scope="module")
def owner(server: Threaded) -> Person:
    """Somebody with a restricted package that nobody else may know of."""
    alice = person(server, mode=None)
    name = f"@{alice.name}/{HIDDEN}"
    body = {**publish_body(name, "1.0.0", package(name)), "access": "restricted"}
    assert alice.ask("PUT", at(name), body=body).status == 201
    assert alice.ask("GET", at(name)).status == 200
    return alice


READS: dict[str, Callable[[str, str], tuple[str, str, object]]] = {
    "packument": lambda name, base: ("GET", at(name), None),
    "write document": lambda name, base: ("GET", f"{at(name)}?write=true", None),
    "version": lambda name, base: ("GET", f"{at(name)}/1.0.0", None),
    "tag": lambda name, base: ("GET", f"{at(name)}/latest", None),
    "tarball": lambda name, base: ("GET", f"/{name}/-/{base}-1.0.0.tgz", None),
    "dist-tags": lambda name, base: ("GET", f"/-/package{at(name)}/dist-tags", None),
}
WRITES: dict[str, Callable[[str, str], tuple[str, str, object]]] = {
    "set a tag": lambda name, base: ("PUT", f"/-/package{at(name)}/dist-tags/beta", "1.0.0"),
    "remove a tag": lambda name, base: ("DELETE", f"/-/package{at(name)}/dist-tags/beta", None),
    "deprecate": lambda name, base: ("PUT", at(name), {"_id": name, "versions": {"1.0.0": {"deprecated": "x"}}}),
    "owners": lambda name, base: ("PUT", at(name), {"_id": name, "maintainers": [{"name": "alice"}]}),
    "unpublish": lambda name, base: ("PUT", f"{at(name)}/-rev/1-0", {"_id": name, "versions": {"1.0.0": {}}}),
    "remove": lambda name, base: ("DELETE", f"{at(name)}/-rev/1-0", None),
    "remove a tarball": lambda name, base: ("DELETE", f"/{name}/-/{base}-1.0.0.tgz/-rev/1-0", None),
    "publish the version": lambda name, base: ("PUT", at(name), publish_body(name, "1.0.0", package(name))),
    "publish another": lambda name, base: ("PUT", at(name), publish_body(name, "2.0.0", package(name, "2.0.0"))),
}


def _compare(owner: Person, token: str | None, kind: Callable[[str, str], tuple[str, str, object]]) -> None:
    answers = []
    for base in (MISSING, HIDDEN):
        name = f"@{owner.name}/{base}"
        method, path, body = kind(name, base)
        answer = request(owner.server, method, path, token=token, body=body)
        status, headers, document = seen(answer)
        answers.append((status, json.dumps([headers, document]).replace(base, "NAME")))
    assert answers[0] == answers[1]
    assert answers[0][0] in (401, 403, 404)


@pytest.fixture(scope="module")
def callers(server: Threaded) -> dict[str, str | None]:
    """Tokens of those who may not know of it."""
    bob = person(server, mode=None)
    return {"nobody": None, "a stranger": bob.token, "a stranger's automation": accounts.automation_token(bob)}


@pytest.mark.parametrize("kind", [*READS, *WRITES])
@pytest.mark.parametrize("who", ["nobody", "a stranger", "a stranger's automation"])
def test_a_restricted_package_is_like_a_missing_one(
    owner: Person, callers: dict[str, str | None], who: str, kind: str
) -> None:
    _compare(owner, callers[who], {**READS, **WRITES}[kind])
