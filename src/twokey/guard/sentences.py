"""The words of a refusal: what was wrong and what to do next, for the person who meets it."""

from __future__ import annotations

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import TOKEN_NAMES, CredentialKind, Principal
from twokey.authority.roles import PackageRole
from twokey.errors import NotFound, Refused, TwokeyError, Unauthenticated
from twokey.guard.decide import Reason
from twokey.guard.facts import Facts, Obstacle

VERBS = {
    Action.READ_PACKAGE: "read packages",
    Action.SEARCH: "search",
    Action.AUDIT: "audit",
    Action.READ_USER: "look up users",
    Action.WHOAMI: "tell who you are",
    Action.READ_PROFILE: "read the profile",
    Action.LIST_TOKENS: "list tokens",
    Action.STAR: "star packages",
    Action.PUBLISH: "publish",
    Action.DIST_TAG: "change dist-tags",
    Action.DEPRECATE: "deprecate",
    Action.UNPUBLISH: "unpublish",
    Action.OWNERS: "change owners",
    Action.ACCESS: "change access",
    Action.READ_SETTINGS: "see the settings of packages",
    Action.READ_ORGANISATION: "look into organisations",
    Action.CREATE_ORGANISATION: "make organisations",
    Action.ORGANISATION: "change organisations and teams",
    Action.TEAMS: "change organisations and teams",
    Action.LEAVE_ORGANISATION: "leave organisations",
    Action.TRUST: "change trusted publishers",
    Action.CREATE_TOKEN: "create tokens",
    Action.REVOKE_TOKEN: "revoke other tokens",
    Action.CHANGE_PROFILE: "change the profile",
    Action.CHANGE_PASSWORD: "change the password",
    Action.CHANGE_EMAIL: "change the mail address",
    Action.SEND_VERIFICATION: "have confirmation mails sent",
    Action.BEGIN_ENROLMENT: "change two-factor authentication",
    Action.CONFIRM_ENROLMENT: "change two-factor authentication",
    Action.CHANGE_SECOND_FACTOR: "change two-factor authentication",
    Action.CONFIRM_FACTOR: "change two-factor authentication",
    Action.STAGE: "stage versions",
    Action.DECIDE_STAGE: "approve or reject staged versions",
    Action.CLOSE_ACCOUNT: "close the account",
    Action.KEEP_SECOND_FACTOR: "change two-factor authentication",
    Action.REPORT_SECRET: "report a token: send the report without one",
    Action.ADMIN_READ: "open the administration",
    Action.ADMIN_CHANGE: "administer the registry",
    Action.ADMIN_SECOND_FACTOR: "administer the registry",
}
ENABLE = "run npm profile enable-2fa auth-and-writes"
NOT_FOUND = "Not found"
SIGNUP = {
    "open": "",
    "closed": "Sign-up is closed on this registry: ask its operator for an account.",
    "invite": "Sign-up needs an invitation link here, once and within a week: ask an administrator of this registry.",
}


def refusal(reason: Reason, facts: Facts, principal: Principal, target: Target) -> TwokeyError:
    """The error to raise for a reason."""
    if reason is Reason.NOT_SIGNED_IN:
        return Unauthenticated("You need to log in for this: run npm login.")
    if reason is Reason.CREDENTIAL_ENDED:
        return Unauthenticated("This token has ended, or the account is closed: run npm login, or ask the operator.")
    if reason in (Reason.NOT_VISIBLE, Reason.NOT_ADMINISTRATOR):
        return NotFound(NOT_FOUND)
    sentence = _sentence(reason, facts, principal, target)
    return Refused(sentence, notice=sentence)


