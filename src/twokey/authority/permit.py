"""A permit: the door's yes to one principal, for one action, on one target. Only `guard/door.py` makes one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twokey.authority.actions import Action
from twokey.authority.principal import Caller


@dataclass(frozen=True, slots=True)
class Target:
    """What an action is aimed at: an account, a package, a token, or nothing more than the registry.

    `package` is the full name, `scope` its scope without the `@`, `organisation` a name without `@`.
    `tag` and `version` only tell the trail more;
    `invitation` is the id of the one that a sign-up came with.
    """

    account: str | None = None
    package: str | None = None
    scope: str | None = None
    version: str | None = None
    tag: str | None = None
    token: str | None = None
    invitation: int | None = None
    organisation: str | None = None
    team: str | None = None

    def __str__(self) -> str:
        """The target as the trail names it."""
        if self.package is not None:
            return f"package:{self.package}" + (f"@{self.version}" if self.version else "")
        if self.organisation is not None:
            return f"team:{self.organisation}:{self.team}" if self.team else f"organisation:{self.organisation}"
        if self.token is not None:
            return f"token:{self.token}"
        return f"user:{self.account}" if self.account is not None else "registry"


class ProofKind(StrEnum):
    """How the second factor was shown."""

    TOTP = "totp"
    RECOVERY = "recovery"
    CONTINUATION = "continuation"
    ENROLMENT = "enrolment"
    SECURITY_KEY = "security-key"
    REGISTRATION = "registration"
    APPROVAL = "approval"  # a one-time password that a page gave to a waiting client


@dataclass(frozen=True, slots=True)
class NewKey:
    """A security key that has just signed its registration."""

    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool
    mode_wanted: str


@dataclass(frozen=True, slots=True)
class JudgedProof:
    """A code that was right when its request arrived; nothing is used up until the write consumes it.

    `source` is the id of the authenticator, recovery code, security key or approval; `step` the TOTP time step, or the
    signature counter of a security key (0 for all else). `challenge` is what a security key signed.
    """

    kind: ProofKind
    user_id: int
    source: str
    step: int = 0
    challenge: bytes = b""
    stands_alone: bool = False  # a passkey that stands for the password, too
    new_key: NewKey | None = None
    words: str = "2FA code"  # what it was, as package pages and the trail say it

    @property
    def reference(self) -> str:
        """How a continuation names the code it continues: never the code itself."""
        return f"totp:{self.source}:{self.step}" if self.kind is ProofKind.TOTP else f"{self.kind.value}:{self.source}"


@dataclass(frozen=True, slots=True)
class Permit:
    """The door's yes. Writing needs one, and a write may do only what its permit says.

    `creates`: it takes a name: of an account, of an organisation, or of a package that was not there when asked.
    """

    caller: Caller
    action: Action
    target: Target
    user_id: int | None
    proof: JudgedProof | None
    password_proved: bool
    creates: bool = False
    removes_last_factor: bool = False

    @property
    def actor(self) -> int:
        """The id of the account that acts. For actions that the rule table gives to accounts only."""
        assert self.user_id is not None
        return self.user_id

    @property
    def proved_with(self) -> str:
        """What proved the action, as package pages and the trail say it."""
        if self.proof is not None:
            return self.proof.words
        principal = self.caller.principal
        if self.caller.evidence.link is not None:
            return "mailed link"
        if self.password_proved:
            return "password"
        return f"{principal.kind.value} token {principal.token_name}" if principal.token_id else principal.kind.value
