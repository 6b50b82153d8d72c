"""What an account is told of by mail: THE table from event to notice (security.md 2.5).

Hung into the trail, so that a notice commits with its cause and none can be forgotten. Events are looked up by their
value. A change of address tells the old one by itself (`addresses.py`), with the link that undoes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from twokey.accounts import users
from twokey.accounts.letters import Letter
from twokey.accounts.mail import Draft, Outbox
from twokey.audit.trail import Happened
from twokey.authority.principal import CredentialKind
from twokey.clock import MICROSECONDS

FEW_CODES = 3
LONGEST_WORD = 214  # a package's name
LONGEST_AGENT = 100


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said of an event: `sentence` with its details in braces, and `on`, what was acted on.

    Notices of one `kind` share a mail where they come within a minute.
    """

    kind: str
    subject: str
    sentence: str


_FACTOR = "Two-factor authentication was changed"
_OWNERS = "The owners of a package were changed"
_CODES = "Somebody tries one-time passwords"
NOTICES = {
    "account:password:change": Notice("password", "The password was changed", "The password was changed."),
    "account:email:undo": Notice(
        "email", "The mail address is this one again", "The change of the mail address was undone from this mailbox."
    ),
    "account:login:new-device": Notice(
        "new-device", "Sign-in from a new device", "Somebody signed in with a browser that was not seen before."
    ),
    "account:second-factor:confirm": Notice(
        "second-factor", _FACTOR, "Two-factor authentication was turned on ({mode})."
    ),
    "account:second-factor:mode": Notice("second-factor", _FACTOR, "The mode was changed to {mode}."),
    "account:second-factor:disable": Notice("second-factor", _FACTOR, "Two-factor authentication was turned off."),
    "account:second-factor:reset": Notice(
        "second-factor", _FACTOR, "Two-factor authentication was taken away for you: turn it on again."
    ),
    "account:second-factor:ask-reset": Notice(
        "reset",
        "Your second factor is about to be taken away",
        "An administrator is about to take your second factor away: 24 hours after this, or once another administrator "
        "approves. If you did not ask for it, stop it on the security page of your settings.",
    ),
    "account:second-factor:cancel-reset": Notice(
        "reset", "Your second factor stays", "The reset of your second factor was stopped: it stays as it is."
    ),
    "account:account:disable": Notice(
        "account", "Your account is disabled", "The account was disabled: its tokens and sessions are refused."
    ),
    "account:account:enable": Notice("account", "Your account is open again", "The account was enabled again."),
    "account:authenticator:add": Notice("second-factor", _FACTOR, "An authenticator app was added."),
    "account:authenticator:remove": Notice("second-factor", _FACTOR, "The authenticator app “{name}” was removed."),
    "account:security-key:add": Notice("second-factor", _FACTOR, "The security key “{name}” was added."),
    "account:security-key:remove": Notice("second-factor", _FACTOR, "The security key “{name}” was removed."),
    "account:security-key:counter": Notice(
        "key-counter",
        "A security key may have been copied",
        "The security key “{name}” was refused: its counter went back, as that of a copy does. Remove it.",
    ),
    "account:recovery-codes:generate": Notice("second-factor", _FACTOR, "{count} new recovery codes were made."),
    "account:recovery-codes:use": Notice(
        "recovery-codes", "A recovery code was used", "A recovery code was used; {left} are left."
    ),
    "account:otp:replay": Notice(
        "replay", "A one-time password was sent twice", "A code that had been used was sent again, and refused."
    ),
    "account:otp:blocked": Notice("guessing", _CODES, "Too many wrong codes came: the next ones are not looked at."),
    "account:otp:suspend": Notice(
        "suspended",
        "Codes of your authenticator app are not taken any more",
        "So many wrong codes came that those of authenticator apps are suspended. A recovery code lifts that; "
        "revoke the token, or change the password, by which they came.",
    ),
    "token:token:create": Notice("token", "A token was made", "A token was made: {kind}, “{name}”."),
    "token:token:leaked": Notice(
        "leak", "A token of yours has leaked, and is revoked", "The token “{name}” was found in public and is revoked."
    ),
    "package:version:publish": Notice("publish", "A version was published", "{on} was published."),
    "package:version:unpublish": Notice("unpublish", "Versions were unpublished", "Versions of {on} were unpublished."),
    "package:package:unpublish": Notice("unpublish", "A package was unpublished", "{on} was unpublished as a whole."),
    "package:package:quarantine": Notice(
        "quarantine",
        "A package of yours is in quarantine",
        "{on} was put into quarantine, so nobody can install or change it. The reason: {reason}",
    ),
    "package:package:release": Notice(
        "quarantine", "A package of yours is out of quarantine", "{on} can be installed and changed again."
    ),
    "package:package:take-down": Notice(
        "take-down", "A package of yours was taken down", "{on} was taken down. The reason: {reason}"
    ),
    "package:package:transfer": Notice(
        "owners", _OWNERS, "An administrator gave {on} to {after}. The reason: {reason}"
    ),
    "package:access:change": Notice(
        "access", "Who may see a package has changed", "{on} is {after} now; it was {before}."
    ),
    "package:mfa:change": Notice(
        "access",
        "What a package asks of its publishers has changed",
        "The 2FA policy of {on} is {after}; it was {before}.",
    ),
    "organisation:member:set": Notice(
        "organisation", "Your role in an organisation", "The role in the organisation {on} is {after} now."
    ),
    "organisation:member:remove": Notice(
        "organisation",
        "You are in an organisation no longer",
        "The membership in the organisation {on} has ended, and with it what it gave.",
    ),
    "package:owners:change": Notice("owners", _OWNERS, "The owners of {on} are now {after}; they were {before}."),
}
_FEW = "Only {left} recovery codes are left: make new ones"
_NONE = "No recovery code is left: make new ones now"


