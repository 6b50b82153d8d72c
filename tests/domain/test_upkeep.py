"""The operator's upkeep: keys are rotated whatever interrupts it, and no blob that is named or young is collected."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.domain.world import STEP, World
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode
from twokey.cli import upkeep
from twokey.db.schema import (
    Attempt,
    AuditAddress,
    Authenticator,
    BurnedStep,
    Continuation,
    InstanceSecret,
    RecoverySet,
)
from twokey.db.schema_mail import Mail
from twokey.db.schema_signing import SigningKey
from twokey.errors import ProofRequired
from twokey.publishing import withdraw
from twokey.vault import Vault

DAY = 24 * 60 * 60
SEALED = (Authenticator, RecoverySet, InstanceSecret, SigningKey)


def named(world: World) -> set[str]:
    return {row["key_id"] for table in SEALED for row in world.rows(table)}


def rotate(world: World) -> str:
    return upkeep.rotate_keys(world.registry, world.operator())


def test_every_secret_is_sealed_anew_and_codes_still_work(world: World) -> None:
    people = [world.account(name, Mode.AUTH_AND_WRITES) for name in ("alice", "bob")]
    old, mails = world.registry.vault.newest_key_id, len(world.rows(Mail))
    report = rotate(world)
    new = world.registry.vault.newest_key_id
    assert new != old
    assert named(world) == {new}
    assert new in report
    for person in people:
        token, target = world.token(person), Target(account=person.name)
        world.do(world.caller(token, otp=world.code(person)), Action.CHANGE_PROFILE, target)
        world.do(world.caller(token, otp=person.recovery[0]), Action.CHANGE_PROFILE, target)
    events = world.events(Event.KEYS_ROTATE)
    assert sum(event["details"]["sealed"] for event in events) == 2 + 2 + mails + len(world.rows(InstanceSecret)) + 1
    assert world.registry.trail.verify().reason is None


def test_all_keys_are_dropped_but_the_newest_and_the_one_before(world: World, tmp_path: Path) -> None:
    world.account(mode=Mode.AUTH_AND_WRITES)
    made = [world.registry.vault.newest_key_id]
    for _ in range(3):
        rotate(world)
        made.append(world.registry.vault.newest_key_id)
    assert world.registry.vault.key_ids == set(made[-2:])
    assert Vault(tmp_path / "data" / "vault.key").key_ids == set(made[-2:])


def interrupted(world: World, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A rotation that stops when so many batches are done."""
    batches: list[None] = []
    batch = upkeep._batch

    def stop(*arguments: object) -> int:
        if len(batches) == after:
            raise KeyboardInterrupt
        batches.append(None)
        return batch(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(upkeep, "_batch", stop)
        patched.setattr(upkeep, "BATCH", 1)
        with pytest.raises(KeyboardInterrupt):
            rotate(world)


@pytest.mark.parametrize("after", [0, 1, 2, 4])
def test_interrupted_it_goes_on_where_it_was_and_no_code_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    people = [world.account(name, Mode.AUTH_AND_WRITES) for name in ("alice", "bob")]
    old = world.registry.vault.newest_key_id
    interrupted(world, monkeypatch, after)
    new = world.registry.vault.newest_key_id
    assert named(world) == ({old} if after == 0 else {old, new})
    for person in people:
        caller = world.caller(world.token(person), otp=world.code(person))
        world.do(caller, Action.CHANGE_PROFILE, Target(account=person.name))
    report = rotate(world)
    assert "interrupted" in report
    assert world.registry.vault.newest_key_id == new, "the key that was begun with is gone on with"
    assert named(world) == {new}
    world.clock.advance(30)
    for person in people:
        token, target = world.token(person), Target(account=person.name)
        world.do(world.caller(token, otp=world.code(person)), Action.CHANGE_PROFILE, target)
        world.do(world.caller(token, otp=person.recovery[0]), Action.CHANGE_PROFILE, target)


def test_finishing_an_interrupted_rotation_keeps_the_key_before_the_newest_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may just be sealing under it: what it commits a moment later must open."""
    world.account(mode=Mode.AUTH_AND_WRITES)
    old = world.registry.vault.newest_key_id
    interrupted(world, monkeypatch, 1)
    rotate(world)
    assert world.registry.vault.key_ids == {old, world.registry.vault.newest_key_id}


def blob_path(world: World, digest: str) -> Path:
    return world.registry.settings.data / "blobs" / digest[:2] / digest[2:4] / digest


def put(world: World, data: bytes, age: float) -> str:
    """Stores a blob that was last put `age` seconds ago."""
    digest = hashlib.sha512(data).hexdigest()
    world.registry.blobs.put(digest, data)
    make_old(world, blob_path(world, digest), age)
    return digest


def make_old(world: World, path: Path, age: float) -> None:
    moment = world.clock.at / 1_000_000 - age
    os.utime(path, (moment, moment))


def test_a_sound_store_has_nothing_to_report(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "2.0.0")
    report = upkeep.check_blobs(world.registry, world.operator())
    assert report.faults == 0
    assert report.lines == ["2 tarballs named, 2 stored, 0 missing or broken, 0 orphans."]
    assert world.events(Event.INTEGRITY_FAULT) == []


def test_what_is_missing_broken_orphaned_or_left_over_is_reported_and_left_alone(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "2.0.0", "3.0.0")
    digests = {row["version"]: row["digest"] for row in world.stored()["versions"]}
    blob_path(world, digests["1.0.0"]).unlink()
    broken = blob_path(world, digests["2.0.0"])
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    orphan = put(world, b"orphan", 5)
    (world.registry.settings.data / "blobs" / "tmp" / "abc").write_bytes(b"half")
    before = sorted((world.registry.settings.data / "blobs").rglob("*"))
    report = upkeep.check_blobs(world.registry, world.operator())
    assert report.faults == 2
    text = "\n".join(report.lines)
    assert f"missing   {digests['1.0.0'][:16]}  pkg@1.0.0" in text
    assert f"broken    {digests['2.0.0'][:16]}  pkg@2.0.0" in text
    assert f"orphan    {orphan[:16]}  6 bytes" in text
    assert "leftover  abc" in text
    assert digests["3.0.0"][:16] not in text
    assert report.lines[-1] == "3 tarballs named, 3 stored, 2 missing or broken, 1 orphans."
    assert sorted((world.registry.settings.data / "blobs").rglob("*")) == before
    assert world.events(Event.INTEGRITY_FAULT)[0]["details"] == {"faults": 2}


def test_only_orphans_older_than_a_day_are_collected(world: World) -> None:
    world.package("pkg", world.account())
    (version,) = world.stored()["versions"]
    make_old(world, blob_path(world, version["digest"]), 400 * DAY)
    young, old = put(world, b"young", DAY - 1), put(world, b"old", DAY + 1)
    temporary = world.registry.settings.data / "blobs" / "tmp"
    for name, age in (("young", DAY - 1), ("old", DAY + 1)):
        (temporary / name).write_bytes(b"half")
        make_old(world, temporary / name, age)
    (line,) = upkeep.collect_garbage(world.registry, world.operator())
    assert line.startswith("1 orphan tarballs, 1 left-over files")
    assert world.registry.blobs.exists(version["digest"])
    assert world.registry.blobs.exists(young)
    assert not world.registry.blobs.exists(old)
    assert [path.name for path in temporary.iterdir()] == ["young"]
    assert world.events(Event.GARBAGE_COLLECT)[-1]["details"]["blobs"] == 1


def test_putting_an_orphan_again_saves_it(world: World) -> None:
    digest = put(world, b"again", 2 * DAY)
    world.registry.blobs.put(digest, b"again")
    upkeep.collect_garbage(world.registry, world.operator())
    assert world.registry.blobs.exists(digest)


def test_the_bytes_of_an_unpublished_version_go_and_those_another_version_shares_stay(world: World) -> None:
    world.package("pkg", world.account(), "1.0.0", "2.0.0")
    digests = {row["version"]: row["digest"] for row in world.stored()["versions"]}
    with world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"2.0.0"}, {}, None)
    for digest in digests.values():
        make_old(world, blob_path(world, digest), 2 * DAY)
    upkeep.collect_garbage(world.registry, world.operator())
    assert not world.registry.blobs.exists(digests["1.0.0"])
    assert world.registry.blobs.exists(digests["2.0.0"])


def test_rows_that_have_run_out_go_and_no_others(world: World) -> None:
    alice = world.account(mode=Mode.AUTH_AND_WRITES)
    login = world.token(alice)
    world.publish(login, "pkg", "1.0.0", otp=world.code(alice))
    with pytest.raises(ProofRequired):  # a wrong code, and a step that is burned
        world.do(world.caller(login, otp=world.code(alice, 5)), Action.OWNERS, Target(package="pkg"))
    kept = (Continuation, Attempt, BurnedStep, AuditAddress, Authenticator)
    before = [len(world.rows(table)) for table in kept]
    assert all(before)
    upkeep.collect_garbage(world.registry, world.operator())
    assert [len(world.rows(table)) for table in kept[:3]] == before[:3]
    world.clock.advance(16 * STEP / 1_000_000)
    upkeep.collect_garbage(world.registry, world.operator())
    assert world.rows(Continuation) == []
    assert world.rows(BurnedStep) == []
    world.clock.advance(90 * DAY + 1)
    upkeep.collect_garbage(world.registry, world.operator())
    assert world.rows(Attempt) == []
    assert len(world.rows(AuditAddress)) == 1, "the address of the event that was just recorded"
    assert len(world.rows(Authenticator)) == 1
    assert world.registry.trail.verify().reason is None
