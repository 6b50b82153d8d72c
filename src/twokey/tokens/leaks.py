"""Tokens that somebody found and reports: whoever shows one proves that it leaked, so it is revoked at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import hour_minute
from twokey.db.schema import Token, User
from twokey.errors import Throttled
from twokey.throttle import Blocked, Bucket, Limit, Throttle
from twokey.tokens import secret, tokens

MOST_TOKENS = 100  # of one report


@dataclass(frozen=True, slots=True)
class Leaked:
    """A token of this registry that was reported. `revoked`: it was not good any more before."""

    text: str
    key: str
    user_id: int
    user_name: str
    name: str
    revoked: bool


def admit(throttle: Throttle, block: str, limit: int, at: int) -> None:
    """Counts a report from an address block, right or wrong. Raises Throttled after `limit` of them in an hour."""
    try:
        throttle.keep(throttle.reserve([Bucket(f"report:{block}", (Limit(limit, 3600),))], at))
    except Blocked as blocked:
        wait = max(1, -(-(blocked.until - at) // 1_000_000))
        sentence = f"Too many reports from this address: the next is taken at {hour_minute(blocked.until)}"
        raise Throttled(sentence, retry_after=wait, notice=sentence) from None


def find(connection: Connection, texts: Sequence[str]) -> dict[str, Leaked]:
    """Which of the texts are tokens that this registry made, good or not. Form and checksum are looked at first."""
    hashes = {secret.hashed(text): text for text in texts if secret.is_well_formed(text)}
    if not hashes:
        return {}
    rows = connection.execute(
        select(Token.secret_hash, Token.key, Token.user_id, User.name, Token.name, Token.revoked_at)
        .join(User, User.id == Token.user_id)
        .where(Token.secret_hash.in_(list(hashes)))
    )
    found = [Leaked(hashes[bytes(row[0])], row[1], row[2], row[3], row[4], row[5] is not None) for row in rows]
    return {each.text: each for each in found}


def revoke(tx: Transaction, leaked: Leaked, found_at: str | None) -> None:
    """Revokes a reported token and tells its owner. Raises NotFound where somebody was faster."""
    tokens.revoke(tx, leaked.user_id, leaked.key, account=leaked.user_name)
    tx.record(
        Event.TOKEN_LEAKED, account=leaked.user_name, resource=f"token:{leaked.key}",
        details={"name": leaked.name, "found_at": found_at},
    )  # fmt: skip
