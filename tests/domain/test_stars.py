"""Stars: counted once for each giver, in nobody's way, within bounds, and seen by whoever may see the package."""

from __future__ import annotations

import json

import pytest

from tests.domain.administrators import session
from tests.domain.test_closing import close
from tests.domain.world import PASSWORD, Person, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.db.schema_stars import Star
from twokey.errors import Conflict, NotFound, TwokeyError
from twokey.packages import packages, packument, stars
from twokey.packages.names import PackageName
from twokey.publishing import withdraw


def star(world: World, by: Person, name: str, *, starred: bool = True) -> None:
    """Stars as the npm API does it, a second after what came before."""
    world.clock.advance(1)
    scope = name.partition("/")[0].removeprefix("@") if name.startswith("@") else None
    permit = world.registry.door.require(world.caller(world.token(by)), Action.STAR, Target(package=name, scope=scope))
    with world.registry.door.write(permit) as tx:
        stars.put(tx, packages.get(tx.connection, PackageName.parse(name)), by.id, starred=starred)


def users(world: World, name: str) -> dict[str, bool]:
    with world.registry.database.read() as connection:
        document = json.loads(packument.full(connection, world.found(name), "https://registry.example.com"))
    found: dict[str, bool] = document["users"]
    return found


def starred(world: World, whose: Person, reader: Person | None = None) -> list[str]:
    with world.registry.database.read() as connection:
        found = stars.of_user(connection, whose.id, reader_id=None if reader is None else reader.id)
    return [name for name, _, _ in found]


def test_a_star_is_one_however_often_it_is_given_and_can_be_taken_back(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("pad", alice)
    before = world.found("pad")
    for by in (alice, bob, bob):
        star(world, by, "pad")
    assert users(world, "pad") == {"bob": True, "alice": True}
    after = world.found("pad")
    assert (after.stars, after.stars_revision) == (2, 2)
    assert (after.rev, after.modified_at) == (before.rev, before.modified_at), "publishing goes on undisturbed"
    for _ in range(2):
        star(world, bob, "pad", starred=False)
    assert users(world, "pad") == {"alice": True}
    assert (world.found("pad").stars, world.found("pad").stars_revision) == (1, 3)


def test_each_star_is_recorded_with_what_it_changed(world: World) -> None:
    alice = world.account()
    world.package("pad", alice)
    for given in (True, True, False):
        star(world, alice, "pad", starred=given)
    recorded = world.events(Event.PACKAGE_STAR)
    assert [each["details"] for each in recorded] == [
        {"starred": True, "changed": True}, {"starred": True, "changed": False}, {"starred": False, "changed": True},
    ]  # fmt: skip
    assert {each["resource"] for each in recorded} == {"package:pad"}


def test_a_package_that_is_not_visible_is_as_one_that_is_not_there(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("@alice/secret", alice, access="restricted")
    refusals = []
    for name in ("@alice/secret", "@alice/nothing"):
        with pytest.raises(NotFound) as caught:
            star(world, bob, name)
        refusals.append(caught.value.message)
    assert refusals[0].replace("secret", "nothing") == refusals[1]
    star(world, alice, "@alice/secret")
    assert starred(world, alice, alice) == ["@alice/secret"]
    assert starred(world, alice, bob) == starred(world, alice) == []


@pytest.mark.parametrize("kind", [CredentialKind.PUBLISH, CredentialKind.AUTOMATION, CredentialKind.READ_ONLY])
def test_only_a_person_stars(world: World, kind: CredentialKind) -> None:
    alice = world.account()
    world.package("pad", alice)
    with pytest.raises(TwokeyError):
        world.registry.door.require(world.caller(world.token(alice, kind)), Action.STAR, Target(package="pad"))


def test_a_document_lists_the_latest_of_many_stars_and_counts_them_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stars, "MOST_LISTED", 2)
    alice = world.account()
    world.package("pad", alice)
    for name in ("bob", "carol", "dave"):
        star(world, world.account(name), "pad")
    assert list(users(world, "pad")) == ["dave", "carol"]
    assert world.found("pad").stars == 3


def test_an_account_stars_no_more_packages_than_its_page_shows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stars, "MOST_STARRED", 2)
    alice = world.account()
    for name in ("one", "two", "three"):
        world.package(name, alice)
    for name in ("one", "two", "two"):
        star(world, alice, name)
    with pytest.raises(Conflict, match="at most 2 packages"):
        star(world, alice, "three")
    assert starred(world, alice) == ["two", "one"]
    star(world, alice, "one", starred=False)
    star(world, alice, "three")
    assert starred(world, alice) == ["three", "two"]


def test_stars_end_with_the_account_and_with_the_package(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    for name in ("pad", "trim"):
        world.package(name, alice)
        star(world, alice, name)
        star(world, bob, name)
    close(world, session(world, bob), "bob", password=PASSWORD)
    assert users(world, "pad") == {"alice": True}
    assert world.found("pad").stars == 1
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found("trim"), None)
    assert starred(world, alice) == ["pad"]
    with world.by_operator() as tx:
        packages.create(tx, PackageName.parse("trim"), "public", alice.id)
    assert world.found("trim").stars == 0
    assert len(world.rows(Star)) == 1
