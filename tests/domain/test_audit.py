"""The audit trail: one chain without gaps, in which every single change shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from tests.domain.world import AWAY, World
from twokey.accounts import addresses
from twokey.audit.events import Event
from twokey.audit.trail import GENESIS, canonical
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.db.schema import AnonymousRefusal, AuditAddress, AuditEvent
from twokey.errors import Unauthenticated

EVENTS = 6


@pytest.fixture
def trail(world: World) -> World:
    """A world with six events on record."""
    world.account()
    for number in range(EVENTS - 1):
        with world.by_operator() as tx:
            tx.record(Event.PROFILE_CHANGE, account="alice", details={"number": number})
    assert len(world.rows(AuditEvent)) == EVENTS
    return world


def tamper(world: World, change: Callable[[Connection], object]) -> None:
    with world.registry.database.write() as connection:
        change(connection)


def row(world: World, seq: int) -> dict[str, Any]:
    return world.rows(AuditEvent)[seq - 1]


def test_an_untouched_trail_holds(trail: World) -> None:
    verdict = trail.registry.trail.verify()
    assert (verdict.events, verdict.broken_at, verdict.reason) == (EVENTS, None, None)


def test_the_chain_is_what_the_threat_model_says_and_anyone_can_recompute_it(trail: World) -> None:
    previous = GENESIS
    for number, stored in enumerate(trail.rows(AuditEvent), 1):
        document = json.loads(stored["document"])
        assert stored["seq"] == document["seq"] == number
        plain = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert plain == stored["document"]
        previous = hashlib.sha256(previous.encode() + plain.encode()).hexdigest()
        assert stored["hash"] == previous


def change_column(column: str, seq: int) -> Callable[[Connection], object]:
    def change(connection: Connection) -> object:
        kept = getattr(AuditEvent, column)
        value = connection.execute(select(kept).where(AuditEvent.seq == seq)).scalar_one()
        other: object = value + 1 if isinstance(value, int) else f"{value}x"
        if column == "hash":
            other = hashlib.sha256(b"another").hexdigest()
        if column == "document":
            other = str(value).replace('"outcome":"ok"', '"outcome":"no"')
        return connection.execute(update(AuditEvent).where(AuditEvent.seq == seq).values({column: other}))

    return change


@pytest.mark.parametrize("column", ["at", "event", "account", "resource", "document", "hash"])
def test_an_edit_of_any_column_is_found(trail: World, column: str) -> None:
    for seq in (1, 3, EVENTS):
        kept = row(trail, seq)
        tamper(trail, change_column(column, seq))
        verdict = trail.registry.trail.verify()
        assert (verdict.broken_at, verdict.events) == (seq, seq - 1)
        assert verdict.reason is not None
        tamper(trail, lambda tx, kept=kept: tx.execute(update(AuditEvent).filter_by(seq=kept["seq"]).values(kept)))  # type: ignore[misc]
        assert trail.registry.trail.verify().reason is None


def test_an_emptied_column_is_found(trail: World) -> None:
    tamper(trail, lambda tx: tx.execute(update(AuditEvent).where(AuditEvent.seq == 3).values(account=None)))
    assert trail.registry.trail.verify().broken_at == 3


def test_an_edit_with_its_own_hash_made_right_is_found_at_the_next_event(trail: World) -> None:
    stored = row(trail, 3)
    forged = stored["document"].replace('"outcome":"ok"', '"outcome":"no"')
    digest = hashlib.sha256(row(trail, 2)["hash"].encode() + forged.encode()).hexdigest()
    values = {"document": forged, "hash": digest}
    tamper(trail, lambda tx: tx.execute(update(AuditEvent).where(AuditEvent.seq == 3).values(values)))
    assert trail.registry.trail.verify().broken_at == 4


@pytest.mark.parametrize("seq", [1, 3])
def test_a_deletion_is_found(trail: World, seq: int) -> None:
    tamper(trail, lambda tx: tx.execute(delete(AuditEvent).where(AuditEvent.seq == seq)))
    verdict = trail.registry.trail.verify()
    assert verdict.broken_at == seq
    assert verdict.reason == f"event {seq} is missing"


def test_a_cut_tail_is_found_by_a_checkpoint(trail: World) -> None:
    trail.registry.checkpoints.write_if_due(trail.clock.at)
    tamper(trail, lambda tx: tx.execute(delete(AuditEvent).where(AuditEvent.seq > 4)))
    verdict = trail.registry.checkpoints.verify()
    assert verdict.reason is not None
    assert "cut off" in verdict.reason


def test_a_swap_is_found(trail: World) -> None:
    one, other = row(trail, 3), row(trail, 4)

    def swap(connection: Connection) -> None:
        for seq, stored in ((3, other), (4, one)):
            values = {key: value for key, value in stored.items() if key != "seq"}
            connection.execute(update(AuditEvent).where(AuditEvent.seq == seq).values(values))

    tamper(trail, swap)
    assert trail.registry.trail.verify().broken_at == 3


@pytest.mark.parametrize("place", [-1, 0, 3, EVENTS + 1])
def test_an_insertion_is_found(trail: World, place: int) -> None:
    stored = row(trail, 2)

    def add(connection: Connection) -> None:
        for seq in range(EVENTS, place - 1, -1) if place > 0 else ():
            connection.execute(update(AuditEvent).where(AuditEvent.seq == seq).values(seq=seq + 1))
        connection.execute(insert(AuditEvent).values({**stored, "seq": place}))

    tamper(trail, add)
    verdict = trail.registry.trail.verify()
    assert verdict.reason is not None
    assert verdict.broken_at is not None


def test_a_renumbered_event_is_found(trail: World) -> None:
    tamper(trail, lambda tx: tx.execute(update(AuditEvent).where(AuditEvent.seq == EVENTS).values(seq=EVENTS + 5)))
    assert trail.registry.trail.verify().broken_at == EVENTS


def test_the_document_has_one_spelling_with_its_keys_in_order() -> None:
    assert canonical({"b": 1, "a": ["x", None, True], "c": {"z": "ä", "y": "\u2028"}}) == (
        '{"a":["x",null,true],"b":1,"c":{"y":"\u2028","z":"ä"}}'
    )


HOSTILE = "a\x1b[31mb\x9bc\x7fd\u202ee\r\nf\u0000"


def test_control_characters_are_escaped_wherever_a_caller_put_them(world: World) -> None:
    """Whoever reads the trail on a terminal reads text, not commands to the terminal."""
    caller = dataclasses.replace(world.caller(), user_agent=HOSTILE)
    with world.registry.database.write() as connection:
        world.registry.trail.append(
            connection, Event.PACKAGE_DEPRECATE, caller, at=world.clock.at, account=None, resource=HOSTILE,
            reason=HOSTILE, details={"versions": {"1.0.0": HOSTILE}, "list": [HOSTILE]},
        )  # fmt: skip
    (stored,) = world.rows(AuditEvent)
    (entry,) = world.registry.trail.entries()
    printed = json.dumps(entry.document, ensure_ascii=False)  # as twokey admin audit export prints it
    for shown in (stored["document"], stored["resource"], printed):
        assert [character for character in shown if not character.isprintable()] == []
    assert world.registry.trail.verify().reason is None


def test_addresses_are_kept_as_keyed_hashes_and_in_the_clear_beside_them(trail: World) -> None:
    assert "192.0.2.1" not in "".join(stored["document"] for stored in trail.rows(AuditEvent))
    assert {stored["address"] for stored in trail.rows(AuditAddress)} == {"192.0.2.1"}
    hashes = {event["address"] for event in trail.events()}
    assert len(hashes) == 1
    assert hashlib.sha256(b"192.0.2.1").hexdigest() not in hashes


def test_events_are_read_by_account_and_kind(trail: World) -> None:
    world = trail
    world.account("bob")
    entries = world.registry.trail.entries
    assert [entry.document["account"] for entry in entries(account="bob")] == ["bob"]
    assert len(list(entries(event=Event.PROFILE_CHANGE.value))) == EVENTS - 1
    assert [entry.seq for entry in entries(after=EVENTS)] == [EVENTS + 1]


def test_a_thousand_events_and_one_are_read_and_verified_whole(world: World) -> None:
    caller = world.caller()
    with world.registry.database.write() as connection:
        for number in range(1001):
            world.registry.trail.append(
                connection, Event.LOGIN_OK, caller, at=number, account=None, resource="registry"
            )
    assert world.registry.trail.verify().events == 1001
    assert [entry.seq for entry in world.registry.trail.entries()] == list(range(1, 1002))
    tamper(world, lambda tx: tx.execute(update(AuditEvent).where(AuditEvent.seq == 1001).values(at=5)))
    assert world.registry.trail.verify().broken_at == 1001


def test_twenty_writers_at_once_make_one_chain_without_gaps(world: World) -> None:
    permits = [world.operator() for _ in range(20)]
    start = threading.Barrier(20)

    def work(number: int) -> None:
        start.wait()
        with world.registry.door.write(permits[number]) as tx:
            tx.record(Event.PROFILE_CHANGE)
            tx.record(Event.EMAIL_CHANGE)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.registry.trail.verify().events == 40


def test_an_event_is_there_with_its_change_or_neither_is(world: World) -> None:
    alice = world.account()
    before = len(world.rows(AuditEvent))
    with world.nothing_changes(), pytest.raises(ZeroDivisionError), world.by_operator() as tx:
        addresses.change(tx, alice.id, "new@example.com", world.registry.outbox)
        raise ZeroDivisionError
    assert len(world.rows(AuditEvent)) == before


def test_refusals_of_strangers_are_counted_not_listed(world: World) -> None:
    for number in range(5):
        address = "2001:db8::" + str(number)
        with pytest.raises(Unauthenticated):
            world.registry.door.require(world.caller(address=address), Action.WHOAMI, Target())
    with pytest.raises(Unauthenticated):
        world.registry.door.require(world.caller(address=AWAY), Action.WHOAMI, Target())
    assert sorted(stored["count"] for stored in world.rows(AnonymousRefusal)) == [1, 5]
    assert world.events() == []


def test_the_columns_that_are_verified_are_all_that_there_are() -> None:
    """A column that is added must be held by the chain too."""
    assert {column.name for column in AuditEvent.__table__.columns} == {
        "seq", "at", "event", "account", "resource", "document", "hash",
    }  # fmt: skip
