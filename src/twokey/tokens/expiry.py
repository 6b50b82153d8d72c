"""Says by mail that a token is about to end: 14, 7 and 1 days before, once each (security.md 2.3)."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, select, update

from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.clock import DAY, MICROSECONDS
from twokey.db.schema import Token, User

WARNINGS = (1, 7, 14)  # days before the end


def warn(connection: Connection, outbox: Outbox, now: int) -> int:
    """Puts the warnings that are due at `now` (µs) into the outbox. Returns how many.

    No warning for a token that was made for no longer than that, nor for one that has a successor already.
    """
    query = (
        select(
            Token.id, Token.name, Token.kind, Token.created_at, Token.expires_at, Token.notified_days, User.id,
            User.name, User.email,
        )
        .join(User, User.id == Token.user_id)
        .where(
            Token.revoked_at.is_(None), Token.rotated_at.is_(None), Token.expires_at > now,
            Token.expires_at <= now + WARNINGS[-1] * DAY, User.disabled_at.is_(None),
        )
        .order_by(Token.expires_at)
    )  # fmt: skip
    count = 0
    for row in connection.execute(query).all():
        token_id, token_name, kind, created_at, expires_at, told, user_id, user_name, email = row
        assert expires_at is not None
        days = next(each for each in WARNINGS if expires_at <= now + each * DAY)
        if (told is not None and told <= days) or expires_at - created_at <= days * DAY:
            continue
        # Another worker may be at it, too: whoever changes the row writes.
        mine = connection.execute(
            update(Token)
            .where(Token.id == token_id, Token.notified_days.is_(None) | (Token.notified_days > days))
            .values(notified_days=days)
        ).rowcount
        if mine:
            letter = _letter(user_name, token_name, kind, expires_at, outbox)
            subject = f"A token ends in {days} {'day' if days == 1 else 'days'}"
            outbox.put_batched(connection, Draft(user_id, email, f"token-end-{days}", subject, letter), now)
            count += 1
    return count


def _letter(user_name: str, token_name: str, kind: str, expires_at: int, outbox: Outbox) -> Letter:
    end = f"{datetime.fromtimestamp(expires_at // MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"
    return Letter(
        name=user_name,
        opening="From the time that is named here on, what uses this token is refused:",
        items=(f"the {kind} token “{token_name}” ends at {end}",),
        closing=(
            f"If it is still needed: go to {outbox.base}/ and, under Settings, Access tokens, press “Rotate”. The new "
            "token is the same but for its secret, and the old one stays good for the overlap that you choose.",
            "If it is not needed any more, there is nothing to do.",
        ),
    )
