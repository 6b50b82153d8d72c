"""A real SMTP server of a test's own, which can be taken down and brought back on the same port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.accounts import Account
from tests.support.ports import free_port
from tests.support.server import Server
from twokey.accounts import mail_links, users
from twokey.accounts.mail import Outbox
from twokey.db.engine import Database
from twokey.vault import Vault

USER, WORD = "twokey", "p@ss:word"
SILENCE = 3600.0  # longer than anyone waits


class PostOffice:
    """Takes mails, and keeps them."""

    def __init__(self, *, asks_for_login: bool = False) -> None:
        """On a free port of 127.0.0.1; `asks_for_login`: as `USER` with `WORD`, and nobody else."""
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusal: str | None = None  # what is said to every recipient, where it is set
        self.silent = False  # hears a recipient and says nothing
        self.waiting = False  # somebody waits for that
        self._login = asks_for_login
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        """Opens."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    @property
    def url(self) -> str:
        """As TWOKEY_SMTP takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listens, on the same port as before."""
        options: dict[str, Any] = {}
        if self._login:
            options = {"authenticator": _check, "auth_required": True, "auth_require_tls": False}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()

    def close(self) -> None:
        """Is down: a connection is refused."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def to(self, recipient: str) -> list[EmailMessage]:
        """The mails that came for an address, oldest first."""
        return [mail for mail, who in zip(self.mails, self.recipients, strict=True) if who == recipient]

    async def handle_RCPT(  # noqa: N802  (the names are the library's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Takes every recipient, or none."""
        if self.silent:
            self.waiting = True
            await asyncio.sleep(SILENCE)
        if self.refusal is not None:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keeps a mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        for recipient in envelope.rcpt_tos:
            self.mails.append(mail)
            self.recipients.append(recipient)
        return "250 kept"


@contextmanager
def _opened(server: Server) -> Iterator[tuple[Database, Outbox]]:
    """The database of a running server, and its outbox."""
    database = Database(f"sqlite:///{server.data}/twokey.db")
    try:
        yield database, Outbox(database, Vault(server.data / "vault.key", may_create=False), "", "")
    finally:
        database.dispose()


def waiting(account: Account) -> list[tuple[str, str]]:
    """Subject and text of the mails that a server without a mail server has for somebody, oldest first."""
    with _opened(account.server) as (_, outbox):
        mine = [each for each in outbox.listing(10_000) if each.recipient == account.email]
        return [(each.subject, outbox.show(each.id)[1]) for each in mine]


def path_in(text: str) -> str:
    """The path of the link in a mail."""
    (found,) = re.findall(r"^http://[^/\s]+(/\S+)$", text, re.M)
    return str(found)


def link(account: Account, purpose: str) -> str:
    """The secret of a link for the account that is good, whatever the limits of mails say."""
    now = round(account.server.now() * 1_000_000)
    with _opened(account.server) as (database, _), database.write() as connection:
        found = users.get(connection, account.name)
        email = found.email if purpose != mail_links.UNDO else f"before-{found.email}"
        return mail_links.make(connection, purpose, found.id, email, now)


def _check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, shown: Any) -> AuthResult:
    right = isinstance(shown, LoginPassword) and (shown.login, shown.password) == (USER.encode(), WORD.encode())
    return AuthResult(success=right, handled=right)  # where it is not, the server says so


def text_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(mail: EmailMessage) -> str:
    """Its HTML."""
    part = mail.get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
