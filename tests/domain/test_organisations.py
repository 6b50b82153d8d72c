"""Organisations: who is in, what each role may do, what teams are given, and that it all ends with the next request."""

from __future__ import annotations

import pytest

from tests.domain.world import Person, World
from twokey.accounts import closing, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import CredentialKind, Mode, Principal, TokenLimits
from twokey.authority.roles import OrganisationRole, PackageRole
from twokey.db.schema import Organisation
from twokey.db.schema_orgs import Grant, Team
from twokey.errors import Invalid, NotFound, Refused
from twokey.orgs import orgs, teams
from twokey.orgs.orgs import FoundOrganisation
from twokey.packages import access, packages, search
from twokey.publishing import withdraw
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish

OWNER, ADMIN, DEVELOPER = OrganisationRole
PACKAGE = "@acme/core"


def may(world: World, who: Principal, action: Action, *, package: str | None = None, team: str | None = None) -> Permit:
    """The door's yes, or what it raises; a package of acme's, or acme itself."""
    organisation = None if package else "acme"
    target = Target(package=package, scope="acme" if package else None, organisation=organisation, team=team)
    return world.do(world.caller(who), action, target)


def acme(world: World) -> FoundOrganisation:
    with world.registry.database.read() as connection:
        return orgs.get(connection, "acme")


def join(world: World, person: Person, role: OrganisationRole = DEVELOPER) -> None:
    with world.by_operator() as tx:
        orgs.set_member(tx, acme(world), person.name, role)


def leave(world: World, person: Person) -> None:
    with world.by_operator() as tx:
        orgs.remove_member(tx, acme(world), person.name)


def team(world: World, name: str, *people: Person) -> None:
    with world.by_operator() as tx:
        teams.create(tx, acme(world), name, "")
        for each in people:
            teams.add_member(tx, acme(world), name, each.name)


def give(world: World, name: str, permission: str, package: str = PACKAGE) -> None:
    with world.by_operator() as tx:
        teams.grant(tx, world.found(package), teams.get(tx.connection, acme(world), name), permission)


def take(world: World, name: str, package: str = PACKAGE) -> None:
    with world.by_operator() as tx:
        teams.revoke(tx, world.found(package), teams.get(tx.connection, acme(world), name))


def restrict(world: World, package: str = PACKAGE) -> None:
    with world.by_operator() as tx:
        found = world.found(package)
        packages.changed(tx, found.id, access="restricted")
        tx.record(Event.PACKAGE_ACCESS)


def policy(world: World, *, require_2fa: bool = False, new_packages: str = "read-write") -> None:
    person = owner_of(world)
    target = Target(organisation="acme")
    door = world.registry.door
    with door.write(door.require(world.caller(person), Action.ORGANISATION, target)) as tx:
        orgs.set_policy(tx, acme(world), require_2fa=require_2fa, new_packages=new_packages)


def owner_of(world: World) -> Principal:
    """Alice, whose account asks for no code at writes."""
    with world.registry.database.read() as connection:
        found = users.find(connection, "alice")
    assert found is not None
    return world.token(Person(found.id, "alice"))


@pytest.fixture
def alice(world: World) -> Person:
    """The owner of acme: the first to publish into its scope."""
    person = world.account("alice", Mode.AUTH_ONLY)
    world.publish(world.token(person), PACKAGE, "1.0.0")
    return person


def roles(world: World) -> dict[str, OrganisationRole]:
    with world.registry.database.read() as connection:
        return dict(orgs.members(connection, acme(world).id))


def role_on(world: World, person: Person, package: str = PACKAGE) -> PackageRole:
    found = world.found(package)
    with world.registry.database.read() as connection:
        return access.role_of(connection, found.id, person.id)


def test_the_first_publish_into_a_free_scope_makes_an_organisation_whose_members_may_all_write(
    world: World, alice: Person
) -> None:
    assert roles(world) == {"alice": OWNER}
    bob = world.account("bob")
    login = world.token(bob)
    with world.nothing_changes(), pytest.raises(Refused, match="not an owner"):
        world.publish(login, PACKAGE, "1.1.0")
    join(world, bob)
    world.publish(login, PACKAGE, "1.1.0")
    world.publish(login, "@acme/other", "1.0.0")
    leave(world, bob)
    for package in (PACKAGE, "@acme/other", "@acme/third"):
        with world.nothing_changes(), pytest.raises(Refused):
            world.publish(login, package, "2.0.0")


