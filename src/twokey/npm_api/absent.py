"""What clients have commands for and this registry has not: the client shows why (npm-protocol.md 5.8, 9)."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import NotFound
from twokey.http.answers import Answer
from twokey.http.routing import Call


def no_hooks(call: Call) -> Answer:
    """`npm hook` (npm 6 to 10)."""
    call.require(Action.PING, Target())
    raise NotFound("This registry has no hooks: npm itself has given them up.")


def no_trust(call: Call) -> Answer:
    """`npm trust` (npm 11 and 12), and the exchange of a CI's identity for a token."""
    call.require(Action.PING, Target())
    raise NotFound("This registry has no trusted publishers yet: publish from CI with an automation token.")


def no_stage(call: Call) -> Answer:
    """`npm stage` (npm 11 and 12, pnpm 12, Yarn 4)."""
    (action,) = call.actions
    call.require(action, Target())
    raise NotFound("This registry stages no versions yet: publish with a one-time password or an automation token.")
