"""The door: what was proved is used up by the write that it allows, and what changed before that write counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, update

from tests.domain.conftest import Open
from tests.domain.world import AWAY, PASSWORD, Person, World
from twokey.accounts import users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import CredentialKind, Mode, Principal, TokenLimits
from twokey.db.schema import AnonymousRefusal, Attempt, Owner, Package, User
from twokey.errors import NotFound, PasswordRequired, ProofRequired, Refused, Throttled, TwokeyError, Unauthenticated
from twokey.packages import packages
from twokey.packages.names import PackageName
from twokey.publishing import publish, withdraw
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish
from twokey.two_factor import enrolment

ALICE, PKG = Target(account="alice"), Target(package="pkg")


@pytest.fixture
def alice(world: World) -> Person:
    person = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("pkg", person)
    return person


@pytest.fixture
def login(world: World, alice: Person) -> Principal:
    return world.token(alice)


def require(world: World, principal: Principal, action: Action, target: Target, **evidence: str) -> Permit:
    return world.registry.door.require(world.caller(principal, **evidence), action, target)  # type: ignore[arg-type]


def test_a_write_that_records_no_event_does_not_commit(world: World, alice: Person, login: Principal) -> None:
    permit = require(world, login, Action.CHANGE_PROFILE, ALICE, otp=world.code(alice))
    with world.nothing_changes(), pytest.raises(AssertionError, match="without recording an event"):
        with world.registry.door.write(permit) as tx:
            tx.connection.execute(update(User).values(fullname="nobody will know"))


def test_a_write_that_fails_half_way_leaves_nothing_and_its_code_is_still_good(
    world: World, alice: Person, login: Principal
) -> None:
    permit = require(world, login, Action.CHANGE_PROFILE, ALICE, otp=world.code(alice))
    with world.nothing_changes(), pytest.raises(ZeroDivisionError), world.registry.door.write(permit) as tx:
        users.change_profile(tx, alice.id, {"fullname": "half"})
        raise ZeroDivisionError
    with world.registry.door.write(permit) as tx:
        users.change_profile(tx, alice.id, {"fullname": "whole"})
    assert world.rows(User)[0]["fullname"] == "whole"


def test_one_permit_with_a_code_writes_once(world: World, alice: Person, login: Principal) -> None:
    permit = require(world, login, Action.CHANGE_PROFILE, ALICE, otp=world.code(alice))
    with world.registry.door.write(permit) as tx:
        tx.record(Event.PROFILE_CHANGE)
    with world.nothing_changes(), pytest.raises(ProofRequired), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def revoke_token(world: World, alice: Person, login: Principal) -> None:
    world.revoke(alice, login)


def close_account(world: World, alice: Person, login: Principal) -> None:
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", True)


def remove_owner(world: World, alice: Person, login: Principal) -> None:
    bob = world.account("bob")
    found = world.found("pkg")
    with world.by_operator() as tx:
        tx.connection.execute(delete(Owner).where(Owner.package_id == found.id))
        tx.connection.execute(insert(Owner).values(package_id=found.id, user_id=bob.id))
        tx.record(Event.PACKAGE_OWNERS)


def restrict_and_remove_owner(world: World, alice: Person, login: Principal) -> None:
    remove_owner(world, alice, login)
    change_package(world, access="restricted")


def unpublish(world: World, alice: Person, login: Principal) -> None:
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found("pkg"), None)


def turn_2fa_off(world: World, alice: Person, login: Principal) -> None:
    with world.by_operator() as tx:
        enrolment.disable(tx, alice.id, Event.SECOND_FACTOR_RESET)


def enrol_another_app(world: World, alice: Person, login: Principal) -> None:
    turn_2fa_off(world, alice, login)
    world.enrol(alice)


def change_package(world: World, **values: object) -> None:
    with world.by_operator() as tx:
        packages.changed(tx, world.found("pkg").id, **values)
        tx.record(Event.PACKAGE_CREATE)


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        (revoke_token, Unauthenticated),
        (close_account, Unauthenticated),
        (remove_owner, Refused),
        (restrict_and_remove_owner, NotFound),
        (unpublish, NotFound),
        (turn_2fa_off, ProofRequired),
        (enrol_another_app, ProofRequired),
    ],
)
def test_what_changed_between_the_question_and_the_write_counts_and_burns_no_code(
    world: World,
    alice: Person,
    login: Principal,
    meanwhile: Callable[[World, Person, Principal], None],
    error: type[TwokeyError],
) -> None:
    permit = require(world, login, Action.DIST_TAG, PKG, otp=world.code(alice))
    meanwhile(world, alice, login)
    with world.nothing_changes(), pytest.raises(error), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_a_token_that_ended_between_the_question_and_the_write_writes_nothing(world: World, alice: Person) -> None:
    _, token = world.mint(alice, Wish(CredentialKind.AUTOMATION, "ci", days=1))
    world.clock.advance(86_399)
    permit = require(world, token, Action.DIST_TAG, PKG)
    world.clock.advance(1)
    with world.nothing_changes(), pytest.raises(Unauthenticated), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_a_mode_that_was_raised_asks_for_the_code_that_was_not_shown(world: World) -> None:
    bob = world.account("bob", Mode.AUTH_ONLY)
    world.package("theirs", bob)
    permit = require(world, world.token(bob), Action.DIST_TAG, Target(package="theirs"))
    with world.by_operator() as tx:
        enrolment.change_mode(tx, bob.id, Mode.AUTH_AND_WRITES)
    with world.nothing_changes(), pytest.raises(Refused, match="try again"), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_a_package_policy_that_came_meanwhile_counts(world: World, alice: Person) -> None:
    permit = require(world, world.token(alice, CredentialKind.AUTOMATION), Action.DIST_TAG, PKG)
    change_package(world, mfa="publish")
    with world.nothing_changes(), pytest.raises(Refused, match="mfa=publish"), world.registry.door.write(permit):
        raise AssertionError("the write must not begin")


def test_a_refusal_inside_the_write_burns_no_code(world: World, alice: Person, login: Principal) -> None:
    code = world.code(alice)
    with world.nothing_changes(), pytest.raises(Refused, match="cannot publish over"):
        world.publish(login, "pkg", "1.0.0", otp=code)
    recovery = alice.recovery[0]
    with world.nothing_changes(), pytest.raises(NotFound):
        permit = require(world, login, Action.DIST_TAG, PKG, otp=recovery)
        with world.registry.door.write(permit) as tx:
            packages.set_dist_tag(tx, world.found("pkg"), "old", "9.9.9")
    world.publish(login, "pkg", "2.0.0", otp=code)
    world.do(world.caller(login, otp=recovery), Action.OWNERS, PKG)


@pytest.mark.parametrize("action", [Action.CREATE_TOKEN, Action.CHANGE_SECOND_FACTOR])
def test_the_password_is_asked_for_before_the_code_and_burns_none(
    world: World, alice: Person, login: Principal, action: Action
) -> None:
    code = world.code(alice)
    world.clear_attempts()
    for password in (None, "a wrong password"):
        for otp in (code, world.wrong(alice), None):
            shown = world.caller(login, otp=otp, password=password)
            with world.nothing_changes(), pytest.raises(PasswordRequired) as caught:
                world.registry.door.require(shown, action, ALICE)
            assert "one-time pass" not in caught.value.message
    assert {row["bucket"].partition(":")[0] for row in world.rows(Attempt)} == {"password", "password-address"}
    assert len(world.events(Event.PASSWORD_WRONG)) == 3
    assert world.events(Event.OTP_WRONG) == []
    with world.nothing_changes(), pytest.raises(ProofRequired):
        require(world, login, action, ALICE, password=PASSWORD)
    world.do(world.caller(login, otp=code, password=PASSWORD), action, ALICE)


def test_another_accounts_password_does_not_do(world: World, alice: Person) -> None:
    bob = world.token(world.account("bob", password="green piano walks 17"))
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        require(world, bob, Action.CREATE_TOKEN, Target(account="bob"), password=PASSWORD)


def log_in(world: World, name: str, **evidence: str) -> Permit:
    return world.do(world.caller(**evidence), Action.LOG_IN, Target(account=name))  # type: ignore[arg-type]


def test_a_login_takes_the_password_and_then_the_code(world: World, alice: Person) -> None:
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        log_in(world, "alice", password="a wrong password", otp=world.code(alice))
    with world.nothing_changes(), pytest.raises(ProofRequired):
        log_in(world, "alice", password=PASSWORD)
    assert log_in(world, "alice", password=PASSWORD, otp=world.code(alice)).user_id == alice.id


def test_an_account_that_is_not_there_answers_like_a_wrong_password(world: World, alice: Person) -> None:
    messages = set()
    for name in ("alice", "nobody"):
        with world.nothing_changes(), pytest.raises(PasswordRequired) as caught:
            log_in(world, name, password="a wrong password")
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_a_closed_account_says_so_only_to_who_knows_its_password(world: World) -> None:
    world.account("bob")
    with world.by_operator() as tx:
        users.set_disabled(tx, "bob", True)
    with world.nothing_changes(), pytest.raises(PasswordRequired):
        log_in(world, "bob", password="a wrong password")
    with world.nothing_changes(), pytest.raises(Unauthenticated, match="closed") as caught:
        log_in(world, "bob", password=PASSWORD)
    assert not isinstance(caught.value, PasswordRequired)


def test_an_account_closed_during_its_login_gets_no_token(world: World) -> None:
    bob = world.account("bob")
    permit = world.registry.door.require(world.caller(password=PASSWORD), Action.LOG_IN, Target(account="bob"))
    with world.by_operator() as tx:
        users.set_disabled(tx, "bob", True)
    with world.nothing_changes(), pytest.raises(Unauthenticated), world.registry.door.write(permit) as tx:
        tokens.mint(tx, bob.id, Wish(CredentialKind.LOGIN, "late"), world.registry.lifetimes)


def test_a_restricted_package_and_a_missing_one_answer_alike(world: World, alice: Person) -> None:
    change_package(world, access="restricted")
    bob = world.token(world.account("bob"), CredentialKind.AUTOMATION)
    answers = set()
    for action in (Action.READ_PACKAGE, Action.DIST_TAG, Action.DEPRECATE):
        for name in ("pkg", "missing-altogether"):
            caller = world.caller(bob)
            with world.nothing_changes():
                try:
                    world.registry.door.require(caller, action, Target(package=name))
                    with world.registry.database.read() as connection:
                        packages.get(connection, PackageName.parse(name))
                except NotFound as error:
                    answers.add((error.message, error.notice))
    assert len(answers) == 1
    assert not world.registry.door.may_read(world.caller(bob), "pkg", None)
    assert world.registry.door.may_read(world.caller(world.token(alice)), "pkg", None)


def test_a_token_for_other_packages_reads_and_changes_nothing_else(world: World, alice: Person) -> None:
    limits = TokenLimits(packages=("other",), packages_all=False, permission="read-write", bypass_2fa=True)
    token = world.token(alice, CredentialKind.GRANULAR, limits)
    with world.nothing_changes(), pytest.raises(NotFound):
        require(world, token, Action.READ_PACKAGE, PKG)
    with world.nothing_changes(), pytest.raises(Refused, match="not for pkg"):
        require(world, token, Action.PUBLISH, PKG)
    world.publish(token, "other", "1.0.0")


def test_a_scope_in_a_tokens_limits_is_that_scope_alone(world: World, alice: Person) -> None:
    limits = TokenLimits(scopes=("@alice",), packages_all=False, permission="read-write", bypass_2fa=True)
    token = world.token(alice, CredentialKind.GRANULAR, limits)
    world.publish(token, "@alice/one", "1.0.0")
    for name in ("@alice2/one", "alice", "pkg"):
        with world.nothing_changes(), pytest.raises(TwokeyError):
            world.publish(token, name, "1.0.0")


def test_refusals_of_accounts_are_recorded_one_by_one(world: World, alice: Person) -> None:
    token = world.token(alice, CredentialKind.READ_ONLY)
    with pytest.raises(Refused):
        require(world, token, Action.PUBLISH, PKG)
    (event,) = world.events(Event.ACCESS_DENIED)
    assert (event["outcome"], event["reason"], event["account"]) == ("refused", "credential-kind", "alice")
    assert (event["resource"], event["details"]) == ("package:pkg", {"action": "package:publish"})
    assert world.rows(AnonymousRefusal) == []


def test_publishes_and_new_names_have_their_hourly_limits_and_a_refused_one_does_not_count(opened: Open) -> None:
    world = opened(limit_publish=4, limit_names=2)
    alice = world.account()
    token = world.token(alice, CredentialKind.AUTOMATION)
    for name in ("one", "two"):
        world.publish(token, name, "1.0.0")
        with world.nothing_changes(), pytest.raises(Refused):
            world.publish(token, name, "1.0.0")
    with world.nothing_changes(), pytest.raises(Throttled, match="new package names"):
        world.publish(token, "three", "1.0.0")
    for version in ("1.1.0", "1.2.0"):
        world.publish(token, "one", version)
    with world.nothing_changes(), pytest.raises(Throttled, match="Too many publishes") as caught:
        world.publish(token, "one", "1.3.0")
    assert caught.value.retry_after == 3600
    world.clock.advance(3600)
    world.publish(token, "three", "1.0.0")


def test_a_limit_that_was_reached_meanwhile_stops_the_write(opened: Open) -> None:
    world = opened(limit_publish=1)
    alice = world.account()
    token = world.token(alice, CredentialKind.AUTOMATION)
    permits = [
        world.registry.door.require(world.caller(token), Action.PUBLISH, Target(package=name))
        for name in ("one", "two")
    ]
    prepared = [world.prepared(name, "1.0.0") for name in ("one", "two")]
    with world.registry.door.write(permits[0]) as tx:
        publish.publish(tx, prepared[0], world.registry.signer)
    with world.nothing_changes(), pytest.raises(Throttled), world.registry.door.write(permits[1]) as tx:
        publish.publish(tx, prepared[1], world.registry.signer)
    assert [row["name"] for row in world.rows(Package)] == ["one"]


def test_new_accounts_are_limited_by_address(opened: Open) -> None:
    world = opened(limit_signup=2)
    for name in ("alice", "bob"):
        with world.registry.door.write(require_sign_up(world, name)) as tx:
            users.create(tx, name, f"{name}@example.com", "hash")
    with world.nothing_changes(), pytest.raises(Throttled, match="new accounts from this address"):
        require_sign_up(world, "carol")
    caller = world.caller(address=AWAY)
    world.registry.door.require(caller, Action.SIGN_UP, Target(account="carol"))


def require_sign_up(world: World, name: str) -> Permit:
    return world.registry.door.require(world.caller(), Action.SIGN_UP, Target(account=name))


def test_the_last_factor_stays_while_a_package_that_one_owns_asks_for_one(
    world: World, alice: Person, login: Principal
) -> None:
    """The threat model, 2.4: removing it is refused where the site, an organisation or a package requires one."""
    change_package(world, mfa="publish")
    caller = world.caller(login, otp=world.code(alice), password=PASSWORD)
    with world.nothing_changes(), pytest.raises(Refused):
        world.registry.door.require(caller, Action.CHANGE_SECOND_FACTOR, ALICE, removes_last_factor=True)
    change_package(world, mfa="none")
    world.registry.door.require(caller, Action.CHANGE_SECOND_FACTOR, ALICE, removes_last_factor=True)


def test_the_operator_is_no_account_and_every_other_door_is_shut(world: World, alice: Person) -> None:
    operator = Principal(CredentialKind.OPERATOR, user_name="root")
    for action in (Action.PUBLISH, Action.CREATE_TOKEN, Action.CHANGE_SECOND_FACTOR, Action.READ_PROFILE):
        with world.nothing_changes(), pytest.raises(Refused):
            require(world, operator, action, PKG if action is Action.PUBLISH else ALICE)
