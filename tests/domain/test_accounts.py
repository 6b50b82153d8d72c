"""Accounts: names are taken once, and what an account's change touches."""

from __future__ import annotations

import threading

import pytest

from tests.domain.world import World
from twokey.accounts import addresses, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Mode
from twokey.db.schema import Continuation, Organisation, User
from twokey.errors import Invalid, NotFound, Refused


@pytest.mark.parametrize("name", ["alice", "a", "0", "a.b-c_d", "x" * 32])
def test_a_name_that_npm_can_spell_is_taken(name: str) -> None:
    assert users.check_name(name) == name


@pytest.mark.parametrize("name", ["", "Alice", "-a", ".a", "_a", "a b", "a/b", "@a", "x" * 33, "alicé", "a\n", "a:b"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        users.check_name(name)


@pytest.mark.parametrize("email", ["alice@example.com", "a+b@example", "a.b@sub.example.com"])
def test_a_mail_address_is_taken(email: str) -> None:
    assert users.check_email(email) == email


@pytest.mark.parametrize(
    "email", ["", "alice", "@example.com", "a@", "a@b@c", "a b@c", "a@b\n", "a@b\r\nBcc:x", "<a@b>", "a" * 253 + "@b"]
)
def test_what_is_no_mail_address_is_refused(email: str) -> None:
    with pytest.raises(Invalid):
        users.check_email(email)


def test_a_name_is_taken_once(world: World) -> None:
    world.account()
    with world.nothing_changes(), pytest.raises(Refused, match="taken"):
        world.account()


def test_a_name_is_a_users_or_an_organisations_but_not_both(world: World) -> None:
    alice = world.account()
    world.publish(world.token(alice, CredentialKind.AUTOMATION), "@tools/saw", "1.0.0")
    assert [row["name"] for row in world.rows(Organisation)] == ["tools"]
    with world.nothing_changes(), pytest.raises(Refused, match="taken"):
        world.account("tools")


def test_of_many_who_sign_up_with_one_name_at_once_one_gets_it_and_the_others_are_told(world: World) -> None:
    password_hash = world.registry.passwords.hash("violet tractor sings 42", context=())
    start, made, others = threading.Barrier(8), [], []

    def sign_up(number: int) -> None:
        caller = world.caller(address=f"203.0.113.{number}")
        permit = world.registry.door.require(caller, Action.SIGN_UP, Target(account="alice"))
        start.wait()
        try:
            with world.registry.door.write(permit) as tx:
                made.append(users.create(tx, "alice", f"{number}@example.com", password_hash))
        except Exception as error:
            others.append(error)

    threads = [threading.Thread(target=sign_up, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.rows(User)) == 1
    assert len(others) == 7
    assert {type(error) for error in others} == {Refused}
    assert len(world.events(Event.ACCOUNT_CREATE)) == 1


def test_a_profile_change_is_recorded_by_the_names_of_its_fields(world: World) -> None:
    alice = world.account()
    with world.by_operator() as tx:
        users.change_profile(tx, alice.id, {"fullname": "Alice", "homepage": None})
    assert world.rows(User)[0]["fullname"] == "Alice"
    assert world.events(Event.PROFILE_CHANGE)[0]["details"] == {"fields": ["fullname", "homepage"]}


def test_a_new_mail_address_is_unproven_and_changes_the_documents_that_show_it(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    mine, theirs = world.package("alices", alice), world.package("bobs", bob)
    with world.by_operator() as tx:
        addresses.change(tx, alice.id, "new@example.com", world.registry.outbox)
    assert world.rows(User)[0]["email_verified_at"] is None
    assert world.found("alices").revision == mine.revision + 1
    assert world.found("bobs").revision == theirs.revision


def test_closing_an_account_ends_its_continuations(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.publish(world.token(alice), "pkg", "1.0.0", otp=world.code(alice))
    assert len(world.rows(Continuation)) == 1
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", True)
    assert world.rows(Continuation) == []
    assert world.events(Event.ACCOUNT_DISABLE)[0]["account"] == "alice"


def test_what_there_is_not_cannot_be_closed_or_raised(world: World) -> None:
    for change in (users.set_disabled, users.set_administrator):
        with world.nothing_changes(), pytest.raises(NotFound), world.by_operator() as tx:
            change(tx, "nobody", True)


def test_an_administrator_is_made_and_unmade_on_the_record(world: World) -> None:
    world.account()
    for value, event in ((True, Event.ACCOUNT_GRANT), (False, Event.ACCOUNT_REVOKE)):
        with world.by_operator() as tx:
            users.set_administrator(tx, "alice", value)
        assert world.rows(User)[0]["administrator"] is value
        assert len(world.events(event)) == 1


def test_a_field_of_the_profile_is_one_printable_line() -> None:
    assert users.check_field("fullname", "Alice Ä") == "Alice Ä"
    for value in ("x" * 257, "a\nb", "a\x1b[31m", "\u202e"):
        with pytest.raises(Invalid):
            users.check_field("fullname", value)
