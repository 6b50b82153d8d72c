"""Sign-up, sign-in (name and password, then the second factor) and sign-out."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from twokey.accounts import addresses, devices, invitations, sessions, users
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import ANONYMOUS
from twokey.errors import (
    Busy,
    Invalid,
    ProofReason,
    ProofRequired,
    Refused,
    Throttled,
    TwokeyError,
    Unauthenticated,
)
from twokey.http.answers import Answer
from twokey.two_factor import factors, key_ceremony
from twokey.web import render
from twokey.web.visit import Visit, redirect, safe_path

HOME = "/"


def signup_page(visit: Visit) -> Answer:
    """`GET /signup`."""
    visit.require(Action.PING, Target())
    if visit.signed_in:
        return redirect(_next(visit))
    return _signup_form(visit)


def sign_up(visit: Visit) -> Answer:
    """`POST /signup`: makes the account and signs in at once; the mail address is proven later."""
    registry, name, email = visit.registry, visit.one("username"), visit.one("email")
    former = visit.caller.principal.session_id or visit.caller.principal.login_session_id
    visit.caller = replace(visit.caller, principal=ANONYMOUS)
    invitation = _invitation(visit)
    try:
        permit = visit.require(
            Action.SIGN_UP, Target(account=name, invitation=None if invitation is None else invitation.id)
        )
        users.check_name(name)
        users.check_email(email)
        password_hash = registry.passwords.hash(visit.one("password"), context=users.guessable(name, email))
        with registry.door.write(permit) as tx:
            user_id = users.create(tx, name, email, password_hash)
            if invitation is not None:
                invitations.use(tx, invitation.id, user_id, name)
            visit.new_secret = sessions.open_session(tx, user_id, stepped_up=False, replaces=former)
            visit.new_device = devices.note(tx, user_id, name, visit.device, first=True)
            addresses.put_verification(tx, user_id, registry.outbox)
    except (Invalid, Refused, Throttled, Busy) as error:
        return _signup_form(visit, error)
    return redirect(safe_path(visit.one("next")) or "/settings/~/2fa", done="welcome")


def login_page(visit: Visit) -> Answer:
    """`GET /login`: name and password, or the second factor where the password was right a moment ago."""
    visit.require(Action.PING, Target())
    if visit.signed_in:
        return redirect(_next(visit))
    return _login_form(visit)


def log_in(visit: Visit) -> Answer:
    """`POST /login`: opens a session. A password alone opens none where two-factor authentication is on."""
    if visit.one("restart"):
        return _restart(visit)
    former = visit.caller.principal.session_id
    login_of = visit.caller.principal.login_of
    answer = visit.key_answer
    if login_of is None:
        visit.caller = replace(visit.caller, principal=ANONYMOUS)
    name = login_of or visit.one("username")
    if answer is not None and login_of is None:
        with visit.registry.database.read() as connection:
            name = key_ceremony.account_named_in(connection, answer) or ""
    password, otp = visit.one("password") or None, visit.one("otp") or None
    try:
        permit = visit.require(Action.LOG_IN, Target(account=name), password=password, otp=otp, security_key=answer)
    except ProofRequired as error:
        if error.reason is ProofReason.MISSING and login_of is None:
            return _second_factor_next(visit, name)
        return _login_form(visit, error)
    except (Unauthenticated, Throttled, Busy) as error:  # a wrong password, a closed account
        return _login_form(visit, error)
    with visit.registry.door.write(permit) as tx:
        tx.record(Event.LOGIN_OK, account=name, resource=f"user:{name}")
        former = former or visit.caller.principal.login_session_id
        visit.new_secret = sessions.open_session(tx, permit.actor, stepped_up=permit.proof is not None, replaces=former)
        visit.new_device = devices.note(tx, permit.actor, name, visit.device)
    return redirect(_next(visit))


def log_out(visit: Visit) -> Answer:
    """`POST /logout`: ends the session."""
    permit = visit.ask(Action.LOG_OUT)
    principal = visit.caller.principal
    if principal.session_key is not None:
        with visit.registry.door.write(permit) as tx:
            sessions.end(tx, visit.user_id, principal.session_key)
            tx.record(Event.LOGOUT)
    visit.new_secret = ""
    return redirect(HOME, done="signed-out")


def _second_factor_next(visit: Visit, name: str) -> Answer:
    """The password was right: a session that can do nothing but wait for the second factor."""
    registry, caller = visit.registry, visit.caller
    with registry.database.read() as connection:
        account = users.get(connection, name)
    visit.new_secret = registry.sessions.begin_pending(
        account.id, caller.received_at, caller.address, caller.user_agent
    )
    visit.require(Action.PING, Target())
    return redirect(_with_next("/login", _next(visit)))


def _restart(visit: Visit) -> Answer:
    """Forgets whose password was shown, to sign in as somebody else."""
    visit.require(Action.PING, Target())
    waiting = visit.caller.principal.login_session_id
    if waiting is not None:
        visit.registry.sessions.end_pending(waiting)
        visit.new_secret = ""
    return redirect(_with_next("/login", _next(visit)))


def _login_form(visit: Visit, error: TwokeyError | None = None) -> Answer:
    if error is not None:
        visit.require(Action.PING, Target())
    principal, found = visit.caller.principal, None
    if principal.login_user_id is not None:
        with visit.registry.database.read() as connection:
            found = factors.of(connection, principal.login_user_id)
    return render.form_page(
        visit, "login.html", error, next=_next(visit), login_of=principal.login_of, factors=found,
        username=visit.one("username"),
    )  # fmt: skip


def _signup_form(visit: Visit, error: TwokeyError | None = None) -> Answer:
    if error is not None:
        visit.require(Action.PING, Target())
    secret, found = _invitation_secret(visit), _invitation(visit)
    email = visit.one("email") or ((found.email or "") if found is not None and visit.method != "POST" else "")
    return render.form_page(
        visit, "signup.html", error, next=_next(visit), username=visit.one("username"), email=email,
        invitation=secret if found is not None else None, dead=bool(secret) and found is None,
    )  # fmt: skip


def _invitation_secret(visit: Visit) -> str:
    return visit.one("invitation") if visit.method == "POST" else visit.query.get("invitation", "")


def _invitation(visit: Visit) -> invitations.Found | None:
    """The invitation that this sign-up comes with; it helps where sign-up is open or by invitation."""
    secret = _invitation_secret(visit)
    if not secret or visit.registry.site().signup == "closed":
        return None
    with visit.registry.database.read() as connection:
        return invitations.find(connection, secret, visit.caller.received_at)


def _next(visit: Visit) -> str:
    """Where to go after the sign-in: a path of this registry, whatever was sent."""
    sent = visit.one("next") if visit.method == "POST" else visit.query.get("next", "")
    return safe_path(sent) or "/settings/~/profile"


def _with_next(path: str, wanted: str) -> str:
    return f"{path}?{urlencode({'next': wanted})}"
