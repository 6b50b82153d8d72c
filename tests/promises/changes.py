"""Every kind of change that the npm API makes, as a table: its route, the request, and what the trail says of it."""

from __future__ import annotations

from tests.promises.cast import NOBODY, PASSWORD, RECOVERY, Cast, Change
from tests.promises.changes_of_organisations import OF_ORGANISATIONS
from tests.promises.support import Person, at, document, log_in, package, publish_body
from tests.support import accounts
from tests.support.wire import Answer, request

LOGIN = "/-/user/org.couchdb.user:{user:part}"
PROFILE, TOKENS, TOKEN = "/-/npm/v1/user", "/-/npm/v1/tokens", "/-/npm/v1/tokens/token/{token:part}"
PUT, PUT_REV = "/{name:package}", "/{name:package}/-rev/{revision:part}"
STAR, STAR_OF = "/-/user/v1/star", "/-/user/package/{name:package}/star"
STARRED = ("package:star:change",)
TAG = "/-/package/{name:package}/dist-tags/{tag:part}"


def _sign_up(cast: Cast, suffix: str = "") -> Answer:
    name = accounts.fresh_name("carol")
    body = accounts.user_document(name, accounts.PASSWORD, f"{name}@example.com")
    return request(cast.server, "PUT", accounts.user_path(name) + suffix, body=body)


def _log_out(cast: Cast) -> Answer:
    token = accounts.log_in(cast.plain)
    return request(cast.server, "DELETE", f"/-/user/token/{token}")


def _begin(cast: Cast) -> Answer:
    body = {"tfa": {"mode": "auth-only", "password": cast.plain.password}}
    answer = cast.plain.ask("POST", PROFILE, body=body)
    cast.plain.secret = answer.json["tfa"].partition("secret=")[2].partition("&")[0]
    return answer


def _confirm(cast: Cast) -> Answer:
    return cast.plain.ask("POST", PROFILE, body={"tfa": [cast.plain.code()]})


def _tfa(cast: Cast, who: Person, mode: str) -> Answer:
    code = who.fresh_code() if who.secret else None
    return who.ask("POST", PROFILE, otp=code, body={"tfa": {"mode": mode, "password": who.password}})


def _disable(cast: Cast) -> Answer:
    answer = _tfa(cast, cast.plain, "disable")
    cast.plain.secret = ""
    return answer


def _new_password(cast: Cast) -> Answer:
    alice = cast.alice
    old, alice.password = alice.password, accounts.OTHER_PASSWORD
    return cast.ask("POST", PROFILE, {"password": {"old": old, "new": alice.password}})


def _make(cast: Cast, **fields: object) -> Answer:
    return cast.ask("POST", TOKENS, {"password": cast.alice.password, **fields})


def _star(cast: Cast, method: str, *, document: bool = False, path: bool = False) -> Answer:
    name = cast.published()
    if document:
        return cast.alice.ask(method, f"/{name}", body={"_id": name, "users": {cast.alice.name: True}})
    if path:
        return cast.alice.ask(method, STAR_OF.replace("{name:package}", name))
    return cast.alice.ask(method, STAR, body={"name": name, "package": name})


def _revoke_in_hand(cast: Cast) -> Answer:
    token = accounts.read_only_token(cast.alice)
    return request(cast.server, "DELETE", f"{TOKENS}/token/{token}", token=token)


def _report(cast: Cast) -> Answer:
    leaked = {"token": accounts.read_only_token(cast.alice), "type": "npm", "url": "https://example.com/x"}
    return request(cast.server, "POST", "/-/twokey/secret-report", body=[leaked])


def _publish(cast: Cast, name: str, version: str = "1.0.0", **fields: object) -> Answer:
    return cast.ask("PUT", at(name), publish_body(name, version, package(name, version), **fields))


def _deprecate(cast: Cast) -> Answer:
    name = cast.published()
    return cast.ask("PUT", at(name), {"_id": name, "versions": {"1.0.0": {"deprecated": "use another"}}})


