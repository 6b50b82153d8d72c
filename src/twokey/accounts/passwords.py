"""Passwords: rules, hashing, and the throttle in front of every comparison (security.md 2.2 and 2.3)."""

from __future__ import annotations

import ipaddress
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from argon2.low_level import Type, hash_secret_raw
from sqlalchemy import select, update

from twokey.authority.principal import Caller
from twokey.clock import hour_minute
from twokey.db.engine import Database
from twokey.db.schema import Token, User
from twokey.errors import Busy, Invalid, Throttled
from twokey.throttle import Blocked, Bucket, Limit, Throttle

SHORTEST = 10
LONGEST = 256
WEAKEST_SCORE = 2
LONGEST_NAME = 64
NOBODY = "?"  # stands for every name that no account can have
ZXCVBN_LENGTH = 72  # it takes quadratic time; a longer password is strong by its first 72 characters or not at all
MEMORY_KIB, PASSES, LANES = 47104, 1, 1
QUEUE = 64

T = TypeVar("T")


class HashingGate:
    """At most one argon2 hash per core at once, and a bounded queue behind: 1,000 logins are not 45 GiB."""

    def __init__(self, at_once: int | None = None, queue: int = QUEUE) -> None:
        """`at_once` hashes run, `queue` callers wait, the next is told that the server is busy."""
        self._slots = BoundedSemaphore(at_once or os.cpu_count() or 1)
        self._room = BoundedSemaphore((at_once or os.cpu_count() or 1) + queue)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise Busy("Too many people are signing in at once: try again in a few seconds.")
        try:
            with self._slots:
                yield
        finally:
            self._room.release()

    def run(self, work: Callable[[], T]) -> T:
        """Runs `work` (one hash) in its turn. Raises Busy where the queue is full."""
        with self._turn():
            return work()

    def derive(self, secret: bytes, salt: bytes) -> bytes:
        """Raw argon2id (32 bytes) of `secret` under `salt`, with the parameters of passwords."""
        return self.run(
            lambda: hash_secret_raw(
                secret,
                salt,
                time_cost=PASSES,
                memory_cost=MEMORY_KIB,
                parallelism=LANES,
                hash_len=32,
                type=Type.ID,
            )
        )


