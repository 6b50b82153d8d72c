"""Registry signatures: the registry's own word that it published these bytes under this name.

ECDSA on P-256 with SHA-256 over `NAME@VERSION:INTEGRITY`, as npm checks it (`pacote/lib/registry.js`, npm-protocol.md
8.3): a version's key has no end, or one after the version's time. So a change of keys and a publish may not pass each
other unseen. A publish reads the key under a shared lock that it keeps until it commits; a change of keys takes the
lock alone, and ends the old key after the last moment that it signed for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from dataclasses import dataclass
from threading import Lock

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from sqlalchemy import Connection, func, insert, select, update

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.engine import Database
from twokey.db.schema import AuditEvent, Package, Version
from twokey.db.schema_signing import SigningKey, VersionSignature
from twokey.errors import IntegrityFault
from twokey.vault import Vault, key_id_of

KEY_TYPE = "ecdsa-sha2-nistp256"
MILLISECOND = 1000  # µs: npm reads the time of a version, and the end of a key, no finer
BATCH = 500
log = logging.getLogger("twokey")
LOCK, LOCK_OF_MISSING = "signing-key", "signing-missing"
_CURRENT = select(SigningKey.keyid, SigningKey.sealed_key).where(SigningKey.expires_at.is_(None))
_SIGNED = insert(VersionSignature)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as clients see it: `keyid` names it, `key` is the base64 DER, `expires_at` (µs) its end."""

    keyid: str
    key: str
    created_at: int
    expires_at: int | None


