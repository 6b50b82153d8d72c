"""One-time passwords as an app makes them: by the npm package `otpauth`, an implementation that is not ours.

What an app knows is the secret; that the codes have six digits, thirty seconds and SHA-1 is what every app assumes,
and what this assumes too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable

from tests.support import clients

STEP = 30

_SCRIPT = """
const { TOTP, Secret } = require('otpauth')
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const made = asked.map(([secret, at]) =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at * 1000 }))
process.stdout.write(JSON.stringify(made))
"""

_CHECK = """
const { URI } = require('otpauth')
const { issuer, label, algorithm, digits, period, secret } = URI.parse(require('fs').readFileSync(0, 'utf8'))
process.stdout.write(JSON.stringify({ issuer, label, algorithm, digits, period, secret: secret.base32 }))
"""


def batch(asked: Iterable[tuple[str, float]]) -> list[str]:
    """One code for each (secret, seconds since the epoch), all by one run of node."""
    made: list[str] = json.loads(_node(_SCRIPT, json.dumps([[secret, at] for secret, at in asked])))
    return made


def code(secret: str, at_seconds: float, step_offset: int = 0) -> str:
    """The code of `secret` at a time, or `step_offset` time steps after it."""
    return batch([(secret, at_seconds + step_offset * STEP)])[0]


def wrong(secret: str, at_seconds: float) -> str:
    """A code that is none of this secret's for ten minutes around: plain wrong, neither early nor late."""
    near = set(batch((secret, at_seconds + offset * STEP) for offset in range(-20, 21)))
    return next(guess for guess in ("999999", *map("{:06}".format, range(42))) if guess not in near)


def parse_uri(uri: str) -> dict[str, str | int]:
    """What the app reads from an otpauth URI: issuer, label, algorithm, digits, period, secret."""
    read: dict[str, str | int] = json.loads(_node(_CHECK, uri))
    return read


def _node(script: str, stdin: str) -> str:
    # From the folder of the clients: that is where `require` finds the package.
    done = subprocess.run(
        [str(clients.node()), "-e", script],
        cwd=clients.MODULES.parent,
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