def test_who_leaves_owns_none_of_its_packages_any_more_and_none_is_left_without_an_owner(
    world: World, alice: Person
) -> None:
    bob, carol = world.account("bob"), world.account("carol")
    join(world, bob)
    world.publish(world.token(bob), "@acme/of-bob", "1.0.0")
    world.publish(world.token(bob), "bobs-own", "1.0.0")
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found(PACKAGE), ["alice", "bob", "carol"], None)
    before = world.found("@acme/of-bob").revision
    leave(world, bob)
    assert carol.name == "carol"
    assert owners(world, "@acme/of-bob") == ["alice"]
    assert owners(world, PACKAGE) == ["alice", "carol"], "others stay, be they members or not"
    assert owners(world, "bobs-own") == ["bob"], "what is outside the scope is not the organisation's"
    assert world.found("@acme/of-bob").revision > before, "its document names its owners"


def owners(world: World, package: str) -> list[str]:
    with world.registry.database.read() as connection:
        return [name for name, _ in packages.owners(connection, world.found(package).id)]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (OWNER, {Action.READ_ORGANISATION, Action.ORGANISATION, Action.TEAMS, Action.OWNERS, Action.ACCESS}),
        (ADMIN, {Action.READ_ORGANISATION, Action.TEAMS, Action.OWNERS, Action.ACCESS}),
        (DEVELOPER, {Action.READ_ORGANISATION}),
        (None, set()),
    ],
)
def test_a_role_may_what_it_may(
    world: World, alice: Person, role: OrganisationRole | None, allowed: set[Action]
) -> None:
    bob = world.account("bob")
    if role is not None:
        join(world, bob, role)
    login = world.token(bob)
    for action in (Action.READ_ORGANISATION, Action.ORGANISATION, Action.TEAMS, Action.OWNERS, Action.ACCESS):
        package = PACKAGE if action in (Action.OWNERS, Action.ACCESS) else None
        if action in allowed:
            may(world, login, action, package=package)
            continue
        with world.nothing_changes(), pytest.raises((Refused, NotFound)):
            may(world, login, action, package=package)


def test_an_organisation_keeps_an_owner(world: World, alice: Person) -> None:
    bob = world.account("bob")
    join(world, bob, ADMIN)
    with world.nothing_changes(), pytest.raises(Refused, match="needs an owner"):
        leave(world, alice)
    with world.nothing_changes(), pytest.raises(Refused, match="needs an owner"):
        join(world, alice, ADMIN)
    join(world, bob, OWNER)
    join(world, alice, DEVELOPER)
    assert roles(world) == {"alice": DEVELOPER, "bob": OWNER}


def test_a_restricted_package_is_there_for_the_teams_that_were_granted_it_and_for_nobody_else(
    world: World, alice: Person
) -> None:
    bob, carol = world.account("bob"), world.account("carol")
    join(world, bob)
    join(world, carol)
    take(world, orgs.EVERY_MEMBER)
    restrict(world)
    team(world, "readers", bob)
    logins = {person.name: world.token(person) for person in (bob, carol)}
    for login in logins.values():
        with pytest.raises(NotFound):
            may(world, login, Action.READ_PACKAGE, package=PACKAGE)
    give(world, "readers", "read-only")
    world.registry.door.require(world.caller(logins["bob"]), Action.READ_PACKAGE, Target(package=PACKAGE, scope="acme"))
    with world.nothing_changes(), pytest.raises(Refused, match="not an owner"):
        world.publish(logins["bob"], PACKAGE, "1.1.0")
    with pytest.raises(NotFound):
        may(world, logins["carol"], Action.READ_PACKAGE, package=PACKAGE)
    assert [seen(world, person) for person in (alice, bob, carol, None)] == [1, 1, 0, 0]
    give(world, "readers", "read-write")
    world.publish(logins["bob"], PACKAGE, "1.1.0")
    with world.nothing_changes(), pytest.raises(Refused, match="only its owners"):
        may(world, logins["bob"], Action.OWNERS, package=PACKAGE)
    take(world, "readers")
    with pytest.raises(NotFound):
        may(world, logins["bob"], Action.READ_PACKAGE, package=PACKAGE)
    assert seen(world, bob) == 0


