"""Who calls: the Authorization header to a principal. The one place that looks at it (security.md 1, D1)."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence

from twokey.accounts import sessions, users
from twokey.accounts.passwords import Passwords, address_block
from twokey.accounts.sessions import Sessions
from twokey.audit.events import Event
from twokey.audit.trail import Trail
from twokey.authority.principal import ANONYMOUS, Caller, CredentialKind, Evidence, Principal
from twokey.db.engine import Database
from twokey.errors import AddressRefused, Invalid, PasswordRequired, Unauthenticated
from twokey.tokens import tokens
from twokey.tokens.tokens import TOUCH_INTERVAL, Found

LONGEST_HEADER = 4096


class Authenticator:
    """Turns the Authorization header of a request, or the cookie of a page, into a principal."""

    def __init__(self, database: Database, passwords: Passwords, sessions: Sessions, trail: Trail) -> None:
        """Looks tokens and sessions up in `database`, asks `passwords` for Basic authentication."""
        self._database = database
        self._sessions = sessions
        self._passwords = passwords
        self._trail = trail

    def principal(self, headers: Sequence[str], caller: Caller) -> Principal:
        """The principal of a request whose Authorization headers are `headers`; `caller` holds its circumstances.

        Raises Invalid (more than one header), Unauthenticated, AddressRefused, PasswordRequired, Throttled, Busy.
        """
        if not headers:
            return ANONYMOUS
        if len(headers) > 1:
            raise Invalid("The request carries more than one Authorization header: send one.")
        scheme, _, value = headers[0].strip().partition(" ")
        value = value.strip()
        if len(headers[0]) > LONGEST_HEADER:
            raise Unauthenticated("The Authorization header is too long to be one.")
        if scheme.lower() == "bearer":
            return self._bearer(value, caller)
        if scheme.lower() == "basic":
            return self._basic(value, caller)
        raise Unauthenticated("Only Bearer tokens and Basic authentication are understood: run npm login.")

    def session(self, secret: str | None, caller: Caller) -> Principal:
        """The principal of a page whose session cookie holds `secret`: a session, a login under way, or nobody."""
        if secret is None:
            return ANONYMOUS
        with self._database.read() as connection:
            found = sessions.find(connection, secret, caller.received_at)
        if found is None or found.user_disabled:
            return ANONYMOUS
        if found.pending:
            return Principal(
                CredentialKind.ANONYMOUS, login_of=found.user_name, login_user_id=found.user_id,
                login_session_id=found.id,
            )  # fmt: skip
        if found.touch_due:
            self._sessions.touch(found.id, caller.received_at, caller.address, caller.user_agent)
        return Principal(
            CredentialKind.SESSION, found.user_id, found.user_name, session_id=found.id, session_key=found.key
        )

    def _bearer(self, text: str, caller: Caller) -> Principal:
        if text.startswith("${"):
            raise Unauthenticated("The token is the text ${...}: the environment variable that it names is not set.")
        with self._database.read() as connection:
            found = tokens.find(connection, text, caller.received_at)
        if found is None:
            block = address_block(caller.address)
            self._trail.count_anonymous(Event.ACCESS_DENIED, caller, block, caller.received_at)
            raise Unauthenticated("This token is unknown, expired or revoked: run npm login, or make a new one.")
        if found.user_disabled:
            raise Unauthenticated("This account is closed: ask the operator of this registry.")
        listed = found.listed
        if not _allows(listed.limits.cidr, caller.address):
            self._record_refusal(found, caller)
            raise AddressRefused("This token may not be used from this address.")
        principal = Principal(
            kind=listed.kind,
            user_id=found.user_id,
            user_name=found.user_name,
            token_id=listed.id,
            token_key=listed.key,
            token_name=listed.name,
            token_expires_at=listed.expires_at,
            limits=listed.limits,
            known_until=_known_until(found, caller.received_at),
        )
        if found.touch_due:
            self._note_use(principal, caller, first=found.first_use)
        return principal

    def _record_refusal(self, found: Found, caller: Caller) -> None:
        principal = Principal(
            found.listed.kind, found.user_id, found.user_name, found.listed.id, found.listed.key, found.listed.name
        )
        with self._database.write(quietly=True) as connection:
            self._trail.append(
                connection, Event.ACCESS_DENIED, _with(caller, principal), at=caller.received_at,
                account=found.user_name, resource=f"token:{found.listed.key}", outcome="refused", reason="address",
            )  # fmt: skip

    def _note_use(self, principal: Principal, caller: Caller, *, first: bool) -> None:
        assert principal.token_id is not None
        with self._database.write(quietly=True) as connection:
            tokens.touch(connection, principal.token_id, caller.received_at, caller.address, caller.user_agent)
            if first:
                self._trail.append(
                    connection, Event.TOKEN_FIRST_USE, _with(caller, principal), at=caller.received_at,
                    account=principal.user_name, resource=f"token:{principal.token_key}",
                )  # fmt: skip

    def _basic(self, text: str, caller: Caller) -> Principal:
        try:
            name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError as error:
            raise Unauthenticated("The Basic credentials cannot be read: run npm login.") from error
        if not colon or not name:
            raise Unauthenticated("The Basic credentials hold no password: run npm login.")
        checked = self._passwords.check(name, password, caller)
        if not checked.right or checked.user_id is None:
            self._trail.count_anonymous(Event.LOGIN_FAILED, caller, address_block(caller.address), caller.received_at)
            raise PasswordRequired("Unknown user or wrong password.")
        with self._database.read() as connection:
            account = users.by_id(connection, checked.user_id)
        if account.disabled:
            raise Unauthenticated("This account is closed: ask the operator of this registry.")
        if account.mode is not None:
            raise Unauthenticated(
                "This account has two-factor authentication on: run npm login, which asks for a code."
            )
        return Principal(CredentialKind.LOGIN, account.id, account.name, password_proved=True)


def _known_until(found: Found, at: int) -> int:
    """Until when a token that was found at `at` (µs) need not be looked up again: its end, or its next use to note."""
    last = None if found.touch_due else found.listed.last_used_at
    next_use = (at if last is None else last) + TOUCH_INTERVAL
    return next_use if found.listed.expires_at is None else min(next_use, found.listed.expires_at)


def _allows(networks: Sequence[str], address: str) -> bool:
    if not networks:
        return True
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return any(client in ipaddress.ip_network(network) for network in networks)


def _with(caller: Caller, principal: Principal) -> Caller:
    return Caller(principal, Evidence(), caller.address, caller.user_agent, caller.request_id, caller.received_at)
