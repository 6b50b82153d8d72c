"""The rule table of the threat model (`document.py`) against what `decide` says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.guard.document import (
    ADMIN_ACTIONS,
    CELLS,
    CHANGES,
    DIFFERENCES,
    MINE,
    MODES,
    ORGANISATION_ACTIONS,
    OURS,
    PACKAGE_ACTIONS,
    needs,
    needs_under_policy,
)
from twokey.authority.actions import BY_LINK, Action, Code
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode
from twokey.authority.roles import OrganisationRole, PackageRole
from twokey.guard.decide import Allow, ProofNeeded, Reason, Refuse, decide
from twokey.guard.facts import Facts, Obstacle, OrganisationFacts, PackageFacts


@dataclass(frozen=True)
class Case:
    """One question: who asks for what, and what they show."""

    action: Action
    kind: Kind
    mode: Mode | None
    bypass: bool
    password: bool
    code: bool
    stepped_up: bool = False

    def facts(self) -> Facts:
        return Facts(
            action=self.action,
            kind=self.kind,
            mode=self.mode,
            bypass_2fa=self.bypass,
            permission="read-write" if self.kind is Kind.GRANULAR else None,
            package=MINE if self.action in PACKAGE_ACTIONS else None,
            organisation=OURS if self.action in ORGANISATION_ACTIONS else None,
            orgs_permission="read-write" if self.kind is Kind.GRANULAR else None,
            administrator=True,
            from_monitor=True,
            password_proved=self.password,
            code_proved=self.code,
            stepped_up=self.stepped_up,
        )

    def expected(self) -> str:
        """What the document says: `refused`, `allowed`, or what is still to be shown."""
        shows = needs(self.action, self.kind, self.mode, self.bypass)
        if shows is None:
            return "refused"
        code = shows.code and not (shows.code == "recent" and self.stepped_up)
        wanted = (("password", shows.password and not self.password), ("code", code and not self.code))
        needed = [name for name, is_needed in wanted if is_needed]
        return " and ".join(needed) or "allowed"


def said(facts: Facts) -> str:
    decision = decide(facts)
    if isinstance(decision, Refuse):
        return "refused"
    if isinstance(decision, Allow):
        return "allowed"
    needed = [("password", decision.password), ("code", decision.code is not Code.NEVER)]
    return " and ".join(name for name, needs in needed if needs)


def cases(action: Action) -> Iterator[Case]:
    for kind, mode, password, code in itertools.product(Kind, MODES, (False, True), (False, True)):
        if code and mode is None and action is not Action.CONFIRM_ENROLMENT:
            continue  # there is no code without a second factor
        for bypass in (False, True) if kind is Kind.GRANULAR else (False,):
            yield Case(action, kind, mode, bypass, password, code)
        if kind is Kind.SESSION and mode is not None:
            yield Case(action, kind, mode, False, password, code, stepped_up=True)


@pytest.mark.parametrize("action", list(Action))
def test_every_cell_is_what_the_document_says(action: Action) -> None:
    wrong = {
        f"{case}: {said(case.facts())}, not {case.expected()}"
        for case in cases(action)
        if said(case.facts()) != case.expected()
    }
    assert wrong == set()


def test_every_action_has_a_row_and_every_row_an_action() -> None:
    assert {action for action, _ in CELLS} == set(Action) - {Action.OPERATE}


def test_code_and_document_differ_only_where_it_is_written_down_why() -> None:
    for (action, where), (cell, reason) in DIFFERENCES.items():
        assert CELLS[action, where] != cell, f"{action} in {where} no longer differs: {reason}"


@pytest.mark.parametrize("action", list(Action))
def test_an_ended_credential_may_do_nothing(action: Action) -> None:
    for case in cases(action):
        assert decide(replace(case.facts(), live=False)) == Refuse(Reason.CREDENTIAL_ENDED)


def test_a_sign_in_of_a_moment_ago_stands_for_the_password_where_a_login_is_approved_and_nowhere_else() -> None:
    for action in Action:
        facts = Case(action, Kind.SESSION, None, bypass=False, password=False, code=False).facts()
        later = "allowed" if action is Action.APPROVE_LOGIN else said(facts)
        assert said(replace(facts, just_signed_in=True)) == later


@pytest.mark.parametrize("open_", [False, True])
def test_strangers_sign_up_where_the_setting_says_so_and_the_operator_always(open_: bool) -> None:
    stranger = Facts(Action.SIGN_UP, Kind.ANONYMOUS, signup_open=open_)
    assert decide(stranger) == (Allow() if open_ else Refuse(Reason.SIGNUP_CLOSED))
    assert decide(replace(stranger, kind=Kind.OPERATOR)) == Allow()


def test_where_sign_up_is_by_invitation_a_stranger_needs_one_and_where_it_is_closed_none_helps() -> None:
    by_invitation = Facts(Action.SIGN_UP, Kind.ANONYMOUS, signup_open=False, signup_by_invitation=True)
    assert decide(by_invitation) == Refuse(Reason.INVITATION_NEEDED)
    assert decide(replace(by_invitation, invited=True)) == Allow()
    closed = replace(by_invitation, signup_by_invitation=False, invited=True)
    assert decide(closed) == Refuse(Reason.SIGNUP_CLOSED)


@pytest.mark.parametrize("action", sorted(ADMIN_ACTIONS))
def test_the_administration_is_not_there_for_who_is_no_administrator(action: Action) -> None:
    for case in cases(action):
        facts = replace(case.facts(), administrator=False)
        if case.kind is Kind.SESSION:
            assert decide(facts) == Refuse(Reason.NOT_ADMINISTRATOR), case
        else:
            assert said(facts) == "refused", case


@pytest.mark.parametrize("action", sorted(ADMIN_ACTIONS))
def test_no_token_of_an_administrator_carries_the_administration(action: Action) -> None:
    for case in cases(action):
        if case.kind not in (Kind.SESSION, Kind.ANONYMOUS):
            assert decide(case.facts()) == Refuse(Reason.CREDENTIAL_KIND), case


def test_an_administrator_without_a_second_factor_is_told_to_turn_it_on() -> None:
    facts = Facts(Action.ADMIN_READ, Kind.SESSION, None, administrator=True)
    assert decide(facts) == Refuse(Reason.NEEDS_2FA_ON)


@pytest.mark.parametrize("action", sorted(PACKAGE_ACTIONS))
def test_a_quarantined_package_is_neither_read_nor_changed_by_anybody(action: Action) -> None:
    for case in cases(action):
        facts = replace(case.facts(), package=replace(MINE, quarantined="it steals tokens"))
        assert said(facts) == "refused", case
        if case.expected() != "refused":
            assert decide(facts) == Refuse(Reason.QUARANTINED), case
        hidden = replace(MINE, role=PackageRole.NONE, restricted=True, quarantined="it steals tokens")
        if case.expected() != "refused":
            assert decide(replace(case.facts(), package=hidden)) == Refuse(Reason.NOT_VISIBLE), case


@pytest.mark.parametrize("action", list(Action))
def test_where_reading_needs_a_token_a_stranger_may_only_ping_log_in_and_sign_up(action: Action) -> None:
    facts = Facts(action, Kind.ANONYMOUS, reading_needs_token=True, password_proved=True)
    ways_in = {
        Action.PING, Action.LOG_IN, Action.SIGN_UP, Action.LOG_OUT, Action.REQUEST_RESET, *BY_LINK,
        Action.REPORT_SECRET,
    }  # fmt: skip
    assert said(facts) == ("allowed" if action in ways_in else "refused")


@pytest.mark.parametrize("action", sorted(CHANGES))
def test_who_does_not_own_a_package_changes_nothing_in_it(action: Action) -> None:
    for case in cases(action):
        facts = replace(case.facts(), package=replace(MINE, role=PackageRole.NONE))
        assert said(facts) == "refused", case
        if case.expected() != "refused":
            assert decide(facts) == Refuse(Reason.NOT_OWNER)


@pytest.mark.parametrize("action", sorted(PACKAGE_ACTIONS))
def test_a_restricted_package_is_not_there_for_who_may_not_know_of_it(action: Action) -> None:
    for case in cases(action):
        facts = replace(case.facts(), package=replace(MINE, role=PackageRole.NONE, restricted=True))
        if case.expected() != "refused":
            assert decide(facts) == Refuse(Reason.NOT_VISIBLE), case
        if case.kind is not Kind.ANONYMOUS:
            owner = replace(case.facts(), package=replace(MINE, restricted=True))
            assert said(owner) == case.expected(), case


MANAGING = {Action.OWNERS, Action.ACCESS, Action.TRUST}


@pytest.mark.parametrize("action", sorted(CHANGES))
def test_who_may_write_to_a_package_publishes_and_who_manages_it_decides_about_others(action: Action) -> None:
    for case, restricted in itertools.product(cases(action), (False, True)):
        for role in PackageRole:
            facts = replace(case.facts(), package=replace(MINE, role=role, restricted=restricted))
            enough = role >= (PackageRole.MANAGE if action in MANAGING else PackageRole.WRITE)
            assert said(facts) == (case.expected() if enough else "refused"), (case, role)


@pytest.mark.parametrize("action", sorted(PACKAGE_ACTIONS - CHANGES - {Action.READ_SETTINGS}))
def test_any_role_on_a_restricted_package_shows_it(action: Action) -> None:
    for case in cases(action):
        for role in (PackageRole.READ, PackageRole.WRITE):
            if case.kind is not Kind.ANONYMOUS:
                facts = replace(case.facts(), package=replace(MINE, role=role, restricted=True))
                assert said(facts) == case.expected(), (case, role)


NEEDED_ROLES = {
    Action.READ_ORGANISATION: {"owner", "admin", "developer"},
    Action.ORGANISATION: {"owner"},
    Action.TEAMS: {"owner", "admin"},
    Action.LEAVE_ORGANISATION: {"owner", "admin", "developer"},
}


@pytest.mark.parametrize("action", sorted(NEEDED_ROLES))
def test_an_organisation_is_changed_by_the_roles_that_may_and_is_not_there_for_strangers(action: Action) -> None:
    for case in cases(action):
        for role in OrganisationRole:
            facts = replace(case.facts(), organisation=OrganisationFacts(exists=True, role=role))
            assert said(facts) == (case.expected() if role in NEEDED_ROLES[action] else "refused"), (case, role)
        for nothing in (OrganisationFacts(exists=True), OrganisationFacts(exists=False)):
            if case.expected() != "refused":
                assert decide(replace(case.facts(), organisation=nothing)) == Refuse(Reason.NOT_VISIBLE), case


@pytest.mark.parametrize("action", sorted(ORGANISATION_ACTIONS))
@pytest.mark.parametrize("permission", ["read-only", "no-access", None])
def test_a_granular_token_does_to_an_organisation_what_its_permission_says(
    action: Action, permission: str | None
) -> None:
    for mode in MODES:
        case = Case(action, Kind.GRANULAR, mode, bypass=False, password=False, code=True)
        allowed = action is Action.READ_ORGANISATION and permission == "read-only"
        expected = case.expected() if allowed else "refused"
        assert said(replace(case.facts(), orgs_permission=permission)) == expected, case


def test_a_team_is_granted_a_package_by_who_manages_it_and_is_in_the_organisation() -> None:
    facts = Facts(Action.ACCESS, Kind.LOGIN, Mode.AUTH_ONLY, package=MINE, organisation=OURS)
    assert decide(facts) == Allow()
    assert decide(replace(facts, organisation=replace(OURS, role=OrganisationRole.DEVELOPER))) == Allow()
    assert decide(replace(facts, organisation=replace(OURS, role=None))) == Refuse(Reason.NOT_VISIBLE)
    assert decide(replace(facts, package=replace(MINE, role=PackageRole.WRITE))) == Refuse(Reason.NOT_OWNER)


def test_an_organisation_that_asks_for_2fa_refuses_accounts_without_but_lets_them_read_and_leave() -> None:
    strict, package = replace(OURS, require_2fa=True), replace(MINE, organisation_requires_2fa=True)
    touched = CHANGES | {Action.ORGANISATION, Action.TEAMS}
    for action in sorted(PACKAGE_ACTIONS | ORGANISATION_ACTIONS):
        for case in cases(action):
            facts = case.facts()
            facts = replace(
                facts, package=facts.package and package, organisation=facts.organisation and strict
            )  # fmt: skip
            without = case.kind in ACCOUNTS and case.mode is None and case.expected() != "refused"
            if without and action in touched:
                assert decide(facts) == Refuse(Reason.ORGANISATION_REQUIRES_2FA), case
            else:
                assert said(facts) == case.expected(), case


def test_an_organisation_is_started_by_administrators_alone_where_the_setting_says_so() -> None:
    facts = Facts(Action.CREATE_ORGANISATION, Kind.SESSION, None, organisation=OrganisationFacts(exists=False))
    assert decide(facts) == Allow()
    assert decide(replace(facts, new_scopes_by_admins=True)) == Refuse(Reason.SCOPE_ADMINS)
    assert decide(replace(facts, new_scopes_by_admins=True, administrator=True)) == Allow()


@pytest.mark.parametrize("action", sorted(CHANGES))
def test_what_is_not_there_is_published_or_staged_and_nothing_else(action: Action) -> None:
    missing = PackageFacts(exists=False, restricted=False, role=PackageRole.NONE, mfa="none")
    for case in cases(action):
        expected = case.expected() if action in (Action.PUBLISH, Action.STAGE) else "refused"
        assert said(replace(case.facts(), package=missing)) == expected, case
        for obstacle in Obstacle:
            assert said(replace(case.facts(), package=replace(missing, obstacle=obstacle))) == "refused", case


@pytest.mark.parametrize("action", sorted(PACKAGE_ACTIONS))
def test_a_token_reaches_no_package_beyond_its_own(action: Action) -> None:
    for case in cases(action):
        assert said(replace(case.facts(), covered=False)) == "refused", case


PERMISSIONS = {
    "read-only": {Action.READ_PACKAGE},
    "read-write": {
        Action.READ_PACKAGE, Action.PUBLISH, Action.DIST_TAG, Action.DEPRECATE, Action.UNPUBLISH, Action.STAGE,
    },
    "read-write-stage-only": {Action.READ_PACKAGE, Action.STAGE},
    "no-access": set(),
}  # fmt: skip


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_granular_token_does_what_its_permission_says_and_no_more(permission: str, bypass: bool) -> None:
    for action, mode in itertools.product(sorted(PACKAGE_ACTIONS), (Mode.AUTH_ONLY, Mode.AUTH_AND_WRITES)):
        case = Case(action, Kind.GRANULAR, mode, bypass, password=False, code=False)
        expected = case.expected() if action in PERMISSIONS[permission] else "refused"
        assert said(replace(case.facts(), permission=permission)) == expected, case


PUBLISHING = (Action.PUBLISH, Action.DIST_TAG, Action.DEPRECATE, Action.UNPUBLISH)


def policy(case: Case, mfa: str) -> str:
    """What the document says of a package with its own policy."""
    shows = needs_under_policy(case.action, case.kind, case.mode, case.bypass, mfa)
    if shows is None:
        return "refused"
    return "code" if shows.code and not (case.code or case.stepped_up) else "allowed"


@pytest.mark.parametrize("action", PUBLISHING)
@pytest.mark.parametrize("mfa", ["automation", "publish"])
def test_a_packages_own_policy_asks_people_for_a_code_and_may_refuse_automation(action: Action, mfa: str) -> None:
    for case in cases(action):
        facts = replace(case.facts(), package=replace(MINE, mfa=mfa))
        assert said(facts) == policy(case, mfa), case


def test_a_policy_refuses_by_its_name() -> None:
    guarded = replace(MINE, mfa="publish")
    for kind in (Kind.AUTOMATION, Kind.WORKLOAD):
        facts = Facts(Action.PUBLISH, kind, Mode.AUTH_AND_WRITES, package=guarded)
        assert decide(facts) == Refuse(Reason.PACKAGE_POLICY)
    person = Facts(Action.PUBLISH, Kind.LOGIN, None, package=guarded)
    assert decide(person) == Refuse(Reason.PACKAGE_REQUIRES_2FA)


def test_a_policy_guards_changes_not_reading() -> None:
    for kind, mfa in itertools.product((Kind.AUTOMATION, Kind.LOGIN, Kind.READ_ONLY), ("automation", "publish")):
        assert decide(Facts(Action.READ_PACKAGE, kind, package=replace(MINE, mfa=mfa))) == Allow()


ACCOUNTS = (Kind.LOGIN, Kind.SESSION, Kind.PUBLISH, Kind.AUTOMATION, Kind.GRANULAR, Kind.READ_ONLY)
WAYS_IN = {
    Action.BEGIN_ENROLMENT, Action.CONFIRM_ENROLMENT, Action.LOG_OUT, Action.LOG_IN, Action.APPROVE_LOGIN,
    Action.DENY_HAND_OFF,
}  # fmt: skip
READING = {
    Action.PING, Action.SEARCH, Action.AUDIT, Action.READ_PACKAGE, Action.WHOAMI, Action.READ_PROFILE, Action.READ_USER,
    Action.LIST_TOKENS, Action.READ_METRICS, Action.READ_ORGANISATION, Action.READ_SETTINGS,
}  # fmt: skip


@pytest.mark.parametrize("site", ["publishers", "everyone"])
@pytest.mark.parametrize("action", list(Action))
def test_a_site_that_asks_for_2fa_refuses_accounts_without_and_leaves_them_the_way_in(
    site: str, action: Action
) -> None:
    touched = action in CHANGES if site == "publishers" else action not in READING | WAYS_IN
    for case in cases(action):
        facts = replace(case.facts(), require_2fa=site)
        without = case.kind in ACCOUNTS and case.mode is None and case.expected() != "refused"
        if without and touched:
            assert decide(facts) == Refuse(Reason.SITE_REQUIRES_2FA), case
        else:
            assert said(facts) == case.expected(), case


@pytest.mark.parametrize(("site", "expected"), [("off", "allowed"), ("publishers", "refused"), ("everyone", "refused")])
def test_the_last_factor_stays_where_the_site_asks_for_one(site: str, expected: str) -> None:
    case = Case(Action.CHANGE_SECOND_FACTOR, Kind.LOGIN, Mode.AUTH_ONLY, bypass=False, password=True, code=True)
    assert said(replace(case.facts(), require_2fa=site, removes_last_factor=True)) == expected
    assert said(replace(case.facts(), require_2fa=site)) == "allowed", "another mode is no removal"


def test_a_password_is_asked_for_together_with_the_code_and_never_taken_for_one() -> None:
    facts = Facts(Action.CHANGE_SECOND_FACTOR, Kind.LOGIN, Mode.AUTH_ONLY)
    assert decide(facts) == ProofNeeded(password=True, code=Code.IN_REQUEST)
    assert decide(replace(facts, password_proved=True)) == ProofNeeded(password=False, code=Code.IN_REQUEST)
    assert decide(replace(facts, code_proved=True)) == ProofNeeded(password=True, code=Code.NEVER)
