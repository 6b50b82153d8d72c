"""What an account is told by mail: with its cause, at most once a minute and kind, and without links."""

from __future__ import annotations

import pytest

from tests.domain.conftest import Open
from tests.domain.world import AWAY, PASSWORD, Person, World
from twokey.accounts import addresses, devices, users
from twokey.accounts.notices import NOTICES
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Mode
from twokey.db.schema_mail import Mail
from twokey.errors import ProofRequired
from twokey.packages import packages
from twokey.registry import keep_house
from twokey.tokens import tokens
from twokey.tokens.tokens import Wish
from twokey.two_factor import enrolment

DAY = 86400


def told(world: World, name: str = "alice", kind: str | None = None) -> list[tuple[str, str]]:
    """Subject and text of the mails for somebody, oldest first."""
    outbox = world.registry.outbox
    return [
        (each.subject.removeprefix("[npm-twokey] "), outbox.show(each.id)[1])
        for each in outbox.listing(1000)
        if each.recipient == f"{name}@example.com" and kind in (None, each.kind)
    ]


def record(world: World, event: Event, account: str = "alice", **details: object) -> None:
    with world.by_operator() as tx:
        tx.record(event, account=account, details=details)  # type: ignore[arg-type]


def test_every_event_of_the_table_is_one_of_the_trail() -> None:
    assert [event for event in NOTICES if event not in list(Event)] == []


@pytest.mark.parametrize(
    "event",
    [
        Event.PASSWORD_CHANGE, Event.LOGIN_NEW_DEVICE, Event.ENROLMENT_CONFIRM, Event.SECOND_FACTOR_DISABLE,
        Event.SECOND_FACTOR_RESET, Event.MODE_CHANGE, Event.AUTHENTICATOR_ADD, Event.AUTHENTICATOR_REMOVE,
        Event.RECOVERY_GENERATE, Event.RECOVERY_USE, Event.OTP_BLOCKED, Event.OTP_SUSPEND, Event.OTP_REPLAY,
        Event.TOKEN_CREATE, Event.PACKAGE_PUBLISH, Event.PACKAGE_UNPUBLISH, Event.PACKAGE_REMOVE, Event.PACKAGE_OWNERS,
        Event.PACKAGE_QUARANTINE, Event.PACKAGE_RELEASE, Event.PACKAGE_TAKE_DOWN, Event.PACKAGE_TRANSFER,
        Event.TOKEN_LEAKED, Event.SECOND_FACTOR_RESET_ASK, Event.SECOND_FACTOR_RESET_CANCEL, Event.ACCOUNT_DISABLE,
        Event.ACCOUNT_ENABLE,
    ],
)  # fmt: skip
def test_what_matters_is_told(world: World, event: Event) -> None:
    world.account()
    record(world, event)
    ((subject, text),) = told(world)
    assert subject
    assert "This happened to the account alice:" in text
    assert "{" not in text
    assert "2027-01-15 08:00 UTC" in text


def test_what_does_not_matter_is_not(world: World) -> None:
    world.account()
    for event in (Event.PROFILE_CHANGE, Event.LOGIN_OK, Event.OTP_WRONG, Event.PACKAGE_TAG, Event.TOKEN_FIRST_USE):
        record(world, event)
    assert told(world) == []


def test_a_notice_commits_with_its_cause_or_not_at_all(world: World) -> None:
    world.account()
    with pytest.raises(ZeroDivisionError), world.by_operator() as tx:
        tx.record(Event.PASSWORD_CHANGE, account="alice")
        tx.append_to(world.registry.trail)
        assert tx.connection.execute(Mail.__table__.select()).all()
        raise ZeroDivisionError
    assert world.rows(Mail) == []