def _owners(cast: Cast, *, with_rev: bool) -> Answer:
    name = cast.published()
    path = f"{at(name)}/-rev/{document(cast.alice, name)['_rev']}" if with_rev else at(name)
    return cast.ask("PUT", path, {"_id": name, "maintainers": [{"name": cast.alice.name}, {"name": cast.bob.name}]})


def _unpublish(cast: Cast) -> Answer:
    name = cast.published("1.0.0", "1.1.0")
    read = document(cast.alice, name)
    del read["versions"]["1.1.0"]
    read["dist-tags"] = {"latest": "1.0.0"}
    return cast.ask("PUT", f"{at(name)}/-rev/{read['_rev']}", read)


def _delete_tarball(cast: Cast) -> Answer:
    name = cast.published("1.0.0", "1.1.0")
    return cast.ask("DELETE", f"{at(name)}/-/{name}-1.1.0.tgz/-rev/{document(cast.alice, name)['_rev']}")


def _remove(cast: Cast) -> Answer:
    name = cast.published()
    return cast.ask("DELETE", f"{at(name)}/-rev/{document(cast.alice, name)['_rev']}")


def _tag(cast: Cast, method: str, tag: str = "beta") -> Answer:
    name = cast.published()
    if method == "DELETE":
        assert cast.ask("PUT", f"/-/package/{name}/dist-tags/{tag}", "1.0.0").status == 201
    return cast.ask(method, f"/-/package/{name}/dist-tags/{tag}", None if method == "DELETE" else "1.0.0")


def _automation(cast: Cast) -> Answer:
    return accounts.publish(cast.alice, cast.published(), "1.0.1", token=cast.automation)


MADE, LOGGED_IN = ("account:account:create", "token:token:create"), ("account:login:ok", "token:token:create")
NEW_TOKEN, PUBLISHED = ("token:token:create",), ("package:version:publish",)
NEW_PACKAGE = ("package:package:create", "package:version:publish")
ENROLLED = ("account:second-factor:confirm", "account:recovery-codes:generate")

