"""Every page there is, as somebody meets it who uses the registry: for axe-core and for screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.support import accounts, post
from tests.support.accounts import Account
from tests.support.server import Server
from tests.support.wire import request
from tests.web import people
from tests.web.security_keys import PLAIN, VirtualKey

README = """# Core

[![a badge](https://badges.example/core.svg)](https://example.com/core)

What holds it *together*: `core()`, lists, tables, code.

## Use

```js
import core from "core"; // a line that is long enough to need scrolling on the screen of a phone, as many are
core();
```

| Option | Default | What it does |
| --- | --- | --- |
| `depth` | 3 | How deep it goes |
| `strict` | false | Whether it minds |

- [x] done
- [ ] to do

> A quotation.

[A file beside this](docs/more.md), and [Use](#use) above.
"""
MANIFEST = {
    "description": "What holds it together",
    "keywords": ["core", "together", "small"],
    "license": "MIT",
    "homepage": "https://example.com/core",
    "repository": {"type": "git", "url": "git+https://github.com/acme/core.git"},
    "dependencies": {"left": "^1.0.0", "right": "~2.1.0"},
    "peerDependencies": {"middle": ">=3"},
    "engines": {"node": ">=20"},
}


@dataclass(frozen=True)
class World:
    """What the pages are about."""

    server: Server
    alice: Account
    package: str
    admin: Account
    guest: Account
    quarantined: str
    org: str  # an organisation of hers, with a team, a member without 2FA and a package


def build(server: Server) -> World:
    """An account with two-factor authentication, packages, tokens of every kind."""
    alice = accounts.enrol(accounts.sign_up(server))
    package = accounts.fresh_name("core")
    token = accounts.automation_token(alice)
    for version, name in (("1.0.0", package), ("1.1.0", package), ("2.0.0-beta.1", package), ("1.0.0", f"{package}-x")):
        document = accounts.publish_document(name, version, readme=README, **MANIFEST)
        answer = request(server, "PUT", f"/{name}", token=token, body=document)
        assert answer.status == 201, answer
    for _ in range(3):
        request(server, "GET", f"/{package}/-/{package}-1.0.0.tgz")
    deprecated = {"_id": f"{package}-x", "versions": {"1.0.0": {"deprecated": "Use core instead."}}}
    assert request(server, "PUT", f"/{package}-x", token=token, body=deprecated).status == 201
    assert alice.ask("PUT", f"/-/user/package/{package}/star").status == 200
    accounts.publish_token(alice)
    accounts.make_token(alice, name="only core", packages=[package], packages_and_scopes_permission="read-write")
    admin = accounts.enrol(accounts.sign_up(server, accounts.fresh_name("admin")))
    guest = accounts.enrol(accounts.sign_up(server, accounts.fresh_name("guest")))
    assert server.admin("user", "grant", admin.name).returncode == 0
    quarantined = accounts.fresh_name("stolen")
    assert accounts.publish(guest, quarantined, otp=guest.fresh_code()).status == 201
    return World(server, alice, package, admin, guest, quarantined, _organisation(alice, token))


def _organisation(alice: Account, token: str) -> str:
    """An organisation with a member without two-factor authentication, a team, and a package; its name."""
    name, bob = accounts.fresh_name("acme"), accounts.sign_up(alice.server, accounts.fresh_name("developer"))
    for version in ("1.0.0", "1.1.0"):
        assert accounts.publish(alice, f"@{name}/core", version, token=token).status == 201
    team = f"/-/team/{name}/plumbers"
    for method, path, body in (
        ("PUT", f"/-/org/{name}/user", {"user": bob.name, "role": "developer"}),
        ("PUT", f"/-/org/{name}/team", {"name": "plumbers", "description": "They know the pipes"}),
        ("PUT", f"{team}/user", {"user": bob.name}),
        ("PUT", f"{team}/package", {"package": f"@{name}/core", "permissions": "read-write"}),
    ):
        answer = alice.ask(method, path, otp=alice.fresh_code(), body=body)
        assert answer.status < 300, answer
    return name


def visited(page: Page, world: World) -> Iterator[str]:
    """Goes from page to page; where each is open, yields its name."""
    yield from _signed_out(page, world)
    yield from _enrolment(page, world)
    yield from _mailed(page, world)
    yield from _settings(page, world)
    yield from _organisations(page, world)
    yield from _security_keys(page, world)
    yield from _administration(page, world)


def _mailed(page: Page, world: World) -> Iterator[str]:
    page.goto("/forgot")
    yield "forgot"
    page.get_by_label("Username or email").fill("nobody-is-called-so")
    page.get_by_role("button", name="Send the mail").click()
    page.get_by_text("If the account exists").wait_for()
    yield "forgot-asked"
    page.goto(f"/reset/{post.link(world.alice, 'reset')}")
    yield "reset-code"
    page.get_by_label("One-time password").fill(world.alice.fresh_code())
    page.keyboard.press("Enter")
    page.get_by_label("New password").wait_for()
    yield "reset-password"
    page.goto(f"/undo/{post.link(world.alice, 'undo')}")
    yield "undo"
    page.goto(f"/verify/{post.link(world.alice, 'verify')}")
    yield "verify"
    page.get_by_role("button", name="Confirm address").click()
    page.get_by_text("is confirmed").wait_for()
    yield "verified"


def _signed_out(page: Page, world: World) -> Iterator[str]:
    for name, path in (
        ("home", "/"),
        ("search", f"/search?q={world.package}"),
        ("search-deprecated", "/search?q=is:deprecated"),
        ("search-nothing", "/search?q=nothing-is-called-so"),
        ("package", f"/package/{world.package}"),
        ("package-version", f"/package/{world.package}/v/2.0.0-beta.1"),
        ("user", f"/~{world.alice.name}"),
        ("organisation-public", f"/org/{world.org}"),
        ("guide", "/guide"),
        ("sign-up", "/signup"),
        ("sign-in", "/login"),
    ):
        page.goto(path)
        yield name
    page.goto("/login")
    page.get_by_label("Username").fill(world.alice.name)
    page.get_by_label("Password").fill(world.alice.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("One-time password").wait_for()
    yield "sign-in-code"
    page.get_by_role("button", name="Use another account").click()
    page.get_by_label("Password").wait_for()


def _enrolment(page: Page, world: World) -> Iterator[str]:
    bob = people.sign_up(page, world.server)
    yield "2fa-off"
    for name in ("tokens", "packages"):
        page.goto(f"/settings/~/{name}")
        yield f"{name}-empty"
    page.goto("/orgs")
    yield "organisations-empty"
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Add authenticator app").click()
    page.get_by_label("Password").wait_for()
    yield "confirm-password"
    page.get_by_label("Password").fill(bob.password)
    page.get_by_role("button", name="Continue").click()
    key = page.locator("#key")
    key.wait_for()
    yield "wizard"
    bob.secret = key.inner_text().replace(" ", "")
    page.get_by_label("One-time password").fill(bob.code())
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Recovery codes").wait_for()
    yield "recovery-codes"
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()


def _settings(page: Page, world: World) -> Iterator[str]:
    people.sign_in(page, world.alice)
    for name in ("profile", "password", "2fa", "tokens", "packages", "sessions", "security"):
        page.goto(f"/settings/~/{name}")
        yield name
    page.goto(f"/package/{world.package}")
    yield "package-starred"
    page.goto("/settings/~/tokens/new")
    yield "token-new"
    page.get_by_role("radio", name="Automation").check()
    page.get_by_label("Token name").fill("release")
    page.get_by_role("button", name="Generate token").click()
    page.locator("#token").wait_for()
    yield "token-made"
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Make new recovery codes").click()
    page.get_by_label("One-time password").wait_for()
    yield "confirm-code"
    page.goto("/settings/~/close")
    yield "close-refused"
    _sign_out(page)


def _organisations(page: Page, world: World) -> Iterator[str]:
    people.sign_in(page, world.alice)
    for name, path in (
        ("organisations", "/orgs"),
        ("organisation", f"/org/{world.org}"),
        ("team", f"/org/{world.org}/team/plumbers"),
        ("team-of-everybody", f"/org/{world.org}/team/developers"),
        ("package-settings", f"/package/{world.package}/access"),
        ("package-settings-scope", f"/package/@{world.org}/core/access"),
    ):
        page.goto(path)
        yield name
    page.get_by_label("Versions to deprecate").fill("<1.1.0")
    page.get_by_label("Message").fill("It leaks: use 1.1.0 or later.")
    page.get_by_role("button", name="Deprecate", exact=True).click()
    page.get_by_text("The versions are deprecated.").wait_for()
    yield "package-settings-deprecated"
    _sign_out(page)


def _security_keys(page: Page, world: World) -> Iterator[str]:
    carol = people.sign_up(page, world.server)
    carol.token = accounts.log_in(carol)
    key = VirtualKey(page, PLAIN)
    key.is_touched(False)
    page.goto("/settings/~/2fa")
    page.get_by_label("Key name").fill("Blue key")
    page.get_by_role("button", name="Add security key").click()
    page.get_by_label("Password").fill(carol.password)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Add security key").wait_for()
    yield "security-key"
    key.is_touched(True)
    page.reload()
    page.get_by_role("heading", name="Recovery codes").wait_for()
    page.goto("/settings/~/2fa")
    yield "2fa-key"
    page.get_by_role("button", name="Make new recovery codes").click()
    page.get_by_role("button", name="Use security key").wait_for()
    yield "confirm-key"
    name = accounts.fresh_name("core")
    headers = {"npm-auth-type": "web", "user-agent": "npm/12.2.0 node/v24.21.0 linux x64 workspaces/false"}
    begun = request(world.server, "POST", "/-/v1/login", body={}, headers=headers).json
    page.goto(begun["loginUrl"])
    yield "hand-off-login"
    page.get_by_role("button", name="Deny").click()
    page.get_by_role("heading", name="Denied").wait_for()
    yield "hand-off-denied"
    headers["authorization"] = f"Bearer {carol.token}"
    document = accounts.publish_document(name, "1.0.0")
    page.goto(request(world.server, "PUT", f"/{name}", body=document, headers=headers).json["authUrl"])
    yield "hand-off-proof"
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Use security key").click()
    page.get_by_role("heading", name="Approved").wait_for()
    yield "hand-off-approved"
    page.get_by_role("button", name="Sign out").click()
    page.goto("/login")
    page.get_by_label("Username").fill(carol.name)
    page.get_by_label("Password").fill(carol.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Use security key").wait_for()
    yield "sign-in-key"
    key.unplug()
    page.get_by_role("button", name="Use another account").click()
    page.get_by_label("Password").wait_for()


def _administration(page: Page, world: World) -> Iterator[str]:
    people.sign_in(page, world.admin)
    yield from _moderation(page, world)
    page.goto(f"/admin/users/{world.guest.name}")
    yield "admin-user"
    if page.get_by_role("button", name="Reset second factor").is_visible():
        page.get_by_role("button", name="Reset second factor").click()
        page.get_by_label("One-time password").fill(world.admin.fresh_code())
        page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Cancel reset").wait_for()
    yield "admin-user-reset"
    page.goto("/admin/invitations")
    page.get_by_label("Email of the guest").fill("guest@example.com")
    page.get_by_role("button", name="Invite").click()
    link = page.locator("#link")
    link.wait_for()
    invitation = link.inner_text()
    yield "admin-invitation-made"
    for name, path in (
        ("admin", "/admin"),
        ("admin-users", "/admin/users"),
        ("admin-invitations", "/admin/invitations"),
        ("admin-packages", "/admin/packages"),
        ("admin-package", f"/admin/packages/{world.package}"),
        ("admin-settings", "/admin/settings"),
        ("admin-audit", "/admin/audit"),
        ("admin-audit-nothing", "/admin/audit?account=nobody"),
        ("admin-health", "/admin/health"),
    ):
        page.goto(path)
        yield name
    _sign_out(page)
    page.goto(invitation)
    yield "sign-up-invited"
    yield from _concerned(page, world)


def _moderation(page: Page, world: World) -> Iterator[str]:
    page.goto(f"/admin/packages/{world.quarantined}")
    if page.get_by_role("button", name="Quarantine").is_visible():
        page.get_by_label("Reason", exact=True).fill("It sends the tokens of whoever installs it to a stranger.")
        page.get_by_role("button", name="Quarantine").click()
    page.get_by_role("button", name="Release").wait_for()
    yield "admin-package-quarantined"


def _concerned(page: Page, world: World) -> Iterator[str]:
    """What those see whom an administrator has done something to."""
    people.sign_in(page, world.guest)
    for name in ("packages", "security", "close"):
        page.goto(f"/settings/~/{name}")
        yield f"{name}-concerned"
    _sign_out(page)


def _sign_out(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
