"""Administrators in a browser: their sessions, and what they ask the door for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.domain.world import Person, World
from twokey.accounts import sessions, users
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Mode, Principal


def session(world: World, person: Person, *, stepped_up: bool = True) -> Principal:
    """Who comes with a new session in a browser."""
    operator = Principal(CredentialKind.OPERATOR, user_name="root")
    caller = replace(world.caller(operator), user_agent="a browser")
    permit = world.registry.door.require(caller, Action.OPERATE, Target(account=person.name))
    with world.registry.door.write(permit) as tx:
        secret = sessions.open_session(tx, person.id, stepped_up=stepped_up)
        tx.record(Event.LOGIN_OK)
    with world.registry.database.read() as connection:
        found = sessions.find(connection, secret, world.clock.at)
    assert found is not None
    return Principal(CredentialKind.SESSION, person.id, person.name, session_id=found.id, session_key=found.key)


def administrator(world: World, name: str = "root-of-all") -> Principal:
    """An administrator with a second factor, who showed it in this session a moment ago."""
    person = world.account(name, Mode.AUTH_AND_WRITES)
    with world.by_operator() as tx:
        users.set_administrator(tx, name, True)
    return session(world, person)


@contextmanager
def acts(
    world: World,
    principal: Principal,
    target: Target | None = None,
    action: Action = Action.ADMIN_CHANGE,
    **evidence: str,
) -> Iterator[Transaction]:
    """A write transaction of that administrator."""
    caller = world.caller(principal, **evidence)  # type: ignore[arg-type]
    permit = world.registry.door.require(caller, action, target or Target())
    with world.registry.door.write(permit) as tx:
        yield tx
