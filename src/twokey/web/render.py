"""From a template to a page: the environment, the headers of every page, error pages."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import twokey
from twokey.accounts import users
from twokey.clock import MICROSECONDS, iso
from twokey.errors import Busy, Throttled, TwokeyError
from twokey.guard import site
from twokey.http import answers
from twokey.http.answers import Answer, error_answer
from twokey.registry import Registry
from twokey.web.visit import Visit, trustworthy

HTML = "text/html; charset=utf-8"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
TITLES = {
    400: "That did not work",
    401: "Who are you?",
    403: "Not allowed",
    404: "Page not found",
    409: "Somebody was faster",
    413: "Too large",
    429: "Too many attempts",
    500: "Something broke on the server",
    503: "Try again in a moment",
    507: "The server's disk is full",
}
DONE = {
    "signed-out": "You are signed out.",
    "profile": "Your profile is saved.",
    "email": "Your mail address is changed. The one before was told, and a mail to confirm the new one is on its way.",
    "confirmation-sent": "A mail with a link to confirm your address is on its way.",
    "password-reset": "Your password is changed: sign in with the new one. Two-factor authentication is as it was.",
    "password": "Your password is changed. Other sessions of yours have ended.",
    "session-ended": "The session has ended.",
    "token-revoked": "The token is revoked: the next request with it is refused.",
    "mode": "The mode is changed.",
    "disabled": "Two-factor authentication is off. Your recovery codes are void.",
    "authenticator-added": "The authenticator is added.",
    "authenticator-removed": "The authenticator is removed.",
    "key-added": "The security key is added.",
    "key-removed": "The security key is removed.",
    "key-renamed": "The security key has its new name.",
    "in-browser": "Clients that can will ask in the browser.",
    "at-prompt": "Clients will ask for the code in the terminal.",
    "enrolment-cancelled": "The set-up is cancelled.",
    "recovery-saved": "Two-factor authentication is on, and your recovery codes are saved.",
    "starred": "You starred this package.",
    "unstarred": "Your star is taken back.",
    "account-closed": "Your account is closed. Goodbye.",
    "invitation-withdrawn": "The invitation is withdrawn: its link makes no account any more.",
    "user-disabled": "The account is disabled: its tokens and sessions are refused.",
    "user-enabled": "The account is enabled again.",
    "reset-asked": "The second factor is reset in 24 hours, or at once when another administrator approves it.",
    "reset-done": "The second factor is reset.",
    "reset-cancelled": "The reset is cancelled.",
    "quarantined": "The package is quarantined: nobody can install it, its tarballs are kept.",
    "released": "The package can be installed again.",
    "taken-down": "The package is taken down.",
    "transferred": "The package has a new owner.",
    "organisation-made": "The organisation is made. Add its members next.",
    "organisation-left": "You have left the organisation.",
    "organisation-deleted": "The organisation is deleted. Its name is free again.",
    "organisation-policy": "The organisation's settings are saved. They hold from the next request on.",
    "member": "The member has the role.",
    "member-removed": "The member is out of the organisation, its teams, and the owners of its packages.",
    "team-made": "The team is made. Add members and packages next.",
    "team-member": "The member is in the team.",
    "team-member-removed": "The member is out of the team.",
    "team-described": "The description is saved.",
    "team-deleted": "The team is deleted, and with it what it was granted.",
    "granted": "The team has the permission.",
    "grant-revoked": "The team's access to the package has ended.",
    "package-mfa": "The package's publishing access is changed.",
    "package-access": "Who sees the package is changed.",
    "owner-added": "The package has another owner.",
    "owner-removed": "The package has one owner less.",
    "deprecated": "The versions are deprecated.",
    "undeprecated": "The versions are good again.",
    "version-deleted": "The version is deleted. Its number cannot be used again.",
    "package-deleted": "The package is deleted. Its name rests for 24 hours.",
    "settings": "The settings are saved. They hold from the next request on.",
    "welcome": "Welcome! Your account is ready. Turn on two-factor authentication next.",
}


@cache
def asset(name: str) -> tuple[bytes, str] | None:
    """A file that pages use, with its media type; None where there is none."""
    if "/" in name or name.startswith((".", "__")):
        return None
    file = resources.files("twokey.web").joinpath("static", name)
    if not file.is_file():
        return None
    return file.read_bytes(), mimetypes.guess_type(name)[0] or "application/octet-stream"


@cache
def asset_address(name: str) -> str:
    """The address of an asset: it changes with the bytes, so that browsers may keep them for ever."""
    found = asset(name)
    assert found is not None, name
    return f"/-/static/{name}?v={hashlib.sha256(found[0]).hexdigest()[:12]}"


def time_element(at: int | None, otherwise: str = "never") -> Markup:
    """A moment (µs) in UTC; a script turns it into the reader's zone and keeps UTC for the pointer."""
    if at is None:
        return Markup("{}").format(otherwise)
    moment = datetime.fromtimestamp(at // MICROSECONDS, UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(iso(at), f"{moment:%Y-%m-%d %H:%M}")


def size_text(count: int) -> str:
    """Bytes as people read them."""
    size, units = float(count), ["bytes", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" else f"{size:.1f} {units[0]}"


@cache
def environment() -> Environment:
    """The templates: everything is escaped unless it is Markup, and an unknown name is an error."""
    found = Environment(
        loader=PackageLoader("twokey.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.globals.update(asset=asset_address, version=twokey.__version__)
    found.filters.update(moment=time_element, size=size_text, grouped=lambda number: f"{number:,}")
    return found


def page(visit: Visit, template: str, status: int = 200, **values: Any) -> Answer:
    """The page that a template makes of `values`."""
    registry = visit.registry
    signup, administrator = _standing(visit)
    shared: dict[str, Any] = {
        "user": visit.user if visit.signed_in else None,
        "csrf": visit.csrf,
        "base": visit.base,
        "host": visit.base.partition("://")[2],
        "issuer": registry.settings.issuer,
        "signup": signup,
        "signup_open": signup == "open",
        "administrator": administrator,
        "path": visit.path,
        "done": DONE.get(visit.query.get("done", "")),
        "problem": None,
        "query": "",
        "takes_keys": visit.takes_keys,
        "plain_http": not trustworthy(registry.settings),
    }
    text = environment().get_template(template).render({**shared, **values})
    return Answer(status, text.encode(), HTML, headers(registry))


def _standing(visit: Visit) -> tuple[str, bool]:
    """Who may sign up, and whether whoever is signed in is an administrator: for the links of every page."""
    user_id = visit.caller.principal.user_id
    with visit.registry.database.read() as connection:
        signup = site.current(connection, visit.registry.settings).signup
        if not visit.signed_in or user_id is None:
            return signup, False
        return signup, users.by_id(connection, user_id).administrator


def form_page(visit: Visit, template: str, error: TwokeyError | None, **values: Any) -> Answer:
    """The page of a form: as it is first, or with what was wrong with what was sent and the status of that."""
    if error is None:
        return page(visit, template, **values)
    answer = page(visit, template, status_of(error), problem=error.message, **values)
    return replace(answer, headers={**answer.headers, **_retry_after(error)})


def status_of(error: Exception) -> int:
    """The status of an error on a page: the npm API's; but a page may say 429 and 503."""
    return {Throttled: 429, Busy: 503}.get(type(error)) or answers.status_of(error)


def _retry_after(error: Exception) -> dict[str, str]:
    return {"retry-after": str(error.retry_after)} if isinstance(error, Throttled) else {}


def headers(registry: Registry) -> dict[str, str]:
    """The headers of every page (security.md 2.5). Pages hold a form bound to their session: nobody keeps them."""
    found = {
        "cache-control": "no-store",
        "vary": "accept, cookie",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    }
    if trustworthy(registry.settings):
        found["cross-origin-opener-policy"] = "same-origin"
    if (registry.settings.url or "").startswith("https://"):
        found["strict-transport-security"] = "max-age=31536000"
    return found


def error_page(error: Exception, registry: Registry, request_id: str, base: str, user: str | None) -> Answer:
    """The page for an error, for `user` where signed in; what is unexpected is logged as for the npm API."""
    plain = error_answer(error, request_id, base=base)
    status = status_of(error) if isinstance(error, TwokeyError) else plain.status
    found = {**headers(registry), **_retry_after(error)}
    sentence = error.message if isinstance(error, TwokeyError) else "Something unexpected happened: try again."
    text = environment().get_template("error.html").render(
        title=TITLES.get(status, TITLES[500]), status=status, sentence=sentence, request_id=request_id, user=user,
        csrf=None, base=base, signup_open=False, administrator=False, done=None, problem=None, query="",
        issuer=registry.settings.issuer, path="/", plain_http=False,
    )  # fmt: skip
    return Answer(status, text.encode(), HTML, found)
