"""Whatever comes, the answer is a sentence and never a fault (goal Q5): no 5xx, no traceback, no end of memory.

Routes with a body get broken JSON, and valid documents with one thing wrong; everything gets noise.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.promises.malformed import BROKEN, HEADERS, NO_VALUES, PATHS, mutants, no_tarballs
from tests.promises.noise import BODY, REQUESTS, Noise
from tests.promises.support import PATIENCE, WIDE, Instance, Person, at, document, package, person, publish_body, send
from tests.support import accounts, postgres
from tests.support.wire import Answer
from twokey.npm_api.routes import ROUTES

# What an implementation says of itself when it gives way.
TELLTALE = re.compile(
    r"Traceback|File \"|NoneType|<class|object at 0x|\b[A-Z]\w+(?:Error|Exception)\b"
    r"|sqlalchemy|psycopg|sqlite3|msgspec|\.py\b"
)
NOT_HTTP = "Invalid HTTP request received."
GROWTH_MIB = 200


@pytest.fixture(scope="module")
def server(in_memory: Path) -> Iterator[Instance]:
    """A server that is told nonsense, and must neither fail nor grow."""
    limits = {"TWOKEY_LIMIT_NAMES": "100000", "TWOKEY_LIMIT_PUBLISH": "100000"}
    with Instance(in_memory / "nonsense", {**WIDE, **limits}) as running:
        before = running.resident_mib()
        yield running
        assert running.resident_mib() - before < GROWTH_MIB


@pytest.fixture(scope="module")
def alice(server: Instance) -> Person:
    """Somebody who needs no code, so that what she sends gets far."""
    return person(server, mode=None)


def assert_told(answer: Answer, what: object = "") -> None:
    """Either it worked, or a sentence says what was wrong."""
    assert answer.status < 500, (what, answer)
    assert not TELLTALE.search(answer.text), (what, answer)
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/json", (what, answer)
        assert len(answer.error) > 5, (what, answer)
    elif answer.text and "content-encoding" not in answer.headers and answer.headers["content-type"].endswith("json"):
        json.loads(answer.text)


# A login in the browser takes any object, and none: Yarn sends an empty body, and nothing in it is looked at.
ODD_BUT_AN_OBJECT = ("empty", "a small exponent", "many keys", "a long string")
BODIES = [route for route in ROUTES if route.method in ("PUT", "POST", "DELETE")]
PLACES = {
    "{user:part}": "nobody", "{revision:part}": "1-0", "{token:part}": "abc", "{tag:part}": "beta",
    "{file:part}": "core-1.0.0.tgz", "{version:part}": "1.0.0",
}  # fmt: skip


def path_of(path: str, name: str) -> str:
    """The path of a route with its places filled in."""
    for place, value in PLACES.items():
        path = path.replace(place, value)
    return path.replace("{name:package}", name)


@pytest.mark.parametrize("route", BODIES, ids=lambda route: f"{route.method} {route.path}")
def test_a_body_that_is_no_good_json_is_refused(server: Instance, alice: Person, route: Any) -> None:
    path = path_of(route.path, "broken")
    for name, body in BROKEN.items():
        answer = send(server, route.method, path, body, token=alice.token)
        assert_told(answer, name)
        takes_it = route.method == "DELETE" or (route.path == "/-/v1/login" and name in ODD_BUT_AN_OBJECT)
        assert takes_it or answer.status >= 400, (name, answer)


def _manifest(name: str) -> dict[str, Any]:
    return {
        "name": name, "version": "1.0.0", "description": "for a test", "license": "MIT", "main": "index.js",
        "dependencies": {"left": "^1.0.0"}, "optionalDependencies": {"right": "github:a/b"},
        "peerDependencies": {"up": "1"}, "peerDependenciesMeta": {"up": {"optional": True}},
        "bundleDependencies": ["left"], "bin": {"tool": "./tool.js"}, "directories": {"bin": "bin"},
        "scripts": {"install": "node-gyp rebuild"}, "engines": {"node": ">=20"}, "os": ["linux"], "cpu": ["x64"],
        "keywords": ["a"], "author": {"name": "alice"}, "repository": {"type": "git", "url": "git://h/x.git"},
        "funding": [{"url": "x"}], "bugs": {"url": "x"}, "homepage": "x", "gypfile": True, "deprecated": "old",
    }  # fmt: skip


def _publish(name: str) -> dict[str, Any]:
    fields = {key: value for key, value in _manifest(name).items() if key not in ("name", "version")}
    body = publish_body(name, "1.0.0", package(name, **fields), **fields)
    attachment = body["_attachments"].pop(f"{name}-1.0.0.tgz")
    body["_attachments"] = {f"{name}-1.0.0.tgz": attachment}
    return {**body, "readme": "# core", "access": "public", "maintainers": [{"name": "alice", "email": "a@b.c"}]}


def _read(who: Person, name: str) -> dict[str, Any]:
    """The document that npm reads and sends back, with less in it."""
    read = {key: value for key, value in document(who, name).items() if key in ("_id", "_rev", "name", "dist-tags")}
    return {**read, "versions": {"1.0.0": {"name": name, "version": "1.0.0", "deprecated": "old", "dist": {}}}}


THOROUGH = [pytest.param(False, id="in short"), pytest.param(True, id="thoroughly", marks=pytest.mark.long)]
PROFILE, TOKENS = accounts.PROFILE, accounts.TOKENS
LOGIN = accounts.user_path("nobody")
DOCUMENTS: dict[str, tuple[str, str, Callable[[Person], Any]]] = {
    "publish": ("PUT", "/mutant", lambda who: _publish("mutant")),
    "deprecate": ("PUT", "/known", lambda who: _read(who, "known")),
    "owners": ("PUT", "/known", lambda who: {"_id": "known", "_rev": "1-0", "maintainers": [{"name": who.name}]}),
    "unpublish": ("PUT", "/known/-rev/1-0", lambda who: {**_read(who, "known"), "_rev": "1-0"}),
    "star": ("PUT", "/known", lambda who: {"_id": "known", "users": {who.name: True}}),
    "dist-tag": ("PUT", "/-/package/known/dist-tags/beta", lambda who: "1.0.0"),
    "profile": ("POST", PROFILE, lambda who: {"fullname": "A", "homepage": "h", "github": None, "email": who.email}),
    "password": ("POST", PROFILE, lambda who: {"password": {"old": "not this one", "new": "nor this one"}}),
    "enrolment": ("POST", PROFILE, lambda who: {"tfa": {"mode": "auth-only", "password": "not this one"}}),
    "confirmation": ("POST", PROFILE, lambda who: {"tfa": ["123456"]}),
    "classic token": ("POST", TOKENS, lambda who: {
        "password": "x", "readonly": False, "cidr_whitelist": ["192.0.2.0/24"],
    }),
    "granular token": ("POST", TOKENS, lambda who: {
        "password": "x", "name": "n", "description": "d", "packages": ["core"], "packages_all": False, "scopes": ["@a"],
        "orgs": [], "packages_and_scopes_permission": "read-write", "orgs_permission": "no-access", "expires": 7,
        "cidr_whitelist": ["::1/128"], "bypass_2fa": True,
    }),
    "login": ("PUT", LOGIN, lambda who: accounts.user_document("nobody", "x")),
    "sign-up": ("PUT", LOGIN, lambda who: accounts.user_document("nobody", "x", "nobody@example.com")),
}  # fmt: skip


@pytest.fixture(scope="module")
def known(alice: Person) -> str:
    """A package that there is, with a field of every kind."""
    assert alice.ask("PUT", "/known", body=_publish("known")).status == 201
    return "known"


@pytest.mark.parametrize("thorough", THOROUGH)
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_with_one_thing_wrong_is_refused_or_taken(
    server: Instance, alice: Person, known: str, kind: str, *, thorough: bool
) -> None:
    method, path, make = DOCUMENTS[kind]
    for place, mutant in mutants(make(alice), thorough=thorough):
        answer = send(server, method, path, json.dumps(mutant).encode(), token=alice.token)
        assert_told(answer, place)
    for path in (f"/{known}", f"/{known}/1.0.0", "/mutant", "/mutant/latest"):
        for accept in ("application/json", "application/vnd.npm.install-v1+json"):
            answer = send(server, "GET", path, token=alice.token, headers={"accept": accept})
            assert_told(answer, path)
            assert answer.status in (200, 404)


@pytest.mark.parametrize("thorough", THOROUGH)
def test_a_package_json_with_one_thing_wrong_is_refused_or_served(
    server: Instance, alice: Person, *, thorough: bool
) -> None:
    """It comes from the tarball and is shown to everyone, so whatever is taken must be readable again."""
    taken = 0
    for number, (place, mutant) in enumerate(mutants(_manifest("packed"), thorough=thorough)):
        name = f"packed-{'long' if thorough else 'short'}-{number}"
        if isinstance(mutant, dict) and mutant.get("name") == "packed":
            mutant["name"] = name
        fields = mutant if isinstance(mutant, dict) else {}
        sent = {key: value for key, value in fields.items() if key not in ("name", "version")}
        packed = package(name) if not isinstance(mutant, dict) else _packed(mutant)
        answer = alice.ask("PUT", at(name), body=publish_body(name, "1.0.0", packed, **sent))
        assert_told(answer, place)
        if answer.status == 201:
            taken += 1
            for accept in ("application/json", "application/vnd.npm.install-v1+json"):
                shown = send(server, "GET", f"/{name}", headers={"accept": accept})
                assert shown.status == 200, (place, shown)
                assert shown.json["versions"]["1.0.0"]["dist"]["tarball"].endswith(f"/{name}/-/{name}-1.0.0.tgz"), place
    assert taken > 50


def _packed(manifest: dict[str, Any]) -> bytes:
    fields = {key: value for key, value in manifest.items() if key not in ("name", "version")}
    return package(manifest.get("name", "x"), manifest.get("version", "x"), **fields)


@pytest.mark.parametrize("said", NO_VALUES)
def test_a_good_publish_with_one_value_that_json_does_not_have_is_refused(
    server: Instance, alice: Person, said: str
) -> None:
    """In a field that nobody looks at, which would be kept and shown to every client."""
    body = json.dumps(publish_body("lenient", "1.0.0", package("lenient"), config="HERE")).encode()
    assert body.count(b'"HERE"') == 1
    answer = send(server, "PUT", "/lenient", body.replace(b'"HERE"', NO_VALUES[said]), token=alice.token)
    assert_told(answer, said)
    assert answer.status == 400, answer
    assert send(server, "GET", "/lenient").status == 404


def test_what_is_no_tarball_is_refused(server: Instance, alice: Person) -> None:
    for said, content in no_tarballs("torn", "1.0.0").items():
        answer = alice.ask("PUT", "/torn", body=publish_body("torn", "1.0.0", content))
        assert_told(answer, said)
        assert answer.status in (400, 413), (said, answer)


@pytest.mark.parametrize("said", HEADERS)
def test_an_odd_header_is_no_fault(server: Instance, alice: Person, known: str, said: str) -> None:
    for method, path in (
        ("GET", "/known"),
        ("GET", "/-/whoami"),
        ("PUT", "/known"),
        ("PUT", LOGIN),
        ("GET", "/-/ping"),
    ):
        headers = {**HEADERS[said]}
        token = None if "authorization" in headers else alice.token
        answer = send(server, method, path, b"{}" if method == "PUT" else b"", token=token, headers=headers)
        if answer.text != NOT_HTTP:  # what comes after a wish to upgrade is not
            assert_told(answer, path)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
def test_an_odd_path_is_no_fault(server: Instance, alice: Person, known: str, method: str) -> None:
    for path in PATHS:
        answer = exchange(server, method, path.encode(), [f"authorization: Bearer {alice.token}".encode()], b"")
        if answer.text == NOT_HTTP or method == "HEAD":
            assert answer.status < 500, (path, answer)
        else:
            assert_told(answer, path)


def test_what_is_odd_is_no_fault_on_postgresql_either(in_memory: Path, promise_cluster: postgres.Cluster) -> None:
    """Its text takes no NUL, and its statements end with the first error in a transaction."""
    with promise_cluster.database() as url, Instance(in_memory / "postgresql", WIDE, url) as server:
        alice = person(server, mode=None)
        for said, headers in HEADERS.items():
            token = None if "authorization" in headers else alice.token
            for method, path in (("GET", "/-/whoami"), ("PUT", LOGIN)):
                answer = send(server, method, path, b"{}", token=token, headers=headers)
                if answer.text != NOT_HTTP:
                    assert_told(answer, said)
        for path in PATHS:
            for method in ("GET", "PUT", "DELETE"):
                answer = exchange(server, method, path.encode(), [f"authorization: Bearer {alice.token}".encode()], b"")
                if answer.text != NOT_HTTP:
                    assert_told(answer, path)
        for said, body in BROKEN.items():
            for method, path in (("PUT", "/core"), ("PUT", LOGIN), ("POST", PROFILE), ("POST", TOKENS)):
                assert_told(send(server, method, path, body, token=alice.token), said)


def exchange(server: Instance, method: str, path: bytes, headers: list[bytes], body: bytes) -> Answer:
    """A request of these bytes, whatever they are. No answer at all counts as 400 with nothing in it."""
    lines = [b" ".join((method.encode(), path, b"HTTP/1.1")), f"host: {server.host}".encode(), b"connection: close"]
    lines += [*headers, b"content-length: %d" % len(body), b"", b""]
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as wire:
        wire.sendall(b"\r\n".join(lines) + body)
        response = http.client.HTTPResponse(wire, method=method)
        response.begin()
        text = response.read().decode("utf-8", errors="replace")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)


ROUTED = st.tuples(st.sampled_from(BODIES), BODY)

# -- noise ---------------------------------------------------------------------------------------------------------


def _hear(server: Instance, alice: Person, noise: Noise) -> None:
    method, parts, query, headers, body = noise
    path = b"/" + b"/".join(parts).replace(b"?", b"").replace(b"#", b"")
    lines = [name + b": " + value for name, value in headers]
    if not any(name == b"authorization" for name, _ in headers):
        lines.append(f"authorization: Bearer {alice.token}".encode())
    answer = exchange(server, method, path + query, lines, body)
    if answer.text != NOT_HTTP:
        assert_told(answer, noise)


def _runs(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=timedelta(seconds=10), database=None, derandomize=examples < 1000,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip


@_runs(400)
@given(noise=REQUESTS)
def test_noise_is_no_fault(server: Instance, alice: Person, known: str, noise: Noise) -> None:
    _hear(server, alice, noise)


@_runs(400)
@given(routed=ROUTED)
def test_noise_in_the_body_of_a_route_is_no_fault(server: Instance, alice: Person, known: str, routed: Any) -> None:
    route, body = routed
    assert_told(send(server, route.method, path_of(route.path, "known"), body, token=alice.token), routed)


@pytest.mark.long
@pytest.mark.timeout(7200)
@_runs(50_000)
@given(noise=REQUESTS, routed=ROUTED)
def test_much_noise_is_no_fault(server: Instance, alice: Person, known: str, noise: Noise, routed: Any) -> None:
    _hear(server, alice, noise)
    route, body = routed
    assert_told(send(server, route.method, path_of(route.path, "known"), body, token=alice.token), routed)
