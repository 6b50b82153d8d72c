"""Signed checkpoints of the trail, in a file: a chain alone does not show that its end was cut off.

Hourly, and every thousand events, a line of JSON names the last event and its hash, signed with Ed25519. Whoever copies
the file elsewhere can tell later that the trail still holds all that it held then.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from twokey.audit.trail import Trail, Verdict, canonical
from twokey.clock import HOUR
from twokey.db.engine import Database
from twokey.db.schema import AuditEvent

EVENTS_BETWEEN = 1000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The trail at one moment: its last event, that event's hash, when (µs) it was signed."""

    seq: int
    hash: str
    at: int

    @property
    def statement(self) -> bytes:
        """What is signed."""
        return canonical({"seq": self.seq, "hash": self.hash, "at": self.at}).encode()


class Checkpoints:
    """Writes checkpoints and holds the trail against them."""

    def __init__(self, database: Database, trail: Trail, path: Path, key: bytes) -> None:
        """`path` is the file of checkpoints; `key` (32 bytes) the Ed25519 seed of this instance."""
        self._database = database
        self._trail = trail
        self._path = path
        self._key = Ed25519PrivateKey.from_private_bytes(key)

    @property
    def public_key(self) -> str:
        """The key that others check signatures with: 32 bytes in base64."""
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return base64.b64encode(raw).decode()

    def write_if_due(self, now: int) -> bool:
        """Writes a checkpoint where there are new events and the last one is an hour or a thousand events old."""
        with self._database.read() as connection:
            last = connection.execute(
                select(AuditEvent.seq, AuditEvent.hash).order_by(AuditEvent.seq.desc()).limit(1)
            ).one_or_none()
        if last is None:
            return False
        seq, digest = last
        before = self._last()
        if before is not None:
            due = seq - before.seq >= EVENTS_BETWEEN or now - before.at >= HOUR
            if seq <= before.seq or not due:
                return False
        self._append(Checkpoint(seq, digest, now))
        return True

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that was written; None where there is none yet."""
        return self._last()

    def verify(self) -> Verdict:
        """Recomputes the chain and holds it against every checkpoint."""
        verdict = self._trail.verify()
        if verdict.reason is not None:
            return verdict
        for number, (checkpoint, signature) in enumerate(self._read(), 1):
            try:
                self._key.public_key().verify(signature, checkpoint.statement)
            except InvalidSignature:
                return Verdict(verdict.events, None, f"the signature of checkpoint {number} is false")
            with self._database.read() as connection:
                digest = connection.execute(
                    select(AuditEvent.hash).where(AuditEvent.seq == checkpoint.seq)
                ).scalar_one_or_none()
            if digest is None:
                reason = f"events after {verdict.events} were cut off: a checkpoint names event {checkpoint.seq}"
                return Verdict(verdict.events, verdict.events + 1, reason)
            if digest != checkpoint.hash:
                return Verdict(verdict.events, checkpoint.seq, f"event {checkpoint.seq} is not what was signed")
        return verdict

    def _last(self) -> Checkpoint | None:
        last = None
        for checkpoint, _ in self._read():
            last = checkpoint
        return last

    def _read(self) -> Iterator[tuple[Checkpoint, bytes]]:
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            try:
                document = json.loads(line)
                signed = Checkpoint(document["seq"], document["hash"], document["at"])
                signature = base64.b64decode(document["signature"])
            except (ValueError, KeyError, TypeError):
                signed, signature = Checkpoint(0, "", 0), b""  # a damaged line is a false one
            yield signed, signature

    def _append(self, checkpoint: Checkpoint) -> None:
        signature = base64.b64encode(self._key.sign(checkpoint.statement)).decode()
        line = json.dumps({**json.loads(checkpoint.statement), "signature": signature, "key": self.public_key})
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as stream:
            stream.write(line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
