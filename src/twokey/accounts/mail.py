"""The outbox: a mail is a row of the transaction that causes it, and leaves after the commit (`postman.py`).

Its letter is sealed: the links in it are secrets. A mail is claimed before it is sent, by a change of its row that
only one of several workers can make, and is due again later where it could not be sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from twokey.accounts import letters
from twokey.accounts.letters import Letter
from twokey.accounts.passwords import address_block
from twokey.clock import DAY, HOUR, MINUTE
from twokey.db.engine import Database
from twokey.db.schema_mail import Mail
from twokey.errors import NotFound
from twokey.throttle import Bucket, Limit, full_until, record
from twokey.vault import Vault, key_id_of

BACK_OFF = (MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR)  # after the first try, the second, ...
GIVE_UP = 3 * DAY
BATCHED = MINUTE  # of one kind and account at most one mail in that time
SENT_KEPT, UNSENT_KEPT = 7 * DAY, 30 * DAY
LONGEST_ERROR = 200
ACCOUNT_A_DAY, ADDRESS_IN_TEN_MINUTES = 5, 10  # mails that somebody asks for (security.md 2.2)


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail to be put into the outbox. `kind` is what is batched."""

    user_id: int | None
    recipient: str
    kind: str
    subject: str
    letter: Letter


@dataclass(frozen=True, slots=True)
class Claimed:
    """A mail that this worker is to send now."""

    id: str
    recipient: str
    subject: str
    letter: Letter


@dataclass(frozen=True, slots=True)
class Listed:
    """A mail as the operator sees it."""

    id: str
    recipient: str
    kind: str
    subject: str
    created_at: int
    due_at: int
    attempts: int
    sent_at: int | None
    failed_at: int | None
    last_error: str | None

    @property
    def state(self) -> str:
        """Sent, given up, or waiting."""
        if self.sent_at is not None:
            return "sent"
        return "given up" if self.failed_at is not None else "waiting"


_LISTED = (
    Mail.id, Mail.recipient, Mail.kind, Mail.subject, Mail.created_at, Mail.due_at, Mail.attempts, Mail.sent_at,
    Mail.failed_at, Mail.last_error,
)  # fmt: skip
_WAITING = Mail.sent_at.is_(None) & Mail.failed_at.is_(None)
_LATEST_LIKE = (
    select(Mail.id, Mail.sealed_body, Mail.due_at, Mail.attempts, Mail.sent_at)
    .where(
        Mail.user_id == bindparam("user_id"), Mail.kind == bindparam("kind"), Mail.recipient == bindparam("recipient"),
        Mail.created_at > bindparam("since"),
    )
    .order_by(Mail.created_at.desc(), Mail.due_at.desc())
    .limit(1)
)  # fmt: skip
_APPENDED = update(Mail).where(Mail.id == bindparam("appended"), Mail.attempts == 0, _WAITING)


