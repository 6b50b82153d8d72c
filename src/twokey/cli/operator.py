"""The operator at work: who runs a command of `twokey admin`, for the door and for the trail."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

import click

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import Caller, CredentialKind, Evidence, Principal
from twokey.cli.context import opened, settings_from
from twokey.clock import SystemClock
from twokey.registry import Registry


class Operator:
    """The operator at work: a registry, and the caller that the trail names."""

    def __init__(self, registry: Registry) -> None:
        """Works on `registry` as the system user that runs the command."""
        self.registry = registry
        self.caller = Caller(
            principal=Principal(CredentialKind.OPERATOR, user_name=_system_user()),
            evidence=Evidence(),
            address="local",
            user_agent="twokey admin",
            request_id=f"admin-{os.getpid()}",
            received_at=registry.clock.now(),
        )

    def permit(self, action: Action = Action.OPERATE, account: str | None = None) -> Permit:
        """The door's permit for an action of the operator."""
        return self.registry.door.require(self.caller, action, Target(account=account))


@contextmanager
def operator(ctx: click.Context) -> Iterator[Operator]:
    """The operator on the data folder of this run."""
    registry = opened(settings_from(ctx), SystemClock())
    try:
        yield Operator(registry)
    finally:
        registry.close()


def _system_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid-{os.getuid()}"
