"""The decision: facts in, Allow, Refuse or ProofNeeded out. No I/O; tested as a generated truth table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twokey.authority.actions import (
    ADMINISTRATION,
    CHANGES_PACKAGE,
    IN_BROWSER,
    MANAGES_ORGANISATION,
    MANAGES_PACKAGE,
    READS,
    WRITES_TO_PACKAGE,
    Action,
    Code,
    Column,
    Rule,
    column,
    rule,
)
from twokey.authority.principal import CredentialKind, Mode
from twokey.authority.roles import OrganisationRole, PackageRole
from twokey.guard.facts import Facts, OrganisationFacts


class Reason(StrEnum):
    """Why a thing is refused, whatever is shown. `sentences.py` has the words for each."""

    NOT_SIGNED_IN = "not-signed-in"
    CREDENTIAL_ENDED = "credential-ended"
    CREDENTIAL_KIND = "credential-kind"
    NEEDS_2FA_ON = "needs-2fa-on"
    NEEDS_2FA_OFF = "needs-2fa-off"
    NOT_VISIBLE = "not-visible"
    NOT_COVERED = "not-covered"
    PERMISSION = "permission"
    NOT_OWNER = "not-owner"
    OBSTACLE = "obstacle"
    PACKAGE_POLICY = "package-policy"
    PACKAGE_REQUIRES_2FA = "package-requires-2fa"
    ORGANISATION_ROLE = "organisation-role"
    ORGANISATION_REQUIRES_2FA = "organisation-requires-2fa"
    SCOPE_ADMINS = "scope-admins"
    SITE_REQUIRES_2FA = "site-requires-2fa"
    LAST_FACTOR = "last-factor"
    SIGNUP_CLOSED = "signup-closed"
    INVITATION_NEEDED = "invitation-needed"
    NOT_ADMINISTRATOR = "not-administrator"
    QUARANTINED = "quarantined"
    SCOPE_OF_UPSTREAM = "scope-of-upstream"


@dataclass(frozen=True, slots=True)
class Allow:
    """Yes."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """No, and nothing that could be shown changes that."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class ProofNeeded:
    """Yes, once these are shown. A password is asked for before a code."""

    password: bool
    code: Code


Decision = Allow | Refuse | ProofNeeded

_PEOPLE = (Column.NO_2FA, Column.AUTH_ONLY, Column.AUTH_AND_WRITES)


def decide(facts: Facts) -> Decision:
    """Answers one question by the rule table (security.md 2.4) and the policies of package and site."""
    where = column(facts.action, facts.kind, facts.mode, bypass_2fa=facts.bypass_2fa)
    found = rule(facts.action, where)
    for refusal in (
        _by_credential(facts, where, found),
        _by_target(facts, found),
        _by_policy(facts, where),
    ):
        if refusal is not None:
            return Refuse(refusal)
    return _proof(facts, where, found)


def _by_credential(facts: Facts, where: Column, found: Rule) -> Reason | None:
    if not facts.live:
        return Reason.CREDENTIAL_ENDED
    if facts.action in IN_BROWSER and facts.kind not in (CredentialKind.SESSION, CredentialKind.ANONYMOUS):
        return Reason.CREDENTIAL_KIND
    if facts.action in ADMINISTRATION and where is not Column.ANONYMOUS and not facts.administrator:
        return Reason.NOT_ADMINISTRATOR
    if facts.action is Action.READ_METRICS and not facts.from_monitor:
        return Reason.NOT_VISIBLE
    if found.allowed:
        reading = facts.action in (Action.READ_PACKAGE, Action.SEARCH, Action.AUDIT, Action.READ_USER)
        if where is Column.ANONYMOUS and reading and facts.reading_needs_token:
            return Reason.NOT_SIGNED_IN
        return None
    if where is Column.ANONYMOUS:
        return Reason.NOT_SIGNED_IN
    if where in _PEOPLE:
        elsewhere = any(rule(facts.action, each).allowed for each in _PEOPLE)
        if elsewhere:
            return Reason.NEEDS_2FA_ON if where is Column.NO_2FA else Reason.NEEDS_2FA_OFF
    return Reason.CREDENTIAL_KIND


def _by_target(facts: Facts, found: Rule) -> Reason | None:
    package = facts.package
    if package is not None and package.restricted and package.exists and package.role is PackageRole.NONE:
        # To a stranger who publishes it is as if it were not there: the same answer as for a free name in that scope.
        return Reason.OBSTACLE if package.obstacle is not None else Reason.NOT_VISIBLE
    # The limits of a token hold whatever column it falls into; a person's credential and a classic token have none.
    if not facts.covered:
        return Reason.NOT_VISIBLE if facts.action in READS else Reason.NOT_COVERED
    if not _permitted(facts, found):
        return Reason.PERMISSION
    if package is not None and package.exists and package.quarantined is not None:
        return Reason.QUARANTINED
    if facts.organisation is not None:
        refusal = _by_organisation(facts, facts.organisation)
        if refusal is not None:
            return refusal
    if package is None or facts.action not in WRITES_TO_PACKAGE:
        return None
    if not package.exists and facts.action not in (Action.PUBLISH, Action.STAGE):
        return Reason.NOT_VISIBLE
    if package.obstacle is not None:
        return Reason.OBSTACLE
    needed = PackageRole.MANAGE if facts.action in MANAGES_PACKAGE else PackageRole.WRITE
    if package.exists and package.role < needed:
        return Reason.NOT_OWNER
    return None


