"""Addresses as clients write them, and as nobody means them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable

import pytest

from tests.support import accounts
from tests.support.accounts import Account, publish_document
from tests.support.server import PATIENCE, Server
from tests.support.wire import Answer, request

SPELLINGS: dict[str, Callable[[str], str]] = {
    "/@a/b": lambda name: name,
    "/@a%2fb": lambda name: name.replace("/", "%2f"),
    "/@a%2Fb": lambda name: name.replace("/", "%2F"),
    "/%40a%2Fb": lambda name: name.replace("/", "%2F").replace("@", "%40"),
    "/%40a/b": lambda name: name.replace("@", "%40"),
}


def raw(server: Server, method: str, target: bytes) -> Answer:
    """A request whose target is sent as it is."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"%s %s HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" % (method.encode(), target)
        )
        received = b""
        while block := connection.recv(65536):
            received += block
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body.decode())


@pytest.fixture(scope="module")
def alice(server: Server) -> Account:
    """An account whose name is a scope."""
    return accounts.sign_up(server)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_scoped_name_is_the_same_package_for_every_request(
    server: Server, alice: Account, spelling: str
) -> None:
    name = f"@{alice.name}/{accounts.fresh_name('core')}"
    base = name.partition("/")[2]
    path = "/" + SPELLINGS[spelling](name)
    for version in ("1.0.0", "1.0.1"):
        assert alice.ask("PUT", path, body=publish_document(name, version)).status == 201
    assert list(request(server, "GET", path).json["versions"]) == ["1.0.0", "1.0.1"]
    assert request(server, "GET", f"{path}/1.0.0").json["version"] == "1.0.0"
    assert request(server, "GET", f"{path}/latest").json["version"] == "1.0.1"
    tarball = f"{path}/-/{base}-1.0.0.tgz"
    assert request(server, "GET", tarball).headers["content-type"] == "application/octet-stream"
    tags = f"/-/package{path}/dist-tags"
    assert alice.ask("PUT", f"{tags}/beta", body="1.0.0").status == 201
    assert request(server, "GET", tags).json == {"latest": "1.0.1", "beta": "1.0.0"}
    assert alice.ask("DELETE", f"{tags}/beta").status == 200
    packument = alice.ask("GET", f"{path}?write=true").json
    packument["versions"]["1.0.0"]["deprecated"] = "old"
    assert alice.ask("PUT", path, body=packument).status == 201
    assert request(server, "GET", f"{path}/1.0.0").json["deprecated"] == "old"
    packument = alice.ask("GET", f"{path}?write=true").json
    del packument["versions"]["1.0.0"]
    assert alice.ask("PUT", f"{path}/-rev/{packument['_rev']}", body=packument).status == 201
    rev = alice.ask("GET", f"{path}?write=true").json["_rev"]
    assert alice.ask("DELETE", f"{tarball}/-rev/{rev}").status == 200
    assert alice.ask("DELETE", f"{path}/-rev/{rev}").status == 200
    assert request(server, "GET", path).status == 404


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_whatever_the_spelling_documents_and_tarball_addresses_are_the_same(
    server: Server, alice: Account, spelling: str
) -> None:
    name = f"@{alice.name}/spelt"
    accounts.publish(alice, name)
    plain = request(server, "GET", f"/{name}")
    assert plain.status == 200
    other = request(server, "GET", "/" + SPELLINGS[spelling](name))
    assert (other.text, other.headers["etag"]) == (plain.text, plain.headers["etag"])
    tarball = plain.json["versions"]["1.0.0"]["dist"]["tarball"]
    assert tarball == f"http://localhost:{server.port}/{name}/-/spelt-1.0.0.tgz"


