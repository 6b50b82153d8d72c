"""The request by which npm asks for each action: one row for every action that a route of the npm API names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.domain.world import packed
from tests.policy.stage import Actor, Shown
from tests.policy.way import Ask, Way, only
from tests.promises.support import publish_body
from tests.support.wire import Answer
from twokey.authority.actions import Action
from twokey.authority.principal import CredentialKind as Kind
from twokey.authority.principal import Mode, TokenLimits
from twokey.tokens.tokens import Wish

PROFILE, TOKENS = "/-/npm/v1/user", "/-/npm/v1/tokens"
NEW_PASSWORD = "a lamp under nine bridges 8"
Body = Callable[[Shown], object]


def _get(path: str) -> Callable[[Actor], Ask]:
    return lambda actor: lambda shown: actor.npm("GET", path, otp=shown.otp)


def _send(actor: Actor, method: str, path: str, body: Body | object = None) -> Ask:
    def ask(shown: Shown) -> Answer:
        return actor.npm(method, path, body(shown) if callable(body) else body, shown.otp)

    return ask


def own_package(actor: Actor, *versions: str, mfa: str = "none", access: str = "public", scope: str = "") -> str:
    """A package that the actor's account owns."""
    name = actor.stage.name("core")
    name = f"@{scope}/{name}" if scope else name
    actor.stage.world.package(name, actor.account, *(versions or ("1.0.0",)), mfa=mfa, access=access)
    return name


def at(name: str) -> str:
    """The package's path."""
    return "/" + name.replace("/", "%2f")


def publish(actor: Actor, name: str) -> Ask:
    """Version 2.0.0 of the package."""
    return _send(actor, "PUT", at(name), publish_body(name, "2.0.0", packed(name, "2.0.0")))


def dist_tag(actor: Actor, name: str) -> Ask:
    """The tag `beta` for its first version."""
    return _send(actor, "PUT", f"/-/package{at(name)}/dist-tags/beta", "1.0.0")


def deprecate(actor: Actor, name: str) -> Ask:
    """Its first version is deprecated."""
    return _send(actor, "PUT", at(name), {"_id": name, "versions": {"1.0.0": {"deprecated": "use another"}}})


def unpublish(actor: Actor, name: str) -> Ask:
    """The whole package."""
    return _send(actor, "DELETE", f"{at(name)}/-rev/{actor.stage.world.found(name).rev}")


def _owners(actor: Actor) -> Ask:
    name, other = own_package(actor), actor.stage.founder.name
    return _send(actor, "PUT", at(name), {"_id": name, "maintainers": [{"name": other}, {"name": actor.account.name}]})


def _star(actor: Actor) -> Ask:
    return _send(actor, "PUT", f"/-/user/package{at(own_package(actor))}/star")


def _access(actor: Actor) -> Ask:
    return _send(actor, "POST", f"/-/package{at(own_package(actor))}/access", {"access": "public"})


def in_organisation(actor: Actor, permission: str = "read-write") -> str:
    """An organisation that the actor is in, and that a granular token of theirs is for."""
    name = actor.stage.organisation(actor.account)
    if actor.who.kind is Kind.GRANULAR:
        actor.limits = TokenLimits(
            permission="read-write", bypass_2fa=actor.who.bypass, orgs=(name,), orgs_permission=permission
        )
    return name


def members(actor: Actor, organisation: str) -> Ask:
    """Who is in the organisation."""
    return _send(actor, "GET", f"/-/org/{organisation}/user")


def set_member(actor: Actor, organisation: str) -> Ask:
    """Somebody new comes in."""
    user = actor.stage.world.account(actor.stage.name("bob")).name
    return _send(actor, "PUT", f"/-/org/{organisation}/user", {"user": user})


def create_team(actor: Actor, organisation: str) -> Ask:
    """Another team."""
    return _send(actor, "PUT", f"/-/org/{organisation}/team", {"name": actor.stage.name("team")})


def _leave(actor: Actor) -> Ask:
    organisation = in_organisation(actor)
    return _send(actor, "DELETE", f"/-/org/{organisation}/user", {"user": actor.account.name})


def _sign_up(actor: Actor) -> Ask:
    name = actor.stage.name("carol")
    body = {"name": name, "password": NEW_PASSWORD, "email": f"{name}@example.com"}
    return _send(actor, "PUT", f"/-/user/org.couchdb.user:{name}", body)


def _log_in(actor: Actor) -> Ask:
    name = actor.account.name
    return _send(actor, "PUT", f"/-/user/org.couchdb.user:{name}", lambda shown: _with_password({"name": name}, shown))


def _log_out(actor: Actor) -> Ask:
    token = actor.token if actor.who.kind is not Kind.ANONYMOUS else "npm_of-nobody"
    return _send(actor, "DELETE", f"/-/user/token/{token}")


def _with_password(body: dict[str, Any], shown: Shown) -> dict[str, Any]:
    return body if shown.password is None else {**body, "password": shown.password}


def _revoke(actor: Actor) -> Ask:
    key = actor.stage.world.token(actor.account, Kind.READ_ONLY).token_key
    return _send(actor, "DELETE", f"{TOKENS}/token/{key}")


def _report(actor: Actor) -> Ask:
    leaked, _ = actor.stage.world.mint(actor.account, Wish(Kind.READ_ONLY, "leaked"))
    return _send(actor, "POST", "/-/twokey/secret-report", {"token": leaked})


