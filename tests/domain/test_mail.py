"""The outbox and the mail server: a mail commits with its cause, and arrives once, also when the server was down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.domain.conftest import Open
from tests.domain.world import World
from tests.support import post
from tests.support.post import PostOffice
from twokey.accounts import letters, mail
from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft
from twokey.cli import upkeep
from twokey.db.schema_mail import Mail
from twokey.errors import NotFound
from twokey.registry import keep_house
from twokey.settings import Smtp

MINUTE, HOUR, DAY = 60, 3600, 86400
LINK = "http://localhost:4873/reset/0123456789"
LETTER = Letter("alice", "Open this link.", link=LINK, button="Choose <b>", closing=("It's <script> & more.",))


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with PostOffice() as running:
        yield running


def smtp(office: PostOffice, username: str | None = None, password: str | None = None) -> Smtp:
    return Smtp("127.0.0.1", office.port, username, password, tls=False, starttls=False)


@pytest.fixture
def world(opened: Open, office: PostOffice) -> World:
    return opened(smtp=smtp(office))


def put(world: World, recipient: str = "alice@example.com", kind: str = "reset") -> None:
    with world.registry.database.write() as connection:
        draft = Draft(None, recipient, kind, "A new password", LETTER)
        world.registry.outbox.put(connection, draft, world.clock.at)


def deliver(world: World) -> int:
    """One round of the postman."""
    assert world.registry.postman is not None
    return asyncio.run(world.registry.postman.deliver())


def states(world: World) -> list[str]:
    return [each.state for each in world.registry.outbox.listing(100)]


def test_a_mail_arrives_as_text_and_as_html_of_the_same_words(world: World, office: PostOffice) -> None:
    put(world)
    assert deliver(world) == 1
    (sent,) = office.to("alice@example.com")
    assert sent["from"] == "twokey@localhost"
    assert sent["to"] == "alice@example.com"
    assert sent["subject"] == "[npm-twokey] A new password"
    assert sent["auto-submitted"] == "auto-generated"
    assert sent.get_content_type() == "multipart/alternative"
    text, html = post.text_of(sent), post.html_of(sent)
    assert "Hello alice,\n\nOpen this link.\n\n" + LINK in text
    assert "It's <script> & more." in text
    assert f'<a href="{LINK}">Choose &lt;b&gt;</a>' in html
    assert "It&#x27;s &lt;script&gt; &amp; more." in html
    assert "src=" not in html, "nothing is fetched from anywhere"


def test_a_mail_leaves_once(world: World, office: PostOffice) -> None:
    put(world)
    assert [deliver(world) for _ in range(3)] == [1, 0, 0]
    world.clock.advance(DAY)
    assert deliver(world) == 0
    assert len(office.mails) == 1
    assert states(world) == ["sent"]


def test_one_claim_is_one_worker_s(world: World) -> None:
    put(world)
    claims = [world.registry.outbox.claim(world.clock.at) for _ in range(2)]
    assert [claim is not None for claim in claims] == [True, False]


def test_what_a_server_that_was_down_missed_arrives_once_when_it_is_back(world: World, office: PostOffice) -> None:
    office.close()
    put(world)
    put(world, "bob@example.com")
    for _ in range(3):
        assert deliver(world) == 0
    waiting = world.registry.outbox.listing(10)
    assert [each.attempts for each in waiting] == [1, 1], "a round ends where nobody answers; then they are not due"
    assert all(each.last_error for each in waiting)
    world.clock.advance(MINUTE)
    assert deliver(world) == 0  # still down: next in five minutes
    office.open()
    assert deliver(world) == 1  # the one that was not tried a second time yet
    world.clock.advance(5 * MINUTE)
    assert deliver(world) == 1
    world.clock.advance(DAY)
    assert deliver(world) == 0
    assert sorted(office.recipients) == ["alice@example.com", "bob@example.com"]
    assert states(world) == ["sent", "sent"]


def test_tries_are_1_5_30_minutes_2_hours_and_then_8_hours_apart_and_end_after_3_days(
    world: World, office: PostOffice
) -> None:
    office.close()
    put(world)
    begin, tries = world.clock.at, []
    while states(world) == ["waiting"]:
        deliver(world)
        (only,) = world.registry.outbox.listing(1)
        tries.append(only.due_at - world.clock.at)
        world.clock.at = only.due_at
    apart = [gap // 1_000_000 for gap in tries]
    assert apart[:6] == [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, 8 * HOUR]
    assert states(world) == ["given up"]
    assert 2 * DAY < (world.clock.at - begin) / 1_000_000 <= 3 * DAY + 8 * HOUR
    office.open()
    assert deliver(world) == 0
    assert office.mails == []


def test_a_recipient_that_the_server_does_not_know_holds_nobody_up(world: World, office: PostOffice) -> None:
    office.refusal = "550 no such user"
    put(world, "nobody@example.com")
    deliver(world)
    office.refusal = None
    put(world)
    assert deliver(world) == 1
    first, second = world.registry.outbox.listing(10)
    assert {first.state, second.state} == {"given up", "sent"}
    assert any("no such user" in (each.last_error or "") for each in (first, second))


def test_a_recipient_that_the_server_takes_later_is_tried_again(world: World, office: PostOffice) -> None:
    office.refusal = "450 greylisted, come again"
    put(world)
    deliver(world)
    office.refusal = None
    world.clock.advance(MINUTE)
    assert deliver(world) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_the_postman_logs_in(opened: Open) -> None:
    with PostOffice(asks_for_login=True) as office:
        world = opened(smtp=smtp(office, username=post.USER, password=post.WORD))
        put(world)
        assert deliver(world) == 1
        wrong = opened(smtp=smtp(office, username=post.USER, password="wrong"))
        put(wrong)
        assert deliver(wrong) == 0
        assert sorted(states(wrong)) == ["sent", "waiting"], "it is not the mail that is to blame"


def test_no_encryption_is_no_delivery_where_starttls_is_asked_for(opened: Open, office: PostOffice) -> None:
    world = opened(smtp=replace(smtp(office), starttls=True))
    put(world)
    assert deliver(world) == 0
    assert office.mails == []


def test_no_secret_of_a_mail_stands_in_the_database(world: World) -> None:
    put(world)
    (row,) = world.rows(Mail)
    assert LINK not in repr(row)
    assert LINK.encode() not in row["sealed_body"]
    ((listed, text),) = [world.registry.outbox.show(each.id) for each in world.registry.outbox.listing(1)]
    assert LINK in text
    assert listed.recipient == "alice@example.com"
    with pytest.raises(NotFound):
        world.registry.outbox.show("unknown")


def test_mails_can_be_read_after_a_rotation_of_the_keys(world: World, office: PostOffice) -> None:
    put(world)
    upkeep.rotate_keys(world.registry, world.operator())
    upkeep.rotate_keys(world.registry, world.operator())
    assert {row["key_id"] for row in world.rows(Mail)} == {world.registry.vault.newest_key_id}
    assert deliver(world) == 1
    assert LINK in post.text_of(office.mails[0])


def test_what_was_sent_is_forgotten_after_a_week_and_everything_after_a_month(world: World) -> None:
    put(world)
    deliver(world)
    world.clock.advance(6 * DAY)
    keep_house(world.registry)
    assert states(world) == ["sent"]
    world.clock.advance(2 * DAY)
    keep_house(world.registry)
    assert states(world) == []


def test_without_a_mail_server_mails_wait_for_the_operator_to_read_them(opened: Open) -> None:
    world = opened()
    assert world.registry.postman is None
    put(world)
    world.clock.advance(20 * DAY)
    keep_house(world.registry)
    assert states(world) == ["waiting"]
    world.clock.advance(11 * DAY)
    keep_house(world.registry)
    assert states(world) == []


def test_a_mail_server_that_is_set_later_sends_nothing_that_is_old(opened: Open, office: PostOffice) -> None:
    world = opened()
    put(world)
    world.clock.advance(4 * DAY)
    again = opened(smtp=smtp(office))
    assert deliver(again) == 0
    keep_house(again.registry)
    assert states(again) == ["given up"]


def test_hostile_words_stay_words(world: World, office: PostOffice) -> None:
    hostile = Letter('<img src="x">', "a\r\nBcc: everybody@example.com", items=("<b>bold</b>",))
    with world.registry.database.write() as connection:
        draft = Draft(None, '"x"(y):z@example.com', "odd", "Odd", hostile)
        world.registry.outbox.put(connection, draft, world.clock.at)
    deliver(world)
    for sent in office.mails:
        assert sent["bcc"] is None
        assert "<img" not in post.html_of(sent)
        assert "<b>" not in post.html_of(sent)


def test_of_very_many_things_a_letter_names_the_first() -> None:
    letter = Letter("alice", "This happened:", items=("one",))
    for number in range(200):
        letter = letter.with_item(f"number {number}")
    assert len(letter.items) == letters.MOST_ITEMS + 1
    assert letter.items[-1] == letters.AND_MORE


def test_an_account_without_an_address_gets_no_mail(world: World) -> None:
    put(world, "")
    with world.registry.database.read() as connection:
        assert connection.execute(select(Mail.id)).all() == []


def test_five_mails_a_day_and_account_and_ten_in_ten_minutes_an_address(world: World) -> None:
    def ask(user_id: int, address: str = "192.0.2.1") -> bool:
        with world.registry.database.write() as connection:
            return world.registry.outbox.allow(connection, user_id, address, world.clock.at)

    assert [ask(1) for _ in range(6)] == [True] * 5 + [False]
    assert [ask(2) for _ in range(6)] == [True] * 5 + [False]
    assert not ask(3)
    assert ask(3, "198.51.100.7")
    world.clock.advance(10 * MINUTE)
    assert ask(3)
    assert not ask(1)
    world.clock.advance(DAY)
    assert ask(1)
    assert mail.ACCOUNT_A_DAY == 5
