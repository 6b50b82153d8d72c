"""Packages: dist-tags, owners, names that stay used, and who may take a name that went."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from tests.domain.conftest import Open
from tests.domain.world import World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.db.schema import Member, Organisation, Package, User, Version
from twokey.errors import Conflict, Invalid, NotFound, Refused
from twokey.packages import packages
from twokey.packages.names import PackageName
from twokey.publishing import publish, withdraw

DAY = 24 * 60 * 60
AUTOMATION = CredentialKind.AUTOMATION


def tags(world: World, name: str = "pkg") -> dict[str, str]:
    with world.registry.database.read() as connection:
        return packages.dist_tags(connection, world.found(name).id)


def owners(world: World, name: str = "pkg") -> list[str]:
    with world.registry.database.read() as connection:
        return [owner for owner, _ in packages.owners(connection, world.found(name).id)]


def unpublish(world: World, name: str = "pkg") -> None:
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found(name), None)


def test_latest_follows_what_is_published(world: World) -> None:
    alice = world.account()
    world.package("pkg", alice, "1.0.0", "1.1.0")
    assert tags(world) == {"latest": "1.1.0"}


def test_a_dist_tag_is_moved_added_and_removed_and_each_change_raises_the_revision(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "2.0.0")
    revisions = [world.found("pkg").revision]
    for tag, version in (("old", "1.0.0"), ("latest", "1.0.0"), ("old", "2.0.0")):
        with world.by_operator() as tx:
            packages.set_dist_tag(tx, world.found("pkg"), tag, version)
        revisions.append(world.found("pkg").revision)
    with world.by_operator() as tx:
        packages.remove_dist_tag(tx, world.found("pkg"), "old")
    revisions.append(world.found("pkg").revision)
    assert tags(world) == {"latest": "1.0.0"}
    assert revisions == sorted(set(revisions))
    assert [event["details"] for event in world.events(Event.PACKAGE_TAG)][-2:] == [
        {"tag": "old", "before": "1.0.0", "after": "2.0.0"},
        {"tag": "old", "before": "2.0.0", "after": None},
    ]


def test_what_cannot_be_a_dist_tag_or_points_nowhere_is_refused(world: World) -> None:
    world.package("pkg", world.account())
    for tag, version, error in (
        ("old", "9.9.9", NotFound),
        ("1.0.0", "1.0.0", Invalid),
        ("v1", "1.0.0", Invalid),
        ("a b", "1.0.0", Invalid),
        ("", "1.0.0", Invalid),
    ):
        with world.nothing_changes(), pytest.raises(error), world.by_operator() as tx:
            packages.set_dist_tag(tx, world.found("pkg"), tag, version)
    for tag, error in (("latest", Invalid), ("missing", NotFound)):
        with world.nothing_changes(), pytest.raises(error), world.by_operator() as tx:
            packages.remove_dist_tag(tx, world.found("pkg"), tag)


def test_owners_are_named_as_a_whole_and_there_is_always_one(world: World) -> None:
    alice = world.account()
    world.account("bob")
    world.package("pkg", alice)
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found("pkg"), ["bob", "alice", "bob"], None)
    assert owners(world) == ["alice", "bob"]
    assert world.events(Event.PACKAGE_OWNERS)[0]["details"] == {"before": ["alice"], "after": ["alice", "bob"]}
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found("pkg"), ["bob"], world.found("pkg").rev)
    assert owners(world) == ["bob"]
    for names, error in (([], Invalid), (["bob", "nobody"], NotFound)):
        with world.nothing_changes(), pytest.raises(error), world.by_operator() as tx:
            packages.change_owners(tx, world.found("pkg"), names, None)


def test_a_change_to_what_has_changed_since_is_a_conflict(world: World) -> None:
    world.package("pkg", world.account())
    stale = world.found("pkg").rev
    with world.by_operator() as tx:
        packages.set_dist_tag(tx, world.found("pkg"), "old", "1.0.0")
    found = world.found("pkg")
    with world.nothing_changes(), pytest.raises(Conflict), world.by_operator() as tx:
        packages.change_owners(tx, found, ["alice"], stale)
    with world.nothing_changes(), pytest.raises(Conflict), world.by_operator() as tx:
        withdraw.remove_versions(tx, found, set(), {}, stale)
    with world.nothing_changes(), pytest.raises(Conflict), world.by_operator() as tx:
        withdraw.remove_package(tx, found, stale)


def test_a_version_is_published_once_for_ever(world: World) -> None:
    alice = world.account()
    world.package("pkg", alice, "1.0.0", "2.0.0")
    token = world.token(alice, AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot publish over"):
        world.publish(token, "pkg", "1.0.0")
    with world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"2.0.0"}, {}, None)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot be used again"):
        world.publish(token, "pkg", "1.0.0")
    world.publish(token, "pkg", "3.0.0")


def test_unpublishing_a_version_leaves_a_tombstone_and_mends_the_tags(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "1.5.0", "2.0.0")
    with world.by_operator() as tx:
        packages.set_dist_tag(tx, world.found("pkg"), "next", "2.0.0")
    with world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"1.0.0", "1.5.0"}, {}, None)
    assert tags(world) == {"latest": "1.5.0"}
    removed = [row["version"] for row in world.rows(Version) if row["removed_at"] is not None]
    assert removed == ["2.0.0"]
    with world.nothing_changes(), pytest.raises(Invalid, match="only lose versions"), world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"1.0.0", "2.0.0"}, {}, None)


def test_deprecating_says_so_on_the_versions_named_and_is_taken_back(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "2.0.0")
    for message in ("use 2", None):
        with world.by_operator() as tx:
            withdraw.deprecate(tx, world.found("pkg"), {"1.0.0": message}, None)
        assert [row["deprecated"] for row in world.rows(Version)] == [message, None]
    for messages, error in (({"9.0.0": "x"}, NotFound), ({"1.0.0": "x" * 1025}, Invalid)):
        with world.nothing_changes(), pytest.raises(error), world.by_operator() as tx:
            withdraw.deprecate(tx, world.found("pkg"), messages, None)


def test_an_unpublished_name_rests_for_a_day_and_is_its_owners_for_a_month(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("pkg", alice)
    mine, theirs = world.token(alice, AUTOMATION), world.token(bob, AUTOMATION)
    unpublish(world)
    for seconds in (0, DAY - 1):
        world.clock.advance(seconds)
        for token in (mine, theirs):
            with world.nothing_changes(), pytest.raises(Refused, match="less than 24 hours ago"):
                world.publish(token, "pkg", "2.0.0")
    world.clock.advance(1)
    with world.nothing_changes(), pytest.raises(Refused, match="only its former owners"):
        world.publish(theirs, "pkg", "2.0.0")
    world.clock.advance(29 * DAY - 1)
    with world.nothing_changes(), pytest.raises(Refused, match="only its former owners"):
        world.publish(theirs, "pkg", "2.0.0")
    world.clock.advance(1)
    world.publish(theirs, "pkg", "2.0.0")
    assert owners(world) == ["bob"]
    with world.nothing_changes(), pytest.raises(Refused, match="cannot be used again"):
        world.publish(theirs, "pkg", "1.0.0")


def test_its_former_owner_takes_a_name_up_again_after_a_day(world: World) -> None:
    alice = world.account()
    world.package("pkg", alice)
    unpublish(world)
    world.clock.advance(DAY)
    world.publish(world.token(alice, AUTOMATION), "pkg", "2.0.0")
    assert owners(world) == ["alice"]
    assert tags(world) == {"latest": "2.0.0"}


def test_a_scope_stays_its_owners_when_a_package_in_it_has_long_been_unpublished(world: World) -> None:
    """Else whoever waits a month publishes under a name that everyone takes for alice's."""
    alice, bob = world.account(), world.account("bob")
    world.package("@alice/pkg", alice)
    unpublish(world, "@alice/pkg")
    world.clock.advance(31 * DAY)
    theirs = world.token(bob, AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="belongs to another"):
        world.publish(theirs, "@alice/pkg", "2.0.0")


