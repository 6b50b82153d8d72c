"""The settings of an account: profile, password, mail address, sessions, security, packages."""

from __future__ import annotations

from sqlalchemy import select

from twokey.accounts import addresses, sessions, users
from twokey.accounts.users import Account
from twokey.audit import search
from twokey.audit.events import Event
from twokey.audit.search import Filter
from twokey.authority.actions import Action
from twokey.db.schema import Continuation, Owner, Package, Token
from twokey.errors import Invalid, PasswordRequired, ProofRequired
from twokey.http.answers import Answer
from twokey.two_factor import resets
from twokey.web import render
from twokey.web.visit import Visit, redirect

FIELDS = {"fullname": "Full name", "homepage": "Homepage", "github": "GitHub", "twitter": "Twitter"}
EVENTS_SHOWN = 50
TAKEN_DOWN_SHOWN = 10


def account_of(visit: Visit) -> Account:
    """The account of whoever is signed in."""
    with visit.registry.database.read() as connection:
        return users.by_id(connection, visit.user_id)


def to_profile(visit: Visit) -> Answer:
    """`GET /settings`: on to the profile."""
    visit.params.setdefault("user", "~")
    visit.own(Action.READ_PROFILE)
    return redirect("/settings/~/profile")


def profile_page(visit: Visit) -> Answer:
    """`GET /settings/USER/profile`."""
    visit.own(Action.READ_PROFILE)
    return render.page(visit, "profile.html", account=account_of(visit), fields=FIELDS)


def save_profile(visit: Visit) -> Answer:
    """Saves the fields that differ from what they were."""
    visit.own(Action.READ_PROFILE)
    account = account_of(visit)
    wanted = {name: visit.one(name) or None for name in FIELDS}
    changes = {name: value for name, value in wanted.items() if value != account.profile[name]}
    try:
        for name, value in changes.items():
            users.check_field(FIELDS[name], value or "")
        if (wanted["homepage"] or "").partition(":")[0].lower() not in ("", "http", "https"):
            raise Invalid("A homepage begins with https:// or http://.")
    except Invalid as error:
        return render.form_page(visit, "profile.html", error, account=account, fields=FIELDS)
    if changes:
        with visit.registry.door.write(visit.ask(Action.CHANGE_PROFILE)) as tx:
            users.change_profile(tx, account.id, changes)
    return redirect("/settings/~/profile", done="profile")


def save_email(visit: Visit) -> Answer:
    """Changes the mail address."""
    visit.own(Action.READ_PROFILE)
    account, email = account_of(visit), visit.one("email")
    try:
        users.check_email(email)
    except Invalid as error:
        return render.form_page(visit, "profile.html", error, account=account, fields=FIELDS)
    if email != account.email:
        with visit.registry.door.write(visit.ask(Action.CHANGE_EMAIL)) as tx:
            addresses.change(tx, account.id, email, visit.registry.outbox)
    return redirect("/settings/~/profile", done="email")


def confirm_email(visit: Visit) -> Answer:
    """Sends another mail with the link that proves the address."""
    visit.own(Action.READ_PROFILE)
    account = account_of(visit)
    if account.email and not account.email_verified:
        with visit.registry.door.write(visit.ask(Action.SEND_VERIFICATION)) as tx:
            addresses.send_verification(tx, account.id, visit.registry.outbox)
    return redirect("/settings/~/profile", done="confirmation-sent")


def password_page(visit: Visit) -> Answer:
    """`GET /settings/USER/password`."""
    visit.own(Action.READ_PROFILE)
    return render.page(visit, "password.html", account=account_of(visit))


def save_password(visit: Visit) -> Answer:
    """Changes the password. The form brings its proof itself: a password is never kept for later."""
    visit.own(Action.READ_PROFILE)
    account = account_of(visit)
    new = visit.one("new_password")
    try:
        permit = visit.ask(Action.CHANGE_PASSWORD)
        password_hash = visit.registry.passwords.hash(new, context=users.guessable(account.name, account.email))
        with visit.registry.door.write(permit) as tx:
            users.change_password(tx, account.id, account.name, password_hash)
    except (Invalid, PasswordRequired, ProofRequired) as error:
        return render.form_page(visit, "password.html", error, account=account)
    if permit.proof is None:  # a proof gives the session a new secret; a password does so here
        session_id = visit.caller.principal.session_id
        assert session_id is not None
        visit.new_secret = visit.registry.sessions.renew(session_id)
    return redirect("/settings/~/password", done="password")


def sessions_page(visit: Visit) -> Answer:
    """`GET /settings/USER/sessions`."""
    visit.own(Action.READ_PROFILE)
    with visit.registry.database.read() as connection:
        found = sessions.listing(connection, visit.user_id, visit.caller.received_at)
    return render.page(visit, "sessions.html", sessions=found, own=visit.caller.principal.session_key)


def end_session(visit: Visit) -> Answer:
    """Ends a session of one's own."""
    visit.own(Action.READ_PROFILE)
    key = visit.one("key")
    with visit.registry.door.write(visit.ask(Action.REVOKE_TOKEN)) as tx:
        sessions.end(tx, visit.user_id, key)
    return redirect("/settings/~/sessions", done="session-ended")


def security_page(visit: Visit) -> Answer:
    """`GET /settings/USER/security`: what happened to the account, what is open, the server's clock."""
    visit.own(Action.READ_PROFILE)
    registry, now = visit.registry, visit.registry.clock.now()
    query = (
        select(Continuation.family, Continuation.address, Continuation.opened_at, Continuation.expires_at, Token.name)
        .join(Token, Token.id == Continuation.token_id)
        .where(Continuation.user_id == visit.user_id, Continuation.expires_at > now)
    )
    with registry.database.read() as connection:
        continuations = connection.execute(query).all()
        reset = resets.waiting(connection, visit.user_id)
    events = [entry.document for entry in registry.trail.latest(visit.user, EVENTS_SHOWN)]
    return render.page(visit, "security.html", events=events, continuations=continuations, now=now, reset=reset)


def packages_page(visit: Visit) -> Answer:
    """`GET /settings/USER/packages`: the packages that one owns."""
    visit.own(Action.READ_PROFILE)
    query = (
        select(
            Package.name,
            Package.access,
            Package.mfa,
            Package.modified_at,
            Package.quarantined_at,
            Package.quarantine_reason,
        )
        .join(Owner, Owner.package_id == Package.id)
        .where(Owner.user_id == visit.user_id, Package.unpublished_at.is_(None))
        .order_by(Package.name)
    )
    with visit.registry.database.read() as connection:
        found = connection.execute(query).all()
        wanted = Filter(account=visit.user, event=Event.PACKAGE_TAKE_DOWN.value)
        taken_down = [
            (each.document["at"], str(each.document["resource"]).removeprefix("package:"), each.document["details"])
            for each in search.newest(connection, wanted, TAKEN_DOWN_SHOWN)
        ]
    return render.page(visit, "my_packages.html", packages=found, taken_down=taken_down)
