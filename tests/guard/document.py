"""The rule table, copied cell by cell from the threat model (its section 2.4), and what it does not hold beside it.

Nothing here is taken from `authority/actions.py`: were both wrong in the same way, the tests would not see it.
"""

from __future__ import annotations

from dataclasses import dataclass

from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode
from twokey.authority.roles import OrganisationRole, PackageRole
from twokey.guard.facts import OrganisationFacts, PackageFacts

# off an account without 2FA · Y allowed · O a fresh one-time proof (a step-up counts, but not where marked *) ·
# P the password in that request · - refused, whatever is shown · mode as the account's mode ·
# scope within the token's limits
DOCUMENT = """
action              | anonymous| off| auth-only| auth-and-writes| publish| automation| granular  | read-only| workload
PING SEARCH         | Y        | Y  | Y        | Y              | Y      | scope     | scope     | scope    | scope
READ_PACKAGE        | Y        | Y  | Y        | Y              | Y      | scope     | scope     | scope    | scope
WHOAMI READ_PROFILE | -        | Y  | Y        | Y              | Y      | Y         | Y         | Y        | -
LIST_TOKENS         | -        | Y  | Y        | Y              | Y      | Y         | Y         | Y        | -
SIGN_UP             | setting  | -  | -        | -              | -      | -         | -         | -        | -
LOG_IN              | P        | -  | P O      | P O            | -      | -         | -         | -        | -
STAR                | -        | Y  | Y        | Y              | -      | -         | -         | -        | -
PUBLISH             | -        | Y  | Y        | O              | mode   | scope     | scope mode| -        | scope
DIST_TAG DEPRECATE  | -        | Y  | Y        | O              | mode   | scope     | scope mode| -        | -
UNPUBLISH           | -        | Y  | Y        | O              | mode   | -         | scope O   | -        | -
OWNERS ACCESS       | -        | Y  | Y        | O              | -      | -         | -         | -        | -
ORGANISATION TEAMS  | -        | Y  | Y        | O              | -      | -         | scope O   | -        | -
TRUST               | -        | P  | O        | O              | -      | -         | -         | -        | -
CREATE_TOKEN        | -        | P  | O        | O              | -      | -         | -         | -        | -
REVOKE_TOKEN        | -        | Y  | O        | O              | -      | -         | -         | -        | -
LOG_OUT             | -        | Y  | Y        | Y              | Y      | Y         | Y         | Y        | Y
CHANGE_PROFILE      | -        | Y  | O        | O              | -      | -         | -         | -        | -
CHANGE_PASSWORD     | -        | P  | O*       | O*             | -      | -         | -         | -        | -
CHANGE_EMAIL        | -        | Y  | O*       | O*             | -      | -         | -         | -        | -
BEGIN_ENROLMENT     | -        | P  | -        | -              | -      | -         | -         | -        | -
CONFIRM_ENROLMENT   | -        | own| -        | -              | -      | -         | -         | -        | -
CHANGE_SECOND_FACTOR| -        | -  | O*       | O*             | -      | -         | -         | -        | -
STAGE               | -        | -  | Y        | Y              | Y      | scope     | scope     | -        | scope
DECIDE_STAGE        | -        | -  | O        | O              | -      | -         | -         | -        | -
"""
# "On the npm API `tfa` changes and token making also need the account's password."
PASSWORD_ON_NPM = {Action.CHANGE_SECOND_FACTOR, Action.CREATE_TOKEN}
# "The operator: Y. Every other row -." Making accounts and passwords are rows of its own commands.
OPERATOR = {Action.SIGN_UP, Action.CHANGE_PASSWORD, Action.OPERATE}
# Not in the document: adding a factor takes two requests on the pages. The first is the document's row, with its O*;
# the second confirms what was begun so, with the new factor's own code.
SECOND_STEPS = "CONFIRM_FACTOR | - | - | own | own | - | - | - | - | -"
# Not in the document: what mail needs. Who holds a link holds it whoever they are, and a link to a new password asks
# for the second factor of its account (section 2.5); to have one's address confirmed takes nothing.
MAIL = """
REQUEST_RESET           | Y | - | -  | -  | - | - | - | - | -
RESET_PASSWORD          | Y | - | O* | O* | - | - | - | - | -
VERIFY_EMAIL UNDO_EMAIL | Y | - | -  | -  | - | - | - | - | -
SEND_VERIFICATION       | - | Y | Y  | Y  | - | - | - | - | -
"""
# Not in the document: the page of a package's settings, for whoever could change some of them there.
SETTINGS = "READ_SETTINGS | - | Y | Y | Y | - | - | - | - | -"
BY_MODE = {Action.LOG_IN, Action.RESET_PASSWORD}  # what nobody known does to an account goes by the account's mode
# Not in the document: what `npm owner` looks up of a user. As whoami.
# What `npm audit` asks: as a search. The figures, from where the operator lets them be read: as ping.
NOT_IN_DOCUMENT = {Action.READ_USER: Action.WHOAMI, Action.AUDIT: Action.SEARCH, Action.READ_METRICS: Action.PING}

