"""Links in mails: what the door lets their holder do, once and for a while, and what it never does."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.domain.world import AWAY, PASSWORD, Person, World
from twokey.accounts import addresses, mail_links, resets, sessions, users
from twokey.accounts.mail_links import NEW_PASSWORD, RESET, UNDO, VERIFY, Found
from twokey.accounts.users import Account
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS, Caller, CredentialKind, Evidence, Mode, Principal
from twokey.db.schema import Session
from twokey.db.schema_mail import MailLink
from twokey.errors import ProofRequired, Refused, Throttled, TwokeyError, Unauthenticated

MINUTE, HOUR, DAY = 60, 3600, 86400
NEW = "amber lantern drifts 88"


def account(world: World, name: str = "alice") -> Account:
    with world.registry.database.read() as connection:
        return users.get(connection, name)


def made(world: World, person: Person, purpose: str, email: str | None = None) -> str:
    with world.registry.database.write() as connection:
        return mail_links.make(connection, purpose, person.id, email or f"{person.name}@example.com", world.clock.at)


def caller(world: World, secret: str | None, principal: Principal = ANONYMOUS, otp: str | None = None) -> Caller:
    return replace(world.caller(principal, address=AWAY), evidence=Evidence(link=secret, otp=otp))


def found(world: World, secret: str, action: Action) -> Found | None:
    with world.registry.database.read() as connection:
        return mail_links.find(connection, secret, action, world.clock.at)


def ask(world: World, action: Action, secret: str | None, name: str = "alice", otp: str | None = None) -> Permit:
    return world.registry.door.require(caller(world, secret, otp=otp), action, Target(account=name))


def use(world: World, action: Action, secret: str) -> None:
    """Does what the link of an address is for."""
    link = found(world, secret, action)
    assert link is not None
    with world.registry.door.write(ask(world, action, secret)) as tx:
        (addresses.undo if action is Action.UNDO_EMAIL else addresses.verify)(tx, link)


def change(world: World, person: Person, email: str) -> None:
    world.clock.advance(1)
    with world.by_operator() as tx:
        addresses.change(tx, person.id, email, world.registry.outbox)


def mailed(world: World, recipient: str) -> str:
    """The secret in the newest mail for an address."""
    outbox = world.registry.outbox
    newest = [each for each in outbox.listing(100) if each.recipient == recipient][-1]
    (secret,) = re.findall(r"/(?:verify|reset|undo)/([0-9A-Za-z]{43})\n", outbox.show(newest.id)[1])
    return str(secret)


LINKED = [(Action.VERIFY_EMAIL, VERIFY, 3 * DAY), (Action.UNDO_EMAIL, UNDO, 72 * HOUR),
          (Action.RESET_PASSWORD, RESET, HOUR), (Action.RESET_PASSWORD, NEW_PASSWORD, 10 * MINUTE)]  # fmt: skip


# -- the door --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "purpose", "seconds"), LINKED)
def test_a_link_is_good_for_its_time_and_its_account(world: World, action: Action, purpose: str, seconds: int) -> None:
    alice = world.account()
    world.account("bob")
    secret = made(world, alice, purpose)
    ask(world, action, secret)
    with pytest.raises(Unauthenticated):
        ask(world, action, secret, "bob")
    for wrong in (None, "", secret[:-1], secret.swapcase(), "x" * 43, secret + "0", "é" * 43):
        with pytest.raises(Unauthenticated):
            ask(world, action, wrong)
    world.clock.advance(seconds - 1)
    ask(world, action, secret)
    world.clock.advance(1)
    with pytest.raises(Unauthenticated):
        ask(world, action, secret)


@pytest.mark.parametrize(("action", "purpose", "seconds"), LINKED)
def test_a_link_is_good_for_nothing_else(world: World, action: Action, purpose: str, seconds: int) -> None:
    secret = made(world, world.account(), purpose)
    for other in {Action.VERIFY_EMAIL, Action.UNDO_EMAIL, Action.RESET_PASSWORD} - {action}:
        with pytest.raises(Unauthenticated):
            ask(world, other, secret)
    for other in (Action.CHANGE_PASSWORD, Action.CHANGE_EMAIL, Action.CREATE_TOKEN, Action.CHANGE_SECOND_FACTOR):
        with pytest.raises(TwokeyError):
            ask(world, other, secret)


@pytest.mark.parametrize(("action", "purpose", "seconds"), LINKED)
def test_no_credential_does_without_a_link_what_takes_one(
    world: World, action: Action, purpose: str, seconds: int
) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    for kind in (CredentialKind.LOGIN, CredentialKind.AUTOMATION, CredentialKind.PUBLISH):
        with pytest.raises(TwokeyError):
            world.registry.door.require(
                caller(world, None, world.token(alice, kind), otp=world.code(alice)), action, Target(account="alice")
            )


def test_the_link_of_a_closed_account_is_good_for_nothing(world: World) -> None:
    secret = made(world, world.account(), RESET)
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", True)
    with pytest.raises(Unauthenticated):
        ask(world, Action.RESET_PASSWORD, secret)


def test_a_link_that_ends_between_question_and_write_ends_the_write(world: World) -> None:
    alice = world.account()
    secret = made(world, alice, VERIFY)
    permit = ask(world, Action.VERIFY_EMAIL, secret)
    use(world, Action.VERIFY_EMAIL, secret)
    with pytest.raises((Refused, Unauthenticated)), world.registry.door.write(permit):
        pytest.fail("the link was used before")


def test_of_many_uses_at_once_one_counts(world: World) -> None:
    alice = world.account()
    secret = made(world, alice, RESET)
    link = found(world, secret, Action.RESET_PASSWORD)
    assert link is not None
    password_hash = world.registry.passwords.hash(NEW, context=())

    def once(_: int) -> bool:
        try:
            with world.registry.door.write(ask(world, Action.RESET_PASSWORD, secret)) as tx:
                resets.finish(tx, link, password_hash)
        except (Refused, Unauthenticated):
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(once, range(8))) == 1
    assert len(world.events(Event.PASSWORD_RESET)) == 1


def test_only_a_hash_of_a_link_is_kept_and_no_event_names_one(world: World) -> None:
    alice = world.account()
    secret = made(world, alice, VERIFY)
    use(world, Action.VERIFY_EMAIL, secret)
    assert secret not in repr(world.stored())
    assert secret not in repr(world.events())
    assert world.events(Event.EMAIL_VERIFY)[0]["factor"] == "mailed link"


# -- a forgotten password --------------------------------------------------------------------------------------------


def request(world: World, name: str = "alice") -> str:
    """Asks for a reset. The secret of the link that was mailed."""
    world.clock.advance(1)
    permit = world.registry.door.require(world.caller(), Action.REQUEST_RESET, Target())
    with world.registry.door.write(permit) as tx:
        resets.request(tx, account(world, name), world.registry.outbox)
    return mailed(world, f"{name}@example.com")


def right(world: World, password: str) -> bool:
    return world.registry.passwords.check("alice", password, world.caller()).right


def finish(world: World, secret: str) -> None:
    link = found(world, secret, Action.RESET_PASSWORD)
    assert link is not None
    password_hash = world.registry.passwords.hash(NEW, context=())
    with world.registry.door.write(ask(world, Action.RESET_PASSWORD, secret)) as tx:
        resets.finish(tx, link, password_hash)


def test_without_2fa_the_link_leads_to_a_new_password_and_ends_sessions(world: World) -> None:
    alice = world.account()
    with world.by_operator() as tx:
        sessions.open_session(tx, alice.id, stepped_up=False)
        tx.record(Event.LOGIN_OK)
    finish(world, request(world))
    assert right(world, NEW)
    assert not right(world, PASSWORD)
    assert world.rows(Session) == []
    assert {event["account"] for event in world.events(Event.PASSWORD_RESET, Event.PASSWORD_CHANGE)} == {"alice"}


@pytest.mark.parametrize("mode", list(Mode))
def test_with_2fa_the_code_comes_first_and_2fa_stays(world: World, mode: Mode) -> None:
    alice = world.account(mode=mode)
    secret = request(world)
    with pytest.raises(ProofRequired), world.nothing_changes():
        ask(world, Action.RESET_PASSWORD, secret)
    with pytest.raises(ProofRequired):
        ask(world, Action.RESET_PASSWORD, secret, otp=world.wrong(alice))
    link = found(world, secret, Action.RESET_PASSWORD)
    assert link is not None
    with world.registry.door.write(ask(world, Action.RESET_PASSWORD, secret, otp=world.code(alice))) as tx:
        onward = resets.proved(tx, link)
    assert found(world, secret, Action.RESET_PASSWORD) is None, "the mailed link is used up by the code"
    finish(world, onward)
    assert right(world, NEW)
    assert account(world).mode is mode
    with pytest.raises(ProofRequired, match="already used"):
        ask(world, Action.RESET_PASSWORD, request(world), otp=world.code(alice))


def test_a_recovery_code_does_as_well_and_is_used_up(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    secret = request(world)
    link = found(world, secret, Action.RESET_PASSWORD)
    assert link is not None
    with world.registry.door.write(ask(world, Action.RESET_PASSWORD, secret, otp=alice.recovery[0])) as tx:
        finish_with = resets.proved(tx, link)
    finish(world, finish_with)
    assert right(world, NEW)
    assert len(world.events(Event.RECOVERY_USE)) == 1


def test_a_mailed_link_alone_sets_no_password_where_2fa_was_turned_on_meanwhile(world: World) -> None:
    alice = world.account()
    secret = request(world)
    link = found(world, secret, Action.RESET_PASSWORD)
    permit = ask(world, Action.RESET_PASSWORD, secret)
    world.enrol(alice)
    assert link is not None
    with pytest.raises(Refused), world.registry.door.write(permit):
        pytest.fail("the second factor was skipped")


def test_guesses_at_the_code_are_counted_as_everywhere(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    secret = request(world)
    for _ in range(5):
        with pytest.raises(ProofRequired):
            ask(world, Action.RESET_PASSWORD, secret, otp=world.wrong(alice))
    with pytest.raises(Throttled):
        ask(world, Action.RESET_PASSWORD, secret, otp=world.code(alice))


@pytest.mark.parametrize("what", ["another request", "a new password", "a new address"])
def test_a_link_to_a_new_password_ends_with(world: World, what: str) -> None:
    alice = world.account()
    secret = request(world)
    if what == "another request":
        request(world)
    elif what == "a new address":
        change(world, alice, "new@example.com")
    else:
        with world.by_operator() as tx:
            users.change_password(tx, alice.id, "alice", "hash")
    assert found(world, secret, Action.RESET_PASSWORD) is None


def test_an_account_is_found_by_name_or_address_in_whatever_case(world: World) -> None:
    world.account()
    world.account("bob")
    with world.registry.database.read() as connection:
        for text in ("alice", "ALICE", "alice@example.com", "Alice@Example.COM"):
            assert [each.name for each in users.named(connection, text)] == ["alice"]
        for text in ("", "carol", "%", "alice@example.org"):
            assert users.named(connection, text) == []


# -- addresses -------------------------------------------------------------------------------------------------------


def test_a_new_address_is_unproven_until_its_link_is_used(world: World) -> None:
    alice = world.account()
    use(world, Action.VERIFY_EMAIL, made(world, alice, VERIFY))
    assert account(world).email_verified
    change(world, alice, "new@example.com")
    assert not account(world).email_verified
    use(world, Action.VERIFY_EMAIL, mailed(world, "new@example.com"))
    assert account(world).email_verified
    assert account(world).email == "new@example.com"


def test_the_link_of_an_address_that_was_left_proves_nothing(world: World) -> None:
    alice = world.account()
    secret = made(world, alice, VERIFY)
    change(world, alice, "new@example.com")
    assert found(world, secret, Action.VERIFY_EMAIL) is None


def test_the_old_address_puts_itself_back_for_72_hours_and_ends_sessions(world: World) -> None:
    alice = world.account()
    with world.by_operator() as tx:
        sessions.open_session(tx, alice.id, stepped_up=False)
        tx.record(Event.LOGIN_OK)
    change(world, alice, "thief@example.com")
    secret, thiefs = mailed(world, "alice@example.com"), mailed(world, "thief@example.com")
    world.clock.advance(71 * HOUR)
    use(world, Action.UNDO_EMAIL, secret)
    assert (account(world).email, account(world).email_verified) == ("alice@example.com", True)
    assert world.rows(Session) == []
    assert found(world, thiefs, Action.VERIFY_EMAIL) is None
    assert found(world, secret, Action.UNDO_EMAIL) is None


def test_who_changed_the_address_twice_cannot_undo_the_undoing(world: World) -> None:
    alice = world.account()
    change(world, alice, "thief@example.com")
    owners = mailed(world, "alice@example.com")
    change(world, alice, "other@example.com")
    thiefs = mailed(world, "thief@example.com")
    assert found(world, thiefs, Action.UNDO_EMAIL) is not None
    use(world, Action.UNDO_EMAIL, owners)
    assert found(world, thiefs, Action.UNDO_EMAIL) is None
    assert account(world).email == "alice@example.com"


def test_the_first_of_two_owners_of_the_mailbox_wins(world: World) -> None:
    alice = world.account()
    change(world, alice, "second@example.com")
    first = mailed(world, "alice@example.com")
    change(world, alice, "third@example.com")
    use(world, Action.UNDO_EMAIL, mailed(world, "second@example.com"))
    use(world, Action.UNDO_EMAIL, first)
    assert account(world).email == "alice@example.com"


def test_confirmation_mails_are_limited_by_account(world: World) -> None:
    alice = world.account()

    def send() -> None:
        with world.by_operator() as tx:
            addresses.send_verification(tx, alice.id, world.registry.outbox)

    for _ in range(5):
        send()
    with pytest.raises(Throttled):
        send()
    world.clock.advance(DAY)
    send()


def test_links_that_have_run_out_are_forgotten(world: World) -> None:
    alice = world.account()
    made(world, alice, RESET)
    world.clock.advance(2 * HOUR)
    with world.registry.database.write() as connection:
        assert mail_links.forget(connection, world.clock.at) == 1
        assert connection.execute(select(MailLink.id)).all() == []
