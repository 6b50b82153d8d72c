"""Where it listens, and what it calls itself in links: npm 12 refuses a tarball on another host than it was told."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import FREE_PORT, PATIENCE, Serving, sign_up
from tests.support.accounts import publish_document


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server with the package `core`."""
    with Serving(tmp_path_factory.mktemp("serving")) as running:
        token = sign_up(running, "alice")
        assert running.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.0"))[0] == 201
        yield running


def tarball(serving: Serving, host: str) -> str:
    status, packument = serving.ask("GET", "/core", headers={"host": host})
    assert status == 200
    return str(packument["versions"]["1.0.0"]["dist"]["tarball"])


def test_localhost_is_both_loopback_addresses(serving: Serving) -> None:
    assert serving.ask("GET", "/-/ping", host="127.0.0.1") == (200, {})
    assert serving.listens("::1") == has_ipv6()
    if has_ipv6():
        assert serving.ask("GET", "/-/ping", host="::1") == (200, {})


@pytest.mark.parametrize(("host", "name"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_a_host_that_is_one_address_listens_there_alone(tmp_path: Path, host: str, name: str) -> None:
    if host == "::1" and not has_ipv6():
        return
    with Serving(tmp_path, {**FREE_PORT, "TWOKEY_HOST": host}) as running:
        assert running.banner_line("use it") == f"npm config set registry http://{name}:{running.port}/"
        assert running.ask("GET", "/-/ping", host=host) == (200, {})
        assert not running.listens("127.0.0.1" if host == "::1" else "::1")


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "[::1]", "localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}"]
)
def test_tarballs_are_where_a_loopback_client_called(serving: Serving, name: str) -> None:
    host = name.format(port=serving.port)
    assert tarball(serving, host) == f"http://{host}/core/-/core-1.0.0.tgz"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:4873", "localhost.evil.example", "evil.example#localhost",
        "localhost@evil.example", "evil.example/localhost", "127.0.0.1.evil.example", "[::2]", "[::1", "[:::]",
        "[::1%25eth0]", "0.0.0.0", "10.0.0.1", "", " ", "localhost evil.example", "localhost:80:80",
        "localhost:port", "localhost:123456", 'localhost"', "localhost\\",
    ],
)  # fmt: skip
def test_tarballs_are_never_at_another_host(serving: Serving, host: str) -> None:
    own = f"http://localhost:{serving.port}/core/-/core-1.0.0.tgz"
    assert tarball(serving, host) == own
    assert tarball(serving, f"localhost:{serving.port}") == own, "what one client says must not reach another"


@pytest.mark.parametrize("header", ["x-forwarded-host", "x-forwarded-proto", "x-forwarded-for", "forwarded"])
def test_forwarded_headers_mean_nothing_without_a_trusted_proxy(serving: Serving, header: str) -> None:
    value = {"x-forwarded-proto": "https", "forwarded": "host=evil.example;proto=https"}.get(header, "evil.example")
    host = f"localhost:{serving.port}"
    status, packument = serving.ask("GET", "/core", headers={"host": host, header: value})
    assert status == 200
    assert packument["versions"]["1.0.0"]["dist"]["tarball"] == f"http://{host}/core/-/core-1.0.0.tgz"


def test_a_request_without_a_host_gets_the_listener(serving: Serving) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=PATIENCE)
    connection.putrequest("GET", "/core", skip_host=True)
    connection.endheaders()
    packument: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    expected = f"http://localhost:{serving.port}/core/-/core-1.0.0.tgz"
    assert packument["versions"]["1.0.0"]["dist"]["tarball"] == expected


def test_the_address_that_is_set_is_the_one_of_every_link_whatever_the_host(tmp_path: Path) -> None:
    with Serving(
        tmp_path, {**FREE_PORT, "TWOKEY_URL": "https://npm.example.com/npm/", "TWOKEY_SIGNUP": "open"}
    ) as running:
        token = sign_up(running, "alice")
        assert running.ask("PUT", "/core", token=token, body=publish_document("core", "1.0.0"))[0] == 201
        for host in ("localhost", "evil.example"):
            assert tarball(running, host) == "https://npm.example.com/npm/core/-/core-1.0.0.tgz"