# Not in the document: what a person decides on a page about a client that waits. A login: as making a token, but that a
# sign-in of a moment ago (S) stands for the password; a proof: as if its code were typed. No token carries them.
HAND_OFFS = """
APPROVE_LOGIN | - | S | O  | O  | - | - | - | - | -
APPROVE_PROOF | - | - | O* | O* | - | - | - | - | -
DENY_HAND_OFF | - | Y | Y  | Y  | - | - | - | - | -
"""
IN_BROWSER = {Action.APPROVE_LOGIN, Action.APPROVE_PROOF, Action.DENY_HAND_OFF}
# "The admin pages are rows of their own, web session with O": an administrator's, and no other credential's. Besides:
# closing one's own account ("delete account: OTP in that very request"), stopping a reset of one's own second factor,
# and the report of a leaked token, which anybody who holds it may make.
ADMINISTRATION = """
ADMIN_READ ADMIN_CHANGE | - | - | O  | O  | - | - | - | - | -
ADMIN_SECOND_FACTOR     | - | - | O* | O* | - | - | - | - | -
CLOSE_ACCOUNT           | - | P | O* | O* | - | - | - | - | -
KEEP_SECOND_FACTOR      | - | - | Y  | Y  | - | - | - | - | -
REPORT_SECRET           | Y | - | -  | -  | - | - | - | - | -
"""
# Not in the document, which has one row for all of it: what members read of their organisation; making one and leaving
# it, which no permission for an organisation that is there can cover.
ORGANISATIONS = """
READ_ORGANISATION                      | - | Y | Y | Y | Y | Y | scope | Y | -
CREATE_ORGANISATION LEAVE_ORGANISATION | - | Y | Y | O | - | - | -     | - | -
"""
ADMIN_ACTIONS = {Action.ADMIN_READ, Action.ADMIN_CHANGE, Action.ADMIN_SECOND_FACTOR}

# Where code and document differ, each with its reason. A cell here that is the document's own fails the test below.
DIFFERENCES = {
    (Action.LOG_OUT, "anonymous"): ("Y", "ending an unknown token answers 200, whoever asks"),
    (Action.LOG_IN, "auth-only"): ("P O*", "a login proves itself; no step-up can exist before it"),
    (Action.LOG_IN, "auth-and-writes"): ("P O*", "the same"),
    (Action.CHANGE_PASSWORD, "auth-only"): ("O* p", "npm sends the old password with the new one, and it is checked"),
    (Action.CHANGE_PASSWORD, "auth-and-writes"): ("O* p", "the same"),
}

