"""A forgotten password: a link by mail, then the second factor where there is one, then the new password.

The second factor is neither skipped nor removed (security.md 2.5). It uses the mailed link up, and the page goes on
with a link of its own for ten minutes: whoever else reads the mailbox cannot step in between.
"""

from __future__ import annotations

from twokey.accounts import mail_links, users
from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.accounts.mail_links import Found
from twokey.accounts.users import Account
from twokey.audit.events import Event
from twokey.audit.transaction import Transaction


def request(tx: Transaction, account: Account, outbox: Outbox) -> None:
    """Mails a link to a new password; earlier ones end."""
    mail_links.end(tx.connection, account.id, mail_links.RESET)
    secret = mail_links.make(tx.connection, mail_links.RESET, account.id, account.email, tx.now)
    second = " It asks for your second factor first: two-factor authentication stays on." if account.mode else ""
    letter = Letter(
        name=account.name,
        opening=f"Somebody, most likely you, asked for a new password for the account {account.name}. "
        f"This link leads to it.{second}",
        link=f"{outbox.base}/reset/{secret}",
        button="Choose a new password",
        closing=(
            "The link is good for an hour, and once.",
            "If it was not you, ignore this mail: your password stays as it is. We never ask for the old one.",
        ),
    )
    outbox.put(tx.connection, Draft(account.id, account.email, "reset", "A new password", letter), tx.now)
    tx.record(Event.PASSWORD_RESET_REQUEST, account=account.name, resource=f"user:{account.name}")


def proved(tx: Transaction, found: Found) -> str:
    """The second factor was shown: the mailed link is used up. Returns the secret of the one that goes on."""
    mail_links.use(tx, found)
    tx.record(Event.PASSWORD_RESET_PROOF, account=found.user_name, resource=f"user:{found.user_name}")
    return mail_links.make(tx.connection, mail_links.NEW_PASSWORD, found.user_id, found.email, tx.now)


def finish(tx: Transaction, found: Found, password_hash: str) -> None:
    """Sets the new password. The second factor stays; sessions and continuations end."""
    mail_links.use(tx, found)
    users.change_password(tx, found.user_id, found.user_name, password_hash)
    tx.record(Event.PASSWORD_RESET, account=found.user_name, resource=f"user:{found.user_name}")
