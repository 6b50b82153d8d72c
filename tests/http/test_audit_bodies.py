"""What an audit may send: packed or not, up to a bound that holds for what it unpacks to."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import accounts
from tests.support.server import Server
from tests.support.wire import request

BULK = "/-/npm/v1/security/advisories/bulk"
AUDITS = ("/-/npm/v1/security/audits", "/-/npm/v1/security/audits/quick")
NOTHING_FOUND = {
    "actions": [],
    "advisories": {},
    "muted": [],
    "metadata": {
        "vulnerabilities": {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0},
        "dependencies": 0,
        "devDependencies": 0,
        "optionalDependencies": 0,
        "totalDependencies": 0,
    },
}


def post(server: Server, path: str, body: bytes, encoding: str | None = "gzip") -> tuple[int, Any]:
    headers = {} if encoding is None else {"content-encoding": encoding}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("POST", path, body, {"host": server.host, **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", None, "identity"])
def test_packed_and_plain_bodies_are_read_alike(server: Server, encoding: str | None) -> None:
    body = b'{"nothing-here":["1.0.0"]}'
    packed = gzip.compress(body) if encoding in ("gzip", "x-gzip") else body
    assert post(server, BULK, packed, encoding) == (200, {})
    for path in AUDITS:
        tree = b'{"requires":{},"dependencies":{}}'
        sent = gzip.compress(tree) if encoding in ("gzip", "x-gzip") else tree
        assert post(server, path, sent, encoding) == (200, NOTHING_FOUND)


@pytest.mark.parametrize("path", [BULK, *AUDITS])
def test_a_body_that_unpacks_to_more_than_the_limit_is_refused(server: Server, path: str) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * 1024 * 1024) for _ in range(512)) + packer.flush()
    assert len(bomb) < 1024 * 1024
    status, answer = post(server, path, bomb)
    assert (status, "unpacked" in answer["error"]) == (413, True)
    assert post(server, path, b"x" * (3 * 1024 * 1024), None)[0] == 413


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{}", "gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip"),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip"),
        (b"{}", "br"),
        (b"[]", None),
        (b"", None),
        (b'{"a":"1.0.0"}', None),
        (b'{"a":[1]}', None),
        (b'{"a":["1.0.0"],"a":["2.0.0"]}', None),
    ],
)
def test_what_is_no_question_is_refused_with_a_sentence(server: Server, body: bytes, encoding: str | None) -> None:
    status, answer = post(server, BULK, body, encoding)
    assert status == 400
    assert answer["error"].endswith(".")


def test_the_number_of_packages_and_versions_is_bounded(server: Server) -> None:
    packages = {f"p{number}": ["1.0.0"] for number in range(20_001)}
    assert post(server, BULK, gzip.compress(json.dumps(packages).encode()))[0] == 413
    versions = {"p": [f"1.0.{number}" for number in range(100_001)]}
    assert post(server, BULK, gzip.compress(json.dumps(versions).encode()))[0] == 413
    tree = {"dependencies": {name: {"version": "1.0.0"} for name in packages}}
    assert post(server, AUDITS[0], gzip.compress(json.dumps(tree).encode()))[0] == 413


@pytest.mark.parametrize(
    "tree",
    [
        {"dependencies": {"a": None, "b": [], "c": {"version": 7, "requires": True, "dependencies": "x"}}},
        {"requires": {"a": "*"}, "dependencies": {"a": {"version": "git+ssh://example.com", "requires": {"a": "*"}}}},
        {"requires": ["a"], "dependencies": None},
    ],
)
def test_a_tree_of_any_shape_is_read_as_far_as_it_is_one(server: Server, tree: dict[str, Any]) -> None:
    assert post(server, AUDITS[0], json.dumps(tree).encode(), None)[0] == 200


def test_who_may_not_read_here_may_not_audit(tmp_path: Path) -> None:
    with Server(tmp_path, {"TWOKEY_READ": "authenticated"}) as server:
        alice = accounts.sign_up(server)
        tree: dict[str, object] = {"requires": {}, "dependencies": {}}
        for path, body in ((BULK, {}), *((path, tree) for path in AUDITS)):
            assert request(server, "POST", path, body=body).status == 401
            assert alice.ask("POST", path, body=body).status == 200
        assert request(server, "GET", "/-/npm/v1/keys").status == 200, "public keys are nobody's secret"
