"""The columns of the matrix: who asks, what they show, and how a code reaches the client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Token(Enum):
    """What stands in the client's settings."""

    NONE = "no token"
    LOGIN = "login token"
    PUBLISH = "publish token"
    AUTOMATION = "automation token"
    READ_ONLY = "read-only token"
    GRANULAR = "granular token"
    BYPASS = "granular token that bypasses 2FA"


class Code(Enum):
    """Where a code comes from."""

    NONE = "no code"
    TOTP = "code of the app"
    RECOVERY = "recovery code"


@dataclass(frozen=True)
class Column:
    """One credential. `typed`: in a terminal, at the client's question; otherwise by its flag, without a terminal."""

    title: str
    token: Token = Token.LOGIN
    code: Code = Code.NONE
    typed: bool = False
    enrolled: bool = True


NO_2FA = Column("no 2FA", enrolled=False)
NO_CODE = Column("login token, no code")
WITH_FLAG = Column("login token, code by flag", code=Code.TOTP)
TYPED = Column("login token, code typed", code=Code.TOTP, typed=True)
RECOVERY_FLAG = Column("login token, recovery code by flag", code=Code.RECOVERY)
RECOVERY_TYPED = Column("login token, recovery code typed", code=Code.RECOVERY, typed=True)
AUTOMATION = Column("automation token", Token.AUTOMATION)
READ_ONLY_WITH_CODE = Column("read-only token, code by flag", Token.READ_ONLY, Code.TOTP)

WRITING = (
    NO_2FA,
    NO_CODE,
    WITH_FLAG,
    TYPED,
    RECOVERY_FLAG,
    RECOVERY_TYPED,
    Column("publish token, code by flag", Token.PUBLISH, Code.TOTP),
    AUTOMATION,
    READ_ONLY_WITH_CODE,
    Column("granular token, code by flag", Token.GRANULAR, Code.TOTP),
    Column("granular token that bypasses 2FA", Token.BYPASS),
)
# Publishing is what all this is for: it is seen with every kind of token, with and without a code.
PUBLISHING = (
    *WRITING,
    Column("publish token, no code", Token.PUBLISH),
    Column("granular token, no code", Token.GRANULAR),
)
READING = (
    Column("not logged in", Token.NONE),
    NO_CODE,
    AUTOMATION,
    Column("read-only token", Token.READ_ONLY),
    Column("granular token", Token.GRANULAR),
)
LOGGING_OUT = (
    *READING[1:],
    Column("publish token", Token.PUBLISH),
    Column("granular token that bypasses 2FA", Token.BYPASS),
)
SIGNING_IN = (
    Column("no 2FA", Token.NONE, enrolled=False),
    Column("2FA, no code", Token.NONE),
    Column("2FA, code by flag", Token.NONE, Code.TOTP),
    Column("2FA, code typed", Token.NONE, Code.TOTP, typed=True),
    Column("2FA, recovery code by flag", Token.NONE, Code.RECOVERY),
    Column("2FA, recovery code typed", Token.NONE, Code.RECOVERY, typed=True),
)
SIGNING_UP = (Column("a new name", Token.NONE, enrolled=False),)
