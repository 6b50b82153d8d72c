"""Security keys on pages: what a browser is to ask them, and `/settings/USER/2fa` as far as it is about them."""

from __future__ import annotations

from twokey.accounts import mail_links
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode
from twokey.errors import Invalid, ProofRequired
from twokey.http.answers import JSON, Answer
from twokey.two_factor import enrolment, factors, key_ceremony, security_keys
from twokey.web import render
from twokey.web.account import account_of
from twokey.web.two_factor import PAGE, confirmed, mode_of
from twokey.web.visit import Visit, redirect

WIZARD = "/settings/~/2fa/security-key"


def challenge(visit: Visit) -> Answer:
    """`POST /security-key/challenge`: what the browser passes to `navigator.credentials.get`, as JSON.

    For the keys of whoever is signed in, whose password was right a moment ago, or whose mailed link is held; for any
    passkey otherwise.
    """
    visit.require(Action.PING, Target())
    _check_address(visit)
    principal, now = visit.caller.principal, visit.caller.received_at
    user_id = principal.user_id or principal.login_user_id
    if visit.one("link"):
        with visit.registry.database.read() as connection:
            found = mail_links.find(connection, visit.one("link"), Action.RESET_PASSWORD, now)
        if found is None:
            raise Invalid(mail_links.GONE)
        user_id = found.user_id
    options = visit.registry.challenges.ask(visit.browser, user_id, visit.base, now)
    return Answer(200, options.encode(), JSON, {"cache-control": "no-store"})


def add(visit: Visit) -> Answer:
    """Begins the registration of a key."""
    visit.own(Action.READ_PROFILE)
    _check_address(visit)
    account = account_of(visit)
    mode = mode_of(visit.one("mode") or Mode.AUTH_AND_WRITES.value)
    action = Action.BEGIN_ENROLMENT if account.mode is None else Action.CHANGE_SECOND_FACTOR
    with visit.registry.door.write(visit.ask(action)) as tx:
        key_ceremony.begin_registration(tx, account.id, visit.browser, visit.one("name"), mode)
    return redirect(WIZARD)


def wizard(visit: Visit) -> Answer:
    """`GET /settings/USER/2fa/security-key`: where the browser asks the new key to sign."""
    visit.own(Action.READ_PROFILE)
    return _wizard(visit)


def confirm(visit: Visit) -> Answer:
    """The new key has signed: turns two-factor authentication on, or adds the key."""
    visit.own(Action.READ_PROFILE)
    first = account_of(visit).mode is None
    try:
        permit = visit.ask(Action.CONFIRM_ENROLMENT if first else Action.CONFIRM_FACTOR)
    except ProofRequired as error:
        return _wizard(visit, error)
    return confirmed(visit, permit, first=first, done="key-added")


def rename(visit: Visit) -> Answer:
    """Gives a key another name."""
    visit.own(Action.READ_PROFILE)
    with visit.registry.door.write(visit.ask(Action.CHANGE_SECOND_FACTOR)) as tx:
        security_keys.rename(tx, visit.user_id, visit.one("key_id"), visit.one("name"))
    return redirect(PAGE, done="key-renamed")


def remove(visit: Visit) -> Answer:
    """Removes a key, but not the last second factor."""
    visit.own(Action.READ_PROFILE)
    with visit.registry.door.write(visit.ask(Action.CHANGE_SECOND_FACTOR)) as tx:
        security_keys.remove(tx, visit.user_id, visit.one("key_id"))
    return redirect(PAGE, done="key-removed")


def ask_in_browser(visit: Visit) -> Answer:
    """Whether a waiting client is sent to a page for the second factor."""
    visit.own(Action.READ_PROFILE)
    wanted = visit.one("in_browser") == "yes"
    with visit.registry.door.write(visit.ask(Action.CHANGE_SECOND_FACTOR)) as tx:
        enrolment.ask_in_browser(tx, visit.user_id, wanted)
    return redirect(PAGE, done="in-browser" if wanted else "at-prompt")


def _wizard(visit: Visit, error: ProofRequired | None = None) -> Answer:
    registry = visit.registry
    with registry.database.read() as connection:
        options = key_ceremony.registration_options(
            connection, visit.user_id, visit.browser, visit.base, registry.settings.issuer, registry.clock.now()
        )
        first = not any(factors.of(connection, visit.user_id)[:2])
    return render.form_page(visit, "security_key.html", error, options=options, first=first)


def _check_address(visit: Visit) -> None:
    if not visit.takes_keys:
        raise Invalid(
            "Security keys need a host name: open this registry by its name, not by an IP address "
            "(on this machine, by localhost)."
        )