class Outbox:
    """Mails that wait to be sent, and those that were sent a few days ago."""

    def __init__(self, database: Database, vault: Vault, issuer: str, base: str) -> None:
        """`issuer` is the registry's name, `base` its address, for subjects and links."""
        self._database = database
        self._vault = vault
        self._issuer = issuer
        self.base = base

    @property
    def signature(self) -> str:
        """The last line of every mail."""
        return f"{self._issuer} at {self.base}/"

    def put(self, connection: Connection, draft: Draft, at: int, *, due_at: int | None = None) -> None:
        """Puts a mail into the outbox, in the caller's transaction. An account without an address gets none."""
        if not draft.recipient:
            return
        mail_id = secrets.token_hex(8)
        sealed = self._vault.seal(letters.encoded(draft.letter), seal_context(mail_id))
        connection.execute(
            insert(Mail).values(
                id=mail_id, user_id=draft.user_id, recipient=draft.recipient, kind=draft.kind,
                subject=f"[{self._issuer}] {draft.subject}", sealed_body=sealed, key_id=key_id_of(sealed),
                created_at=at, due_at=due_at or at,
            )
        )  # fmt: skip

    def put_batched(self, connection: Connection, draft: Draft, at: int) -> None:
        """Puts a mail into the outbox, or what is new in it into one of its kind that waits.

        The first of a kind leaves at once, what follows within a minute waits for the end of it, in one mail. The
        caller holds off everyone else who could do the same for this account.
        """
        latest = connection.execute(
            _LATEST_LIKE,
            {
                "user_id": draft.user_id, "kind": draft.kind, "recipient": draft.recipient,
                "since": at - 2 * BATCHED,
            },
        ).one_or_none()  # fmt: skip
        if latest is None:
            self.put(connection, draft, at)
            return
        mail_id, sealed, due_at, attempts, sent_at = latest
        waits = sent_at is None and attempts == 0 and due_at + BATCHED > at
        if waits and self._append(connection, mail_id, sealed, draft.letter.items):
            return
        # What was tried is due at another time than it left at: the time of its leaving is not kept, its making is.
        left = sent_at if sent_at is not None else at if attempts else due_at
        self.put(connection, draft, at, due_at=max(at, left + BATCHED))

    def _append(self, connection: Connection, mail_id: str, sealed: bytes, items: tuple[str, ...]) -> bool:
        """Adds to a mail that nobody has claimed. False where somebody just has."""
        letter = letters.decoded(self._vault.open(sealed, seal_context(mail_id)))
        for item in items:
            letter = letter.with_item(item)
        fresh = self._vault.seal(letters.encoded(letter), seal_context(mail_id))
        values = {"appended": mail_id, "sealed_body": fresh, "key_id": key_id_of(fresh)}
        changed = connection.execute(_APPENDED, values)
        return changed.rowcount == 1

    # -- sending -------------------------------------------------------------------------------------------------

    def claim(self, at: int) -> Claimed | None:
        """The mail that is due longest, which nobody else gets before its next try; None where none is due."""
        while True:
            with self._database.read() as connection:
                due = connection.execute(
                    select(Mail.id, Mail.due_at, Mail.attempts)
                    .where(_WAITING, Mail.due_at <= at, Mail.created_at > at - GIVE_UP)
                    .order_by(Mail.due_at, Mail.id)
                    .limit(1)
                ).one_or_none()
            if due is None:
                return None
            mail_id, due_at, attempts = due
            again_at = at + BACK_OFF[min(attempts, len(BACK_OFF) - 1)]
            with self._database.write(quietly=True) as connection:
                taken = connection.execute(
                    update(Mail)
                    .where(Mail.id == mail_id, Mail.due_at == due_at, Mail.attempts == attempts, _WAITING)
                    .values(due_at=again_at, attempts=attempts + 1)
                    .returning(Mail.recipient, Mail.subject, Mail.sealed_body)
                ).one_or_none()
            if taken is not None:  # else another worker was faster, and there may be more
                recipient, subject, sealed = taken
                return Claimed(
                    mail_id, recipient, subject, letters.decoded(self._vault.open(sealed, seal_context(mail_id)))
                )

    def sent(self, mail_id: str, at: int) -> None:
        """Notes that the server took the mail."""
        with self._database.write(quietly=True) as connection:
            connection.execute(update(Mail).where(Mail.id == mail_id).values(sent_at=at, last_error=None))

    def failed(self, mail_id: str, at: int, error: str, *, for_good: bool) -> None:
        """Notes that it did not, and gives the mail up where it is refused for good or three days are over."""
        said = "".join(c if c.isprintable() else " " for c in error)[:LONGEST_ERROR]
        with self._database.write(quietly=True) as connection:
            connection.execute(update(Mail).where(Mail.id == mail_id).values(last_error=said))
            over = Mail.due_at > Mail.created_at + GIVE_UP
            connection.execute(
                update(Mail).where(Mail.id == mail_id, _WAITING if for_good else _WAITING & over).values(failed_at=at)
            )

    # -- the operator --------------------------------------------------------------------------------------------

    def listing(self, limit: int) -> list[Listed]:
        """The newest mails, oldest of them first."""
        query = select(*_LISTED).order_by(Mail.created_at.desc(), Mail.id).limit(limit)
        with self._database.read() as connection:
            return [_listed(row) for row in connection.execute(query)][::-1]

    def show(self, mail_id: str) -> tuple[Listed, str]:
        """A mail and its text. Raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(*_LISTED).where(Mail.id == mail_id)).one_or_none()
            sealed = connection.execute(select(Mail.sealed_body).where(Mail.id == mail_id)).scalar_one_or_none()
        if row is None or sealed is None:
            raise NotFound(f"There is no mail {mail_id!r}: twokey admin mail list names those that there are.")
        letter = letters.decoded(self._vault.open(sealed, seal_context(mail_id)))
        return _listed(row), letters.text_of(letter, self.signature)

    def allow(self, connection: Connection, user_id: int, address: str, at: int) -> bool:
        """Counts a mail that somebody at `address` asks for. False, and none counted, where there were too many."""
        buckets = [account_bucket(str(user_id)), address_bucket(address)]
        for bucket in buckets:
            self._database.lock(connection, bucket.key)
        if any(full_until(connection, bucket, at) for bucket in buckets):
            return False
        for bucket in buckets:
            record(connection, bucket.key, at)
        return True


def account_bucket(account: str) -> Bucket:
    """What counts the mails that are asked for an account: by its id, or by the name that nobody has."""
    return Bucket(f"mail-account:{account}", (Limit(ACCOUNT_A_DAY, 86400),))


def address_bucket(address: str) -> Bucket:
    """What counts the mails that are asked for from an address."""
    return Bucket(f"mail-address:{address_block(address)}", (Limit(ADDRESS_IN_TEN_MINUTES, 600),))


def forget(connection: Connection, now: int, *, sending: bool) -> int:
    """Deletes what was sent a week ago or made a month ago, and gives up what is too old to be sent. Returns how many.

    `sending`: there is a mail server; without one mails wait for the operator to read them.
    """
    if sending:
        connection.execute(
            update(Mail)
            .where(_WAITING, Mail.created_at < now - GIVE_UP)
            .values(failed_at=now, last_error=func.coalesce(Mail.last_error, "It was three days old."))
        )
    old = (Mail.sent_at < now - SENT_KEPT) | (Mail.created_at < now - UNSENT_KEPT)
    return connection.execute(delete(Mail).where(old)).rowcount


def _listed(row: Sequence[Any]) -> Listed:
    return Listed(*row)


def seal_context(mail_id: str) -> str:
    """What the sealed letter of a mail is bound to."""
    return f"mails|{mail_id}|-|letter"
