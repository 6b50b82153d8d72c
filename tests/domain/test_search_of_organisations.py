"""Search by a reader who sees restricted packages by their organisations and teams."""

from __future__ import annotations

import pytest

from tests.domain.test_organisations import (
    ADMIN,
    OWNER,
    PACKAGE,
    alice,
    give,
    join,
    leave,
    owner_of,
    restrict,
    take,
    team,
)
from tests.domain.world import Person, World
from twokey.packages import search

__all__ = ["alice"]  # a fixture


@pytest.mark.parametrize("way", ["owner", "admin", "every member", "team"])
def test_of_too_many_restricted_packages_those_of_a_readers_organisations_are_always_found(
    world: World, alice: Person, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 2)
    restrict(world)
    bob = world.account("bob")
    if way in ("owner", "admin"):
        take(world, "developers")
        join(world, bob, OWNER if way == "owner" else ADMIN)
    else:
        join(world, bob)
    if way == "team":
        take(world, "developers")
        team(world, "readers", bob)
        give(world, "readers", "read-only")
    carol = world.account("carol")
    for number in range(3):
        world.package(f"@carol/core-{number}", carol, access="restricted")
    for asked in ("core", "", "scope:acme"):
        assert found_by(world, bob, asked) == [PACKAGE]
        assert found_by(world, None, asked) == []
    if way == "team":
        take(world, "readers")
    else:
        leave(world, bob)
    for asked in ("core", "", "scope:acme"):
        assert found_by(world, bob, asked) == []


def test_who_is_in_very_many_teams_finds_what_each_of_them_may_read(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_WAYS", 1)
    bob = world.account("bob")
    join(world, bob)
    expected = []
    for number in range(3):
        name = f"@acme/core-{number}"
        world.publish(owner_of(world), name, "1.0.0")
        take(world, "developers", name)
        restrict(world, name)
        if number < 2:
            team(world, f"team-{number}", bob)
            give(world, f"team-{number}", "read-only", name)
            expected.append(name)
    assert sorted(set(found_by(world, bob, "core")) - {PACKAGE}) == expected


def found_by(world: World, person: Person | None, question: str) -> list[str]:
    """The names that the person finds, or nobody known."""
    user_id = None if person is None else person.id
    with world.registry.database.read() as connection:
        return [hit.name for hit in search.find(connection, question, user_id=user_id, size=20, offset=0).hits]