class _Words(dict[str, str]):
    """What a sentence may name; what the event does not tell is left out."""

    def __missing__(self, name: str) -> str:
        return "…"


class Notices:
    """A listener of the trail that writes to whom it concerns."""

    def __init__(self, outbox: Outbox) -> None:
        """Puts what is to be said into `outbox`."""
        self._outbox = outbox

    def __call__(self, connection: Connection, happened: Happened) -> None:
        """Tells the account concerned of the event, where the table says so."""
        notice = NOTICES.get(happened.event)
        if notice is None:
            return
        words = _words(happened)
        item = f"{notice.sentence.format_map(words)} {_circumstances(happened)}"
        for name in _concerned(happened):
            account = users.find(connection, name)
            if account is None:
                continue
            letter = Letter(
                name=account.name,
                opening=f"This happened to the account {account.name}:",
                items=(item,),
                closing=_closing(self._outbox.base),
            )
            draft = Draft(account.id, account.email, notice.kind, _subject(notice, happened, words), letter)
            self._outbox.put_batched(connection, draft, happened.at)


def _concerned(happened: Happened) -> Sequence[str]:
    """The account that acted or was acted on; of a change of owners, those that came or went, too."""
    names = {happened.account} if happened.account else set()
    if happened.event == "package:owners:change":
        before, after = (set(_listed(happened, key)) for key in ("before", "after"))
        names |= before ^ after
    return sorted(names)


def _listed(happened: Happened, key: str) -> list[str]:
    value = happened.details.get(key)
    return [str(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else []


def _subject(notice: Notice, happened: Happened, words: _Words) -> str:
    left = happened.details.get("left")
    if notice.kind != "recovery-codes" or not isinstance(left, int) or left > FEW_CODES:
        return notice.subject
    return _FEW.format_map(words) if left else _NONE


def _words(happened: Happened) -> _Words:
    words = _Words(on=_plain(happened.resource.partition(":")[2]))
    for name, value in happened.details.items():
        words[name] = _plain(", ".join(_listed(happened, name)) if isinstance(value, list) else str(value))
    return words


def _circumstances(happened: Happened) -> str:
    when = f"{datetime.fromtimestamp(happened.at // MICROSECONDS, UTC):%Y-%m-%d %H:%M} UTC"
    if happened.caller.principal.kind is CredentialKind.OPERATOR:
        return f"({when}, by the operator of the registry)"
    actor = happened.caller.principal.user_name
    if actor is not None and happened.account is not None and actor != happened.account:
        return f"({when}, by {_plain(actor)})"  # not from where: that is theirs to know
    agent = _plain(happened.caller.user_agent)[:LONGEST_AGENT] or "a client that does not say its name"
    return f"({when}, from {_plain(happened.caller.address) or 'an unknown address'}, {agent})"


def _closing(base: str) -> tuple[str, ...]:
    return (
        "If this was you, there is nothing to do.",
        f"If it was not: go to {base}/ as you always do, not by a link in a mail. Under Settings, change your "
        "password, end your sessions and revoke your tokens. Then tell the operator of the registry.",
    )


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_WORD]
