"""What may be asked, and THE rule table: who may carry an action and what proof it needs (security.md 2.4).

No row means no. A cell reads:

    -       refused, whatever is shown
    Y       allowed, with the role on the target
    P       the account's password in this request
    O       a fresh one-time proof; on the web a step-up counts
    O*      a one-time proof in this very request
    +p      besides, the account's password on the npm API (a web session is stepped up instead)
    mode    as the account's mode: nothing more, or O in auth-and-writes
    scope   within the token's packages, scopes and permission (+mode, +O: and that)
    S       a sign-in of at most ten minutes ago, or the account's password in this request
    own     the code of the enrolment that is being confirmed
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from twokey.authority.principal import CredentialKind, Mode
from twokey.authority.roles import MANAGERS, OrganisationRole


class Action(StrEnum):
    """Everything that anyone can ask for. The value is what the trail says."""

    PING = "registry:ping"
    SEARCH = "registry:search"
    READ_METRICS = "registry:metrics"
    AUDIT = "registry:audit"
    READ_PACKAGE = "package:read"
    WHOAMI = "account:whoami"
    READ_PROFILE = "account:read"
    READ_USER = "user:read"
    LIST_TOKENS = "token:list"
    SIGN_UP = "account:create"
    LOG_IN = "account:login"
    LOG_OUT = "token:logout"
    STAR = "package:star"
    PUBLISH = "package:publish"
    DIST_TAG = "package:dist-tag"
    DEPRECATE = "package:deprecate"
    UNPUBLISH = "package:unpublish"
    OWNERS = "package:owners"
    ACCESS = "package:access"
    READ_SETTINGS = "package:settings"
    READ_ORGANISATION = "organisation:read"
    CREATE_ORGANISATION = "organisation:create"
    ORGANISATION = "organisation:change"
    TEAMS = "organisation:teams"
    LEAVE_ORGANISATION = "organisation:leave"
    TRUST = "package:trust"
    CREATE_TOKEN = "token:create"
    REVOKE_TOKEN = "token:revoke"
    CHANGE_PROFILE = "account:profile"
    CHANGE_PASSWORD = "account:password"
    CHANGE_EMAIL = "account:email"
    SEND_VERIFICATION = "account:send-verification"
    REQUEST_RESET = "account:request-reset"
    RESET_PASSWORD = "account:reset-password"
    VERIFY_EMAIL = "account:verify-email"
    UNDO_EMAIL = "account:undo-email"
    BEGIN_ENROLMENT = "second-factor:begin"
    CONFIRM_ENROLMENT = "second-factor:confirm"
    CHANGE_SECOND_FACTOR = "second-factor:change"
    CONFIRM_FACTOR = "second-factor:confirm-another"
    APPROVE_LOGIN = "hand-off:login"
    APPROVE_PROOF = "hand-off:proof"
    DENY_HAND_OFF = "hand-off:deny"
    STAGE = "package:stage"
    DECIDE_STAGE = "package:decide-stage"
    OPERATE = "operator:operate"
    CLOSE_ACCOUNT = "account:close"
    KEEP_SECOND_FACTOR = "second-factor:keep"
    REPORT_SECRET = "token:report"
    ADMIN_READ = "admin:read"
    ADMIN_CHANGE = "admin:change"
    ADMIN_SECOND_FACTOR = "admin:second-factor"


class Column(StrEnum):
    """A column of the table: the credential, and for a person's own credential the account's mode."""

    ANONYMOUS = "anonymous"
    NO_2FA = "no-2fa"
    AUTH_ONLY = "auth-only"
    AUTH_AND_WRITES = "auth-and-writes"
    PUBLISH = "publish"
    AUTOMATION = "automation"
    GRANULAR = "granular"
    READ_ONLY = "read-only"
    WORKLOAD = "workload"
    OPERATOR = "operator"


class Code(Enum):
    """When a one-time proof is needed."""

    NEVER = 0
    BY_MODE = 1
    RECENT = 2
    IN_REQUEST = 3
    OWN = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table."""

    allowed: bool
    password: bool = False
    recent_sign_in: bool = False
    password_on_npm: bool = False
    code: Code = Code.NEVER
    scoped: bool = False