def test_no_notice_leads_anywhere(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.package("core", alice)
    for event in Event:
        record(world, event)
    for _, text in told(world):
        assert "http" not in text.replace("http://localhost:4873/ as you always do", "").replace(
            "npm-twokey at http://localhost:4873/", ""
        )


def test_a_token_is_named_and_so_is_where_it_was_made_from(world: World) -> None:
    alice = world.account()
    caller = world.caller(world.token(alice), password=PASSWORD, address=AWAY)
    permit = world.registry.door.require(caller, Action.CREATE_TOKEN, Target(account="alice"))
    with world.registry.door.write(permit) as tx:
        tokens.mint(tx, alice.id, Wish(CredentialKind.AUTOMATION, "release <b>"), world.registry.lifetimes)
    ((_, text),) = told(world)
    assert "A token was made: automation, “release <b>”." in text
    assert f"from {AWAY}" in text


def test_a_published_version_is_named(world: World) -> None:
    alice = world.account()
    world.package("core", alice, "1.2.3")
    ((_, text),) = told(world, kind="publish")
    assert "core@1.2.3 was published." in text
    assert "from 192.0.2.1, npm/11.0.0" in text


def test_who_came_and_who_went_are_told_of_a_change_of_owners(world: World) -> None:
    alice, bob, carol = (world.account(name) for name in ("alice", "bob", "carol"))
    found = world.package("core", alice)
    for wanted in (["alice", "bob"], ["bob"]):
        world.clock.advance(120)
        with world.by_operator() as tx:
            packages.change_owners(tx, world.found("core"), wanted, None)
    assert (found.id, bob.name, carol.name) == (found.id, "bob", "carol")
    assert len(told(world, "bob", "owners")) == 1
    ((_, text),) = told(world, "alice", "owners")
    assert "are now bob; they were alice, bob" in text
    assert told(world, "carol") == []


# -- at most one a minute ------------------------------------------------------------------------------------------


def sent(world: World) -> list[int]:
    """Marks what is due as sent, as the postman would; how many things each of those mails tells."""
    found = []
    while (mail := world.registry.outbox.claim(world.clock.at)) is not None:
        world.registry.outbox.sent(mail.id, world.clock.at)
        found.append(len(mail.letter.items))
    return found


def test_the_first_leaves_at_once_and_what_follows_within_a_minute_in_one_mail(world: World) -> None:
    world.account()
    record(world, Event.PASSWORD_CHANGE)
    assert sent(world) == [1]
    for _ in range(3):
        world.clock.advance(10)
        record(world, Event.PASSWORD_CHANGE)
        assert sent(world) == []
    world.clock.advance(30)
    assert sent(world) == [3]
    world.clock.advance(59)
    record(world, Event.PASSWORD_CHANGE)
    assert sent(world) == []
    world.clock.advance(1)
    assert sent(world) == [1]
    world.clock.advance(600)
    record(world, Event.PASSWORD_CHANGE)
    assert sent(world) == [1]


def test_kinds_and_accounts_do_not_wait_for_each_other(world: World) -> None:
    world.account()
    world.account("bob")
    for event in (Event.PASSWORD_CHANGE, Event.TOKEN_CREATE):
        for name in ("alice", "bob"):
            record(world, event, name)
    assert sent(world) == [1, 1, 1, 1]


def test_what_belongs_together_is_one_mail(world: World) -> None:
    world.account(mode=Mode.AUTH_AND_WRITES)
    ((subject, text),) = told(world, kind="second-factor")
    assert subject == "Two-factor authentication was changed"
    assert "Two-factor authentication was turned on (auth-and-writes)." in text
    assert "10 new recovery codes were made." in text


def test_a_thousand_events_are_a_mail_of_fifty_and_a_line(world: World) -> None:
    world.account()
    for _ in range(60):
        record(world, Event.PACKAGE_PUBLISH)
    ((_, text),) = told(world)
    assert text.count("was published") == 50
    assert "And more of the same" in text


# -- the second factor ---------------------------------------------------------------------------------------------


def use_recovery_code(world: World, alice: Person, number: int) -> None:
    caller = world.caller(world.token(alice), otp=alice.recovery[number])
    world.do(caller, Action.CHANGE_PROFILE, Target(account=alice.name))


def test_a_recovery_code_says_how_many_are_left_and_louder_at_three(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    subjects = []
    for number in range(10):
        world.clock.advance(300)
        use_recovery_code(world, alice, number)
        subject, text = told(world, kind="recovery-codes")[-1]
        assert f"{9 - number} are left" in text
        subjects.append(subject)
    assert subjects[:6] == ["A recovery code was used"] * 6
    assert subjects[6:9] == [f"Only {left} recovery codes are left: make new ones" for left in (3, 2, 1)]
    assert subjects[9] == "No recovery code is left: make new ones now"


def test_a_code_that_is_sent_twice_is_told_though_the_request_is_refused(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    target, code = Target(account="alice"), world.code(alice)
    world.do(world.caller(world.token(alice), otp=code), Action.CHANGE_PROFILE, target)
    with pytest.raises(ProofRequired):
        world.do(world.caller(world.token(alice), otp=code, address=AWAY), Action.CHANGE_PROFILE, target)
    ((_, text),) = told(world, kind="replay")
    assert f"from {AWAY}" in text


def test_the_operator_is_named_for_what_the_operator_did(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    world.clock.advance(600)
    with world.by_operator() as tx:
        enrolment.disable(tx, alice.id, Event.SECOND_FACTOR_RESET)
        tx.record(Event.SECOND_FACTOR_RESET, account="alice")
    assert "by the operator of the registry" in told(world)[-1][1]


# -- devices, tokens -----------------------------------------------------------------------------------------------


def sign_in(world: World, alice: Person, secret: str | None, *, first: bool = False) -> str:
    with world.by_operator() as tx:
        tx.record(Event.LOGIN_OK, account=alice.name)
        return devices.note(tx, alice.id, alice.name, secret, first=first)


def test_a_sign_in_from_a_browser_that_is_not_known_is_told_once(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    cookie = sign_in(world, alice, None)
    assert len(told(world, kind="new-device")) == 1
    assert sign_in(world, alice, cookie) == cookie
    assert len(world.events(Event.LOGIN_NEW_DEVICE)) == 1
    assert sign_in(world, bob, cookie) == cookie, "one cookie serves every account of a browser"
    assert len(told(world, "bob", "new-device")) == 1, "but what one knows is new to the other"
    assert sign_in(world, alice, "x" * 43) == "x" * 43
    assert sign_in(world, alice, "; Domain=example.com") != "; Domain=example.com"
    assert len(world.events(Event.LOGIN_NEW_DEVICE)) == 4
    assert cookie.encode() not in repr(world.stored()).encode()


def test_the_browser_that_made_the_account_is_known(world: World) -> None:
    alice = world.account()
    cookie = sign_in(world, alice, None, first=True)
    sign_in(world, alice, cookie)
    assert world.events(Event.LOGIN_NEW_DEVICE) == []


def test_a_browser_that_was_away_for_a_year_is_new_again(world: World) -> None:
    alice = world.account()
    cookie = sign_in(world, alice, None, first=True)
    world.clock.advance(366 * DAY)
    keep_house(world.registry)
    sign_in(world, alice, cookie)
    assert len(world.events(Event.LOGIN_NEW_DEVICE)) == 1


def ends_told(world: World) -> list[str]:
    """The warnings that are made now."""
    before = len(ends(world))
    for _ in range(2):  # and a second look tells nothing again
        keep_house(world.registry)
    return ends(world)[before:]


def ends(world: World) -> list[str]:
    return [subject for subject, _ in told(world) if "ends in" in subject]


def test_the_end_of_a_token_is_told_14_7_and_1_days_before_once_each(opened: Open) -> None:
    world = opened()
    alice = world.account()
    world.mint(alice, Wish(CredentialKind.AUTOMATION, "release", days=30))
    found: dict[int, list[str]] = {}
    for day in range(32):
        if said := ends_told(world):
            found[day] = said
        world.clock.advance(DAY)
    assert found == {
        16: ["A token ends in 14 days"], 23: ["A token ends in 7 days"], 29: ["A token ends in 1 day"],
    }  # fmt: skip


def test_the_end_of_a_token_names_it_and_the_way_on(world: World) -> None:
    world.mint(world.account(), Wish(CredentialKind.AUTOMATION, "release", days=30))
    world.clock.advance(25 * DAY)
    keep_house(world.registry)
    text = next(text for subject, text in told(world) if subject == "A token ends in 7 days")
    assert "the automation token “release” ends at 2027-02-14 08:00 UTC" in text
    assert "Rotate" in text


def test_no_end_is_told_of_tokens_without_one_revoked_rotated_or_made_for_no_longer(world: World) -> None:
    alice = world.account()
    lifetimes = world.registry.lifetimes
    world.mint(alice, Wish(CredentialKind.LOGIN, "login"))
    world.mint(alice, Wish(CredentialKind.READ_ONLY, "for ever"))
    world.mint(alice, Wish(CredentialKind.AUTOMATION, "short", days=14))
    _, gone = world.mint(alice, Wish(CredentialKind.AUTOMATION, "gone", days=20))
    _, old = world.mint(alice, Wish(CredentialKind.AUTOMATION, "old", days=20))
    world.revoke(alice, gone)
    assert old.token_key is not None
    world.clock.advance(5 * DAY)
    with world.by_operator() as tx:
        tokens.rotate(tx, alice.id, old.token_key, 24, lifetimes)
    keep_house(world.registry)
    assert ends(world) == []


def test_a_changed_address_is_told_to_the_old_one(world: World) -> None:
    alice = world.account()
    with world.by_operator() as tx:
        addresses.change(tx, alice.id, "new@example.com", world.registry.outbox)
        assert users.by_id(tx.connection, alice.id).email == "new@example.com"
    ((subject, text),) = told(world)
    assert subject == "Your mail address was changed"
    assert "/undo/" in text
    assert "new@example.com" not in text, "whoever reads the old mailbox need not learn the new address"
    assert [subject for subject, _ in told(world, "new")] == ["Confirm your mail address"]