@dataclass(frozen=True, slots=True)
class PasswordLimits:
    """Wrong passwords: per account and address, per address, per account from addresses that it does not know."""

    account_address: int = 10
    address: int = 100
    account: int = 100


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a password found; `user_id` only where it was right."""

    right: bool
    user_id: int | None


class Passwords:
    """Hashes and checks passwords."""

    def __init__(self, database: Database, throttle: Throttle, gate: HashingGate, limits: PasswordLimits) -> None:
        """`gate` bounds the hashing; `limits` the wrong guesses."""
        self._database = database
        self._throttle = throttle
        self._gate = gate
        self._limits = limits
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._decoy_lock = Lock()
        self._decoy = ""

    def hash(self, password: str, *, context: tuple[str, ...]) -> str:
        """The argon2id hash to store, after the rules. `context`: words that a guesser would try (name, mail, site).

        Raises Invalid for a password that breaks a rule, Busy where the hashing queue is full.
        """
        # The rules cost time too (zxcvbn), so they take the same turn.
        return self._gate.run(lambda: self._hasher.hash(check_rules(password, context=context)))

    def check(self, name: str, password: str, caller: Caller) -> Checked:
        """Whether `password` is the one of the account `name`, behind the throttle.

        An unknown account costs the same time as a wrong password. Raises Throttled, Busy.
        """
        name = name if name.isprintable() and len(name) <= LONGEST_NAME else NOBODY
        buckets = self._buckets(name, caller)
        try:
            reservation = self._throttle.reserve(buckets, caller.received_at)
        except Blocked as blocked:
            wait = max(1, -(-(blocked.until - caller.received_at) // 1_000_000))
            sentence = f"Too many wrong passwords; locked until {hour_minute(blocked.until)}"
            raise Throttled(sentence, retry_after=wait, notice=sentence) from None
        try:
            with self._database.read() as connection:
                row = connection.execute(select(User.id, User.password_hash).where(User.name == name)).one_or_none()
            user_id, stored = row if row else (None, self._decoy_hash())
            right = self._matches(stored, password) and user_id is not None
        except BaseException:
            self._throttle.release(reservation)  # nothing was compared
            raise
        if not right:
            self._throttle.keep(reservation)
            return Checked(False, None)
        self._throttle.release(reservation)
        if self._hasher.check_needs_rehash(stored):
            self._rehash(name, password, stored)
        return Checked(True, user_id)

    def _matches(self, stored: str, password: str) -> bool:
        if len(password) > LONGEST:
            return False
        normal = unicodedata.normalize("NFC", password)

        def compare() -> bool:
            try:
                return self._hasher.verify(stored, normal)
            except (VerifyMismatchError, InvalidHashError):
                return False

        return self._gate.run(compare)

    def _rehash(self, name: str, password: str, stored: str) -> None:
        """Stores the hash of a password that was just found right under the parameters of today."""
        fresh = self._gate.run(lambda: self._hasher.hash(unicodedata.normalize("NFC", password)))
        with self._database.write(quietly=True) as connection:
            connection.execute(
                update(User).where(User.name == name, User.password_hash == stored).values(password_hash=fresh)
            )

    def _decoy_hash(self) -> str:
        with self._decoy_lock:
            if not self._decoy:
                self._decoy = self._gate.run(lambda: self._hasher.hash(os.urandom(16).hex()))
            return self._decoy

    def _buckets(self, name: str, caller: Caller) -> list[Bucket]:
        five_minutes = 300
        block = address_block(caller.address)
        buckets = [
            Bucket(f"password:{name}:{block}", (Limit(self._limits.account_address, five_minutes),)),
            Bucket(f"password-address:{block}", (Limit(self._limits.address, five_minutes),)),
        ]
        # A stranger must not be able to lock the owner out: whoever holds a live token of the account, or comes from
        # an address where one is used, is not counted against the account as a whole.
        if caller.principal.user_name != name and not self._knows_address(name, caller):
            buckets.append(Bucket(f"password-account:{name}", (Limit(self._limits.account, 3600),)))
        return buckets

    def _knows_address(self, name: str, caller: Caller) -> bool:
        query = (
            select(Token.id)
            .join(User, User.id == Token.user_id)
            .where(
                User.name == name,
                Token.revoked_at.is_(None),
                Token.expires_at.is_(None) | (Token.expires_at > caller.received_at),
                (Token.last_used_address == caller.address) | (Token.created_address == caller.address),
            )
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(query).one_or_none() is not None


def check_rules(password: str, *, context: tuple[str, ...]) -> str:
    """The password in Unicode's normal form C, if it may be used.

    Raises Invalid with the rule that it breaks: 10 to 256 characters, and not easy to guess (zxcvbn score 2 or more
    with the account's own words known to the guesser).
    """
    normal = unicodedata.normalize("NFC", password)
    if len(normal) < SHORTEST:
        raise Invalid(f"The password is too short: use at least {SHORTEST} characters.")
    if len(normal) > LONGEST:
        raise Invalid(f"The password is too long: use at most {LONGEST} characters.")
    if any(0xD800 <= ord(character) <= 0xDFFF or character == "\0" for character in normal):
        raise Invalid("The password holds a character that cannot be stored.")
    from zxcvbn import zxcvbn  # its lists of words are large, and only a new password needs them

    words = [word for word in (*context, "npm", "twokey", "registry") if word]
    if zxcvbn(normal[:ZXCVBN_LENGTH], user_inputs=words)["score"] < WEAKEST_SCORE:
        raise Invalid("The password is too easy to guess: use a longer one, or a few unrelated words.")
    return normal


def address_block(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False).network_address) + "/64"