_TABLE = """
action               | anonymous | no-2fa | auth-only | auth-and-writes | publish | automation | granular   | read-only | workload | operator
registry:ping        | Y         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | Y        | -
registry:search      | Y         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | Y        | -
registry:metrics     | Y         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | Y        | -
registry:audit       | Y         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | Y        | -
package:read         | Y         | Y      | Y         | Y               | Y       | scope      | scope      | scope     | scope    | -
account:whoami       | -         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | -        | -
account:read         | -         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | -        | -
user:read            | -         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | -        | -
token:list           | -         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | -        | -
account:create       | Y         | -      | -         | -               | -       | -          | -          | -         | -        | Y
account:login        | P         | -      | P O*      | P O*            | -       | -          | -          | -         | -        | -
token:logout         | Y         | Y      | Y         | Y               | Y       | Y          | Y          | Y         | Y        | -
package:star         | -         | Y      | Y         | Y               | -       | -          | -          | -         | -        | -
package:publish      | -         | Y      | Y         | O               | mode    | scope      | scope mode | -         | scope    | -
package:dist-tag     | -         | Y      | Y         | O               | mode    | scope      | scope mode | -         | -        | -
package:deprecate    | -         | Y      | Y         | O               | mode    | scope      | scope mode | -         | -        | -
package:unpublish    | -         | Y      | Y         | O               | mode    | -          | scope O    | -         | -        | -
package:owners       | -         | Y      | Y         | O               | -       | -          | -          | -         | -        | -
package:access       | -         | Y      | Y         | O               | -       | -          | -          | -         | -        | -
package:settings     | -         | Y      | Y         | Y               | -       | -          | -          | -         | -        | -
organisation:read    | -         | Y      | Y         | Y               | Y       | Y          | scope      | Y         | -        | -
organisation:create  | -         | Y      | Y         | O               | -       | -          | -          | -         | -        | -
organisation:change  | -         | Y      | Y         | O               | -       | -          | scope O    | -         | -        | -
organisation:teams   | -         | Y      | Y         | O               | -       | -          | scope O    | -         | -        | -
organisation:leave   | -         | Y      | Y         | O               | -       | -          | -          | -         | -        | -
package:trust        | -         | P      | O         | O               | -       | -          | -          | -         | -        | -
token:create         | -         | P      | O +p      | O +p            | -       | -          | -          | -         | -        | -
token:revoke         | -         | Y      | O         | O               | -       | -          | -          | -         | -        | -
account:profile      | -         | Y      | O         | O               | -       | -          | -          | -         | -        | -
account:password     | -         | P      | O* +p     | O* +p           | -       | -          | -          | -         | -        | Y
account:email        | -         | Y      | O*        | O*              | -       | -          | -          | -         | -        | -
account:send-verification | -   | Y     | Y         | Y               | -       | -          | -          | -         | -        | -
account:request-reset | Y        | -      | -         | -               | -       | -          | -          | -         | -        | -
account:reset-password | Y       | -      | O*        | O*              | -       | -          | -          | -         | -        | -
account:verify-email | Y         | -      | -         | -               | -       | -          | -          | -         | -        | -
account:undo-email   | Y         | -      | -         | -               | -       | -          | -          | -         | -        | -
second-factor:begin  | -         | P      | -         | -               | -       | -          | -          | -         | -        | -
second-factor:confirm| -         | own    | -         | -               | -       | -          | -          | -         | -        | -
second-factor:change | -         | -      | O* +p     | O* +p           | -       | -          | -          | -         | -        | -
second-factor:confirm-another | - | -    | own       | own             | -       | -          | -          | -         | -        | -
hand-off:login       | -         | S      | O         | O               | -       | -          | -          | -         | -        | -
hand-off:proof       | -         | -      | O*        | O*              | -       | -          | -          | -         | -        | -
hand-off:deny        | -         | Y      | Y         | Y               | -       | -          | -          | -         | -        | -
package:stage        | -         | -      | Y         | Y               | Y       | scope      | scope      | -         | scope    | -
package:decide-stage | -         | -      | O         | O               | -       | -          | -          | -         | -        | -
operator:operate     | -         | -      | -         | -               | -       | -          | -          | -         | -        | Y
account:close        | -         | P      | O*        | O*              | -       | -          | -          | -         | -        | -
second-factor:keep   | -         | -      | Y         | Y               | -       | -          | -          | -         | -        | -
token:report         | Y         | -      | -         | -               | -       | -          | -          | -         | -        | -
admin:read           | -         | -      | O         | O               | -       | -          | -          | -         | -        | -
admin:change         | -         | -      | O         | O               | -       | -          | -          | -         | -        | -
admin:second-factor  | -         | -      | O*        | O*              | -       | -          | -          | -         | -        | -
"""


def _rule(cell: str) -> Rule:
    words = cell.split()
    codes = {"mode": Code.BY_MODE, "O": Code.RECENT, "O*": Code.IN_REQUEST, "own": Code.OWN}
    known = {"-", "Y", "P", "S", "+p", "scope", *codes}
    if not words or not known.issuperset(words):
        raise ValueError(f"The rule table holds a cell that means nothing: {cell!r}.")
    return Rule(
        allowed="-" not in words,
        password="P" in words or "S" in words,
        recent_sign_in="S" in words,
        password_on_npm="+p" in words,
        code=next((codes[word] for word in words if word in codes), Code.NEVER),
        scoped="scope" in words,
    )


