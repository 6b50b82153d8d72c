"""Ports that nobody else takes: below the range from which the system picks those of outgoing connections.

A server that is started again on its port would else now and then find it taken by some client's connection.
"""

from __future__ import annotations

import contextlib
import random
import socket

LOWEST, HIGHEST = 20_000, 32_000


def free_port() -> int:
    """A port that is free on both loopback addresses."""
    draw = random.SystemRandom()
    while True:
        port = draw.randrange(LOWEST, HIGHEST)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if socket.has_ipv6:
                with socket.socket(socket.AF_INET6) as other, contextlib.suppress(OSError):
                    other.bind(("::1", port))
            return port
