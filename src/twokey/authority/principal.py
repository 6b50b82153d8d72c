"""Who acts, what they showed, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class CredentialKind(StrEnum):
    """What the principal presented; it decides the column of the rule table."""

    ANONYMOUS = "anonymous"
    SESSION = "session"
    LOGIN = "login"
    PUBLISH = "publish"
    AUTOMATION = "automation"
    GRANULAR = "granular"
    READ_ONLY = "read-only"
    WORKLOAD = "workload"
    OPERATOR = "operator"


TOKEN_NAMES = {
    CredentialKind.LOGIN: "a login token",
    CredentialKind.PUBLISH: "a publish token",
    CredentialKind.AUTOMATION: "an automation token",
    CredentialKind.GRANULAR: "a granular token",
    CredentialKind.READ_ONLY: "a read-only token",
    CredentialKind.SESSION: "a web session",
    CredentialKind.WORKLOAD: "a CI identity",
    CredentialKind.OPERATOR: "the operator",
    CredentialKind.ANONYMOUS: "a request without a token",
}


class Mode(StrEnum):
    """How much an account's second factor guards."""

    AUTH_ONLY = "auth-only"
    AUTH_AND_WRITES = "auth-and-writes"


@dataclass(frozen=True, slots=True)
class TokenLimits:
    """What a token is limited to, below what its user may do.

    `permission` is None for a classic token, else npm's `read-only`, `read-write`, `read-write-stage-only` or
    `no-access`; `orgs_permission` is that of the organisations in `orgs`. `cidr` holds networks as text; empty
    means any address.
    """

    cidr: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    packages_all: bool = True
    permission: str | None = None
    bypass_2fa: bool = False
    orgs: tuple[str, ...] = ()
    orgs_permission: str | None = None

    def covers_organisation(self, organisation: str) -> bool:
        """Whether the organisation (without `@`) is within the token's; a classic token has no such limit."""
        if self.permission is None:
            return True
        return organisation in self.orgs and self.orgs_permission not in (None, "no-access")

    def covers(self, package: str, scope: str | None) -> bool:
        """Whether the package (full name; its scope without `@`) is within the token's packages and scopes."""
        if self.packages_all or package in self.packages:
            return True
        return scope is not None and f"@{scope}" in self.scopes

    @property
    def writes(self) -> bool:
        """Whether the permission allows changing a package."""
        return self.permission in (None, "read-write")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: an account through one credential, the operator, or nobody known."""

    kind: CredentialKind
    user_id: int | None = None
    user_name: str | None = None
    token_id: int | None = None
    token_key: str | None = None
    token_name: str | None = None
    token_expires_at: int | None = None
    limits: TokenLimits = TokenLimits()
    # Until when (µs) a token is what it was found to be, unless something is changed: its end, or the next use to note.
    known_until: int | None = field(default=None, compare=False)
    password_proved: bool = False  # Basic authentication has shown the password in this very request
    session_id: int | None = None
    session_key: str | None = None
    # Somebody whose password was right a moment ago, and who may still log in to that account with a second factor.
    login_of: str | None = None
    login_user_id: int | None = None
    login_session_id: int | None = None

    @property
    def credential(self) -> str:
        """A stable name of the credential, for the throttle's buckets."""
        if self.session_id is not None:
            return f"session:{self.session_id}"
        return f"token:{self.token_id}" if self.token_id is not None else self.kind.value


ANONYMOUS = Principal(CredentialKind.ANONYMOUS)


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """What a security key answered: the browser's `PublicKeyCredential`, as JSON, and where it was asked.

    `origin` is this registry's address as the browser called it (scheme, host, port); `browser` names the session, the
    login under way or the visitor that the challenge was made for.
    """

    document: str = field(repr=False)
    origin: str
    browser: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was shown beside the credential. Never printed: `repr` leaves secrets out."""

    password: str | None = field(default=None, repr=False)
    otp: str | None = field(default=None, repr=False)
    security_key: KeyAnswer | None = None
    link: str | None = field(default=None, repr=False)  # the secret of a mailed link


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's principal, evidence and circumstances.

    `received_at` (µs) is when the request's headers arrived: a code is judged against that moment.
    `address` is the client's, taken through trusted proxies only.
    """

    principal: Principal
    evidence: Evidence
    address: str
    user_agent: str
    request_id: str
    received_at: int
    wants_web_auth: bool = False
