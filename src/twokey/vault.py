"""Secrets at rest: AES-256-GCM bound to their row, under keys kept in a file outside the database.

A sealed secret is `key id (8 bytes) || nonce (12) || ciphertext and tag`; its additional data is
`context|key id`, where the context is `table|row|user|purpose`, so that a sealed secret moved to another row does not
open (security.md 2.7). The newest key seals; every key of the file opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import string
from pathlib import Path
from threading import Lock

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twokey.errors import ConfigurationError, IntegrityFault

KEY_ID_LENGTH = 8
NONCE_LENGTH = 12
TAG_LENGTH = 16
KEY_LENGTH = 32
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 43  # base62 characters of 256 bits


class _Key(msgspec.Struct, frozen=True):
    id: str
    key: str  # base64 of 32 bytes


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[_Key]  # oldest first


class Vault:
    """Seals and opens. Safe to use from many threads; notices when another process has rotated the keys."""

    def __init__(self, path: Path, *, may_create: bool = True) -> None:
        """Reads the key file at `path`, or makes it (0600) with one key where it `may_create`.

        Raises ConfigurationError where it cannot be read, made, or is open to others.
        """
        self._path = path
        self._lock = Lock()
        self._ciphers: dict[str, AESGCM] = {}
        self._newest = ""
        self._stamp: tuple[int, int] = (0, 0)
        try:
            if not path.exists():
                if not may_create:
                    raise ConfigurationError(
                        f"The vault key file {path} is missing, but the database holds secrets sealed under it: "
                        "restore it from its copy."
                    )
                _write_key_file(path, _KeyFile([_new_key()]))
            self._load()
        except OSError as error:
            raise ConfigurationError(f"The vault key file {path} cannot be used: {error.strerror}.") from error

    @property
    def newest_key_id(self) -> str:
        """The id of the key that seals now."""
        self._reload_if_changed()
        return self._newest

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys that can open."""
        self._reload_if_changed()
        return frozenset(self._ciphers)

    @property
    def ordered_key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, oldest first."""
        self._reload_if_changed()
        return tuple(self._ciphers)

    def seal(self, secret: bytes, context: str) -> bytes:
        """Seals `secret` for the row that `context` names ("table|row|user|purpose")."""
        self._reload_if_changed()
        with self._lock:
            key_id, cipher = self._newest, self._ciphers[self._newest]
        nonce = os.urandom(NONCE_LENGTH)
        return key_id.encode() + nonce + cipher.encrypt(nonce, secret, f"{context}|{key_id}".encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Opens what `seal` made for the same context.

        Raises IntegrityFault where the key is missing, the bytes were changed, or the row is another.
        """
        if len(sealed) < KEY_ID_LENGTH + NONCE_LENGTH + TAG_LENGTH:
            raise IntegrityFault("A sealed secret was cut off.")
        key_id = key_id_of(sealed)
        if key_id not in self._ciphers:
            self._reload_if_changed()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise IntegrityFault(f"A sealed secret names the vault key {key_id}, which is not in the key file.")
        nonce = sealed[KEY_ID_LENGTH : KEY_ID_LENGTH + NONCE_LENGTH]
        try:
            return cipher.decrypt(nonce, sealed[KEY_ID_LENGTH + NONCE_LENGTH :], f"{context}|{key_id}".encode())
        except InvalidTag as error:
            raise IntegrityFault("A sealed secret does not belong to the row that holds it.") from error

    def add_key(self) -> str:
        """Adds a key, which seals from now on. Returns its id."""
        key = _new_key()
        _write_key_file(self._path, _KeyFile([*_read_key_file(self._path).keys, key]))
        self._load()
        return key.id

    def drop_keys(self, ids: frozenset[str]) -> None:
        """Removes keys that no row names any more. The newest key stays whatever is asked."""
        keys = [key for key in _read_key_file(self._path).keys if key.id not in ids or key.id == self._newest]
        _write_key_file(self._path, _KeyFile(keys))
        self._load()

    def _reload_if_changed(self) -> None:
        try:
            changed = _stamp(self._path) != self._stamp
        except OSError as error:
            raise ConfigurationError(
                f"The vault key file {self._path} has gone while it is in use: restore it from its copy."
            ) from error
        if changed:
            self._load()

    def _load(self) -> None:
        with self._lock:
            stamp = _stamp(self._path)
            file = _read_key_file(self._path)
            self._ciphers = {key.id: AESGCM(base64.b64decode(key.key)) for key in file.keys}
            self._newest = file.keys[-1].id
            self._stamp = stamp


def key_id_of(sealed: bytes) -> str:
    """The id of the key that `sealed` was sealed under."""
    return sealed[:KEY_ID_LENGTH].decode("ascii", "replace")


def new_secret() -> str:
    """A fresh 256 bits in base62: fit for an address, and never a UUID, which npm masks in what it prints."""
    return "".join(secrets.choice(BASE62) for _ in range(SECRET_LENGTH))


def hashed(label: str, secret: str) -> bytes:
    """A random secret as it is kept; labelled with what it is of, so that it is no other hash of this registry."""
    return hashlib.sha256(f"twokey {label}|{secret}".encode("utf-8", "replace")).digest()


def keyed_hash(key: bytes, data: str) -> str:
    """HMAC-SHA-256 of `data`, hex: tells equal values apart from others without showing them."""
    return hmac.new(key, data.encode(), hashlib.sha256).hexdigest()


def _new_key() -> _Key:
    return _Key(secrets.token_hex(KEY_ID_LENGTH // 2), base64.b64encode(os.urandom(32)).decode())


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _read_key_file(path: Path) -> _KeyFile:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"The vault key file {path} is open to others: run chmod 600 {path}.")
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_KeyFile)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"The vault key file {path} is damaged: restore it from its copy.") from error
    for key in file.keys:
        try:
            sound = len(base64.b64decode(key.key, validate=True)) == KEY_LENGTH and len(key.id) == KEY_ID_LENGTH
        except ValueError:
            sound = False
        if not sound or not key.id.isascii():
            raise ConfigurationError(f"The vault key file {path} is damaged: restore it from its copy.")
    if len({key.id for key in file.keys}) < len(file.keys):
        raise ConfigurationError(f"The vault key file {path} is damaged: restore it from its copy.")
    if not file.keys:
        raise ConfigurationError(f"The vault key file {path} holds no key: restore it from its copy.")
    return file


def _write_key_file(path: Path, file: _KeyFile) -> None:
    """Replaces the file in one step: a crash leaves the old one or the new one, never half of either."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