CHANGES = (
    Change("sign up", "PUT", LOGIN, MADE, _sign_up, None, NOBODY),
    Change(
        "sign up again",
        "PUT",
        f"{LOGIN}/-rev/{{revision:part}}",
        MADE,
        lambda c: _sign_up(c, "/-rev/1-0"),
        None,
        NOBODY,
    ),
    Change("log in", "PUT", LOGIN, LOGGED_IN, lambda c: log_in(c.plain), None, PASSWORD),
    Change("log in with a code", "PUT", LOGIN, LOGGED_IN, lambda c: log_in(c.alice, otp=c.alice.fresh_code()), None),
    Change(
        "log in with a recovery code",
        "PUT",
        LOGIN,
        ("account:recovery-codes:use", *LOGGED_IN),
        lambda c: log_in(c.alice, otp=c.alice.recovery_codes.pop()),
        None,
        RECOVERY,
    ),
    Change(
        "log out",
        "DELETE",
        "/-/user/token/{token:part}",
        ("token:token:revoke", "account:login:end"),
        _log_out,
        "plain",
        "login token",
    ),
    Change(
        "name",
        "POST",
        PROFILE,
        ("account:profile:change",),
        lambda c: c.ask("POST", PROFILE, {"fullname": accounts.fresh_name("Alice")}),
    ),
    Change(
        "mail",
        "POST",
        PROFILE,
        ("account:email:change",),
        lambda c: c.ask("POST", PROFILE, {"email": f"{accounts.fresh_name()}@example.com"}),
    ),
    Change("password", "POST", PROFILE, ("account:password:change",), _new_password),
    Change("begin an enrolment", "POST", PROFILE, ("account:second-factor:begin",), _begin, "plain", PASSWORD),
    Change(
        "cancel it",
        "POST",
        PROFILE,
        ("account:second-factor:cancel",),
        lambda c: _tfa(c, Person(**{**vars(c.plain), "secret": ""}), "disable"),
        "plain",
        PASSWORD,
    ),
    Change("begin it anew", "POST", PROFILE, ("account:second-factor:begin",), _begin, "plain", PASSWORD),
    Change("confirm it", "POST", PROFILE, ENROLLED, _confirm, "plain"),
    Change("turn it off", "POST", PROFILE, ("account:second-factor:disable",), _disable, "plain"),
    Change("mode", "POST", PROFILE, ("account:second-factor:mode",), lambda c: _tfa(c, c.alice, "auth-and-writes")),
    Change("a publish token", "POST", TOKENS, NEW_TOKEN, lambda c: _make(c, readonly=False)),
    Change("an automation token", "POST", TOKENS, NEW_TOKEN, lambda c: _make(c, name="ci", bypass_2fa=True)),
    Change("a granular token", "POST", TOKENS, NEW_TOKEN, lambda c: _make(c, name="one", packages=["core"])),
    Change(
        "revoke a token",
        "DELETE",
        TOKEN,
        ("token:token:revoke",),
        lambda c: c.ask("DELETE", f"{TOKENS}/token/{accounts.read_only_token(c.alice)}"),
    ),
    Change(
        "revoke the token in hand",
        "DELETE",
        TOKEN,
        ("token:token:revoke",),
        _revoke_in_hand,
        "alice",
        "read-only token",
    ),
    Change(
        "report a leaked token",
        "POST",
        "/-/twokey/secret-report",
        ("token:token:revoke", "token:token:leaked"),
        _report,
        None,
        NOBODY,
    ),
    Change("a new package", "PUT", PUT, NEW_PACKAGE, lambda c: _publish(c, accounts.fresh_name("core"))),
    Change(
        "the first of a scope",
        "PUT",
        PUT,
        ("organisation:scope:claim", "package:package:create", "package:grant:change", *PUBLISHED),
        lambda c: _publish(c, f"@{accounts.fresh_name('acme')}/core"),
    ),
    Change("a version", "PUT", PUT, PUBLISHED, lambda c: _publish(c, c.published(), "1.1.0")),
    Change("a version by automation", "PUT", PUT, PUBLISHED, _automation, "alice", "automation token"),
    Change(
        "a manifest that differs",
        "PUT",
        PUT,
        (*PUBLISHED, "package:manifest:difference"),
        lambda c: _publish(c, c.published(), "1.1.0", scripts={"install": "x"}),
    ),
    Change("deprecate", "PUT", PUT, ("package:version:deprecate",), _deprecate),
    Change("owners", "PUT", PUT, ("package:owners:change",), lambda c: _owners(c, with_rev=False)),
    Change("owners of a revision", "PUT", PUT_REV, ("package:owners:change",), lambda c: _owners(c, with_rev=True)),
    Change("unpublish a version", "PUT", PUT_REV, ("package:version:unpublish",), _unpublish),
    Change(
        "delete a tarball",
        "DELETE",
        "/{name:package}/-/{file:part}/-rev/{revision:part}",
        ("package:version:unpublish",),
        _delete_tarball,
    ),
    Change("unpublish a package", "DELETE", PUT_REV, ("package:package:unpublish",), _remove),
    Change("star", "PUT", PUT, STARRED, lambda c: _star(c, "PUT", document=True), "alice", "login token"),
    Change("a pnpm star", "PUT", STAR, STARRED, lambda c: _star(c, "PUT"), "alice", "login token"),
    Change("a pnpm unstar", "DELETE", STAR, STARRED, lambda c: _star(c, "DELETE"), "alice", "login token"),
    Change("star by path", "PUT", STAR_OF, STARRED, lambda c: _star(c, "PUT", path=True), "alice", "login token"),
    Change(
        "unstar by path", "DELETE", STAR_OF, STARRED, lambda c: _star(c, "DELETE", path=True), "alice", "login token"
    ),
    Change("set a dist-tag", "PUT", TAG, ("package:dist-tag:change",), lambda c: _tag(c, "PUT")),
    Change("post a dist-tag", "POST", TAG, ("package:dist-tag:change",), lambda c: _tag(c, "POST")),
    Change("remove a dist-tag", "DELETE", TAG, ("package:dist-tag:change",), lambda c: _tag(c, "DELETE")),
    *OF_ORGANISATIONS,
)