class Signer:
    """Signs versions with the registry's current key."""

    def __init__(self, database: Database, vault: Vault) -> None:
        """The keys are in the database, sealed by the vault."""
        self._database = database
        self._vault = vault
        self._lock = Lock()
        self._loaded: tuple[str, ec.EllipticCurvePrivateKey] | None = None  # a key is opened once, not per publish

    def sign(self, connection: Connection, version_id: int, name: str, version: str, digest: str) -> None:
        """Signs the version that this transaction writes. `digest`: its tarball's sha512, hex.

        Raises IntegrityFault where there is no key, or the vault cannot open it.
        """
        self._database.lock(connection, LOCK, shared=True)
        row = connection.execute(_CURRENT).one_or_none()
        if row is None:
            raise IntegrityFault("There is no key to sign versions with: twokey admin signing-key rotate makes one.")
        signature = self._key(row.keyid, row.sealed_key).sign(message(name, version, digest), ec.ECDSA(hashes.SHA256()))
        signed = {"version_id": version_id, "keyid": row.keyid, "signature": base64.b64encode(signature).decode()}
        connection.execute(_SIGNED, signed)

    def make_first(self, now: int) -> None:
        """Makes the first key, where there is none yet."""
        with self._database.write() as connection:
            self._database.lock(connection, LOCK)
            if connection.execute(select(SigningKey.id).limit(1)).one_or_none() is None:
                self._make(connection, now)

    def rotate(self, tx: Transaction) -> tuple[PublicKey, PublicKey | None]:
        """Makes a new key and ends the current one. Returns both, the new one first.

        The old key's end is now, or where a version that it signed has the same millisecond (or a later one, by a clock
        that went wrong) the millisecond after: npm asks for a version's time to be before the end.
        """
        # In the order of a publish, lock before trail; and the trail before the row, in that of `keys rotate`.
        self._database.lock(tx.connection, LOCK)
        self._database.lock(tx.connection, "audit")
        old = next((key for key in listing(tx.connection) if key.expires_at is None), None)
        if old is not None:
            last = tx.connection.execute(
                select(func.max(Version.published_at))
                .join(VersionSignature, VersionSignature.version_id == Version.id)
                .where(VersionSignature.keyid == old.keyid)
            ).scalar_one()
            ends = max(tx.now, -1 if last is None else (last // MILLISECOND + 1) * MILLISECOND)
            tx.connection.execute(update(SigningKey).where(SigningKey.keyid == old.keyid).values(expires_at=ends))
            old = PublicKey(old.keyid, old.key, old.created_at, ends)
        new = self._make(tx.connection, tx.now)
        details = {"before": None if old is None else old.keyid, "after": new.keyid}
        tx.record(Event.SIGNING_KEY_ROTATE, resource=f"signing-key:{new.keyid}", details=details)
        return new, old

    def sign_missing(self) -> int:
        """Signs versions that have no signature: those of a registry from before there were any. Returns how many.

        Only what the trail says was published with these very bytes: else it would be enough to remove a signature in
        the database to get one for other bytes. Each batch is a transaction of its own. A package's revision rises, as
        its documents change.
        """
        missing = (
            select(Version.id, Version.package_id, Package.name, Version.version, Version.digest)
            .join(Package, Package.id == Version.package_id)
            .where(Version.removed_at.is_(None))
            .where(~select(VersionSignature.version_id).where(VersionSignature.version_id == Version.id).exists())
            .order_by(Version.id)
            .limit(BATCH)
        )
        count = after = 0
        while True:
            with self._database.write() as connection:
                self._database.lock(connection, LOCK_OF_MISSING)
                rows = connection.execute(missing.where(Version.id > after)).all()
                known = [row for row in rows if _was_published(connection, row.name, row.version, row.digest)]
                for row in known:
                    self.sign(connection, row.id, row.name, row.version, row.digest)
                changed = {row.package_id for row in known}
                if changed:
                    revised = update(Package).where(Package.id.in_(changed)).values(revision=Package.revision + 1)
                    connection.execute(revised)
            if not rows:
                return count
            for row in set(rows) - set(known):
                log.warning("%s@%s is not signed: the trail has no publish of its bytes", row.name, row.version)
            count, after = count + len(known), rows[-1].id

    def _make(self, connection: Connection, now: int) -> PublicKey:
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        keyid = f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode()}"
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        key = base64.b64encode(public).decode()
        sealed = self._vault.seal(secret, seal_context(keyid))
        connection.execute(
            insert(SigningKey).values(
                keyid=keyid, public_key=key, sealed_key=sealed, key_id=key_id_of(sealed), created_at=now
            )
        )
        return PublicKey(keyid, key, now, None)

    def _key(self, keyid: str, sealed: bytes) -> ec.EllipticCurvePrivateKey:
        with self._lock:
            if self._loaded is None or self._loaded[0] != keyid:
                loaded = load_der_private_key(self._vault.open(sealed, seal_context(keyid)), None)
                assert isinstance(loaded, ec.EllipticCurvePrivateKey)
                self._loaded = keyid, loaded
            return self._loaded[1]


def message(name: str, version: str, digest: str) -> bytes:
    """What is signed for a version whose tarball has the sha512 `digest` (hex)."""
    integrity = base64.b64encode(bytes.fromhex(digest)).decode()
    return f"{name}@{version}:sha512-{integrity}".encode()


def _was_published(connection: Connection, name: str, version: str, digest: str) -> bool:
    query = select(AuditEvent.document).where(
        AuditEvent.event == Event.PACKAGE_PUBLISH.value, AuditEvent.resource == f"package:{name}@{version}"
    )
    return any(json.loads(text)["details"].get("sha512") == digest for text in connection.execute(query).scalars())


def seal_context(keyid: str) -> str:
    """What a sealed signing key is bound to."""
    return f"signing_keys|{keyid}|-|signing-key"


def listing(connection: Connection) -> list[PublicKey]:
    """Every key, the newest first. Those that have ended stay, for the versions that they signed."""
    query = select(SigningKey.keyid, SigningKey.public_key, SigningKey.created_at, SigningKey.expires_at)
    return [PublicKey(*row) for row in connection.execute(query.order_by(SigningKey.id.desc()))]