def seen(world: World, person: Person | None) -> int:
    """How many packages the person finds: the count that a search tells."""
    with world.registry.database.read() as connection:
        return search.find(
            connection, "core", user_id=person.id if person else None, size=20, offset=0
        ).total  # fmt: skip


def test_a_team_that_goes_takes_with_it_what_it_was_given(world: World, alice: Person) -> None:
    bob = world.account("bob")
    join(world, bob)
    take(world, orgs.EVERY_MEMBER)
    team(world, "builders", bob)
    give(world, "builders", "read-write")
    assert role_on(world, bob) is PackageRole.WRITE
    with world.by_operator() as tx:
        teams.remove(tx, acme(world), "builders")
    assert role_on(world, bob) is PackageRole.NONE
    assert [row["name"] for row in world.rows(Team)] == [orgs.EVERY_MEMBER]
    assert world.rows(Grant) == []
    assert world.events(Event.TEAM_REMOVE)[0]["details"] == {"packages": {PACKAGE: "read-write"}}


def test_the_team_of_every_member_stays_and_keeps_them(world: World, alice: Person) -> None:
    bob = world.account("bob")
    join(world, bob)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot be deleted"), world.by_operator() as tx:
        teams.remove(tx, acme(world), orgs.EVERY_MEMBER)
    with world.nothing_changes(), pytest.raises(Refused, match="keeps every member"), world.by_operator() as tx:
        teams.remove_member(tx, acme(world), orgs.EVERY_MEMBER, "bob")


def test_a_team_takes_members_only(world: World, alice: Person) -> None:
    bob = world.account("bob")
    team(world, "builders")
    for name, error in ((bob.name, NotFound), ("nobody", NotFound)):
        with world.nothing_changes(), pytest.raises(error), world.by_operator() as tx:
            teams.add_member(tx, acme(world), "builders", name)


@pytest.mark.parametrize("name", ["", "Builders", "a b", "../x", "a" * 65, "-x", "x\n", "ä"])
def test_a_team_has_a_name_that_clients_can_type(world: World, alice: Person, name: str) -> None:
    with world.nothing_changes(), pytest.raises(Invalid), world.by_operator() as tx:
        teams.create(tx, acme(world), name, "")


@pytest.mark.parametrize(
    ("given", "role"),
    [("read-write", PackageRole.WRITE), ("read-only", PackageRole.READ), ("none", PackageRole.NONE)],
)
def test_members_get_of_new_packages_what_the_organisation_says(
    world: World, alice: Person, given: str, role: PackageRole
) -> None:
    bob = world.account("bob")
    join(world, bob)
    policy(world, new_packages=given)
    world.publish(owner_of(world), "@acme/new", "1.0.0")
    assert role_on(world, bob, "@acme/new") is role
    assert role_on(world, bob) is PackageRole.WRITE, "those from before stay as they are"


def test_an_organisation_that_asks_for_2fa_refuses_members_without_until_they_turn_it_on(
    world: World, alice: Person
) -> None:
    bob, carol = world.account("bob"), world.account("carol")
    join(world, bob)
    policy(world, require_2fa=True)
    with world.nothing_changes(), pytest.raises(Refused, match="has none"):
        join(world, carol)
    login, automation = world.token(bob), world.token(bob, CredentialKind.AUTOMATION)
    for token in (login, automation):
        with world.nothing_changes(), pytest.raises(Refused, match="acme asks its members"):
            world.publish(token, PACKAGE, "1.1.0")
    world.enrol(bob, Mode.AUTH_ONLY)
    world.publish(login, PACKAGE, "1.1.0")
    removal = world.caller(login, otp=world.code(bob), password="violet tractor sings 42")
    with pytest.raises(Refused, match="organisation of yours"):
        world.registry.door.require(
            removal, Action.CHANGE_SECOND_FACTOR, Target(account="bob"), removes_last_factor=True
        )


def test_who_has_no_second_factor_does_not_ask_others_for_one(world: World) -> None:
    login = world.token(world.account("alice"))
    world.publish(login, PACKAGE, "1.0.0")
    door = world.registry.door
    permit = door.require(world.caller(login), Action.ORGANISATION, Target(organisation="acme"))
    with world.nothing_changes(), pytest.raises(Refused, match="lock yourself out"), door.write(permit) as tx:
        orgs.set_policy(tx, acme(world), require_2fa=True, new_packages="read-write")


