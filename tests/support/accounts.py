"""Accounts made over plain HTTP, for tests of what comes after. The requests are npm's own:

PUT  /-/user/org.couchdb.user:NAME  {name, password, email, ...}            adduser, login
POST /-/npm/v1/user                 {"tfa": {"mode", "password"}}           enable-2fa: answers the otpauth URI
POST /-/npm/v1/user                 {"tfa": ["123456"]}                     the code: answers the recovery codes
POST /-/npm/v1/tokens               {"password", ...}                       token create
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import tarfile
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support import codes
from tests.support.server import Server
from tests.support.wire import Answer, request

PASSWORD = "plum-Orbit-quartz-71"
OTHER_PASSWORD = "velvet-Cinder-moss-38"
PROFILE = "/-/npm/v1/user"
TOKENS = "/-/npm/v1/tokens"

_numbers = itertools.count(1)


def fresh_name(stem: str = "alice") -> str:
    """A name that no other test of this process has had."""
    return f"{stem}-{next(_numbers)}"


@dataclass
class Account:
    """Somebody's account on a server, with everything that they know."""

    server: Server
    name: str
    email: str
    password: str
    token: str
    secret: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, *, otp: str | None = None, body: object = None, source: str = "127.0.0.1"
    ) -> Answer:
        """A request with this account's login token."""
        return request(self.server, method, path, token=self.token, otp=otp, body=body, source=source)

    def code(self, step_offset: int = 0) -> str:
        """What the app shows now, or `step_offset` time steps from now."""
        return codes.code(self.secret, self.server.now(), step_offset)

    def fresh_code(self) -> str:
        """What the app shows once the clock has moved past every code that may have been used so far."""
        self.server.advance(3 * codes.STEP)
        return self.code()

    def wrong_code(self) -> str:
        """A code that is wrong whatever the clock says."""
        return codes.wrong(self.secret, self.server.now())

    def profile(self) -> dict[str, Any]:
        """What `npm profile get` is made of."""
        answer = self.ask("GET", PROFILE)
        assert answer.status == 200, answer
        profile: dict[str, Any] = answer.json
        return profile


def sign_up(server: Server, name: str | None = None, password: str = PASSWORD) -> Account:
    """A new account with a login token, without two-factor authentication; with a fresh name unless one is given."""
    name = name or fresh_name()
    email = f"{name}@example.com"
    answer = request(server, "PUT", user_path(name), body=user_document(name, password, email))
    assert answer.status == 201, answer
    return Account(server, name, email, password, answer.json["token"])


def enrol(account: Account, mode: str = "auth-and-writes") -> Account:
    """Turn two-factor authentication on. The clock is moved on, past the code that this used."""
    begun = account.ask("POST", PROFILE, body={"tfa": {"mode": mode, "password": account.password}})
    assert begun.status == 200, begun
    account.secret = parse_qs(urlsplit(begun.json["tfa"]).query)["secret"][0]
    confirmed = account.ask("POST", PROFILE, body={"tfa": [account.code()]})
    assert confirmed.status == 200, confirmed
    account.recovery_codes = list(confirmed.json["tfa"])
    account.server.advance(3 * codes.STEP)
    return account


def log_in(account: Account) -> str:
    """A second login token of the account."""
    otp = account.fresh_code() if account.secret else None
    answer = request(
        account.server, "PUT", user_path(account.name), otp=otp, body=user_document(account.name, account.password)
    )
    assert answer.status == 201, answer
    return str(answer.json["token"])


def make_token(account: Account, **fields: object) -> str:
    """A token as `npm token create` makes it: `readonly=False` is npm 10's publish token, `bypass_2fa=True` with a
    name is an automation token."""
    otp = account.fresh_code() if account.secret else None
    answer = account.ask("POST", TOKENS, otp=otp, body={"password": account.password, **fields})
    assert answer.status in (200, 201), answer
    return str(answer.json["token"])


def publish_token(account: Account) -> str:
    """A token that publishes, and is asked for a code as the account's mode says."""
    return make_token(account, readonly=False, cidr_whitelist=[])


def read_only_token(account: Account) -> str:
    """A token that reads."""
    return make_token(account, readonly=True, cidr_whitelist=[])


def automation_token(account: Account) -> str:
    """A token that publishes without a code."""
    return make_token(account, name="ci", bypass_2fa=True)


def publish(
    account: Account, name: str, version: str = "1.0.0", *, otp: str | None = None, token: str | None = None,
    source: str = "127.0.0.1",
) -> Answer:  # fmt: skip
    """`npm publish` of a package made here, as one request."""
    return request(
        account.server, "PUT", "/" + name.replace("/", "%2f"),
        token=token or account.token, otp=otp, body=publish_document(name, version), source=source,
    )  # fmt: skip


def publish_document(name: str, version: str, *, readme: str | None = None, **fields: object) -> dict[str, Any]:
    """The body of a publish, as npm 10 sends it; `fields` stand in its package.json, `readme` beside it."""
    manifest = {"name": name, "version": version, "description": f"{name}, for a test", **fields}
    tarball = _tarball(manifest, readme)
    dist = {
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
        "shasum": hashlib.sha1(tarball).hexdigest(),
        "tarball": f"http://localhost/{name}/-/{name}-{version}.tgz",
    }
    attachment = {
        "content_type": "application/octet-stream",
        "data": base64.b64encode(tarball).decode(),
        "length": len(tarball),
    }
    return {
        "_id": name,
        "name": name,
        "description": manifest["description"],
        "dist-tags": {"latest": version},
        "versions": {version: {**manifest, "_id": f"{name}@{version}", "dist": dist}},
        "access": None,
        **({} if readme is None else {"readme": readme}),
        "_attachments": {f"{name}-{version}.tgz": attachment},
    }


def is_published(server: Server, name: str, version: str = "1.0.0") -> bool:
    """Whether a version is there for everybody."""
    answer = request(server, "GET", "/" + name.replace("/", "%2f"))
    assert answer.status in (200, 404), answer
    return answer.status == 200 and version in answer.json["versions"]


def user_path(name: str) -> str:
    """Where npm signs up and logs in."""
    return f"/-/user/org.couchdb.user:{name}"


def user_document(name: str, password: str, email: str | None = None) -> dict[str, Any]:
    """What npm sends there; with an address it is `adduser`, without one `login`."""
    document: dict[str, Any] = {
        "_id": f"org.couchdb.user:{name}",
        "name": name,
        "password": password,
        "type": "user",
        "roles": [],
        "date": "2026-11-24T00:00:00.000Z",
    }
    return document if email is None else {**document, "email": email}


def _tarball(manifest: dict[str, Any], readme: str | None) -> bytes:
    files = {"package/package.json": json.dumps(manifest).encode()}
    if readme is not None:
        files["package/README.md"] = readme.encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()
