"""Registry signatures: every version has one, and its key had not ended when it was published, whatever passes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy import delete, update

from tests.domain.conftest import Open
from tests.domain.world import Person, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Principal
from twokey.cli import upkeep
from twokey.clock import iso
from twokey.db.schema import Package, Version
from twokey.db.schema_signing import SigningKey, VersionSignature
from twokey.errors import IntegrityFault
from twokey.packages import packument, signing
from twokey.publishing import publish, withdraw

BASE = "https://npm.example.com"
AUTOMATION = CredentialKind.AUTOMATION
HELD = 0.5  # seconds in which a transaction that nothing holds off is through


def documents(world: World, name: str) -> list[dict[str, Any]]:
    """Every version of the package as the full, the abbreviated and its own document have it."""
    found = world.found(name)
    with world.registry.database.read() as connection:
        full = json.loads(packument.full(connection, found, BASE))["versions"]
        short = json.loads(packument.abbreviated(connection, found, BASE))["versions"]
        own = [json.loads(packument.version(connection, found, version, BASE)) for version in full]
    return [*full.values(), *short.values(), *own]


def check(world: World, name: str) -> set[str]:
    """Holds every version of the package to what npm does (pacote's registry.js). Returns the ids of their keys."""
    with world.registry.database.read() as connection:
        keys = {key.keyid: key for key in signing.listing(connection)}
    times = {row["version"]: row["published_at"] for row in world.rows(Version)}
    used = set()
    for manifest in documents(world, name):
        (signature,) = manifest["dist"]["signatures"]
        key = keys[signature["keyid"]]
        der = base64.b64decode(key.key)
        assert key.keyid == f"SHA256:{base64.b64encode(hashlib.sha256(der).digest()).decode()}"
        public = load_der_public_key(der)
        assert isinstance(public, ec.EllipticCurvePublicKey)
        signed = f"{manifest['name']}@{manifest['version']}:{manifest['dist']['integrity']}".encode()
        public.verify(base64.b64decode(signature["sig"]), signed, ec.ECDSA(hashes.SHA256()))
        assert key.expires_at is None or iso(times[manifest["version"]]) < iso(key.expires_at)
        used.add(key.keyid)
    return used


def rotate(world: World) -> str:
    with world.by_operator() as tx:
        return world.registry.signer.rotate(tx)[0].keyid


def owner(world: World) -> tuple[Person, Principal]:
    alice = world.account()
    world.package("pkg", alice, "1.0.0", "1.1.0-beta.1")
    return alice, world.token(alice, AUTOMATION)


def test_every_document_of_a_version_holds_a_signature_of_its_bytes(world: World) -> None:
    alice, _ = owner(world)
    world.package("@alice/scoped", alice)
    assert len(check(world, "pkg")) == 1
    assert check(world, "@alice/scoped") == check(world, "pkg")


@pytest.mark.parametrize("column", ["digest of another", "signature of another"])
def test_a_signature_is_of_its_own_version_alone(world: World, column: str) -> None:
    owner(world)
    first, second = (row["id"] for row in world.rows(Version))
    signature = {row["version_id"]: row["signature"] for row in world.rows(VersionSignature)}
    with world.registry.database.write() as connection:
        if column == "signature of another":
            change = update(VersionSignature).where(VersionSignature.version_id == first)
            connection.execute(change.values(signature=signature[second]))
        else:
            change = update(Version).where(Version.id == first)
            connection.execute(change.values(manifest=world.rows(Version)[1]["manifest"]))
    with pytest.raises(InvalidSignature):
        check(world, "pkg")


def test_what_a_client_calls_a_signature_is_dropped(world: World) -> None:
    _, token = owner(world)
    lies = {"dist": {"signatures": [{"keyid": "SHA256:mine", "sig": "bWluZQ=="}]}}
    permit = world.registry.door.require(world.caller(token), Action.PUBLISH, Target(package="pkg", version="2.0.0"))
    with world.registry.door.write(permit) as tx:
        publish.publish(tx, world.prepared("pkg", "2.0.0", **lies), world.registry.signer)
    assert "SHA256:mine" not in check(world, "pkg")


def test_after_a_rotation_the_old_versions_verify_as_before_and_new_ones_by_the_new_key(world: World) -> None:
    _, token = owner(world)
    (before,) = check(world, "pkg")
    world.clock.advance(60)
    after = rotate(world)
    world.publish(token, "pkg", "2.0.0")
    assert check(world, "pkg") == {before, after}
    world.clock.advance(60)
    last = rotate(world)
    with world.registry.database.read() as connection:
        listed = signing.listing(connection)
    assert [key.keyid for key in listed] == [last, after, before]
    assert [key.expires_at is None for key in listed] == [True, False, False]
    event = world.events(Event.SIGNING_KEY_ROTATE)[-1]
    assert event["details"] == {"before": after, "after": last}


def test_a_key_ends_after_the_last_moment_that_it_signed_for_whatever_the_clock_says(world: World) -> None:
    _, token = owner(world)
    rotate(world)  # in the very microsecond of the publish
    check(world, "pkg")
    world.clock.advance(3600)
    world.publish(token, "pkg", "2.0.0")
    world.clock.advance(-1800)  # and the clock was an hour ahead
    rotate(world)
    assert len(check(world, "pkg")) == 2


def beside(first: Callable[[Callable[[], None]], None], second: Callable[[], None]) -> None:
    """Runs `second` while `first` is where it calls what it is given: at the end of a transaction that is still open.

    Asserts that `second` is held off until then.
    """
    written, go = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def hold() -> None:
        written.set()
        assert go.wait(60)

    def run(work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    opener = run(lambda: first(hold))
    assert written.wait(60)
    other = run(second)
    other.join(HELD)
    waits = other.is_alive()
    go.set()
    opener.join()
    other.join()
    assert not errors
    assert waits, "nothing held the other transaction off"


def test_a_rotation_waits_for_a_publish_that_has_signed(world: World) -> None:
    _, token = owner(world)
    permit = world.registry.door.require(world.caller(token), Action.PUBLISH, Target(package="pkg", version="2.0.0"))
    prepared = world.prepared("pkg", "2.0.0")

    def publishing(hold: Callable[[], None]) -> None:
        with world.registry.door.write(permit) as tx:
            publish.publish(tx, prepared, world.registry.signer)
            hold()

    def rotating() -> None:
        world.clock.advance(-1)  # its clock is behind that of the publish
        rotate(world)

    beside(publishing, rotating)
    assert len(check(world, "pkg")) == 1


def test_a_publish_waits_for_a_rotation_and_signs_with_the_new_key(world: World) -> None:
    _, token = owner(world)

    def rotating(hold: Callable[[], None]) -> None:
        with world.by_operator() as tx:
            world.registry.signer.rotate(tx)
            hold()

    def publishing() -> None:
        world.publish(token, "pkg", "2.0.0")

    beside(rotating, publishing)
    assert len(check(world, "pkg")) == 2
    world.publish(token, "pkg", "2.0.1")


def test_two_publishes_do_not_wait_for_each_other_to_sign(world: World) -> None:
    """On PostgreSQL; SQLite has one writer at a time, so there one comes after the other."""
    owner(world)
    database, signer = world.registry.database, world.registry.signer
    with database.write() as connection:
        connection.execute(delete(VersionSignature))
    with ExitStack() as stack:
        for row in world.rows(Version):
            connection = stack.enter_context(database.write())
            signer.sign(connection, row["id"], "pkg", row["version"], row["digest"])
            if database.is_sqlite:
                stack.close()
    check(world, "pkg")


def test_versions_from_before_there_were_signatures_are_signed_at_the_start(world: World, opened: Open) -> None:
    owner(world)
    with world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"1.0.0"}, {}, None)
    with world.registry.database.write() as connection:
        connection.execute(delete(VersionSignature))
        connection.execute(delete(SigningKey))
    revision = world.found("pkg").revision
    again = opened()
    assert len(check(again, "pkg")) == 1
    assert len(again.rows(VersionSignature)) == 1, "a tombstone is not signed"
    assert again.found("pkg").revision == revision + 1, "what clients have kept is out of date"
    opened()
    assert again.found("pkg").revision == revision + 1
    assert len(again.rows(SigningKey)) == 1


