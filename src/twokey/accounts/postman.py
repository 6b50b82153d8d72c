"""Takes mails from the outbox to the mail server, one connection for each."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from twokey.accounts import letters
from twokey.accounts.mail import Claimed, Outbox
from twokey.clock import MICROSECONDS, Clock

REPLY_SECONDS = 15.0  # for one reply of the server
MAIL_SECONDS = 45.0  # for a whole mail: less than the first back-off, so that no mail is tried twice at once
log = logging.getLogger("twokey.mail")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The mail server. `tls`: from the first byte. `starttls`: before anything else is said, or not at all."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: bool
    starttls: bool


class Postman:
    """Sends what is due."""

    def __init__(self, outbox: Outbox, server: SmtpServer, sender: str, clock: Clock) -> None:
        """Sends from the address `sender` by `server`."""
        self._outbox = outbox
        self._server = server
        self._sender = sender
        self._clock = clock

    async def deliver(self) -> int:
        """Sends the mails that are due; a server that does not answer ends the round. Returns how many left."""
        count = 0
        while True:
            mail = await asyncio.to_thread(self._outbox.claim, self._clock.now())
            if mail is None:
                return count
            try:
                async with asyncio.timeout(MAIL_SECONDS):
                    await self._send(mail)
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:  # OSError: a TimeoutError is one, too
                for_good = _is_for_good(error)
                log.warning("mail %s was not sent: %s", mail.id, _said(error))
                await asyncio.to_thread(
                    self._outbox.failed, mail.id, self._clock.now(), _said(error), for_good=for_good
                )
                if not for_good:
                    return count
            else:
                # The server has it: an end of the process that comes now waits until that is noted.
                await asyncio.shield(asyncio.to_thread(self._outbox.sent, mail.id, self._clock.now()))
                count += 1

    async def _send(self, mail: Claimed) -> None:
        server = self._server
        await aiosmtplib.send(
            message_of(mail, self._sender, self._outbox.signature, self._clock.now()),
            sender=self._sender, recipients=[mail.recipient], hostname=server.host, port=server.port,
            username=server.username, password=server.password, use_tls=server.tls, start_tls=server.starttls,
            timeout=REPLY_SECONDS, local_hostname=self._sender.rpartition("@")[2],
        )  # fmt: skip


def message_of(mail: Claimed, sender: str, signature: str, at: int) -> EmailMessage:
    """The mail as it goes over the wire: plain text, and HTML of the same words beside it."""
    message = EmailMessage()
    message["From"] = _address(sender)
    message["To"] = _address(mail.recipient)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(at // MICROSECONDS, UTC))
    message["Message-ID"] = f"<{mail.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letters.text_of(mail.letter, signature))
    message.add_alternative(letters.html_of(mail.letter, mail.subject, signature), subtype="html")
    return message


def _address(text: str) -> Address:
    """The address as a header holds it: what stands before the @ is quoted where it has to be."""
    local, _, domain = text.rpartition("@")
    return Address(username=local, domain=domain)


def _is_for_good(error: Exception) -> bool:
    """Whether the server will never take this mail: it knows no such recipient, or does not want the text."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return all(each.code >= 500 for each in error.recipients)
    return isinstance(error, aiosmtplib.SMTPDataError) and error.code >= 500


def _said(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{each.code} {each.message}" for each in error.recipients)
    return " ".join(str(error).split()) or type(error).__name__
