"""Every kind of write that is refused, as a table: its name, the status and words of the answer, the request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.promises.support import Instance, Person, at, document, log_in, package, publish_body, send, tarball
from tests.support import accounts
from tests.support.wire import Answer, request

TOKENS = "/-/npm/v1/tokens/token/"
WRONG = "no such password at all"
WEAK = "aaaaaaaaaaaa"
PASSWORDS = {"old": accounts.PASSWORD, "new": accounts.OTHER_PASSWORD}
OLD = {"1.0.0": {"deprecated": "old"}}


@dataclass
class World:
    """A server where alice has packages and tokens of every kind, and bob has an account."""

    server: Instance
    alice: Person
    bob: Person
    plain: Person
    name: str
    second: str
    automation: str
    read_only: str
    narrow: str
    short: str
    revoked: str

    @property
    def rev(self) -> str:
        """The path of a change to the package as it is now."""
        return f"{at(self.name)}/-rev/{document(self.alice, self.name)['_rev']}"

    def body(self, version: str = "9.0.0") -> dict[str, Any]:
        """A good publish."""
        return publish_body(self.name, version, package(self.name, version))

    def packed(self, content: bytes) -> dict[str, Any]:
        """A publish of a tarball that holds what `content` is."""
        return publish_body(self.name, "9.0.0", content)

    def changed(self, **changes: Any) -> dict[str, Any]:
        """The package's document with changes."""
        return {**document(self.alice, self.name), **changes}

    def publish(self, body: dict[str, Any], code: str | None, token: str | None = None) -> Answer:
        """Publishes with one of alice's tokens."""
        return self.ask("PUT", at(body["name"]), code, body, token)

    def ask(self, method: str, path: str, code: str | None, body: object = None, token: str | None = None) -> Answer:
        """A request with one of alice's tokens, her login token unless named."""
        return request(self.server, method, path, token=token or self.alice.token, otp=code, body=body)

    def tag(self, method: str, tag: str, code: str | None, version: object = None) -> Answer:
        """A change of a dist-tag."""
        return self.ask(method, f"/-/package/{self.name}/dist-tags/{tag}", code, version)

    def as_bob(self, method: str, path: str, body: object = None) -> Answer:
        """A request of bob's, with a code of his that is right."""
        return self.bob.ask(method, path, otp=self.bob.fresh_code(), body=body)

    def profile(self, code: str | None, body: dict[str, Any], token: str | None = None) -> Answer:
        """A change of alice's profile."""
        return self.ask("POST", accounts.PROFILE, code, body, token)

    def tfa(self, code: str, mode: str, password: str | None = None, token: str | None = None) -> Answer:
        """A change of alice's second factor."""
        return self.profile(code, {"tfa": {"mode": mode, "password": password or self.alice.password}}, token)

    def make_token(self, code: str | None, token: str | None = None, **fields: object) -> Answer:
        """A new token."""
        return self.ask("POST", accounts.TOKENS, code, {"password": self.alice.password, **fields}, token)

    def sign_up(self, name: str, password: str, email: str) -> Answer:
        """A new account."""
        document = accounts.user_document(name, password, email)
        return request(self.server, "PUT", accounts.user_path(name), body=document)


@dataclass(frozen=True)
class Refusal:
    """A write that is refused. `right`: alice's own right code came along, and must stay good."""

    name: str
    status: int
    says: str
    ask: Callable[[World, str], Answer]
    right: bool = True


def _with_dist(world: World, **dist: object) -> dict[str, Any]:
    body = world.body()
    body["versions"]["9.0.0"]["dist"].update(dist)
    return body


