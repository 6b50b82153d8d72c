"""Settings that say who may read, and from where, hold on the fast lane as they do beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import until
from tests.http.test_fast_lane import GZIP, NPM
from tests.support import accounts
from tests.support.lane import MEASURED, Connection, Raw, by_lane, get
from tests.support.server import Server


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with the settings that the test names."""
    with Server(tmp_path, {**MEASURED, **request.param}) as running:
        yield running


def _ask(connection: Connection, *lines: str) -> Raw:
    connection.send(get("/pkg", NPM, GZIP, *lines))
    return connection.answer()


def _is_by_lane(server: Server, connection: Connection, *lines: str) -> bool:
    before = by_lane(server)
    assert _ask(connection, *lines).status == 200
    return by_lane(server) > before


@pytest.mark.parametrize("server", [{"TWOKEY_READ": "authenticated"}], indirect=True)
def test_where_reading_needs_a_token_nobody_reads_what_the_lane_gave_somebody(server: Server) -> None:
    alice = accounts.sign_up(server)
    assert accounts.publish(alice, "pkg").status == 201
    token = f"authorization: Bearer {alice.token}"
    with Connection(server) as connection:
        until(lambda: _is_by_lane(server, connection, token), "an answer of the lane")
        assert _ask(connection).status == 401
        assert _ask(connection, "authorization: Bearer npm_unknown").status == 401
        assert _ask(connection, token).status == 200


BEHIND = {
    "TWOKEY_TRUSTED_PROXIES": "127.0.0.9",
    "TWOKEY_URL": "https://npm.example.com",
    "TWOKEY_SIGNUP": "open",
}


@pytest.mark.parametrize("server", [BEHIND], indirect=True)
def test_behind_a_proxy_the_address_is_the_client_s(server: Server) -> None:
    alice = accounts.sign_up(server)
    assert accounts.publish(alice, "pkg").status == 201
    limited = accounts.make_token(alice, readonly=True, cidr_whitelist=["192.0.2.1/32"])
    token, inside, outside = (
        f"authorization: Bearer {limited}", "x-forwarded-for: 192.0.2.1", "x-forwarded-for: 192.0.2.2",
    )  # fmt: skip
    with Connection(server, "127.0.0.9") as proxy, Connection(server) as other:
        until(lambda: _is_by_lane(server, proxy, token, inside), "an answer of the lane")
        assert b"https://npm.example.com/pkg/-/" in _plain(proxy, token, inside)
        assert _ask(proxy, token, outside).status == 401
        assert _ask(other, token, inside).status == 401, "nobody but the proxy says where others come from"
        assert _ask(proxy, token, inside).status == 200


def _plain(connection: Connection, *lines: str) -> bytes:
    connection.send(get("/pkg", *lines))
    return connection.answer().body


@pytest.mark.parametrize("server", [{"TWOKEY_TRUSTED_PROXIES": "127.0.0.9"}], indirect=True)
def test_where_links_hang_on_what_a_proxy_says_the_application_answers(server: Server) -> None:
    assert accounts.publish(accounts.sign_up(server), "pkg").status == 201
    with Connection(server, "127.0.0.9") as proxy:
        for name in ("a.example.com", "b.example.com"):
            for _ in range(2):
                body = _plain(proxy, f"x-forwarded-host: {name}", "x-forwarded-proto: https")
                assert f"https://{name}/pkg/-/".encode() in body
    assert by_lane(server) == 0


@pytest.mark.parametrize("server", [{"TWOKEY_FAST_LANE": "off"}], indirect=True)
def test_the_lane_can_be_turned_off(server: Server) -> None:
    assert accounts.publish(accounts.sign_up(server), "pkg").status == 201
    with Connection(server) as connection:
        for _ in range(3):
            assert _ask(connection).status == 200
    assert by_lane(server) == 0