def _sentence(reason: Reason, facts: Facts, principal: Principal, target: Target) -> str:
    verb = VERBS.get(facts.action, "do this")
    kind = TOKEN_NAMES[principal.kind].capitalize()
    if reason is Reason.QUARANTINED:
        assert facts.package is not None
        why = (facts.package.quarantined or "").rstrip(".")
        return f"{target.package} is quarantined: {why}. Ask the operator of this registry."
    if reason is Reason.OBSTACLE:
        return _obstacle(facts, target)
    return {
        Reason.CREDENTIAL_KIND: f"{kind} cannot {verb}, with or without a one-time password: {_instead(principal)}.",
        Reason.NEEDS_2FA_ON: f"Two-factor authentication is off for this account: {ENABLE} first.",
        Reason.NEEDS_2FA_OFF: "Two-factor authentication is already on for this account.",
        Reason.NOT_COVERED: f"This token is not for {target.package or target.organisation}: "
        "make one that covers it, or use another.",
        Reason.PERMISSION: f"This token's permission is {_permission(facts, principal)}: it cannot {verb}.",
        Reason.NOT_OWNER: _not_owner(facts, target),
        Reason.ORGANISATION_ROLE: f"That takes {_ROLES[facts.action is Action.TEAMS]} of {target.organisation}: "
        f"ask one of them (npm org ls {target.organisation}).",
        Reason.ORGANISATION_REQUIRES_2FA: f"The organisation {target.organisation or target.scope} asks its members "
        f"for two-factor authentication: {ENABLE} first.",
        Reason.SCOPE_ADMINS: "Only administrators may start an organisation on this registry: ask one.",
        Reason.PACKAGE_POLICY: f"The 2FA policy of {target.package} (mfa=publish) disallows tokens that bypass 2FA: "
        "publish with npm login and a one-time password.",
        Reason.PACKAGE_REQUIRES_2FA: f"{target.package} asks its owners for two-factor authentication: {ENABLE} first.",
        Reason.SITE_REQUIRES_2FA: f"This registry asks for two-factor authentication: {ENABLE} first.",
        Reason.LAST_FACTOR: "This registry, or a package or organisation of yours, asks for two-factor authentication: "
        "the last factor cannot be removed.",
        Reason.SCOPE_OF_UPSTREAM: f"The name {target.organisation or target.account} is a scope of packages that come "
        "from upstream here: choose another, or ask the operator to claim it.",
        Reason.SIGNUP_CLOSED: SIGNUP["closed"],
        Reason.INVITATION_NEEDED: SIGNUP["invite"],
    }[reason]


_ROLES = {False: "an owner", True: "an owner or admin"}


def _permission(facts: Facts, principal: Principal) -> str | None:
    limits = principal.limits
    return f"{limits.orgs_permission or 'no-access'} for organisations" if facts.organisation else limits.permission


def _not_owner(facts: Facts, target: Target) -> str:
    """Whoever may write to the package but not manage it is told that, and not that they own nothing of it."""
    where = f"ask one of them (npm owner ls {target.package})"
    if facts.package is not None and facts.package.role is PackageRole.WRITE:
        return f"You may publish {target.package}, but only its owners may {VERBS[facts.action]}: {where}."
    return f"You are not an owner of {target.package}: {where}."


def _instead(principal: Principal) -> str:
    if principal.kind is CredentialKind.READ_ONLY:
        return "use a token that may write"
    return "use npm login for that"


def _obstacle(facts: Facts, target: Target) -> str:
    assert facts.package is not None
    name, scope = target.package, target.scope
    return {
        Obstacle.SCOPE_OWNED: f"The scope @{scope} belongs to another user or organisation: publish {name} elsewhere.",
        Obstacle.SCOPE_ADMINS: f"The scope @{scope} is new, and only administrators may start one here.",
        Obstacle.NAME_TOO_CLOSE: f"The name {name} is too close to {facts.package.close_to}, which others own: "
        "choose another, or ask the operator.",
        Obstacle.COOLDOWN: f"{name} was unpublished less than 24 hours ago: wait until a day has passed.",
        Obstacle.FORMER_OWNERS: f"{name} was unpublished less than 30 days ago: only its former owners may use it.",
        Obstacle.OF_UPSTREAM: f"Upstream has a package {name}, which people here install: choose another name, put "
        "it into a scope of yours, or ask the operator to allow it (TWOKEY_ALLOW_NAMES).",
        Obstacle.UPSTREAM_AWAY: f"Whether upstream has a package {name} cannot be asked now, so the name is not given "
        "away: try again in a moment.",
        Obstacle.SCOPE_OF_UPSTREAM: f"Packages of the scope @{scope} come from upstream here: choose another scope, "
        "or ask the operator to claim the scope.",
        None: "",
    }[facts.package.obstacle]