def test_a_name_too_close_to_anothers_is_refused_also_where_it_was_used_before(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("left-pad", alice)
    unpublish(world, "left-pad")
    world.clock.advance(31 * DAY)
    with world.by_operator() as tx:  # meanwhile the operator has let bob have the other spelling
        packages.create(tx, PackageName.parse("leftpad"), "public", bob.id)
    carol = world.token(world.account("carol"), AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="too close to leftpad"):
        world.publish(carol, "left-pad", "2.0.0")


def test_a_name_too_close_to_anothers_is_refused(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("left-pad", alice)
    mine, theirs = world.token(alice, AUTOMATION), world.token(bob, AUTOMATION)
    for close in ("leftpad", "left_pad", "left.pad", "1eft-pad", "ieft-pad"):
        with world.nothing_changes(), pytest.raises(Refused, match="too close to left-pad"):
            world.publish(theirs, close, "1.0.0")
    world.publish(mine, "leftpad", "1.0.0")
    world.publish(theirs, "@bob/left-pad", "1.0.0")  # a scope keeps it apart


def test_the_operator_may_allow_a_name_close_to_anothers(opened: Open) -> None:
    world = opened(allow_names=("leftpad",))
    world.package("left-pad", world.account())
    bob = world.token(world.account("bob"), AUTOMATION)
    world.publish(bob, "leftpad", "1.0.0")
    with world.nothing_changes(), pytest.raises(Refused, match="too close"):
        world.publish(bob, "left_pad", "1.0.0")


def test_a_free_scope_is_claimed_by_whoever_first_publishes_into_it(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    mine, theirs = world.token(alice, AUTOMATION), world.token(bob, AUTOMATION)
    world.publish(mine, "@tools/hammer", "1.0.0")
    assert [row["name"] for row in world.rows(Organisation)] == ["tools"]
    assert [(row["user_id"], row["role"]) for row in world.rows(Member)] == [(alice.id, "owner")]
    assert len(world.events(Event.SCOPE_CLAIM)) == 1
    with world.nothing_changes(), pytest.raises(Refused, match="belongs to another"):
        world.publish(theirs, "@tools/saw", "1.0.0")
    world.publish(mine, "@tools/saw", "1.0.0")
    assert len(world.rows(Organisation)) == 1


def test_a_scope_of_a_users_name_is_that_users(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    theirs = world.token(bob, AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="belongs to another"):
        world.publish(theirs, "@alice/pkg", "1.0.0")
    world.publish(world.token(alice, AUTOMATION), "@alice/pkg", "1.0.0")
    assert world.rows(Organisation) == []


def test_where_only_administrators_start_scopes_nobody_else_does(opened: Open) -> None:
    world = opened(scope_creation="admins")
    alice = world.account()
    token = world.token(alice, AUTOMATION)
    with world.nothing_changes(), pytest.raises(Refused, match="only administrators"):
        world.publish(token, "@tools/hammer", "1.0.0")
    world.publish(token, "@alice/hammer", "1.0.0")
    with world.by_operator() as tx:
        tx.connection.execute(update(User).values(administrator=True))
        tx.record(Event.ACCOUNT_GRANT)
    world.publish(token, "@tools/hammer", "1.0.0")


def test_of_many_who_publish_a_new_name_at_once_one_owns_it_and_the_others_publish_nothing(world: World) -> None:
    tokens = [world.token(world.account(f"user{number}"), AUTOMATION) for number in range(6)]
    names = ["left-pad", "leftpad"]
    start, refused = threading.Barrier(6), []

    def attempt(number: int) -> None:
        start.wait()
        try:
            world.publish(tokens[number], names[number % 2], f"1.0.{number}")
        except Exception as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {type(error) for error in refused} == {Refused}
    assert len(refused) == 5
    assert len(world.rows(Package)) == 1
    assert len(world.rows(Version)) == 1


def test_what_is_created_between_the_question_and_the_write_is_not_the_askers(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    asked = world.caller(world.token(bob, AUTOMATION))
    permit = world.registry.door.require(asked, Action.PUBLISH, Target(package="pkg", version="9.0.0"))
    world.publish(world.token(alice, AUTOMATION), "pkg", "1.0.0")
    prepared = world.prepared("pkg", "9.0.0")
    with world.nothing_changes(), pytest.raises(Refused, match="not an owner"):
        with world.registry.door.write(permit) as tx:
            publish.publish(tx, prepared, world.registry.signer)


def test_two_owners_who_take_each_other_in_at_once_do_not_lock_each_other_out(world: World) -> None:
    people = [world.account("alice"), world.account("bob")]
    names = ["one", "two"]
    for person, name in zip(people, names, strict=True):
        world.package(name, person)
    door, logins = world.registry.door, [world.token(person) for person in people]
    permits = [
        door.require(world.caller(login), Action.OWNERS, Target(package=name))
        for login, name in zip(logins, names, strict=True)
    ]
    inside, failed = threading.Barrier(2), []

    def take_in(number: int) -> None:
        try:
            with door.write(permits[number]) as tx:
                if not world.registry.database.is_sqlite:  # which lets one in at a time
                    inside.wait()
                found = packages.get(tx.connection, PackageName.parse(names[number]))
                packages.change_owners(tx, found, ["alice", "bob"], None)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=take_in, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert owners(world, "one") == owners(world, "two") == ["alice", "bob"]