def test_what_the_trail_does_not_know_is_not_signed_at_the_start(world: World, opened: Open) -> None:
    """Whoever swaps the bytes in the database cannot have them signed by removing the signature."""
    owner(world)
    first = world.rows(Version)[0]["id"]
    with world.registry.database.write() as connection:
        connection.execute(update(Version).where(Version.id == first).values(digest="0" * 128))
        connection.execute(delete(VersionSignature))
    again = opened()
    assert [row["version_id"] for row in again.rows(VersionSignature)] == [world.rows(Version)[1]["id"]]


def test_the_key_signs_on_after_the_vault_has_a_new_key(world: World, opened: Open) -> None:
    _, token = owner(world)
    upkeep.rotate_keys(world.registry, world.operator())
    again = opened()
    again.publish(token, "pkg", "2.0.0")
    assert len(check(again, "pkg")) == 1


def test_a_key_of_another_row_does_not_open(world: World) -> None:
    _, token = owner(world)
    stolen = world.rows(SigningKey)[0]
    rotate(world)
    with world.registry.database.write() as connection:
        change = update(SigningKey).where(SigningKey.expires_at.is_(None))
        connection.execute(change.values(sealed_key=stolen["sealed_key"]))
    with world.nothing_changes(), pytest.raises(IntegrityFault):
        world.publish(token, "pkg", "2.0.0")
    assert [row["name"] for row in world.rows(Package)] == ["pkg"]