def _read(table: str) -> dict[tuple[Action, Column], Rule]:
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in table.strip().splitlines())
    columns = [Column(name) for name in head[1:]]
    rules: dict[tuple[Action, Column], Rule] = {}
    for action, *cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            rules[Action(action), column] = _rule(cell)
    return rules


RULES = _read(_TABLE)
REFUSED = Rule(allowed=False)

# Writes for which npm sends one code several times (security.md 2.1, "Continuation"), by family.
CONTINUED = {
    Action.PUBLISH: "publish",
    Action.UNPUBLISH: "publish",
    Action.DEPRECATE: "publish",
    Action.DIST_TAG: "publish",
    Action.REVOKE_TOKEN: "revoke",
}

CHANGES_PACKAGE = frozenset({
    Action.PUBLISH, Action.DIST_TAG, Action.DEPRECATE, Action.UNPUBLISH, Action.OWNERS, Action.ACCESS, Action.TRUST,
    Action.STAGE, Action.DECIDE_STAGE,
})  # fmt: skip

# What changes nothing that is read of any other package, nor who may read it: its readers alone look again.
OF_ONE_PACKAGE = frozenset({Action.PUBLISH, Action.DIST_TAG, Action.DEPRECATE, Action.STAR})

# What takes the right to write to the package that it is aimed at: those, and to see its settings.
WRITES_TO_PACKAGE = CHANGES_PACKAGE | {Action.READ_SETTINGS}
# Of those, what takes the right to manage the package, not only to write to it.
MANAGES_PACKAGE = frozenset({Action.OWNERS, Action.ACCESS, Action.TRUST})
# What is done to an organisation, and which of its roles may.
MANAGES_ORGANISATION = {
    Action.ORGANISATION: (OrganisationRole.OWNER,),
    Action.TEAMS: MANAGERS,
    Action.LEAVE_ORGANISATION: tuple(OrganisationRole),
}

# What the holder of a mailed link may do, whoever that is: the door looks at the link.
BY_LINK = frozenset({Action.RESET_PASSWORD, Action.VERIFY_EMAIL, Action.UNDO_EMAIL})
# Rows of the administration pages: besides the cell they take an administrator.
ADMINISTRATION = frozenset({Action.ADMIN_READ, Action.ADMIN_CHANGE, Action.ADMIN_SECOND_FACTOR})
# What a person does on a page, there and about a client that waits: no token carries it, whoever holds it.
IN_BROWSER = ADMINISTRATION | {Action.APPROVE_LOGIN, Action.APPROVE_PROOF, Action.DENY_HAND_OFF}

READS = frozenset({
    Action.PING, Action.READ_METRICS, Action.SEARCH, Action.AUDIT, Action.READ_PACKAGE, Action.WHOAMI, Action.READ_PROFILE, Action.READ_USER,
    Action.LIST_TOKENS, Action.READ_ORGANISATION, Action.READ_SETTINGS,
})  # fmt: skip

_KIND_COLUMNS = {
    CredentialKind.ANONYMOUS: Column.ANONYMOUS,
    CredentialKind.PUBLISH: Column.PUBLISH,
    CredentialKind.AUTOMATION: Column.AUTOMATION,
    CredentialKind.READ_ONLY: Column.READ_ONLY,
    CredentialKind.WORKLOAD: Column.WORKLOAD,
    CredentialKind.OPERATOR: Column.OPERATOR,
}
_MODE_COLUMNS = {
    None: Column.NO_2FA,
    Mode.AUTH_ONLY: Column.AUTH_ONLY,
    Mode.AUTH_AND_WRITES: Column.AUTH_AND_WRITES,
}


def column(action: Action, kind: CredentialKind, mode: Mode | None, *, bypass_2fa: bool) -> Column:
    """The column that applies to a credential of this kind on an account in this mode.

    Logging in is done by nobody known, towards an account: its mode decides; so is a new password by mail. A granular token that bypasses 2FA is an
    automation token with limits.
    """
    if action in (Action.LOG_IN, Action.RESET_PASSWORD) and kind is CredentialKind.ANONYMOUS:
        return _MODE_COLUMNS[mode] if mode is not None else Column.ANONYMOUS
    if kind in (CredentialKind.LOGIN, CredentialKind.SESSION):
        return _MODE_COLUMNS[mode]
    if kind is CredentialKind.GRANULAR:
        return Column.AUTOMATION if bypass_2fa else Column.GRANULAR
    return _KIND_COLUMNS[kind]


def rule(action: Action, where: Column) -> Rule:
    """The rule for an action in a column; where the table has none, no."""
    return RULES.get((action, where), REFUSED)
