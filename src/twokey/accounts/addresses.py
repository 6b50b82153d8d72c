"""Mail addresses: changed, proven by a link, and put back by whoever reads the old one (security.md 2.5)."""

from __future__ import annotations

from sqlalchemy import select, update

from twokey.accounts import mail_links, sessions, users
from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.accounts.mail_links import Found
from twokey.accounts.users import Account
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema import Owner, Package, User, Version
from twokey.errors import Throttled

NOT_ASKED = "If you do not know of this, ignore this mail: nothing happens unless you press the button."
TOO_MANY = "Enough confirmation mails were sent for now: look into your mailbox, also among spam, or wait a day."


def change(tx: Transaction, user_id: int, email: str, outbox: Outbox) -> None:
    """Sets the mail address, unproven until the link that goes there is used. The old one is told and can undo it."""
    old = users.by_id(tx.connection, user_id)
    mail_links.end(tx.connection, user_id, mail_links.VERIFY, mail_links.RESET, mail_links.NEW_PASSWORD)
    _set(tx, user_id, email, None)
    _tell_old(tx, old, outbox)
    if outbox.allow(tx.connection, user_id, tx.permit.caller.address, tx.now):
        put_verification(tx, user_id, outbox)
    tx.record(Event.EMAIL_CHANGE)


def send_verification(tx: Transaction, user_id: int, outbox: Outbox) -> None:
    """Sends another link that proves the address. Raises Throttled."""
    if not outbox.allow(tx.connection, user_id, tx.permit.caller.address, tx.now):
        raise Throttled(TOO_MANY, retry_after=3600)
    put_verification(tx, user_id, outbox)
    tx.record(Event.EMAIL_VERIFICATION)


def put_verification(tx: Transaction, user_id: int, outbox: Outbox) -> None:
    """Mails a link that proves the account's address."""
    account = users.by_id(tx.connection, user_id)
    secret = mail_links.make(tx.connection, mail_links.VERIFY, user_id, account.email, tx.now)
    letter = Letter(
        name=account.name,
        opening=f"Is this the mail address of the account {account.name}? Open this link and press the button there.",
        link=f"{outbox.base}/verify/{secret}",
        button="Confirm this address",
        closing=("The link is good for three days.", NOT_ASKED),
    )
    outbox.put(tx.connection, Draft(user_id, account.email, "verify", "Confirm your mail address", letter), tx.now)


def verify(tx: Transaction, found: Found) -> None:
    """The address is proven: its reader used the link. Raises Refused where it is the account's no more."""
    mail_links.use(tx, found)
    tx.connection.execute(update(User).where(User.id == found.user_id).values(email_verified_at=tx.now))
    tx.record(Event.EMAIL_VERIFY, account=found.user_name, resource=f"user:{found.user_name}")


def undo(tx: Transaction, found: Found) -> None:
    """Puts the address back that the link was mailed to, and ends what the one who changed it may still hold.

    Links of later changes end with it, or the next address could undo the undoing.
    """
    mail_links.use(tx, found)
    later = (mail_links.UNDO, mail_links.VERIFY, mail_links.RESET, mail_links.NEW_PASSWORD)
    mail_links.end(tx.connection, found.user_id, *later, after=found.id)
    _set(tx, found.user_id, found.email, tx.now)
    users.end_continuations(tx, found.user_id)
    sessions.end_others(tx, found.user_id)
    tx.record(Event.EMAIL_UNDO, account=found.user_name, resource=f"user:{found.user_name}")


def _tell_old(tx: Transaction, old: Account, outbox: Outbox) -> None:
    if not old.email:
        return
    secret = mail_links.make(tx.connection, mail_links.UNDO, old.id, old.email, tx.now)
    letter = Letter(
        name=old.name,
        opening=f"The mail address of the account {old.name} was changed: what we have to say goes to another from "
        "now on. If this was you, there is nothing to do. If not, open this link and press the button there.",
        link=f"{outbox.base}/undo/{secret}",
        button="Undo the change",
        closing=("The link is good for 72 hours.",),
    )
    outbox.put(tx.connection, Draft(old.id, old.email, "email-change", "Your mail address was changed", letter), tx.now)


def _set(tx: Transaction, user_id: int, email: str, verified_at: int | None) -> None:
    tx.connection.execute(
        update(User).where(User.id == user_id).values(email=email, email_verified_at=verified_at, updated_at=tx.now)
    )
    # Owners and publishers stand in the documents of their packages.
    concerned = select(Owner.package_id).where(Owner.user_id == user_id)
    published = select(Version.package_id).where(Version.publisher_id == user_id)
    tx.connection.execute(
        update(Package).where(Package.id.in_(concerned.union(published))).values(revision=Package.revision + 1)
    )