def test_an_organisation_without_packages_can_go_and_its_name_is_free_again(world: World, alice: Person) -> None:
    door = world.registry.door
    with world.nothing_changes(), pytest.raises(Refused, match="has packages"), world.by_operator() as tx:
        orgs.remove(tx, acme(world))
    permit = door.require(world.caller(owner_of(world)), Action.CREATE_ORGANISATION, Target(organisation="empty"))
    with door.write(permit) as tx:
        made = orgs.create(tx, "empty")
    with pytest.raises(Refused, match="belongs to another"), door.write(permit) as tx:
        orgs.create(tx, "empty")
    with pytest.raises(Refused, match="belongs to another"), door.write(permit) as tx:
        orgs.create(tx, "alice")
    with world.by_operator() as tx:
        orgs.remove(tx, made)
    assert [row["name"] for row in world.rows(Organisation)] == ["acme"]


def test_the_only_owner_of_an_organisation_does_not_close_the_account_and_others_leave_by_it(
    world: World, alice: Person
) -> None:
    bob = world.account("bob")
    join(world, bob, OWNER)
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found(PACKAGE), ["alice", "bob"], None)
    close(world, bob)
    assert roles(world) == {"alice": OWNER}
    world.publish(owner_of(world), "alices-own", "1.0.0")
    world.account("carol")
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found(PACKAGE), ["carol"], None)
        packages.change_owners(tx, world.found("alices-own"), ["carol"], None)
    with pytest.raises(Refused, match="organisation acme"):
        close(world, alice)


def close(world: World, person: Person) -> None:
    with world.by_operator() as tx:
        closing.close(tx, person.id, world.registry.outbox)


def test_a_granular_token_does_to_its_organisations_what_its_permission_says(world: World, alice: Person) -> None:
    granular = CredentialKind.GRANULAR

    def token(permission: str | None, *names: str) -> Principal:
        limits = TokenLimits(packages_all=False, permission="no-access", orgs=names, orgs_permission=permission)
        return world.token(alice, granular, limits)

    reads, writes, nothing = token("read-only", "acme"), token("read-write", "acme"), token(None)
    may(world, reads, Action.READ_ORGANISATION)
    with pytest.raises(Refused, match="permission is read-only for organisations"):
        may(world, reads, Action.TEAMS)
    with pytest.raises(NotFound):
        may(world, nothing, Action.READ_ORGANISATION)
    with pytest.raises(Refused, match="not for acme"):
        may(world, nothing, Action.TEAMS)
    world.clock.advance(60)
    for action in (Action.TEAMS, Action.ORGANISATION):
        with world.nothing_changes(), pytest.raises(Exception, match="one-time"):
            may(world, writes, action)
        world.do(world.caller(writes, otp=world.code(alice)), action, Target(organisation="acme"))
        world.clock.advance(60)
    with pytest.raises(Refused):
        world.publish(writes, PACKAGE, "1.1.0")


def test_a_token_is_for_organisations_that_its_account_is_in(world: World, alice: Person) -> None:
    bob = world.account("bob")
    for name in ("acme", "nowhere"):
        limits = TokenLimits(permission="no-access", orgs=(name,), orgs_permission="read-only")
        with world.nothing_changes(), pytest.raises(Invalid, match=f"in no organisation {name}"):
            with world.by_operator() as tx:
                tokens.mint(tx, bob.id, Wish(CredentialKind.GRANULAR, "x", limits), world.registry.lifetimes)


def test_an_organisation_begins_anew_with_a_package_that_was_unpublished(world: World, alice: Person) -> None:
    bob = world.account("bob")
    join(world, bob)
    team(world, "builders", bob)
    give(world, "builders", "read-write")
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found(PACKAGE), None)
    world.clock.advance(31 * 86_400)
    policy(world, new_packages="none")
    world.publish(owner_of(world), PACKAGE, "2.0.0")
    assert role_on(world, bob) is PackageRole.NONE, "what the teams of the old one were given has ended"


def test_a_grant_too_asks_for_the_second_factor_that_the_organisation_requires(world: World, alice: Person) -> None:
    bob = world.account("bob")
    join(world, bob, ADMIN)
    policy(world, require_2fa=True)
    target = Target(package=PACKAGE, scope="acme", organisation="acme", team=orgs.EVERY_MEMBER)
    login = world.token(bob)
    with world.nothing_changes(), pytest.raises(Refused, match="acme asks its members"):
        world.do(world.caller(login), Action.ACCESS, target)
