"""The operator's upkeep: rotate keys, check blobs, collect garbage."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.authority.permit import Permit
from twokey.db.schema import (
    Package,
    Version,
)
from twokey.registry import SEALED, Registry, Sealed, named_keys, tidy
from twokey.vault import Vault, key_id_of

BATCH = 100
GRACE_SECONDS = 86_400
CHUNK = 1024 * 1024


def rotate_keys(registry: Registry, permit: Permit) -> str:
    """Seals every secret under a new key, in small transactions; goes on where a run before was interrupted.

    Keys that no row names any more are dropped from the file, but for the one before the newest: a server that has not
    looked at the file since may just be sealing under it. Returns what was done, as a sentence.
    """
    vault, database = registry.vault, registry.database
    with database.read() as connection:
        resumed = bool(named_keys(connection) - {vault.newest_key_id})
    key_id = vault.newest_key_id if resumed else vault.add_key()
    count = 0
    for sealed in SEALED:
        while done := _batch(registry, permit, sealed, key_id):
            count += done
    with database.read() as connection:
        unused = set(vault.ordered_key_ids[:-2]) - named_keys(connection)
    vault.drop_keys(frozenset(unused))
    how = "The rotation that was interrupted is finished" if resumed else "A new key is in use"
    return f"{how}: {count} secrets were sealed again under the key {key_id}. Copy vault.key to where its copies are."


def _batch(registry: Registry, permit: Permit, sealed: Sealed, key_id: str) -> int:
    with registry.door.write(permit) as tx:
        # Who adds to a mail that waits holds the trail already: in the other order two would wait for each other.
        registry.database.lock(tx.connection, "audit")
        done = _reseal(tx, registry.vault, sealed, key_id)
        tx.record(Event.KEYS_ROTATE, resource=f"key:{key_id}", details={"sealed": done, "table": sealed.name})
    return done


def _reseal(tx: Transaction, vault: Vault, sealed: Sealed, key_id: str) -> int:
    """Seals a few rows again that are under another key. Returns how many; 0 when all are done."""
    query = select(*sealed.row, sealed.secret).where(sealed.key_id != key_id)
    # Their keys stay free for rows that only refer to them: whoever publishes refers to the key that signs.
    rows = tx.connection.execute(query.limit(BATCH).with_for_update(key_share=True)).all()
    for *row, secret in rows:
        context = sealed.context(*row)
        fresh = vault.seal(vault.open(secret, context), context)
        values = {sealed.secret: fresh, sealed.key_id: key_id_of(fresh)}
        tx.connection.execute(update(sealed.secret.class_).where(sealed.row[0] == row[0]).values(values))
    return len(rows)


@dataclass(frozen=True, slots=True)
class BlobReport:
    """What fsck found. `faults`: how many blobs are missing or broken."""

    lines: list[str]
    faults: int


def check_blobs(registry: Registry, permit: Permit) -> BlobReport:
    """Hashes every blob again and compares it with its name and with what the versions name."""
    versions = _named_blobs(registry)
    lines: list[str] = []
    seen: set[str] = set()
    orphans = 0
    for stored in registry.blobs.list():
        seen.add(stored.digest)
        if _hashed(registry, stored.digest) != stored.digest:
            owner = versions.get(stored.digest, "no version")
            lines.append(f"broken    {stored.digest[:16]}  {owner}: its bytes are not what was published")
        elif stored.digest not in versions:
            orphans += 1
            lines.append(f"orphan    {stored.digest[:16]}  {stored.size} bytes, named by no version: gc removes it")
    lines += [
        f"missing   {digest[:16]}  {owner}: its bytes are gone"
        for digest, owner in sorted(versions.items(), key=lambda item: item[1])
        if digest not in seen
    ]
    faults = sum(line.startswith(("broken", "missing")) for line in lines)
    lines += [
        f"leftover  {name}  of an upload that was cut off: gc removes it" for name, _ in registry.blobs.leftovers()
    ]
    if faults:
        with registry.door.write(permit) as tx:
            tx.record(Event.INTEGRITY_FAULT, resource="blobs", details={"faults": faults})
    lines.append(f"{len(versions)} tarballs named, {len(seen)} stored, {faults} missing or broken, {orphans} orphans.")
    return BlobReport(lines, faults)


def collect_garbage(registry: Registry, permit: Permit) -> list[str]:
    """Removes orphan blobs and left-over files older than 24 hours, and rows that have run out. Returns what it did."""
    named = _named_blobs(registry)
    candidates = [
        stored.digest
        for stored in registry.blobs.list()
        if stored.digest not in named and stored.age_seconds > GRACE_SECONDS
    ]
    removed = sum(_remove_orphan(registry, permit, digest) for digest in candidates)
    leftovers = [name for name, age in registry.blobs.leftovers() if age > GRACE_SECONDS]
    for name in leftovers:
        registry.blobs.delete_leftover(name)
    with registry.door.write(permit) as tx:
        rows = tidy(registry, tx.connection, tx.now)
        tx.record(
            Event.GARBAGE_COLLECT,
            resource="blobs",
            details={"blobs": removed, "leftovers": len(leftovers), "rows": rows},
        )
    return [
        f"{removed} orphan tarballs, {len(leftovers)} left-over files and {rows} rows that had run out were removed."
    ]


def _remove_orphan(registry: Registry, permit: Permit, digest: str) -> bool:
    """Removes one orphan, under the lock that a publish of the same bytes takes, after a last look."""
    with registry.door.write(permit) as tx:
        registry.database.lock(tx.connection, f"blob:{digest}")
        named = tx.connection.execute(
            select(Version.id).where(Version.digest == digest, Version.removed_at.is_(None)).limit(1)
        ).one_or_none()
        tx.record(Event.GARBAGE_COLLECT, resource=f"blob:{digest[:16]}", details={"removed": named is None})
        if named is None:
            registry.blobs.delete(digest)
    return named is None


def _named_blobs(registry: Registry) -> dict[str, str]:
    """The digest of every published version, with `name@version` for people."""
    query = (
        select(Version.digest, Package.name, Version.version)
        .join(Package, Package.id == Version.package_id)
        .where(Version.removed_at.is_(None))
    )
    with registry.database.read() as connection:
        return {digest: f"{name}@{version}" for digest, name, version in connection.execute(query)}


def _hashed(registry: Registry, digest: str) -> str:
    hasher = hashlib.sha512()
    with registry.blobs.open(digest) as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