def _by_organisation(facts: Facts, organisation: OrganisationFacts) -> Reason | None:
    """Members alone know who else is in an organisation; its roles decide who changes it."""
    if facts.action is Action.CREATE_ORGANISATION:
        return Reason.SCOPE_ADMINS if facts.new_scopes_by_admins and not facts.administrator else None
    if organisation.role is None:
        return Reason.NOT_VISIBLE
    if organisation.role not in MANAGES_ORGANISATION.get(facts.action, tuple(OrganisationRole)):
        return Reason.ORGANISATION_ROLE
    return None


def _permitted(facts: Facts, found: Rule) -> bool:
    """Whether a granular token's permission reaches that far."""
    if facts.permission is None or facts.kind is not CredentialKind.GRANULAR or not found.scoped:
        return True
    if facts.organisation is not None and facts.package is None:
        return facts.orgs_permission in (("read-only", "read-write") if facts.action in READS else ("read-write",))
    if facts.action in READS:
        return facts.permission != "no-access"
    if facts.action is Action.STAGE:
        return facts.permission in ("read-write", "read-write-stage-only")
    return facts.permission == "read-write"


def _by_policy(facts: Facts, where: Column) -> Reason | None:
    if facts.action is Action.SIGN_UP and where is Column.ANONYMOUS and not facts.signup_open:
        if not facts.signup_by_invitation:
            return Reason.SIGNUP_CLOSED
        if not facts.invited:
            return Reason.INVITATION_NEEDED
    if facts.takes_scope_of_upstream and where is not Column.OPERATOR:
        return Reason.SCOPE_OF_UPSTREAM
    changes = facts.action in CHANGES_PACKAGE
    bypasses = where in (Column.AUTOMATION, Column.WORKLOAD)
    if changes and bypasses and facts.package is not None and facts.package.mfa == "publish":
        return Reason.PACKAGE_POLICY
    if changes and _guarded(facts) and not bypasses and facts.mode is None:
        return Reason.PACKAGE_REQUIRES_2FA
    if _organisation_requires_2fa(facts, where):
        return Reason.ORGANISATION_REQUIRES_2FA
    if facts.removes_last_factor and (facts.require_2fa != "off" or facts.owns_guarded_package):
        return Reason.LAST_FACTOR
    missing = facts.mode is None and where not in (Column.ANONYMOUS, Column.OPERATOR, Column.WORKLOAD)
    publishers, everyone = facts.require_2fa in ("publishers", "everyone"), facts.require_2fa == "everyone"
    way_in = (
        Action.BEGIN_ENROLMENT, Action.CONFIRM_ENROLMENT, Action.LOG_OUT, Action.APPROVE_LOGIN, Action.DENY_HAND_OFF,
    )  # fmt: skip
    if missing and publishers and changes:
        return Reason.SITE_REQUIRES_2FA
    if missing and everyone and facts.action not in READS and facts.action not in way_in:
        return Reason.SITE_REQUIRES_2FA
    return None


def _proof(facts: Facts, where: Column, found: Rule) -> Decision:
    password = (found.password or (found.password_on_npm and facts.on_npm)) and not facts.password_proved
    if found.recent_sign_in and facts.just_signed_in:
        password = False
    code = _code(facts, where, found)
    settled = facts.code_proved or (code is Code.RECENT and facts.stepped_up)
    if settled:
        code = Code.NEVER
    if code in (Code.RECENT, Code.IN_REQUEST) and facts.mode is None:
        return Refuse(Reason.NEEDS_2FA_ON)  # a token that asks for a code, on an account that has none
    return ProofNeeded(password, code) if password or code is not Code.NEVER else Allow()


def _code(facts: Facts, where: Column, found: Rule) -> Code:
    code = found.code
    if code is Code.BY_MODE:
        code = Code.RECENT if facts.mode is Mode.AUTH_AND_WRITES else Code.NEVER
    person = where in (*_PEOPLE, Column.PUBLISH, Column.GRANULAR)
    if facts.action in CHANGES_PACKAGE and _guarded(facts) and person and code is Code.NEVER:
        return Code.RECENT
    return code


def _organisation_requires_2fa(facts: Facts, where: Column) -> bool:
    """Whether the caller changes what is an organisation's that asks for a second factor, and has none."""
    if facts.mode is not None or where in (Column.ANONYMOUS, Column.OPERATOR, Column.WORKLOAD):
        return False
    package, organisation = facts.package, facts.organisation
    if facts.action in CHANGES_PACKAGE and package is not None and package.organisation_requires_2fa:
        return True
    changes = facts.action in MANAGES_ORGANISATION and facts.action is not Action.LEAVE_ORGANISATION
    return changes and organisation is not None and organisation.require_2fa


def _guarded(facts: Facts) -> bool:
    """Whether the package's own policy asks a person for a second factor whatever the account's mode."""
    return facts.package is not None and facts.package.exists and facts.package.mfa != "none"
