"""Networks that the operator names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def within(networks: Sequence[Network], address: str) -> bool:
    """Whether the address, in its plain form (empty where nobody knows it), is in one of the networks."""
    return bool(networks) and bool(address) and any(ipaddress.ip_address(address) in each for each in networks)
