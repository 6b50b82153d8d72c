"""From a request to a caller: who, what they showed, from where, when its headers arrived."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace

from starlette.datastructures import Headers
from starlette.types import Scope

from twokey.authority.principal import ANONYMOUS, Caller, Evidence
from twokey.networks import within
from twokey.registry import Registry
from twokey.settings import Settings, is_loopback

LONGEST_AGENT = 256
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[0-9.]+):[0-9]{1,5}")


def caller_from(registry: Registry, scope: Scope, *, ignore_credentials: bool) -> Caller:
    """The caller of a request. Raises what `Authenticator.principal` raises.

    `ignore_credentials` for the routes where an old token may come along and must not matter: ping, login, logout.
    """
    headers = Headers(scope=scope)
    caller = replace(
        stranger(registry.settings, scope),
        evidence=Evidence(otp=_otp(headers)),
        wants_web_auth=headers.get("npm-auth-type") == "web",
    )
    if ignore_credentials:
        return caller
    return replace(caller, principal=registry.authenticator.principal(headers.getlist("authorization"), caller))


def stranger(settings: Settings, scope: Scope) -> Caller:
    """The caller of a request before anything that it shows is looked at: from where, with what, when."""
    return Caller(
        principal=ANONYMOUS,
        evidence=Evidence(),
        address=client_address(settings, scope),
        user_agent=Headers(scope=scope).get("user-agent", "")[:LONGEST_AGENT],
        request_id=scope["state"]["request_id"],
        received_at=scope["state"]["received_at"],
    )


def client_address(settings: Settings, scope: Scope) -> str:
    """The client's address: the peer's, or what trusted proxies in front say of it.

    `X-Forwarded-For` is read from its end: each proxy that we trust vouches for the entry before it, and the first
    address that is no trusted proxy is the client, whatever it claims to forward for.
    """
    peer = plain_address(scope["client"][0] if scope.get("client") else "")
    if not within(settings.trusted_proxies, peer):
        return peer
    address = peer
    for hop in reversed(_listed(Headers(scope=scope), "x-forwarded-for")):
        plain = plain_address(_WITH_PORT.sub(r"\1", hop))
        if not plain:
            break
        address = plain
        if not within(settings.trusted_proxies, plain):
            break
    return address


def base_address(settings: Settings, scope: Scope, port: int) -> str:
    """The registry's address for links in documents: `TWOKEY_URL`, or what a loopback client called it.

    npm 12 refuses a tarball on another host than the one it was told, even `localhost` for `127.0.0.1`; so where no
    address is set, links follow the request's Host among this machine's own names, and a trusted proxy's word: the
    last one, since a proxy that adds to what the client sent adds at the end.
    """
    if settings.url is not None:
        return settings.url
    headers = Headers(scope=scope)
    host, scheme = headers.get("host", ""), "http"
    peer = plain_address(scope["client"][0] if scope.get("client") else "")
    if within(settings.trusted_proxies, peer):
        host = [host, *_listed(headers, "x-forwarded-host")][-1]
        scheme = "https" if ["", *_listed(headers, "x-forwarded-proto")][-1].lower() == "https" else "http"
        if _HOST.fullmatch(host):
            return f"{scheme}://{host}"
    match = _HOST.fullmatch(host)
    if match is not None and is_loopback(match[1].lower()):
        return f"{scheme}://{host}"
    return f"http://localhost:{port}"


def _otp(headers: Headers) -> str | None:
    shown = headers.getlist("npm-otp")
    if not shown or shown == [""]:
        return None
    # Repeated: one of them would have to be chosen, so none is right.
    return shown[0] if len(shown) == 1 else "repeated"


def _listed(headers: Headers, name: str) -> list[str]:
    """The entries of a header that is a list with commas, however many headers it was split into."""
    return [entry.strip() for value in headers.getlist(name) for entry in value.split(",")]


def plain_address(address: str) -> str:
    """The address in its one plain form; empty for what is none."""
    try:
        parsed = ipaddress.ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
