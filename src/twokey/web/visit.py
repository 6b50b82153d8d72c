"""One request for a page: its session, its form, and what it asks the door."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers

from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import CredentialKind, KeyAnswer
from twokey.errors import Invalid, NotFound, Refused
from twokey.http.answers import Answer
from twokey.http.routing import Call
from twokey.settings import Settings, is_loopback
from twokey.two_factor import key_ceremony

MOST_FIELDS = 200
LONGEST_FIELD = 4096
FORM = "application/x-www-form-urlencoded"
LONGEST_ANSWER = 16 * 1024  # of a security key, as JSON
EVIDENCE = ("csrf", "password", "otp", "security_key")  # never kept with an interrupted form
STALE = "This page is out of date, or cookies are off in this browser: load the page again and repeat what you did."


def trustworthy(settings: Settings) -> bool:
    """Whether browsers trust the registry's address: https, or this machine's own name."""
    if settings.url is None:
        return True
    parts = urlsplit(settings.url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def cookie_name(settings: Settings) -> str:
    """`__Host-tk`; on plain http between machines browsers refuse that name, and the plain one is used."""
    return "__Host-tk" if trustworthy(settings) else "tk"


def device_cookie_name(settings: Settings) -> str:
    """The cookie by which a browser is known again; it opens nothing."""
    return f"{cookie_name(settings)}-device"


def cookie_of(settings: Settings, headers: Headers, name: str | None = None) -> str | None:
    """The secret in the session cookie, or in the one named, where there is one."""
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    found = jar.get(name or cookie_name(settings))
    return found.value if found is not None and found.value else None


@dataclass(slots=True)
class Visit(Call):
    """A call with its session and the fields of its form."""

    secret: str | None = field(default=None, repr=False)
    form: Sequence[tuple[str, str]] = field(default=(), repr=False)
    new_secret: str | None = field(default=None, repr=False)
    new_device: str | None = field(default=None, repr=False)
    confirms: bool = False  # an interrupted form, sent again with its proof

    @classmethod
    def of(cls, call: Call) -> Visit:
        """The visit that a call is. Raises Invalid for a form that cannot be read."""
        shared = {each.name: getattr(call, each.name) for each in fields(Call)}
        return cls(
            **shared,
            secret=cookie_of(call.registry.settings, call.headers),
            form=_parsed(call) if call.method == "POST" else (),
        )

    # -- who -----------------------------------------------------------------------------------------------------

    @property
    def signed_in(self) -> bool:
        """Whether a session is open."""
        return self.caller.principal.kind is CredentialKind.SESSION

    @property
    def device(self) -> str | None:
        """The cookie by which this browser is known again."""
        settings = self.registry.settings
        return cookie_of(settings, self.headers, device_cookie_name(settings))

    @property
    def user(self) -> str:
        """The name of whoever is signed in. Only after the door said yes to a session."""
        assert self.caller.principal.user_name is not None
        return self.caller.principal.user_name

    @property
    def user_id(self) -> int:
        """The id of whoever is signed in."""
        assert self.caller.principal.user_id is not None
        return self.caller.principal.user_id

    # -- the door ------------------------------------------------------------------------------------------------

    def ask(self, action: Action, target: Target | None = None, *, removes_last_factor: bool = False) -> Permit:
        """Asks the door with the password and the code of the form, if it has any, about oneself unless named."""
        target = target or Target(account=self.caller.principal.user_name)
        return Call.require(
            self, action, target, password=self.one("password") or None, otp=self.one("otp") or None,
            security_key=self.key_answer, removes_last_factor=removes_last_factor,
        )  # fmt: skip

    @property
    def key_answer(self) -> KeyAnswer | None:
        """What a security key answered, if the form brings it."""
        document = self.one("security_key")
        return KeyAnswer(document, self.base, self.browser) if document else None

    @property
    def browser(self) -> str:
        """What the challenge of a security key is bound to: the session, the login under way, or this visitor."""
        principal = self.caller.principal
        if principal.session_id is not None:
            return f"session:{principal.session_id}"
        if principal.login_session_id is not None:
            return f"login:{principal.login_session_id}"
        return f"visitor:{hashlib.sha256((self.secret or '').encode('utf-8', 'replace')).hexdigest()}"

    @property
    def takes_keys(self) -> bool:
        """Whether a security key can be used here: not where the registry is called by an IP address."""
        return key_ceremony.rp_id(self.base) is not None

    def own(self, action: Action) -> None:
        """Asks the door for one's own page, and hides another user's. Raises NotFound."""
        self.ask(action)
        if self.params["user"] not in ("~", self.user):
            raise NotFound("Not found")

    # -- the form ------------------------------------------------------------------------------------------------

    def one(self, name: str) -> str:
        """The field's value without white space around it (passwords as they are); empty where it was not sent.

        Raises Invalid where it was sent twice.
        """
        values = self.all(name)
        if len(values) > 1:
            raise Invalid(f"The field {name} was sent more than once.")
        value = values[0] if values else ""
        return value if "password" in name else value.strip()

    def all(self, name: str) -> list[str]:
        """Every value of the field."""
        return [value for key, value in self.form if key == name]

    def lines(self, name: str) -> list[str]:
        """The field's words: it takes one on each line, or several with commas or spaces between."""
        return self.one(name).replace(",", " ").split()

    @property
    def csrf(self) -> str:
        """The token that binds a form to this session, or to this browser while nobody is signed in."""
        bound = self.caller.principal.session_key
        if bound is None:
            if self.secret is None:
                self.secret = self.new_secret = secrets.token_urlsafe(32)
            bound = f"visitor:{self.secret}"
        return hmac.new(self.registry.form_key, bound.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def check_form(self) -> None:
        """Raises Refused for a form that this registry's own page did not send (security.md 2.5)."""
        site, origin = self.headers.get("sec-fetch-site"), self.headers.get("origin")
        parts = urlsplit(self.base)
        if site not in (None, "same-origin", "none") or origin not in (None, f"{parts.scheme}://{parts.netloc}"):
            raise Refused(f"This form was sent from another site: open {self.base}/ and repeat what you did.")
        shown = self.one("csrf")
        if self.secret is None or not hmac.compare_digest(shown.encode(), self.csrf.encode()):
            raise Refused(STALE)


def _parsed(call: Call) -> Sequence[tuple[str, str]]:
    sent = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != FORM:
        raise Invalid("This address takes the form of its page.")
    try:
        pairs = parse_qsl(
            call.body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise Invalid("The form cannot be read.") from error
    for name, value in pairs:
        longest = LONGEST_ANSWER if name == "security_key" else LONGEST_FIELD
        if "\0" in value or len(value) > longest:
            raise Invalid(f"The field {name[:40]} is too long, or holds a character that cannot be stored.")
    return pairs


def safe_path(text: str) -> str | None:
    """The text, if it is a path of this registry and nothing that a browser takes for another address.

    Addresses are ASCII: other characters are written with per cent signs, and a header could not hold them.
    """
    plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text
    if not plain or not text.startswith("/") or text.startswith("//"):
        return None
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc and len(text) <= LONGEST_FIELD else None


def redirect(path: str, *, done: str | None = None) -> Answer:
    """Sends the browser on to a page of this registry; `done` names what the page then says."""
    if done is not None:
        path += ("&" if "?" in path else "?") + f"done={done}"
    return Answer(303, b"", "text/plain; charset=utf-8", {"location": path, "cache-control": "no-store"})
