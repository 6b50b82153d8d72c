"""Everything that `decide` needs to know, gathered in one read of the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, bindparam, select

from twokey.accounts import invitations, mail_links, sessions, users
from twokey.authority.actions import BY_LINK, CHANGES_PACKAGE, MANAGES_ORGANISATION, READS, Action
from twokey.authority.permit import Target
from twokey.authority.principal import Caller, CredentialKind, Mode, Principal, TokenLimits
from twokey.authority.roles import OrganisationRole, PackageRole
from twokey.clock import DAY, MINUTE
from twokey.db.schema import Organisation, Owner, Package, User
from twokey.guard import site
from twokey.networks import within
from twokey.orgs import orgs
from twokey.packages import access as roles
from twokey.packages.names import PackageName
from twokey.settings import Settings
from twokey.tokens import tokens
from twokey.upstream.presence import Presence
from twokey.upstream.upstream import Upstream

COOLDOWN = DAY
OWNERS_ONLY = 30 * DAY
STEP_UP = 10 * MINUTE  # for so long a second factor that was shown in a web session counts as fresh
# Made once: putting such a statement together takes ten times as long as asking SQLite.
_ACCOUNT = select(User.mode, User.disabled_at, User.administrator).where(User.id == bindparam("user_id"))
_ACCOUNT_LOCKED = _ACCOUNT.with_for_update(key_share=True)
_ORGANISATION = select(Organisation.id, Organisation.require_2fa).where(Organisation.name == bindparam("name"))
_ORGANISATION_LOCKED = _ORGANISATION.with_for_update(read=True)
_ORGANISATION_CHANGED = _ORGANISATION.with_for_update(key_share=True)
_PACKAGE = select(
    Package.id, Package.access, Package.mfa, Package.unpublished_at, Package.quarantined_at, Package.quarantine_reason
).where(Package.name == bindparam("name"))
_PACKAGE_LOCKED = _PACKAGE.with_for_update(key_share=True)
_CLOSE_TO = (
    select(Package.name)
    .where(
        Package.canonical == bindparam("canonical"),
        Package.name != bindparam("name"),
        Package.id.not_in(select(Owner.package_id).where(Owner.user_id == bindparam("user_id"))),
    )
    .limit(1)
)


class Obstacle(StrEnum):
    """Why a new package may not get its name."""

    SCOPE_OWNED = "scope-owned"
    SCOPE_ADMINS = "scope-admins"
    NAME_TOO_CLOSE = "name-too-close"
    COOLDOWN = "cooldown"
    FORMER_OWNERS = "former-owners"
    OF_UPSTREAM = "of-upstream"
    UPSTREAM_AWAY = "upstream-away"
    SCOPE_OF_UPSTREAM = "scope-of-upstream"


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What matters of the package that is the target. `exists` is False for one that was unpublished as a whole."""

    exists: bool
    restricted: bool
    role: PackageRole
    mfa: str
    obstacle: Obstacle | None = None
    close_to: str | None = None
    quarantined: str | None = None  # the reason
    organisation_requires_2fa: bool = False
    ours: bool = True  # there is, or was, such a package of this registry


