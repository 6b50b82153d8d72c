"""A permit to read is remembered for the very credential, package and address, and not for long."""

from __future__ import annotations

import pytest

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS, Caller, CredentialKind, Evidence, Principal, TokenLimits
from twokey.clock import MINUTE
from twokey.db.generation import Generation, place_of
from twokey.guard.grants import Grants

NOW = 1_800_000_000_000_000
TOKEN = Principal(CredentialKind.PUBLISH, 1, "alice", 2, "key", "name", known_until=NOW + MINUTE // 2)
KEY, HOME, ELSEWHERE = b"digest", "192.0.2.1", "192.0.2.2"


def permit(principal: Principal, action: Action = Action.READ_PACKAGE) -> Permit:
    """What the door gives for a package called core."""
    caller = Caller(principal, Evidence(), HOME, "", "0", NOW)
    return Permit(caller, action, Target(package="core"), principal.user_id, None, False, False, False)


def allows(
    grants: Grants,
    generation: Generation,
    credential: bytes,
    *,
    package: str = "core",
    address: str = HOME,
    at: int = NOW,
) -> bool:
    """Whether a grant holds."""
    return grants.find(credential, package, generation.stamp(place_of("core")), address, at) is not None


def kept(principal: Principal, credential: bytes, **how: object) -> tuple[Grants, Generation]:
    """What remembers such a permit."""
    grants, generation = Grants(), Generation()
    grants.keep(permit(principal, **how), credential, generation.snapshot())  # type: ignore[arg-type]
    return grants, generation


def test_a_grant_is_for_its_credential_and_package() -> None:
    grants, generation = kept(TOKEN, KEY)
    assert allows(grants, generation, KEY)
    assert not allows(grants, generation, b"another")
    assert not allows(grants, generation, b"")
    assert not allows(grants, generation, KEY, package="other")
    assert allows(grants, generation, KEY, address=ELSEWHERE)


@pytest.mark.parametrize(("principal", "credential", "ends"), [(TOKEN, KEY, MINUTE // 2), (ANONYMOUS, b"", MINUTE)])
def test_a_grant_ends_by_itself(principal: Principal, credential: bytes, ends: int) -> None:
    grants, generation = kept(principal, credential)
    assert allows(grants, generation, credential, at=NOW + ends - 1)
    assert not allows(grants, generation, credential, at=NOW + ends)
    assert not allows(grants, generation, credential, at=NOW - 1), "a clock that went back"


@pytest.mark.parametrize("package", ["core", None])
def test_a_grant_ends_with_a_change(package: str | None) -> None:
    grants, generation = kept(TOKEN, KEY)
    generation.mark(package)
    assert not allows(grants, generation, KEY)


def test_a_grant_that_was_asked_for_before_a_change_is_no_use_after_it() -> None:
    grants, generation = Grants(), Generation()
    before = generation.snapshot()
    generation.mark()
    grants.keep(permit(TOKEN), KEY, before)
    assert not allows(grants, generation, KEY)


def test_a_token_for_some_addresses_is_remembered_for_the_one_it_came_from() -> None:
    limited = Principal(
        CredentialKind.READ_ONLY, 1, "alice", 2, limits=TokenLimits(cidr=("192.0.2.0/24",)), known_until=NOW + MINUTE
    )
    grants, generation = kept(limited, KEY)
    assert allows(grants, generation, KEY)
    assert not allows(grants, generation, KEY, address=ELSEWHERE)


@pytest.mark.parametrize(
    ("principal", "credential", "action"),
    [
        (Principal(CredentialKind.SESSION, 1, "alice", session_id=3), KEY, Action.READ_PACKAGE),
        (Principal(CredentialKind.LOGIN, 1, "alice", password_proved=True), KEY, Action.READ_PACKAGE),
        (ANONYMOUS, KEY, Action.READ_PACKAGE),  # a header that a route did not look at
        (TOKEN, b"", Action.READ_PACKAGE),
        (TOKEN, KEY, Action.PUBLISH),
    ],
    ids=["a session", "a password", "nobody with a header", "a token without one", "another action"],
)
def test_nothing_else_is_remembered(principal: Principal, credential: bytes, action: Action) -> None:
    grants, generation = kept(principal, credential, action=action)
    assert not allows(grants, generation, credential)


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    grants, generation = Grants(2), Generation()
    for each in (b"1", b"2", b"1", b"3"):
        grants.keep(permit(TOKEN), each, generation.snapshot())
    assert [allows(grants, generation, each) for each in (b"1", b"2", b"3")] == [True, False, True]
