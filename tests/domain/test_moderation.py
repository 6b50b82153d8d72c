"""What administrators do to packages: it holds at once, is told to every owner, and loses no byte."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.domain.administrators import acts, administrator
from tests.domain.world import Person, World
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Principal
from twokey.db.schema import Version
from twokey.errors import Invalid, NotFound, Refused
from twokey.packages import packages, search
from twokey.packages.names import PackageName
from twokey.publishing import moderation

NAME, TARGET = PackageName.parse("pkg"), Target(package="pkg")
WHY = "it steals tokens"


@pytest.fixture
def alice(world: World) -> Person:
    person = world.account()
    world.package("pkg", person, "1.0.0", "2.0.0")
    return person


@pytest.fixture
def admin(world: World, alice: Person) -> Principal:
    return administrator(world)


def found_by_search(world: World, user_id: int | None) -> list[str]:
    with world.registry.database.read() as connection:
        return [hit.name for hit in search.find(connection, "pkg", user_id=user_id, size=10, offset=0).hits]


def test_a_quarantined_package_is_hidden_from_everybody_and_its_bytes_are_kept(
    world: World, alice: Person, admin: Principal
) -> None:
    before, versions = world.found("pkg"), world.rows(Version)
    with acts(world, admin) as tx:
        moderation.quarantine(tx, NAME, WHY)
    login, stranger = world.token(alice), world.caller()
    for caller in (stranger, world.caller(login), world.caller(admin)):
        with pytest.raises(Refused, match="pkg is quarantined: it steals tokens"):
            world.registry.door.require(caller, Action.READ_PACKAGE, TARGET)
    for action in (Action.PUBLISH, Action.UNPUBLISH, Action.DIST_TAG, Action.OWNERS, Action.DEPRECATE):
        with world.nothing_changes(), pytest.raises(Refused, match="is quarantined"):
            world.registry.door.require(world.caller(login), action, TARGET)
    assert found_by_search(world, None) == found_by_search(world, alice.id) == []
    assert world.rows(Version) == versions
    assert all(world.registry.blobs.exists(row["digest"]) for row in versions)
    assert world.found("pkg").revision > before.revision, "a document that a cache kept is another one now"


def test_a_release_makes_it_what_it_was(world: World, alice: Person, admin: Principal) -> None:
    with acts(world, admin) as tx:
        moderation.quarantine(tx, NAME, WHY)
    quarantined = world.found("pkg")
    with acts(world, admin) as tx:
        moderation.release(tx, NAME)
    world.registry.door.require(world.caller(), Action.READ_PACKAGE, TARGET)
    world.publish(world.token(alice), "pkg", "3.0.0")
    assert found_by_search(world, None) == ["pkg"]
    assert world.found("pkg").revision > quarantined.revision
    with world.nothing_changes(), pytest.raises(Refused, match="not quarantined"), acts(world, admin) as tx:
        moderation.release(tx, NAME)


def test_a_publish_under_way_when_the_quarantine_comes_is_refused(
    world: World, alice: Person, admin: Principal
) -> None:
    permit = world.registry.door.require(world.caller(world.token(alice)), Action.PUBLISH, TARGET)
    with acts(world, admin) as tx:
        moderation.quarantine(tx, NAME, WHY)
    with world.nothing_changes(), pytest.raises(Refused, match="is quarantined"), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_what_is_taken_down_is_gone_and_its_versions_are_never_free(
    world: World, alice: Person, admin: Principal
) -> None:
    with acts(world, admin) as tx:
        moderation.quarantine(tx, NAME, WHY)
    with acts(world, admin) as tx:
        moderation.take_down(tx, NAME, WHY)
    with world.registry.database.read() as connection, pytest.raises(NotFound):
        packages.get(connection, NAME)
    assert [row["removed_at"] for row in world.rows(Version)] == [world.clock.at] * 2
    (event,) = world.events(Event.PACKAGE_TAKE_DOWN)
    assert (event["account"], event["details"]) == ("alice", {"reason": WHY})
    world.clock.advance(40 * 86_400)
    login = world.token(alice)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot be used again"):
        world.publish(login, "pkg", "1.0.0")
    world.publish(login, "pkg", "3.0.0")
    world.registry.door.require(world.caller(), Action.READ_PACKAGE, TARGET)  # the quarantine went with the package


def test_a_transfer_leaves_one_owner_and_tells_all(world: World, alice: Person, admin: Principal) -> None:
    bob = world.account("bob")
    with acts(world, admin) as tx:
        moderation.transfer(tx, NAME, "bob", "alice cannot be reached")
    with world.registry.database.read() as connection:
        assert [name for name, _ in packages.owners(connection, world.found("pkg").id)] == ["bob"]
    assert [event["account"] for event in world.events(Event.PACKAGE_TRANSFER)] == ["alice", "bob"]
    world.publish(world.token(bob), "pkg", "3.0.0")
    former = world.token(alice)
    with world.nothing_changes(), pytest.raises(Refused, match="not an owner"):
        world.publish(former, "pkg", "4.0.0")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
def test_nothing_is_done_to_a_package_without_a_reason(
    world: World, alice: Person, admin: Principal, reason: str
) -> None:
    acting: list[Callable[[Transaction], None]] = [
        lambda tx: moderation.quarantine(tx, NAME, reason),
        lambda tx: moderation.take_down(tx, NAME, reason),
        lambda tx: moderation.transfer(tx, NAME, "root-of-all", reason),
    ]
    for act in acting:
        with world.nothing_changes(), pytest.raises(Invalid, match="Say why"), acts(world, admin) as tx:
            act(tx)


def test_a_transfer_to_nobody_changes_nothing(world: World, alice: Person, admin: Principal) -> None:
    with world.nothing_changes(), pytest.raises(NotFound, match="no account 'nobody'"), acts(world, admin) as tx:
        moderation.transfer(tx, NAME, "nobody", WHY)


def test_an_administrators_token_does_none_of_it(world: World, alice: Person, admin: Principal) -> None:
    person = Person(admin.user_id or 0, "root-of-all")
    for kind in (CredentialKind.LOGIN, CredentialKind.AUTOMATION, CredentialKind.GRANULAR):
        token = world.token(person, kind)
        for action in (Action.ADMIN_READ, Action.ADMIN_CHANGE, Action.ADMIN_SECOND_FACTOR):
            with world.nothing_changes(), pytest.raises(Refused, match="cannot"):
                world.registry.door.require(world.caller(token), action, Target())
        with world.nothing_changes(), pytest.raises(Refused, match="not an owner"):
            world.registry.door.require(world.caller(token), Action.PUBLISH, TARGET)