NOBODY_MEANS = {
    "double slash": b"/a//b",
    "double slash before a name": b"//a",
    "double slash after a scope": b"/@a//b",
    "three slashes": b"///",
    "double slash at the end": b"/a//",
    "dot": b"/a/./b",
    "dots": b"/a/../b",
    "dots at the beginning": b"/../etc/passwd",
    "encoded dots": b"/%2e%2e/etc/passwd",
    "half encoded dots": b"/a/.%2E/b",
    "dots in a scoped name": b"/@a%2f..",
    "dots as a scope": b"/@..%2fb",
    "dots behind a tarball": b"/a/-/..",
    "encoded slash": b"/a%2fb",
    "encoded slash in a file": b"/a/-/..%2f..%2fetc%2fpasswd",
    "two encoded slashes": b"/@a%2fb%2fc",
    "encoded slash at the end": b"/a%2f",
    "scope without a name": b"/@a%2f",
    "scope without letters": b"/@%2fb",
    "encoded backslash": b"/a%5c..%5cb",
    "NUL": b"/a%00",
    "NUL alone": b"/%00",
    "line feed": b"/a%0d%0aset-cookie:x",
    "tab": b"/a%09",
    "escape": b"/%1b%5b2J",
    "right to left": b"/a%e2%80%ae",
    "not UTF-8": b"/%ff%fe",
    "overlong slash": b"/a%c0%afb",
    "surrogate": b"/%ed%a0%80",
    "name that begins with a dot": b"/.npmrc",
    "name that begins with a line": b"/_users",
    "reserved name": b"/node_modules",
    "name that is too long": b"/" + b"a" * 215,
    "path that is too long": b"/" + b"a/" * 1100,
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("case", NOBODY_MEANS)
def test_what_nobody_means_is_refused_with_a_sentence(server: Server, case: str, method: str) -> None:
    answer = raw(server, method, NOBODY_MEANS[case])
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json"), answer
    if method == "HEAD":
        assert answer.text == ""
        return
    assert re.fullmatch(r"\S.* .*[.]|.*write @scope%2fname\.", answer.error), answer
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_two_slashes_are_not_the_root(server: Server) -> None:
    assert raw(server, "GET", b"//").status == 400


@pytest.mark.parametrize(
    "path", [b"/-/nope", b"/-/", b"/nope/x/y/z", b"/@a", b"/-/npm/v1/nope", b"/-/package/a", b"/@a%252fb"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_an_unknown_route_is_404_in_json(server: Server, path: bytes, method: str) -> None:
    answer = raw(server, method, path)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json"), answer
    assert answer.error == "Not found"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


WRONG_METHODS = [
    ("DELETE", "/core", {"GET", "HEAD", "PUT"}),
    ("POST", "/core", {"GET", "HEAD", "PUT"}),
    ("PATCH", "/@a%2fb", {"GET", "HEAD", "PUT"}),
    ("PUT", "/core/-/core-1.0.0.tgz", {"GET", "HEAD"}),
    ("POST", "/-/whoami", {"GET", "HEAD"}),
    ("OPTIONS", "/-/ping", {"GET", "HEAD"}),
    ("GET", "/-/v1/login", {"POST"}),
    ("GET", "/-/user/token/abc", {"DELETE"}),
    ("HEAD", "/-/npm/v1/tokens/token/abc", {"DELETE"}),
    ("PUT", "/-/npm/v1/user", {"GET", "HEAD", "POST"}),
    ("DELETE", "/-/package/core/dist-tags", {"GET", "HEAD"}),
    ("GET", "/-/package/core/dist-tags/latest", {"PUT", "POST", "DELETE"}),
    ("GET", "/core/-rev/1-0", {"PUT", "DELETE"}),
]


@pytest.mark.parametrize(
    ("method", "path", "allowed"), WRONG_METHODS, ids=[f"{method} {path}" for method, path, _ in WRONG_METHODS]
)
def test_a_wrong_method_is_405_with_what_is_allowed(server: Server, method: str, path: str, allowed: set[str]) -> None:
    answer = raw(server, method, path.encode())
    assert (answer.status, answer.headers["content-type"]) == (405, "application/json"), answer
    assert set(answer.headers["allow"].split(", ")) == allowed
    expected = "" if method == "HEAD" else f"{method} is not understood at this address."
    assert answer.error == expected


def test_a_browser_that_asks_for_the_address_of_a_form_gets_a_page(server: Server) -> None:
    """As after a form that was refused, when its address is asked for once more."""
    answer = request(server, "GET", "/org/acme/teams", headers={"accept": "text/html"})
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Page not found" in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/-/ping", "/-/health", "/{name}", "/{name}/1.0.0", "/{name}/-/{base}-1.0.0.tgz"]
)
def test_head_is_get_without_the_body(server: Server, alice: Account, path: str) -> None:
    name = f"@{alice.name}/headed"
    accounts.publish(alice, name)
    asked = path.format(name=name, base="headed")
    with server.held():
        whole, head = request(server, "GET", asked), request(server, "HEAD", asked)
    assert (head.status, head.text) == (whole.status, "") == (200, "")
    ignored = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in ignored} == {
        k: v for k, v in whole.headers.items() if k not in ignored
    }
    assert int(head.headers["content-length"]) > 0


def test_a_head_without_end_is_cut_off(server: Server) -> None:
    """Line and headers of a request are gathered in memory: there is a bound."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET /-/ping HTTP/1.1\r\nhost: localhost\r\nx-long: ")
        received = b""
        try:
            for _ in range(1000):
                connection.sendall(b"a" * 65536)
            received = connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            pass  # cut off while it was still sending
    assert not received or json.loads(received.partition(b"\r\n\r\n")[2])["error"].startswith("The request line")
    assert request(server, "GET", "/-/ping").status == 200
