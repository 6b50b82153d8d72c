"""Where the registry itself may connect to: never into its own network, unless the operator named the place.

A redirect, or a name that resolves to an inner address, would make the registry ask what its clients cannot reach
(security.md 2.8, D8). A name is resolved once: the addresses that were looked at are those that are connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from twokey.errors import UpstreamFailed

# Addresses that carry an IPv4 address inside: NAT64 (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """A host and a port, as an address names them."""

    host: str
    port: int


def place_of(address: str) -> Place:
    """The place that a http(s) address names. Raises ValueError for a port that is none."""
    parts = urlsplit(address)
    return Place((parts.hostname or "").rstrip(".").lower(), parts.port or _PORTS[parts.scheme])


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet: neither private, loopback, link-local, multicast, nor one
    that carries such an IPv4 address inside."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo is not None:
            return False
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


class Egress:
    """The rule for every connection to upstream and to where upstream redirects."""

    def __init__(self, address: str, hosts: Sequence[str] = (), proxy: str | None = None) -> None:
        """`address` is upstream's; `hosts` are further places (`host` or `host:port`) that may be inner ones."""
        self._scheme = urlsplit(address).scheme
        self._listed = {place_of(address)} | ({place_of(proxy)} if proxy else set())
        self._hosts = {each.lower() for each in hosts}

    def is_listed(self, place: Place) -> bool:
        """Whether the operator named the place."""
        return place in self._listed or place.host in self._hosts or f"{place.host}:{place.port}" in self._hosts

    def allows(self, place: Place, addresses: Sequence[str]) -> bool:
        """Whether a place with these addresses may be connected to."""
        return self.is_listed(place) or all(is_public(each) for each in addresses)

    def check(self, address: str) -> None:
        """Raises UpstreamFailed for an address that may not be asked. Names are looked at when they are resolved."""
        try:
            parts: SplitResult = urlsplit(address)
            place = place_of(address)
        except (ValueError, KeyError):
            raise UpstreamFailed("Upstream redirects to what is no address.") from None
        if parts.username is not None or not place.host:
            raise UpstreamFailed("Upstream redirects to what is no address.")
        listed = self.is_listed(place)
        if parts.scheme != "https" and not (listed and parts.scheme == "http" == self._scheme):
            raise UpstreamFailed("Upstream redirects to an address without encryption: it is not followed.")
        if not listed and _is_address(place.host) and not is_public(place.host):
            raise inner(place.host)


def inner(host: str) -> UpstreamFailed:
    """The refusal of a place in an inner network."""
    return UpstreamFailed(f"Upstream leads to {host}, which is no public address: it is not asked.")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