def _password(actor: Actor) -> Ask:
    def body(shown: Shown) -> object:  # npm asks for the old one before it sends anything
        return {"password": {"old": shown.password or "a guess at it", "new": NEW_PASSWORD}}

    return _send(actor, "POST", PROFILE, body)


def _mode(actor: Actor) -> Ask:
    return _send(
        actor, "POST", PROFILE, lambda shown: {"tfa": _with_password({"mode": Mode.AUTH_AND_WRITES.value}, shown)}
    )


def _confirm(actor: Actor) -> Ask:
    actor.stage.begin_enrolment(actor)

    def ask(shown: Shown) -> Answer:
        return actor.npm("POST", PROFILE, {"tfa": [shown.otp or "000000"]})

    return ask


def _enrolment_of(mode: Mode | None) -> Action:
    return Action.BEGIN_ENROLMENT if mode is None else Action.CHANGE_SECOND_FACTOR


NPM = only((
    Way(Action.PING, "GET", "/-/ping", _get("/-/ping"), as_nobody=True),
    Way(Action.READ_METRICS, "GET", "/-/metrics", _get("/-/metrics"), as_nobody=True),
    Way(Action.SEARCH, "GET", "/-/v1/search", _get("/-/v1/search?text=core")),
    Way(Action.READ_PACKAGE, "GET", "/{name:package}", lambda a: _send(a, "GET", at(own_package(a)))),
    Way(
        Action.AUDIT, "POST", "/-/npm/v1/security/advisories/bulk",
        lambda a: _send(a, "POST", "/-/npm/v1/security/advisories/bulk", {"core": ["1.0.0"]}),
    ),
    Way(Action.STAR, "PUT", "/-/user/package/{name:package}/star", _star),
    Way(Action.WHOAMI, "GET", "/-/whoami", _get("/-/whoami")),
    Way(Action.READ_PROFILE, "GET", PROFILE, _get(PROFILE)),
    Way(
        Action.READ_USER, "GET", "/-/user/org.couchdb.user:{user:part}",
        lambda a: _send(a, "GET", f"/-/user/org.couchdb.user:{a.account.name}"),
    ),
    Way(Action.LIST_TOKENS, "GET", TOKENS, _get(TOKENS)),
    Way(Action.SIGN_UP, "PUT", "/-/user/org.couchdb.user:{user:part}", _sign_up, as_nobody=True),
    Way(Action.LOG_IN, "PUT", "/-/user/org.couchdb.user:{user:part}", _log_in, as_nobody=True),
    Way(Action.LOG_OUT, "DELETE", "/-/user/token/{token:part}", _log_out),
    Way(Action.REPORT_SECRET, "POST", "/-/twokey/secret-report", _report, as_nobody=True),
    Way(Action.PUBLISH, "PUT", "/{name:package}", lambda a: publish(a, own_package(a))),
    Way(
        Action.DIST_TAG, "PUT", "/-/package/{name:package}/dist-tags/{tag:part}",
        lambda a: dist_tag(a, own_package(a)),
    ),
    Way(Action.DEPRECATE, "PUT", "/{name:package}", lambda a: deprecate(a, own_package(a))),
    Way(
        Action.UNPUBLISH, "DELETE", "/{name:package}/-rev/{revision:part}",
        lambda a: unpublish(a, own_package(a)),
    ),
    Way(Action.OWNERS, "PUT", "/{name:package}", _owners),
    Way(Action.ACCESS, "POST", "/-/package/{name:package}/access", _access),
    Way(
        Action.READ_ORGANISATION, "GET", "/-/org/{organisation:part}/user",
        lambda a: members(a, in_organisation(a)),
    ),
    Way(
        Action.ORGANISATION, "PUT", "/-/org/{organisation:part}/user",
        lambda a: set_member(a, in_organisation(a)),
    ),
    Way(
        Action.TEAMS, "PUT", "/-/org/{organisation:part}/team", lambda a: create_team(a, in_organisation(a))
    ),
    Way(Action.LEAVE_ORGANISATION, "DELETE", "/-/org/{organisation:part}/user", _leave),
    Way(
        Action.CREATE_TOKEN, "POST", TOKENS,
        lambda a: _send(a, "POST", TOKENS, lambda shown: _with_password({"readonly": True}, shown)),
    ),
    Way(Action.REVOKE_TOKEN, "DELETE", "/-/npm/v1/tokens/token/{token:part}", _revoke),
    Way(
        Action.CHANGE_PROFILE, "POST", PROFILE,
        lambda a: _send(a, "POST", PROFILE, {"fullname": a.stage.name("Alice")}),
    ),
    Way(
        Action.CHANGE_EMAIL, "POST", PROFILE,
        lambda a: _send(a, "POST", PROFILE, {"email": f"{a.stage.name('new')}@example.com"}),
    ),
    Way(Action.CHANGE_PASSWORD, "POST", PROFILE, _password, spoils=True),
    Way(Action.BEGIN_ENROLMENT, "POST", PROFILE, _mode, otherwise=_enrolment_of, spoils=True),
    Way(Action.CONFIRM_ENROLMENT, "POST", PROFILE, _confirm, spoils=True),
    Way(Action.CHANGE_SECOND_FACTOR, "POST", PROFILE, _mode, otherwise=_enrolment_of, spoils=True),
))  # fmt: skip
