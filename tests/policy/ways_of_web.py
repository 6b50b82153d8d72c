"""The page or form by which a browser asks for each action that a route of the pages names."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import insert

from tests.policy.stage import Actor, Shown
from tests.policy.way import Ask, Way, only
from tests.policy.ways_of_npm import NEW_PASSWORD, in_organisation, own_package
from twokey.accounts import mail_links
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode
from twokey.clock import DAY
from twokey.db.schema_site import FactorReset
from twokey.orgs.orgs import EVERY_MEMBER

SETTINGS = "/settings/{user:part}"
PACKAGE, ORGANISATION = "/package/{name:package}", "/org/{organisation:part}"


def _page(path: str) -> Callable[[Actor], Ask]:
    return lambda actor: lambda shown: actor.page(path)


def _form(path: str, **fields: str) -> Callable[[Actor], Ask]:
    return lambda actor: lambda shown: actor.form(path, fields, shown)


def _sign_up(actor: Actor) -> Ask:
    name = actor.stage.name("carol")
    fields = {"username": name, "email": f"{name}@example.com", "password": NEW_PASSWORD}
    return lambda shown: actor.form("/signup", fields, Shown(otp=shown.otp))


def _log_in(actor: Actor) -> Ask:
    return lambda shown: actor.form("/login", {"username": actor.account.name}, shown)


def _link(purpose: str, **fields: str) -> Callable[[Actor], Ask]:
    def ready(actor: Actor) -> Ask:
        world = actor.stage.world
        with world.registry.database.write() as connection:
            email = f"{actor.account.name}@example.com"
            secret = mail_links.make(connection, purpose, actor.account.id, email, world.clock.at)
        return lambda shown: actor.form(f"/{purpose}/{secret}", fields, Shown(otp=shown.otp))

    return ready


def _of_package(path: str, **fields: str) -> Callable[[Actor], Ask]:
    return lambda actor: _form(f"/package/{own_package(actor)}/{path}", **fields)(actor)


def _package_settings(actor: Actor) -> Ask:
    return _page(f"/package/{own_package(actor)}/access")(actor)


def _add_owner(actor: Actor) -> Ask:
    return _of_package("access/owners", owner=actor.stage.founder.name)(actor)


def _delete_package(actor: Actor) -> Ask:
    name = own_package(actor)
    return _form(f"/package/{name}/access/delete", package_name=name)(actor)


def _team_page(actor: Actor) -> Ask:
    return _page(f"/org/{in_organisation(actor)}/team/{EVERY_MEMBER}")(actor)


def _add_member(actor: Actor) -> Ask:
    user = actor.stage.world.account(actor.stage.name("bob")).name
    return _form(f"/org/{in_organisation(actor)}/members", user=user, role="developer")(actor)


def _login_hand_off(decision: str) -> Callable[[Actor], Ask]:
    def ready(actor: Actor) -> Ask:
        opened = actor.stage.world.registry.hand_offs.begin_login(actor.stage.world.caller())
        return lambda shown: actor.form(f"/login/cli/{opened.page_id}", {"decision": decision}, shown)

    return ready


def _proof_hand_off(actor: Actor) -> Ask:
    world = actor.stage.world
    caller = world.caller(world.token(actor.account))
    opened = world.registry.hand_offs.begin_proof(
        caller, actor.account.id, Action.PUBLISH, Target(package=actor.stage.name("core"))
    )
    return lambda shown: actor.form(f"/auth/cli/{opened.page_id}", {"decision": "approve"}, shown)


def _revoke(actor: Actor) -> Ask:
    key = actor.stage.world.token(actor.account, Kind.READ_ONLY).token_key
    assert key is not None
    return lambda shown: actor.form("/settings/~/tokens/revoke", {"key": key}, shown)


def _confirm(actor: Actor) -> Ask:
    actor.stage.begin_enrolment(actor)
    return lambda shown: actor.form("/settings/~/2fa/authenticator", {}, shown)


def _keep(actor: Actor) -> Ask:
    world, asked_by = actor.stage.world, actor.stage.founder.id  # who may have to be made first
    with world.registry.database.write() as connection:
        connection.execute(
            insert(FactorReset).values(
                user_id=actor.account.id, asked_by=asked_by, created_at=world.clock.at,
                due_at=world.clock.at + DAY,
            )
        )  # fmt: skip
    return _form("/settings/~/security/keep")(actor)


def _administer(path: str) -> Callable[[Actor], Ask]:
    def ready(actor: Actor) -> Ask:
        actor.stage.administrator(actor.account)
        user = actor.stage.world.account(actor.stage.name("dave"), Mode.AUTH_ONLY).name
        return lambda shown: actor.form(path.format(user=user), {"next": "/admin/users"}, shown)

    return ready


def _first_or_another(mode: Mode | None) -> Action:
    return Action.CONFIRM_ENROLMENT if mode is None else Action.CONFIRM_FACTOR


def _email(actor: Actor) -> Ask:
    return _form("/settings/~/email", email=f"{actor.stage.name('new')}@example.com")(actor)


WEB = only((
    Way(Action.PING, "GET", "/guide", _page("/guide")),
    Way(Action.SEARCH, "GET", "/search", _page("/search?q=core")),
    Way(
        Action.READ_PACKAGE, "GET", "/package/{name:package}",
        lambda a: _page(f"/package/{own_package(a)}")(a),
    ),
    Way(Action.READ_PROFILE, "GET", f"{SETTINGS}/profile", _page("/settings/~/profile")),
    Way(Action.LIST_TOKENS, "GET", f"{SETTINGS}/tokens", _page("/settings/~/tokens")),
    Way(Action.SIGN_UP, "POST", "/signup", _sign_up, as_nobody=True),
    Way(Action.LOG_IN, "POST", "/login", _log_in, as_nobody=True),
    Way(Action.LOG_OUT, "POST", "/logout", _form("/logout")),
    Way(
        Action.REQUEST_RESET, "POST", "/forgot", lambda a: _form("/forgot", account=a.account.name)(a),
        as_nobody=True,
    ),
    Way(
        Action.RESET_PASSWORD, "POST", "/reset/{link:part}", _link("reset", new_password=NEW_PASSWORD),
        as_nobody=True, spoils=True),
    Way(Action.VERIFY_EMAIL, "POST", "/verify/{link:part}", _link("verify"), as_nobody=True),
    Way(Action.UNDO_EMAIL, "POST", "/undo/{link:part}", _link("undo"), as_nobody=True),
    Way(
        Action.CHANGE_PROFILE, "POST", f"{SETTINGS}/profile",
        lambda a: _form("/settings/~/profile", fullname=a.stage.name("Alice"))(a),
    ),
    Way(Action.STAR, "POST", f"{PACKAGE}/star", _of_package("star")),
    Way(Action.READ_SETTINGS, "GET", f"{PACKAGE}/access", _package_settings),
    Way(Action.OWNERS, "POST", f"{PACKAGE}/access/owners", _add_owner),
    Way(Action.ACCESS, "POST", f"{PACKAGE}/access/mfa", _of_package("access/mfa", mfa="none")),
    Way(
        Action.DEPRECATE, "POST", f"{PACKAGE}/access/deprecate",
        _of_package("access/deprecate", versions="*", message="use another"),
    ),
    Way(Action.UNPUBLISH, "POST", f"{PACKAGE}/access/delete", _delete_package),
    Way(Action.READ_ORGANISATION, "GET", f"{ORGANISATION}/team/{{team:part}}", _team_page),
    Way(
        Action.CREATE_ORGANISATION, "POST", "/orgs",
        lambda a: _form("/orgs", name=a.stage.name("acme"))(a),
    ),
    Way(Action.ORGANISATION, "POST", f"{ORGANISATION}/members", _add_member),
    Way(
        Action.TEAMS, "POST", f"{ORGANISATION}/teams",
        lambda a: _form(f"/org/{in_organisation(a)}/teams", team=a.stage.name("team"), description="")(a),
    ),
    Way(
        Action.LEAVE_ORGANISATION, "POST", f"{ORGANISATION}/leave",
        lambda a: _form(f"/org/{in_organisation(a)}/leave")(a),
    ),
    Way(Action.CHANGE_EMAIL, "POST", f"{SETTINGS}/email", _email),
    Way(Action.SEND_VERIFICATION, "POST", f"{SETTINGS}/email/confirm", _form("/settings/~/email/confirm"), spoils=True),
    Way(
        Action.CHANGE_PASSWORD, "POST", f"{SETTINGS}/password",
        _form("/settings/~/password", new_password=NEW_PASSWORD), spoils=True),
    Way(Action.REVOKE_TOKEN, "POST", f"{SETTINGS}/tokens/revoke", _revoke),
    Way(Action.CREATE_TOKEN, "POST", f"{SETTINGS}/tokens", _form("/settings/~/tokens", type="read-only")),
    Way(
        Action.BEGIN_ENROLMENT, "POST", f"{SETTINGS}/2fa/add", _form("/settings/~/2fa/add"),
        otherwise=lambda mode: Action.BEGIN_ENROLMENT if mode is None else Action.CHANGE_SECOND_FACTOR, spoils=True,
    ),
    Way(
        Action.CONFIRM_ENROLMENT, "POST", f"{SETTINGS}/2fa/authenticator", _confirm, otherwise=_first_or_another,
        spoils=True,
    ),
    Way(
        Action.CONFIRM_FACTOR, "POST", f"{SETTINGS}/2fa/authenticator", _confirm, otherwise=_first_or_another,
        spoils=True,
    ),
    Way(
        Action.CHANGE_SECOND_FACTOR, "POST", f"{SETTINGS}/2fa/mode",
        _form("/settings/~/2fa/mode", mode=Mode.AUTH_AND_WRITES.value), spoils=True),
    Way(Action.KEEP_SECOND_FACTOR, "POST", f"{SETTINGS}/security/keep", _keep, spoils=True),
    Way(
        Action.CLOSE_ACCOUNT, "POST", f"{SETTINGS}/close",
        lambda a: _form("/settings/~/close", name=a.account.name)(a), spoils=True),
    Way(Action.APPROVE_LOGIN, "POST", "/login/cli/{id:part}", _login_hand_off("approve")),
    Way(Action.DENY_HAND_OFF, "POST", "/login/cli/{id:part}", _login_hand_off("deny")),
    Way(Action.APPROVE_PROOF, "POST", "/auth/cli/{id:part}", _proof_hand_off),
    Way(Action.ADMIN_READ, "POST", "/admin/enter", _administer("/admin/enter"), tells_nothing=True, spoils=True),
    Way(
        Action.ADMIN_CHANGE, "POST", "/admin/users/{user:part}/disable", _administer("/admin/users/{user}/disable"),
        spoils=True,
    ),
    Way(
        Action.ADMIN_SECOND_FACTOR, "POST", "/admin/users/{user:part}/reset",
        _administer("/admin/users/{user}/reset"), spoils=True),
))  # fmt: skip