@dataclass(frozen=True, slots=True)
class OrganisationFacts:
    """What matters of the organisation that is the target. `role`: what the caller is in it."""

    exists: bool
    role: OrganisationRole | None = None
    require_2fa: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What `decide` sees. No I/O behind any of it."""

    action: Action
    kind: CredentialKind
    mode: Mode | None = None
    live: bool = True
    bypass_2fa: bool = False
    covered: bool = True
    permission: str | None = None
    package: PackageFacts | None = None
    organisation: OrganisationFacts | None = None
    orgs_permission: str | None = None
    new_scopes_by_admins: bool = False
    administrator: bool = False
    signup_open: bool = True
    signup_by_invitation: bool = False
    invited: bool = False
    reading_needs_token: bool = False
    from_monitor: bool = False  # from where the operator lets figures be read
    require_2fa: str = "off"
    removes_last_factor: bool = False
    owns_guarded_package: bool = False
    password_proved: bool = False
    code_proved: bool = False
    stepped_up: bool = False
    just_signed_in: bool = False
    account_id: int | None = None  # of whose link is held
    takes_scope_of_upstream: bool = False  # the new account's or organisation's name is a scope of upstream's in use

    @property
    def on_npm(self) -> bool:
        """Whether the caller comes by the npm API: a web session is stepped up instead of asked for a password."""
        return self.kind is not CredentialKind.SESSION


def needs_database(caller: Caller, action: Action, target: Target) -> bool:
    """Whether anything of the question is kept in the database: a ping by nobody is answered while it is away."""
    kept = action in (Action.LOG_IN, Action.SIGN_UP) or action in BY_LINK
    return caller.principal.user_id is not None or bool(target.package or target.organisation) or kept


def gather(
    connection: Connection | None,
    caller: Caller,
    action: Action,
    target: Target,
    settings: Settings,
    at: int,
    *,
    password_proved: bool,
    code_proved: bool,
    removes_last_factor: bool = False,
    locked: bool = False,
    upstream: Upstream | None = None,
) -> Facts:
    """Reads what bears on the question at `at` (µs). No connection is needed where `needs_database` says so.

    `locked`, inside a write transaction, holds account, token and package as they were read until it ends; their keys
    stay free for rows that only refer to them (on PostgreSQL: NO KEY UPDATE), or two owners could wait for each other.
    Raises Waits, unless `locked`, where `upstream` has to be asked first."""
    principal = caller.principal
    account = _Account(True, None) if connection is None else _account(connection, caller, action, target, at, locked)
    limits = principal.limits
    organisation = package = of_scope = None
    if connection is not None and target.organisation is not None:
        organisation = _organisation(connection, caller, target.organisation, action in MANAGES_ORGANISATION, locked)
    if connection is not None and target.package is not None:
        if target.scope is not None and action in CHANGES_PACKAGE:
            of_scope = _organisation(connection, caller, target.scope, False, locked)
        package = _package(_Names(connection, settings, upstream, locked), caller, action, target, at)
        package = replace(package, organisation_requires_2fa=of_scope is not None and of_scope.require_2fa)
    asks_site = connection is not None and _asks_site(principal, account, action, removes_last_factor)
    current = site.current(connection, settings) if connection is not None and asks_site else site.default(settings)
    return Facts(
        action=action,
        kind=principal.kind,
        mode=account.mode,
        live=account.live,
        bypass_2fa=limits.bypass_2fa,
        covered=_covered(limits, target) or _is_elsewhere(action, package, upstream),
        permission=limits.permission,
        package=package,
        organisation=organisation,
        orgs_permission=limits.orgs_permission,
        new_scopes_by_admins=settings.scope_creation == "admins",
        administrator=account.administrator,
        signup_open=current.signup == "open",
        signup_by_invitation=current.signup == "invite",
        invited=connection is not None and _invited(connection, target, at, locked),
        reading_needs_token=settings.read == "authenticated",
        from_monitor=action is Action.READ_METRICS and within(settings.metrics, caller.address),
        require_2fa=current.required_2fa(at),
        removes_last_factor=removes_last_factor,
        owns_guarded_package=removes_last_factor and connection is not None and _owns_guarded(connection, caller),
        password_proved=password_proved or principal.password_proved or proves_login(caller, action, target),
        code_proved=code_proved or account.code_proved,
        account_id=account.link_of,
        stepped_up=account.stepped_up_at is not None and at < account.stepped_up_at + STEP_UP,
        just_signed_in=account.signed_in_at is not None and at < account.signed_in_at + STEP_UP,
        takes_scope_of_upstream=connection is not None and _takes_scope(connection, action, target, upstream),
    )


@dataclass(frozen=True, slots=True)
class _Account:
    """Whether account and credential are still good, the account's mode, and of a session when (µs) it was opened and
    last saw a second factor.

    Of a mailed link: the account that it is of, and whether a second factor was shown with it before.
    """

    live: bool
    mode: Mode | None
    stepped_up_at: int | None = None
    signed_in_at: int | None = None
    link_of: int | None = None
    code_proved: bool = False
    administrator: bool = False


def _covered(limits: TokenLimits, target: Target) -> bool:
    """Whether the target is within what the token is limited to: by its package, where it has one."""
    if target.package is not None:
        return limits.covers(target.package, target.scope)
    return target.organisation is None or limits.covers_organisation(target.organisation)


def _is_elsewhere(action: Action, package: PackageFacts | None, upstream: Upstream | None) -> bool:
    """Whether a read is of a package that only upstream can have: the limits of tokens are for packages of our own."""
    return action is Action.READ_PACKAGE and upstream is not None and package is not None and not package.ours


def _takes_scope(connection: Connection, action: Action, target: Target, upstream: Upstream | None) -> bool:
    """Whether a new account or organisation would take away a scope whose packages come from upstream here."""
    name = {Action.SIGN_UP: target.account, Action.CREATE_ORGANISATION: target.organisation}.get(action)
    return upstream is not None and name is not None and upstream.scope_in_use(connection, name)


def _asks_site(principal: Principal, account: _Account, action: Action, removes_last_factor: bool) -> bool:
    """Whether a setting that may change at run time bears on the question: reads need none, so they ask for none."""
    without = account.mode is None and principal.user_id is not None and action not in READS
    return action is Action.SIGN_UP or removes_last_factor or without


def _invited(connection: Connection, target: Target, at: int, locked: bool) -> bool:
    return target.invitation is not None and invitations.is_live(connection, target.invitation, at, locked=locked)


def _account(connection: Connection, caller: Caller, action: Action, target: Target, at: int, locked: bool) -> _Account:
    """The state of the account that the action concerns, and of the credential."""
    principal = caller.principal
    if action in BY_LINK:
        link = mail_links.find(connection, caller.evidence.link or "", action, at, locked=locked)
        if link is None or link.user_name != target.account:
            return _Account(False, None)
        return _Account(True, link.mode, link_of=link.user_id, code_proved=link.purpose == mail_links.NEW_PASSWORD)
    if action is Action.LOG_IN and target.account is not None:
        account = users.find(connection, target.account)
        return _Account(account is not None and not account.disabled, account.mode if account else None)
    if principal.user_id is None:
        return _Account(True, None)
    row = connection.execute(_ACCOUNT_LOCKED if locked else _ACCOUNT, {"user_id": principal.user_id}).one()
    live, stepped_up_at, signed_in_at = row[1] is None, None, None
    if live and principal.token_id is not None:
        live = tokens.is_live(connection, principal.token_id, at, locked=locked)
    if live and principal.session_id is not None:
        live, stepped_up_at, signed_in_at = sessions.is_live(connection, principal.session_id, at, locked=locked)
    return _Account(live, None if row[0] is None else Mode(row[0]), stepped_up_at, signed_in_at, administrator=row[2])


def proves_login(caller: Caller, action: Action, target: Target) -> bool:
    """Whether the caller has shown the password of the very account that they log in to, a moment ago."""
    login_of = caller.principal.login_of
    return action is Action.LOG_IN and login_of is not None and login_of == target.account


def _organisation(connection: Connection, caller: Caller, name: str, changes: bool, locked: bool) -> OrganisationFacts:
    """The organisation that is the target, or whose scope the package is in.

    Locked before the package, and shared unless it `changes` itself: publishes do not wait for each other.
    """
    query = (_ORGANISATION_CHANGED if changes else _ORGANISATION_LOCKED) if locked else _ORGANISATION
    row = connection.execute(query, {"name": name}).one_or_none()
    if row is None:
        return OrganisationFacts(False)
    user_id = caller.principal.user_id
    role = None if user_id is None else orgs.role_of(connection, row[0], user_id)
    return OrganisationFacts(True, role, row[1])


@dataclass(frozen=True, slots=True)
class _Names:
    """What the look at a name needs."""

    connection: Connection
    settings: Settings
    upstream: Upstream | None
    locked: bool


def _package(names: _Names, caller: Caller, action: Action, target: Target, at: int) -> PackageFacts:
    connection, locked = names.connection, names.locked
    name = PackageName.parse(target.package or "")
    user_id = caller.principal.user_id
    row = connection.execute(_PACKAGE_LOCKED if locked else _PACKAGE, {"name": str(name)}).one_or_none()
    if row is None:
        obstacle, close_to = (None, None)
        if action in (Action.PUBLISH, Action.STAGE) and user_id is not None:
            obstacle, close_to = _obstacle(names, name, user_id)
            obstacle = obstacle or _of_upstream(names, name)
        return PackageFacts(False, False, PackageRole.NONE, "none", obstacle, close_to, ours=False)
    package_id, access, mfa, unpublished_at, quarantined_at, reason = row
    role = PackageRole.NONE
    if user_id is not None:
        role = roles.role_of(connection, package_id, user_id)
    stranger = role is PackageRole.NONE and user_id is not None
    if unpublished_at is None:
        obstacle, close_to = (None, None)
        if access == "restricted" and stranger and action in (Action.PUBLISH, Action.STAGE):
            assert user_id is not None
            obstacle, close_to = _obstacle(names, name, user_id)
        quarantined = None if quarantined_at is None else reason or ""
        return PackageFacts(True, access == "restricted", role, mfa, obstacle, close_to, quarantined)
    if at < unpublished_at + COOLDOWN:
        return PackageFacts(False, access == "restricted", role, mfa, Obstacle.COOLDOWN)
    if at < unpublished_at + OWNERS_ONLY and role < PackageRole.WRITE:
        return PackageFacts(False, access == "restricted", role, mfa, Obstacle.FORMER_OWNERS)
    obstacle, close_to = (None, None)
    if role < PackageRole.WRITE and user_id is not None:
        obstacle, close_to = _obstacle(names, name, user_id)
    return PackageFacts(False, access == "restricted", role, mfa, obstacle, close_to)


def _of_upstream(names: _Names, name: PackageName) -> Obstacle | None:
    """Whether a new name would stand before one of upstream's: whoever installs that would get ours instead.

    Nobody is asked about a scope that has an owner here: its names never come from upstream. Where upstream cannot be
    asked the name is not given away.
    """
    upstream = names.upstream
    if upstream is None or name.full in names.settings.allow_names:
        return None
    presence = upstream.presence(names.connection, name, in_transaction=names.locked)
    if presence is not Presence.ABSENT:
        return Obstacle.OF_UPSTREAM if presence is Presence.PRESENT else Obstacle.UPSTREAM_AWAY
    free = name.scope is not None and orgs.scope_is_free(names.connection, name.scope)
    taken = free and upstream.scope_in_use(names.connection, name.scope or "")
    return Obstacle.SCOPE_OF_UPSTREAM if taken else None


def _obstacle(names: _Names, name: PackageName, user_id: int) -> tuple[Obstacle | None, str | None]:
    connection, settings = names.connection, names.settings
    if name.scope is not None:
        if orgs.scope_is_free(connection, name.scope):
            if settings.scope_creation == "admins" and not users.by_id(connection, user_id).administrator:
                return Obstacle.SCOPE_ADMINS, None
        elif not orgs.may_create_in_scope(connection, name.scope, user_id):
            return Obstacle.SCOPE_OWNED, None
        return None, None  # within one scope everything is of one owner
    if str(name) in settings.allow_names:
        return None, None
    asked = {"canonical": name.canonical, "name": str(name), "user_id": user_id}
    close_to = connection.execute(_CLOSE_TO, asked).scalar_one_or_none()
    return (Obstacle.NAME_TOO_CLOSE, close_to) if close_to is not None else (None, None)


def _owns_guarded(connection: Connection, caller: Caller) -> bool:
    """Whether the caller owns a package, or is in an organisation, that asks for a second factor."""
    query = (
        select(Package.id)
        .join(Owner, Owner.package_id == Package.id)
        .where(Owner.user_id == caller.principal.user_id, Package.mfa != "none", Package.unpublished_at.is_(None))
    )
    if connection.execute(query.limit(1)).one_or_none() is not None:
        return True
    user_id = caller.principal.user_id
    return user_id is not None and orgs.requiring_2fa(connection, user_id)