def _with(body: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    return {**body, key: value}


def _anew(name: str, version: str = "1.0.0") -> dict[str, Any]:
    return publish_body(name, version, package(name, version))


def _big(world: World) -> bytes:
    return tarball({"package/package.json": b"{}", "package/noise": os.urandom(3 << 19)})


def _too_long(world: World, code: str) -> Answer:
    return send(world.server, "PUT", at(world.name), b" " * (18 << 20), token=world.alice.token, otp=code)


def _given_away(world: World, to: str) -> dict[str, Any]:
    return {"_id": world.name, "maintainers": [{"name": to}]}


PUBLISHES = (
    Refusal("not gzip", 400, "not valid gzip", lambda w, c: w.publish(w.packed(b"no tarball" * 9), c)),
    Refusal("cut off", 400, "cut off", lambda w, c: w.publish(w.packed(package(w.name, "9.0.0")[:-20]), c)),
    Refusal("no package.json", 400, "no package.json", lambda w, c: w.publish(w.packed(tarball({"a/b": b"c"})), c)),
    Refusal("another name packed", 400, "has the name", lambda w, c: w.publish(w.packed(package("x", "9.0.0")), c)),
    Refusal("another version packed", 400, "has the version", lambda w, c: w.publish(w.packed(package(w.name)), c)),
    Refusal("another name sent", 400, "is not", lambda w, c: w.publish(_with(w.body(), "_id", "other"), c)),
    Refusal("wrong integrity", 400, "integrity", lambda w, c: w.publish(_with_dist(w, integrity="sha512-AAAA"), c)),
    Refusal("wrong shasum", 400, "shasum", lambda w, c: w.publish(_with_dist(w, shasum="0" * 40), c)),
    Refusal("range", 400, "dist-tag", lambda w, c: w.publish(_with(w.body(), "dist-tags", {"1.x": "9.0.0"}), c)),
    Refusal("unknown access", 400, "access", lambda w, c: w.publish(_with(w.body(), "access", "secret"), c)),
    Refusal("version exists", 403, "cannot publish over", lambda w, c: w.publish(w.body("1.0.0"), c)),
    Refusal("tombstone", 403, "was unpublished", lambda w, c: w.publish(w.body("1.1.0"), c)),
    Refusal("resting name", 403, "24 hours", lambda w, c: w.publish(_anew(f"{w.name}-gone", "2.0.0"), c)),
    Refusal("scope", 403, "belongs to another", lambda w, c: w.publish(_anew(f"@{w.bob.name}/x"), c)),
    Refusal("a core module", 400, "Node.js", lambda w, c: w.publish(_anew("fs"), c)),
    Refusal("tarball too large", 413, "larger than", lambda w, c: w.publish(w.packed(_big(w)), c)),
    Refusal("body too large", 413, "too large", _too_long),
    Refusal("no code", 401, "one-time pass", lambda w, c: w.publish(w.body(), None)),
    Refusal("wrong code", 401, "Invalid one-time", lambda w, c: w.publish(w.body(), w.alice.wrong_code())),
    Refusal("wrong recovery code", 401, "recovery codes", lambda w, c: w.publish(w.body(), "0000-0000-0000")),
    Refusal("no token", 401, "npm login", lambda w, c: request(w.server, "PUT", at(w.name), otp=c, body=w.body())),
    Refusal("expired token", 401, "expired", lambda w, c: w.publish(w.body(), c, w.short)),
    Refusal("revoked token", 401, "revoked", lambda w, c: w.publish(w.body(), c, w.revoked)),
    Refusal("read-only token", 403, "read-only", lambda w, c: w.publish(w.body(), c, w.read_only)),
    Refusal("a token for others", 403, "is not for", lambda w, c: w.publish(w.body(), c, w.narrow)),
    Refusal("not an owner", 403, "not an owner", lambda w, c: w.as_bob("PUT", at(w.name), w.body()), right=False),
)

CHANGES = (
    Refusal("tag: no version", 404, "no version", lambda w, c: w.tag("PUT", "beta", c, "7.7.7")),
    Refusal("tag: a range", 400, "dist-tag", lambda w, c: w.tag("PUT", "1.x", c, "1.0.0")),
    Refusal("tag: latest goes", 400, "latest", lambda w, c: w.tag("DELETE", "latest", c)),
    Refusal("tag: none there", 404, "no dist-tag", lambda w, c: w.tag("DELETE", "nope", c)),
    Refusal("tag: no code", 401, "one-time pass", lambda w, c: w.tag("PUT", "beta", None, "1.0.0")),
    Refusal(
        "tag: not an owner", 403, "not an owner",
        lambda w, c: w.as_bob("PUT", f"/-/package/{w.name}/dist-tags/beta", "1.0.0"), right=False,
    ),
    Refusal(
        "deprecate: no version", 404, "no version",
        lambda w, c: w.ask("PUT", at(w.name), c, w.changed(versions={"7.7.7": {"deprecated": "old"}})),
    ),
    Refusal(
        "deprecate: too long", 400, "at most",
        lambda w, c: w.ask("PUT", at(w.name), c, w.changed(versions={"1.0.0": {"deprecated": "o" * 2000}})),
    ),
    Refusal("deprecate: stale", 409, "has changed", lambda w, c: w.ask("PUT", at(w.name), c, w.changed(_rev="1-0"))),
    Refusal(
        "deprecate: not an owner", 403, "not an owner",
        lambda w, c: w.as_bob("PUT", at(w.name), {"_id": w.name, "versions": OLD}), right=False,
    ),
    Refusal("unpublish: stale", 409, "has changed", lambda w, c: w.ask("DELETE", f"{at(w.name)}/-rev/1-0", c)),
    Refusal(
        "unpublish: gains", 400, "may only lose",
        lambda w, c: w.ask("PUT", w.rev, c, _with(w.changed(versions={"7.7.7": {}}), "dist-tags", {})),
    ),
    Refusal("unpublish: not an owner", 403, "not an owner", lambda w, c: w.as_bob("DELETE", w.rev), right=False),
    Refusal(
        "unpublish: automation", 403, "cannot unpublish",
        lambda w, c: w.ask("DELETE", w.rev, c, None, w.automation),
    ),
    Refusal("owners: nobody", 404, "no account", lambda w, c: w.ask("PUT", w.rev, c, _given_away(w, "nobody"))),
    Refusal(
        "owners: automation", 403, "cannot change owners",
        lambda w, c: w.ask("PUT", at(w.name), c, _given_away(w, w.bob.name), w.automation),
    ),
    Refusal("owners: no code", 401, "one-time", lambda w, c: w.ask("PUT", w.rev, None, _given_away(w, w.bob.name))),
)  # fmt: skip

ACCOUNT = (
    Refusal("token: wrong password", 401, "Wrong password", lambda w, c: w.make_token(c, password=WRONG)),
    Refusal("token: no code", 401, "one-time pass", lambda w, c: w.make_token(None)),
    Refusal("token: unknown field", 400, "no field", lambda w, c: w.make_token(c, colour="red")),
    Refusal("token: bad network", 400, "address range", lambda w, c: w.make_token(c, cidr_whitelist=["300.0.0.0/8"])),
    Refusal("token: automation", 403, "cannot create tokens", lambda w, c: w.make_token(c, w.automation)),
    Refusal(
        "revoke: automation", 403, "cannot revoke",
        lambda w, c: w.ask("DELETE", TOKENS + w.second, c, None, w.automation),
    ),
    Refusal("revoke: none", 404, "no such token", lambda w, c: w.ask("DELETE", f"{TOKENS}abc", c)),
    Refusal("revoke: no code", 401, "one-time pass", lambda w, c: w.ask("DELETE", TOKENS + w.second, None)),
    Refusal("revoke: another's", 404, "no such token", lambda w, c: w.ask("DELETE", TOKENS + w.bob.token, c)),
    Refusal(
        "name: automation", 403, "cannot change the profile",
        lambda w, c: w.profile(c, {"fullname": "Mallory"}, w.automation),
    ),
    Refusal("name: no code", 401, "one-time pass", lambda w, c: w.profile(None, {"fullname": "Mallory"})),
    Refusal("name: unknown field", 400, "no profile field", lambda w, c: w.profile(c, {"shoe": "42"})),
    Refusal(
        "mail: automation", 403, "cannot change the mail",
        lambda w, c: w.profile(c, {"email": "m@example.com"}, w.automation),
    ),
    Refusal("mail: none", 400, "not a mail address", lambda w, c: w.profile(c, {"email": "nowhere"})),
    Refusal(
        "password: automation", 403, "cannot change the password",
        lambda w, c: w.profile(c, {"password": PASSWORDS}, w.automation),
    ),
    Refusal(
        "password: too weak", 400, "password is too",
        lambda w, c: w.profile(c, {"password": {**PASSWORDS, "new": WEAK}}),
    ),
    Refusal("password: no code", 401, "one-time pass", lambda w, c: w.profile(None, {"password": PASSWORDS})),
    Refusal(
        "2fa: automation", 403, "cannot change two-factor",
        lambda w, c: w.tfa(c, "disable", token=w.automation),
    ),
    Refusal("2fa: wrong password", 401, "Wrong password", lambda w, c: w.tfa(c, "disable", WRONG)),
    Refusal("2fa: unknown mode", 400, "is unknown", lambda w, c: w.tfa(c, "sometimes")),
    Refusal("2fa: wrong code", 401, "Invalid one-time", lambda w, c: w.tfa(w.alice.wrong_code(), "disable")),
    Refusal(
        "enrol: wrong password", 401, "Wrong password", right=False,
        ask=lambda w, c: w.plain.ask(
            "POST", accounts.PROFILE, body={"tfa": {"mode": "auth-only", "password": WRONG}}
        ),
    ),
    Refusal("login: wrong password", 401, "wrong password", lambda w, c: log_in(w.alice, otp=c, password=WRONG)),
    Refusal("login: no code", 401, "one-time pass", lambda w, c: log_in(w.alice)),
    Refusal("login: wrong code", 401, "Invalid one-time", lambda w, c: log_in(w.alice, otp=w.alice.wrong_code())),
    Refusal("sign-up: weak", 400, "password is too", lambda w, c: w.sign_up("carol", WEAK, "carol@example.com")),
    Refusal("sign-up: no mail", 400, "not a mail address", lambda w, c: w.sign_up("carol", accounts.PASSWORD, "carol")),
    Refusal(
        "sign-up: bad name", 400, "user name", lambda w, c: w.sign_up("Carol", accounts.PASSWORD, "carol@example.com")
    ),
)  # fmt: skip
