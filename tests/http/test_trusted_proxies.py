"""Whose word counts for the client's address, scheme and host: the trusted proxies', and of that only the last."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.cli.support import until
from tests.support import accounts
from tests.support.accounts import PASSWORD, publish_document, user_document, user_path
from tests.support.server import PATIENCE, Server
from twokey.http.caller import base_address, client_address
from twokey.settings import Settings

TRUSTED = "127.0.0.1, ::1, 10.0.0.0/8, 2001:db8:f::/48"
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"  # both on the loopback: only the first is trusted
CLIENT, OTHER = "203.0.113.5", "198.51.100.9"
FORWARDED = "x-forwarded-for"
Headers = Sequence[tuple[str, str]]

SETTINGS = Settings(trusted_proxies=tuple(ipaddress.ip_network(part.strip()) for part in TRUSTED.split(",")))
NOBODY_TRUSTED = Settings()


def scope(peer: str, headers: Headers) -> dict[str, Any]:
    return {
        "type": "http",
        "client": (peer, 50000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }


@pytest.mark.parametrize(
    ("peer", "values", "address"),
    [
        # From the end: each trusted proxy vouches for the one before it; the first that is none is the client.
        (PROXY, [CLIENT], CLIENT),
        (PROXY, [f"{OTHER}, {CLIENT}"], CLIENT),
        (PROXY, [f"{OTHER},{CLIENT}, 10.1.1.1,10.2.2.2"], CLIENT),
        (PROXY, [f"10.9.9.9, {CLIENT}, 10.1.1.1"], CLIENT),
        # Several headers are one list.
        (PROXY, [OTHER, CLIENT], CLIENT),
        (PROXY, [f"{OTHER}, {CLIENT}", "10.1.1.1"], CLIENT),
        # Nothing but proxies: the farthest of them.
        (PROXY, ["10.1.1.1"], "10.1.1.1"),
        (PROXY, ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        # No word, or one that is no address: the last one that vouched.
        (PROXY, [], PROXY),
        (PROXY, [""], PROXY),
        (PROXY, [f"{CLIENT}, "], PROXY),
        (PROXY, [f"{CLIENT}, unknown"], PROXY),
        (PROXY, [f"{CLIENT}, _hidden, 10.1.1.1"], "10.1.1.1"),
        (PROXY, [f"{CLIENT} 10.1.1.1"], PROXY),
        (PROXY, ["203.0.113.05"], PROXY),
        (PROXY, ["203.0.113.5.6"], PROXY),
        (PROXY, ["2.130.113.5\x00"], PROXY),
        (PROXY, ["3405803781"], PROXY),
        (PROXY, ["203.0.113.5/32"], PROXY),
        (PROXY, ["\xb2\xb3.0.113.5"], PROXY),
        # Ports are left away.
        (PROXY, [f"{CLIENT}:443"], CLIENT),
        (PROXY, [f"{OTHER}:1, {CLIENT}:65535, 10.1.1.1:80"], CLIENT),
        (PROXY, ["[2001:db8::5]:443"], "2001:db8::5"),
        (PROXY, [f"{CLIENT}:"], PROXY),
        (PROXY, [f"{CLIENT}:443:443"], PROXY),
        # IPv6 in any spelling is one address; an IPv4 address in IPv6 is the IPv4 address.
        (PROXY, ["2001:DB8:0:0::5"], "2001:db8::5"),
        (PROXY, ["[2001:db8::5]"], "2001:db8::5"),
        (PROXY, ["2001:db8::5, 2001:db8:f::1"], "2001:db8::5"),
        (PROXY, ["fe80::5%eth0"], "fe80::5"),
        (PROXY, [f"::ffff:{CLIENT}"], CLIENT),
        (PROXY, [f"{CLIENT}, ::ffff:10.1.1.1"], CLIENT),
        ("::ffff:127.0.0.1", [CLIENT], CLIENT),
        ("::1", [CLIENT], CLIENT),
        # Whoever is no trusted proxy says what they like.
        (STRANGER, [CLIENT], STRANGER),
        (STRANGER, [f"{CLIENT}, 127.0.0.1"], STRANGER),
        (OTHER, [CLIENT, "10.1.1.1"], OTHER),
        ("2001:db8::66", [CLIENT], "2001:db8::66"),
        ("", [CLIENT], ""),
    ],
)
def test_the_client_is_the_first_from_the_end_that_is_no_trusted_proxy(
    peer: str, values: list[str], address: str
) -> None:
    asked = scope(peer, [(FORWARDED, value) for value in values])
    assert client_address(SETTINGS, asked) == address


@pytest.mark.parametrize("peer", [PROXY, "::1", CLIENT])
@pytest.mark.parametrize("header", [FORWARDED, "forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip"])
def test_without_trusted_proxies_no_header_counts(peer: str, header: str) -> None:
    value = f"for={OTHER}" if header == "forwarded" else OTHER
    assert client_address(NOBODY_TRUSTED, scope(peer, [(header, value)])) == peer


@pytest.mark.parametrize("header", ["forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "client-ip"])
def test_headers_that_proxies_pass_on_unseen_never_count(header: str) -> None:
    value = f"for={OTHER}" if header == "forwarded" else OTHER
    assert client_address(SETTINGS, scope(PROXY, [(header, value), (FORWARDED, CLIENT)])) == CLIENT
    assert client_address(SETTINGS, scope(PROXY, [(header, value)])) == PROXY


HOST, PROTO = "x-forwarded-host", "x-forwarded-proto"


@pytest.mark.parametrize(
    ("peer", "headers", "base"),
    [
        (PROXY, [("host", "npm.example.com")], "http://npm.example.com"),
        (PROXY, [("host", "a:1"), (HOST, "npm.example.com"), (PROTO, "https")], "https://npm.example.com"),
        (PROXY, [("host", "a:1"), (HOST, "npm.example.com:8443"), (PROTO, "HTTPS")], "https://npm.example.com:8443"),
        (PROXY, [("host", "a:1"), (HOST, "[2001:db8::5]:8443")], "http://[2001:db8::5]:8443"),
        # A proxy that adds to what the client sent adds at the end.
        (PROXY, [("host", "a:1"), (HOST, "evil.example, npm.example.com")], "http://npm.example.com"),
        (PROXY, [("host", "a:1"), (HOST, "evil.example"), (HOST, "npm.example.com")], "http://npm.example.com"),
        (PROXY, [("host", "a:1"), (PROTO, "https"), (PROTO, "http")], "http://a:1"),
        (PROXY, [("host", "a:1"), (PROTO, "http, https")], "https://a:1"),
        (PROXY, [("host", "a:1"), (PROTO, "javascript")], "http://a:1"),
        # What is no host is nobody's: the listener.
        (PROXY, [("host", "a:1"), (HOST, "")], "http://localhost:4873"),
        (PROXY, [("host", "a:1"), (HOST, "evil.example/path")], "http://localhost:4873"),
        (PROXY, [("host", "a:1"), (HOST, "user@evil.example")], "http://localhost:4873"),
        (PROXY, [("host", "a:1"), (HOST, 'evil.example"')], "http://localhost:4873"),
        (PROXY, [("host", "a:1"), (HOST, "evil example")], "http://localhost:4873"),
        (PROXY, [("host", "a:1"), (HOST, "[::1")], "http://localhost:4873"),
        (PROXY, [], "http://localhost:4873"),
        # A stranger's word is none.
        (STRANGER, [("host", "localhost:1"), (HOST, "evil.example"), (PROTO, "https")], "http://localhost:1"),
        (STRANGER, [("host", "evil.example"), (HOST, "localhost:1")], "http://localhost:4873"),
    ],
)
def test_links_follow_the_last_word_of_a_trusted_proxy(peer: str, headers: Headers, base: str) -> None:
    assert base_address(SETTINGS, scope(peer, headers), 4873) == base


@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_the_address_that_is_set_wins_over_every_header(peer: str) -> None:
    settings = Settings(url="https://npm.example.com", trusted_proxies=SETTINGS.trusted_proxies)
    headers = [("host", "localhost"), (HOST, "evil.example"), (PROTO, "http")]
    assert base_address(settings, scope(peer, headers), 4873) == "https://npm.example.com"


# -- the same over the wire, for what hangs on it --------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy on 127.0.0.1."""
    settings = {"TWOKEY_TRUSTED_PROXIES": TRUSTED, "TWOKEY_LIMIT_SIGNUP": "2", "TWOKEY_LIMIT_PASSWORD": "2"}
    with Server(tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture(autouse=True)
def _later(server: Server) -> None:
    """Each test begins two hours after the one before: what was counted is out of every hour's window."""
    server.advance(2 * 3600)


def ask(
    server: Server, method: str, path: str, headers: Headers = (), *, source: str = PROXY, body: object = None
) -> tuple[int, http.client.HTTPMessage, Any]:
    """One request with headers that may come twice."""
    payload = b"" if body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(PROXY, server.port, timeout=PATIENCE, source_address=(source, 0))
    try:
        connection.putrequest(method, path, skip_host=any(name == "host" for name, _ in headers))
        for name, value in (*headers, ("content-length", str(len(payload)))):
            connection.putheader(name, value)
        connection.endheaders(payload)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


def sign_up(server: Server, forwarded: str, source: str = PROXY) -> int:
    name = accounts.fresh_name()
    document = user_document(name, PASSWORD, f"{name}@example.com")
    return ask(server, "PUT", user_path(name), [(FORWARDED, forwarded)], source=source, body=document)[0]


@pytest.mark.parametrize(
    ("values", "source", "status"),
    [
        ([CLIENT], PROXY, 200),
        ([f"{OTHER}, {CLIENT}"], PROXY, 200),
        ([f"{CLIENT}:55555"], PROXY, 200),
        ([f"::ffff:{CLIENT}"], PROXY, 200),
        ([CLIENT, "10.1.1.1"], PROXY, 200),
        ([OTHER], PROXY, 401),
        ([f"{CLIENT}, {OTHER}"], PROXY, 401),
        ([CLIENT, OTHER], PROXY, 401),
        ([f"{CLIENT}, nonsense"], PROXY, 401),
        ([], PROXY, 401),
        ([CLIENT], STRANGER, 401),
        ([f"{CLIENT}, 127.0.0.1"], STRANGER, 401),
    ],
)
def test_a_token_with_an_address_range_is_held_to_the_client_behind_the_proxy(
    server: Server, values: list[str], source: str, status: int
) -> None:
    token = accounts.make_token(accounts.sign_up(server), readonly=True, cidr_whitelist=[f"{CLIENT}/32"])
    headers = [("authorization", f"Bearer {token}"), *((FORWARDED, value) for value in values)]
    got, answered, _ = ask(server, "GET", "/-/whoami", headers, source=source)
    assert got == status
    assert answered.get("www-authenticate") == (None if status == 200 else "ipaddress")


def test_who_invents_forwarders_stays_one_client_for_the_throttle(server: Server) -> None:
    assert [sign_up(server, f"192.0.2.{n}, {OTHER}") for n in range(3)] == [201, 201, 403]
    assert sign_up(server, f"{OTHER}, {CLIENT}") == 201, "another client behind the same proxy is another"


def test_who_comes_without_the_proxy_cannot_name_an_address(server: Server) -> None:
    assert [sign_up(server, f"192.0.2.{n}", STRANGER) for n in range(3)] == [201, 201, 403]
    assert sign_up(server, "192.0.2.0") == 201, "and uses up nobody else's share"


def test_an_ipv6_client_is_its_network_for_the_throttle(server: Server) -> None:
    assert [sign_up(server, f"2001:db8:5::{n}") for n in (1, 2, 3)] == [201, 201, 403]
    assert sign_up(server, "2001:db8:5:1::1") == 201


def test_wrong_passwords_are_counted_for_the_client_behind_the_proxy(server: Server) -> None:
    alice = accounts.sign_up(server)
    wrong = user_document(alice.name, "not the password")

    def log_in(client: str, document: object) -> int:
        return ask(server, "PUT", user_path(alice.name), [(FORWARDED, f"192.0.2.1, {client}")], body=document)[0]

    assert [log_in(OTHER, wrong) for _ in range(3)] == [401, 401, 403]
    assert log_in(CLIENT, user_document(alice.name, PASSWORD)) == 201


def test_the_log_names_the_client_behind_the_proxy(server: Server) -> None:
    headers = [(FORWARDED, f"192.0.2.77, {CLIENT}:1234"), ("user-agent", "the one to look for")]
    assert ask(server, "GET", "/-/ping", headers)[0] == 200
    mark = "the one to look for"
    (line,) = until(
        lambda: [each for each in server.log.rpartition("\n")[0].splitlines() if mark in each],
        "the line of the request",
    )
    assert json.loads(line)["address"] == CLIENT


def test_tarballs_are_where_the_proxy_says_and_a_stranger_does_not_move_them(server: Server) -> None:
    alice = accounts.sign_up(server)
    name = accounts.fresh_name("core")
    assert alice.ask("PUT", f"/{name}", body=publish_document(name, "1.0.0")).status == 201

    def tarball(headers: Headers, source: str = PROXY) -> str:
        status, _, packument = ask(server, "GET", f"/{name}", headers, source=source)
        assert status == 200
        return str(packument["versions"]["1.0.0"]["dist"]["tarball"])

    behind = [("host", "10.0.0.1:4873"), (HOST, "evil.example, npm.example.com"), (PROTO, "https")]
    file = f"{name}/-/{name}-1.0.0.tgz"
    assert tarball(behind) == f"https://npm.example.com/{file}"
    assert tarball([("host", "localhost"), *behind[1:]], STRANGER) == f"http://localhost/{file}"
    assert tarball(behind) == f"https://npm.example.com/{file}"