PACKAGE_ACTIONS = {
    Action.READ_PACKAGE, Action.STAR, Action.PUBLISH, Action.DIST_TAG, Action.DEPRECATE, Action.UNPUBLISH,
    Action.OWNERS, Action.ACCESS, Action.TRUST, Action.STAGE, Action.DECIDE_STAGE, Action.READ_SETTINGS,
}  # fmt: skip
CHANGES = PACKAGE_ACTIONS - {Action.READ_PACKAGE, Action.STAR, Action.READ_SETTINGS}
ORGANISATION_ACTIONS = {
    Action.READ_ORGANISATION, Action.CREATE_ORGANISATION, Action.ORGANISATION, Action.TEAMS, Action.LEAVE_ORGANISATION,
}  # fmt: skip
MINE = PackageFacts(exists=True, restricted=False, role=PackageRole.MANAGE, mfa="none")
OURS = OrganisationFacts(exists=True, role=OrganisationRole.OWNER)
MODES = (None, Mode.AUTH_ONLY, Mode.AUTH_AND_WRITES)
PEOPLE = (Kind.LOGIN, Kind.SESSION)


def cells() -> dict[tuple[Action, str], str]:
    also = "\n".join(table.strip() for table in (ORGANISATIONS, HAND_OFFS, MAIL, ADMINISTRATION)).splitlines()
    lines = [*DOCUMENT.strip().splitlines(), SECOND_STEPS, SETTINGS, *also]
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    found = {}
    for names, *row in rows:
        for name in names.split():
            for column, cell in zip(head[1:], row, strict=True):
                found[Action[name], column] = cell
    for action, alike in NOT_IN_DOCUMENT.items():
        found |= {(action, column): found[alike, column] for column in head[1:]}
    return found


CELLS = cells()


def column_of(action: Action, kind: Kind, mode: Mode | None, bypass: bool) -> str:
    by_mode = {None: "off", Mode.AUTH_ONLY: "auth-only", Mode.AUTH_AND_WRITES: "auth-and-writes"}[mode]
    if kind in PEOPLE:
        return by_mode
    if kind is Kind.ANONYMOUS:  # a login is of the account that is being logged into
        return by_mode if action in BY_MODE and mode is not None else "anonymous"
    if kind is Kind.GRANULAR:
        return "automation" if bypass else "granular"
    return kind.value


def cell_of(action: Action, kind: Kind, mode: Mode | None, bypass: bool) -> str:
    if kind is Kind.OPERATOR:
        return "Y" if action in OPERATOR else "-"
    if action is Action.OPERATE or (action in IN_BROWSER | ADMIN_ACTIONS and kind is not Kind.SESSION):
        return "-"
    where = column_of(action, kind, mode, bypass)
    return DIFFERENCES[action, where][0] if (action, where) in DIFFERENCES else CELLS[action, where]


@dataclass(frozen=True)
class Needs:
    """What has to be shown. `code`: nothing, `recent`, `in request`, or the enrolment's `own`."""

    password: bool
    code: str
    just_signed_in_will_do: bool = False


def needs(action: Action, kind: Kind, mode: Mode | None, bypass: bool = False) -> Needs | None:
    """What the document asks for in a cell; None where it says no, whatever is shown."""
    words = cell_of(action, kind, mode, bypass).split()
    if words == ["-"]:
        return None
    also = action in PASSWORD_ON_NPM and mode is not None and kind is not Kind.OPERATOR
    password = "P" in words or "S" in words or ((also or "p" in words) and kind is not Kind.SESSION)
    fresh = "O" in words or ("mode" in words and mode is Mode.AUTH_AND_WRITES)
    code = "own" if "own" in words else "in request" if "O*" in words else "recent" if fresh else ""
    if code in ("recent", "in request") and mode is None:
        return None  # the account has no second factor to show
    return Needs(password, code, "S" in words)


def needs_under_policy(action: Action, kind: Kind, mode: Mode | None, bypass: bool, mfa: str) -> Needs | None:
    """The same for a package with its own policy: for a person a code in every mode, for automation perhaps a no."""
    without = needs(action, kind, mode, bypass)
    if without is None or mfa == "none":
        return without
    if kind in (Kind.AUTOMATION, Kind.WORKLOAD) or bypass:
        return without if mfa == "automation" else None
    return None if mode is None else Needs(without.password, "recent")
