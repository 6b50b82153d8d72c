"""A client that waits gets what was approved: once, for whoever asked, within minutes, and nothing else ever."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.domain.test_security_keys import in_session
from tests.domain.world import AWAY, HOME, Person, World
from twokey.accounts import hand_offs
from twokey.accounts.hand_offs import Opened
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import ProofKind, Target
from twokey.authority.principal import ANONYMOUS, Mode, Principal
from twokey.cli import upkeep
from twokey.clock import MICROSECONDS
from twokey.db.schema import Continuation, Token
from twokey.db.schema_access import HandOff
from twokey.errors import Conflict, Invalid, NotFound, ProofRequired, Throttled, TwokeyError
from twokey.two_factor import enrolment
from twokey.vault import new_secret

PKG = Target(package="pkg")


@dataclass
class Waiting:
    """Alice, who is asked in her browser; her token that wants to publish; her session."""

    alice: Person
    token: Principal
    session: Principal


@pytest.fixture
def waiting(world: World) -> Waiting:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", alice)
    with world.by_operator() as tx:
        enrolment.ask_in_browser(tx, alice.id, True)
    return Waiting(alice, world.token(alice), in_session(world, alice))


def ask(world: World, principal: Principal, action: Action = Action.PUBLISH) -> Opened:
    """What the client gets instead of its publish."""
    caller = replace(world.caller(principal), wants_web_auth=True)
    with pytest.raises(ProofRequired) as refused:
        world.registry.door.require(caller, action, PKG)
    assert refused.value.page_id is not None
    assert refused.value.poll_id is not None
    return Opened(refused.value.page_id, refused.value.poll_id, "")


def approve(world: World, who: Waiting, opened: Opened, *, allow: bool = False) -> None:
    with world.registry.database.read() as connection:
        asked = hand_offs.find(connection, opened.page_id, world.clock.at)
    caller = world.caller(who.session, otp=world.code(who.alice))
    permit = world.registry.door.require(caller, Action.APPROVE_PROOF, Target(account="alice"))
    with world.registry.door.write(permit) as tx:
        hand_offs.approve(tx, asked, world.registry.vault, new_secret)
        if allow:
            hand_offs.allow_more(tx, asked)
    world.clock.advance(0.001)


def fetched(world: World, opened: Opened) -> str:
    polled = world.registry.hand_offs.poll(opened.poll_id, world.clock.at)
    assert polled.secret is not None
    return polled.secret


def publish(world: World, principal: Principal, version: str, otp: str | None) -> ProofKind:
    caller = world.caller(principal, otp=otp)
    permit = world.registry.door.require(caller, Action.PUBLISH, PKG)
    with world.registry.door.write(permit) as tx:
        tx.record(Event.PACKAGE_TAG)
    assert permit.proof is not None
    return permit.proof.kind


def test_the_two_ids_do_not_lead_to_each_other(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    assert len(opened.page_id) == len(opened.poll_id) == 43
    with pytest.raises(NotFound):
        world.registry.hand_offs.poll(opened.page_id, world.clock.at)
    with world.registry.database.read() as connection, pytest.raises(Invalid):
        hand_offs.find(connection, opened.poll_id, world.clock.at)
    stored = str(world.rows(HandOff))
    assert opened.page_id not in stored
    assert opened.poll_id not in stored
    approve(world, waiting, opened)
    assert fetched(world, opened) not in str(world.rows(HandOff))


def test_an_approval_is_good_for_one_publish_and_its_continuation(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    assert world.registry.hand_offs.poll(opened.poll_id, world.clock.at).state == "waiting"
    approve(world, waiting, opened)
    code = fetched(world, opened)
    assert publish(world, waiting.token, "1.0.1", code) is ProofKind.APPROVAL
    assert publish(world, waiting.token, "1.0.2", code) is ProofKind.CONTINUATION
    world.clock.advance(121)
    with world.nothing_changes(), pytest.raises(ProofRequired):
        publish(world, waiting.token, "1.0.3", code)


def test_it_is_delivered_once_and_the_same_again_within_ten_seconds(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    approve(world, waiting, opened)
    first = fetched(world, opened)
    world.clock.advance(9)
    assert fetched(world, opened) == first
    world.clock.advance(1)
    with pytest.raises(NotFound):
        fetched(world, opened)


def test_what_nobody_fetches_within_two_minutes_is_gone(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    approve(world, waiting, opened)
    world.clock.advance(120)
    with pytest.raises(NotFound):
        fetched(world, opened)


def test_after_five_minutes_it_cannot_be_approved(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    world.clock.advance(300)
    with world.nothing_changes(), pytest.raises(Invalid):
        approve(world, waiting, opened)
    with pytest.raises(NotFound):
        world.registry.hand_offs.poll(opened.poll_id, world.clock.at)


def test_two_approvals_at_once_yield_one(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    with world.registry.database.read() as connection:
        asked = hand_offs.find(connection, opened.page_id, world.clock.at)
    approve(world, waiting, opened)
    world.clock.advance(30)
    caller = world.caller(waiting.session, otp=world.code(waiting.alice))
    permit = world.registry.door.require(caller, Action.APPROVE_PROOF, Target(account="alice"))
    with world.nothing_changes(), pytest.raises(Conflict), world.registry.door.write(permit) as tx:
        hand_offs.approve(tx, asked, world.registry.vault, new_secret)


@pytest.mark.parametrize("other", ["token", "account", "action", "text"])
def test_an_approval_is_for_who_and_what_it_was_given(world: World, waiting: Waiting, other: str) -> None:
    opened = ask(world, waiting.token)
    approve(world, waiting, opened)
    code = fetched(world, opened)
    principal, action, target = waiting.token, Action.PUBLISH, PKG
    if other == "token":
        principal = world.token(waiting.alice)
    elif other == "account":
        bob = world.account("bob", Mode.AUTH_AND_WRITES)
        world.package("theirs", bob)
        principal, target = world.token(bob), Target(package="theirs")
    elif other == "action":
        action, target = Action.OWNERS, PKG
    else:
        code = code[:-1] + ("a" if code[-1] != "a" else "b")
    with world.nothing_changes(), pytest.raises(ProofRequired):
        world.registry.door.require(world.caller(principal, otp=code), action, target)


def test_an_allowance_is_for_one_token_one_address_publishes_and_five_minutes(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    approve(world, waiting, opened, allow=True)
    assert publish(world, waiting.token, "1.0.1", None) is ProofKind.CONTINUATION
    refusals = (
        (world.token(waiting.alice), Action.PUBLISH, HOME),
        (waiting.token, Action.PUBLISH, AWAY),
        (waiting.token, Action.OWNERS, HOME),
    )
    for principal, action, address in refusals:
        caller = world.caller(principal, address=address)
        with pytest.raises(ProofRequired):
            world.registry.door.require(caller, action, PKG)
    world.clock.advance(300)
    with pytest.raises(ProofRequired):
        publish(world, waiting.token, "1.0.2", None)


def test_an_allowance_ends_with_its_token(world: World, waiting: Waiting) -> None:
    approve(world, waiting, ask(world, waiting.token), allow=True)
    world.revoke(waiting.alice, waiting.token)
    assert world.rows(Continuation) == []
    with pytest.raises(TwokeyError):
        publish(world, waiting.token, "1.0.1", None)


def test_a_client_that_cannot_wait_is_not_sent_to_a_page(world: World, waiting: Waiting) -> None:
    with world.nothing_changes(), pytest.raises(ProofRequired) as refused:
        world.registry.door.require(world.caller(waiting.token), Action.PUBLISH, PKG)
    assert refused.value.page_id is None


def test_one_address_begins_so_many_logins(world: World) -> None:
    caller = world.caller(ANONYMOUS)
    for _ in range(100):
        world.registry.hand_offs.begin_login(caller)
    with world.nothing_changes(), pytest.raises(Throttled):
        world.registry.hand_offs.begin_login(caller)
    world.registry.hand_offs.begin_login(replace(caller, address=AWAY))


def test_an_account_has_so_many_that_wait(world: World, waiting: Waiting) -> None:
    for _ in range(25):
        ask(world, waiting.token)
    assert len(world.rows(HandOff)) == 20


def test_what_is_over_is_forgotten(world: World, waiting: Waiting) -> None:
    approve(world, waiting, ask(world, waiting.token))
    with world.by_operator() as tx:
        assert hand_offs.forget(tx.connection, world.clock.at + 16 * 60 * MICROSECONDS) == 1
        tx.record(Event.PACKAGE_TAG)
    assert world.rows(HandOff) == []
    assert world.rows(Token) != []


def test_what_waits_is_fetched_after_a_rotation_of_the_keys(world: World, waiting: Waiting) -> None:
    opened = ask(world, waiting.token)
    approve(world, waiting, opened)
    ask(world, waiting.token)  # holds no secret yet
    old = world.registry.vault.newest_key_id
    upkeep.rotate_keys(world.registry, world.operator())
    assert {row["key_id"] for row in world.rows(HandOff)} == {None, world.registry.vault.newest_key_id}
    assert world.registry.vault.newest_key_id != old
    assert len(fetched(world, opened)) == 43
