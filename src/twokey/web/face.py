"""How a browser meets the registry: a session cookie, forms, pages, and a step-up where a proof is missing."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from twokey.accounts import devices
from twokey.authority.principal import Caller
from twokey.clock import MICROSECONDS
from twokey.errors import Busy, Invalid, PasswordRequired, ProofRequired, Throttled, Unauthenticated
from twokey.http.answers import Answer
from twokey.http.caller import stranger
from twokey.http.routing import Call, Guarded, answered
from twokey.registry import Registry
from twokey.web import confirm, render
from twokey.web.visit import Visit, cookie_name, cookie_of, device_cookie_name, redirect, safe_path, trustworthy


class PageFace:
    """The pages. An Authorization header means nothing here, and beside a cookie it is an error."""

    def identify(self, registry: Registry, route: Guarded, scope: Scope) -> Caller:
        """By the session cookie; nobody where it is missing, unknown or over."""
        headers = Headers(scope=scope)
        secret = cookie_of(registry.settings, headers)
        if secret is not None and "authorization" in headers:
            raise Invalid("The request carries a session cookie and an Authorization header: send one of them.")
        caller = stranger(registry.settings, scope)
        return replace(caller, principal=registry.authenticator.session(secret, caller))

    def run(self, call: Call, route: Guarded) -> Answer:
        """The page; or, where a form needs a proof that it did not bring, the page that asks for one."""
        visit = Visit.of(call)
        if visit.method == "POST":
            visit.check_form()
        try:
            answer = answered(visit, route.handler)
        except (PasswordRequired, ProofRequired, Throttled, Busy) as error:
            asks = isinstance(error, PasswordRequired | ProofRequired) or visit.confirms
            if not (asks and visit.signed_in and visit.method == "POST"):
                raise
            answer = confirm.ask(visit, error, visit.path, visit.form)
        else:
            if answer.status < 400:  # what is refused has not used the code up: it must not count twice
                self._note_proof(visit)
        return _with_cookies(answer, visit)

    def _note_proof(self, visit: Visit) -> None:
        """A second factor in a session counts for a while, and gives it a new secret."""
        principal = visit.caller.principal
        # What is done by a mailed link is done as nobody known, whoever is signed in beside.
        session_id = principal.session_id
        proved = any(
            each.proof is not None and each.caller.principal.session_id == session_id for each in visit.permits
        )
        if proved and principal.session_id is not None and visit.new_secret is None:
            visit.new_secret = visit.registry.sessions.step_up(principal.session_id, visit.caller.received_at)

    def error(self, error: Exception, registry: Registry, scope: Scope, base: str) -> Answer:
        """A page that says what was wrong; to whoever is not signed in and has to be, the way there."""
        if isinstance(error, Unauthenticated) and not isinstance(error, PasswordRequired):
            return redirect(f"/login?{urlencode({'next': _way_back(scope, base)})}")
        state = scope["state"]
        return render.error_page(error, registry, state["request_id"], base, state.get("actor"))


def _way_back(scope: Scope, base: str) -> str:
    """Where to go on after the sign-in: the page itself, or the one that the form was on."""
    if scope["method"] in ("GET", "HEAD"):
        query = scope.get("query_string", b"").decode("ascii", "replace")
        return safe_path(scope["path"] + (f"?{query}" if query else "")) or "/"
    came_from = Headers(scope=scope).get("referer", "")
    return safe_path(urlsplit(came_from).path) or "/" if came_from.startswith(f"{base}/") else "/"


def _with_cookies(answer: Answer, visit: Visit) -> Answer:
    settings, secret, device = visit.registry.settings, visit.new_secret, visit.new_device
    kept = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if trustworthy(settings) else "")
    if device is not None:
        age = devices.KEPT // MICROSECONDS
        cookie = f"{device_cookie_name(settings)}={device}{kept}; Max-Age={age}"
        answer = replace(answer, cookies=(*answer.cookies, cookie))
    if secret is None:
        return answer
    cookie = f"{cookie_name(settings)}={secret}{kept}" + ("" if secret else "; Max-Age=0")
    return replace(answer, headers={**answer.headers, "set-cookie": cookie})


PAGES = PageFace()
