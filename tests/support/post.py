"""A real SMTP server of a test's own, which can be taken down and brought back on the same port."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.ports import free_port

USER, WORD = "twokey", "p@ss:word"


class PostOffice:
    """Takes mails, and keeps them."""

    def __init__(self, *, asks_for_login: bool = False) -> None:
        """On a free port of 127.0.0.1; `asks_for_login`: as `USER` with `WORD`, and nobody else."""
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusal: str | None = None  # what is said to every recipient, where it is set
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


def _check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, shown: Any) -> AuthResult:
    right = isinstance(shown, LoginPassword) and (shown.login, shown.password) == (USER.encode(), WORD.encode())
    return AuthResult(success=right, handled=True)


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
