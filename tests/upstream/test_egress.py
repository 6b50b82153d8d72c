"""Where the registry itself connects to: the place of the setting, the public internet, and nowhere else."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.support import fake_upstream
from tests.support.fake_upstream import FakeUpstream, Handler
from twokey import settings
from twokey.clock import SystemClock
from twokey.errors import ConfigurationError, UpstreamFailed
from twokey.registry import open_registry
from twokey.upstream import npm_config
from twokey.upstream.client import Client
from twokey.upstream.egress import Egress, is_public

UPSTREAM = "https://npm.example.com"
INNER = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
    "2001:0:7f00:1::", "2001:db8::1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
def test_an_inner_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "104.16.0.1", "2606:4700::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "https://npm.example.com/x", "https://NPM.example.com:443/x", "https://cdn.example.org/x", "https://1.1.1.1/x",
        "https://inner.example:8443/x", "https://192.168.7.7/x",
    ],
)  # fmt: skip
def test_what_may_be_asked(address: str) -> None:
    Egress(UPSTREAM, ["inner.example:8443", "192.168.7.7"]).check(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://npm.example.com/x", "https://10.0.0.1/x", "https://[::1]:8443/x", "https://[::ffff:10.0.0.1]/", "",
        "ftp://npm.example.com/x", "https://", "https://a:b@npm.example.com/x", "https://npm.example.com:99999/",
        "//npm.example.com", "https://192.168.7.8/x", "javascript:alert(1)", "https://[fe80::1%25eth0]/",
    ],
)  # fmt: skip
def test_what_may_not_be_asked(address: str) -> None:
    with pytest.raises(UpstreamFailed):
        Egress(UPSTREAM, ["inner.example:8443", "192.168.7.7"]).check(address)


def test_plain_http_is_for_the_very_place_that_the_setting_names_so() -> None:
    egress = Egress("http://localhost:4873")
    egress.check("http://localhost:4873/x")
    for address in ("http://localhost:4874/x", "http://cdn.example.org/x", "http://127.0.0.1:4873/x"):
        with pytest.raises(UpstreamFailed):
            egress.check(address)


def asked(upstream: FakeUpstream, egress: Egress) -> object:
    async def ask() -> object:
        client = Client(upstream.address, egress, "test")
        try:
            return await client.json("thing")
        finally:
            await client.close()

    return asyncio.run(ask())


def test_a_name_that_resolves_to_an_inner_address_is_not_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at once nor, by a redirect, later: what was looked at is what is connected to."""
    real, resolved = socket.getaddrinfo, []

    def getaddrinfo(host: str, *args: object, **more: object) -> object:
        resolved.append(host)
        return real("127.0.0.1" if host == "rebound.example" else host, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with fake_upstream.running() as upstream:
        port = upstream.address.rpartition(":")[2]

        def moved(handler: Handler) -> bool:
            handler.answer(302, b"", {"location": f"https://rebound.example:{port}/thing"})
            return True

        upstream.misbehave = moved
        with pytest.raises(UpstreamFailed, match="no public address"):
            asked(upstream, Egress(upstream.address))
        assert resolved.count("rebound.example") == 1
        assert len(upstream.asked) == 1


def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with fake_upstream.running() as upstream:
        upstream.add("thing")
        assert asked(upstream, Egress(upstream.address)) is not None


def test_a_proxy_of_the_settings_is_used(tmp_path: Path) -> None:
    with fake_upstream.running() as proxy:

        async def ask() -> None:
            address = "http://npm.example.com"
            client = Client(address, Egress(address, (), proxy.address), "test", None, proxy.address)
            try:
                assert await client.json("thing") is None
            finally:
                await client.close()

        asyncio.run(ask())
        assert [each.path for each in proxy.asked] == ["http://npm.example.com/thing"]


@pytest.mark.parametrize(
    ("upstream", "more"),
    [
        ("http://localhost:4873", {}), ("http://127.0.0.1:4873/", {}), ("http://[::1]:4873", {}),
        ("https://npm.example.com", {"TWOKEY_URL": "https://npm.example.com/"}),
    ],
)  # fmt: skip
def test_the_registry_is_not_its_own_upstream(tmp_path: Path, upstream: str, more: dict[str, str]) -> None:
    given = settings.read({"TWOKEY_DATA": str(tmp_path / "data"), "TWOKEY_UPSTREAM": upstream, **more})
    with pytest.raises(ConfigurationError, match="this registry itself"):
        open_registry(given, SystemClock())


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    given = {"TWOKEY_DATA": str(tmp_path / "data"), "TWOKEY_UPSTREAM": UPSTREAM}
    for path in (tmp_path / "missing.pem", tmp_path):
        found = settings.read({**given, "TWOKEY_UPSTREAM_CA": str(path)})
        with pytest.raises(ConfigurationError, match="TWOKEY_UPSTREAM_CA"):
            open_registry(found, SystemClock())


def test_the_word_npm_asks_npm_for_its_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\n[ "$*" = "config get registry" ] && echo https://npm.example.com/\n')
    npm.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert npm_config.registry() == UPSTREAM
    npm.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(ConfigurationError, match="npm failed"):
        npm_config.registry()
    npm.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="there is none"):
        npm_config.registry()
