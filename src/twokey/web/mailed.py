"""What is done by a link in a mail: a new password, a confirmed address, a change undone.

Whoever holds a link may use it, signed in or not, as whoever they are; so the door is asked as nobody known, with the
link. To open one changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from time import sleep

from twokey.accounts import addresses, mail, mail_links, resets, users
from twokey.accounts.mail_links import Found
from twokey.accounts.passwords import address_block
from twokey.accounts.users import LONGEST_EMAIL
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit, Target
from twokey.authority.principal import ANONYMOUS
from twokey.clock import monotonic
from twokey.errors import Busy, Invalid, ProofRequired, Refused, Throttled, TwokeyError, Unauthenticated
from twokey.http.answers import Answer
from twokey.throttle import Blocked
from twokey.two_factor import factors
from twokey.vault import keyed_hash
from twokey.web import render
from twokey.web.visit import Visit, redirect

GONE = 410
ANSWER_SECONDS = 0.1  # of `POST /forgot`: several times of what it takes


def forgot_page(visit: Visit) -> Answer:
    """`GET /forgot`."""
    visit.require(Action.PING, Target())
    return render.page(visit, "forgot.html", asked=False)


def forgot(visit: Visit) -> Answer:
    """`POST /forgot`: mails a link where there is such an account, and says the same where there is none."""
    began = monotonic()
    permit = _ask(visit, Action.REQUEST_RESET, Target())
    _request_reset(visit, permit, visit.one("account"))
    # A mail is a few rows more than none: the answer waits until nobody can tell by its time.
    sleep(max(0.0, began + ANSWER_SECONDS - monotonic()))
    return render.page(visit, "forgot.html", asked=True)


def _request_reset(visit: Visit, permit: Permit, typed: str) -> None:
    """Does as much for a name that nobody has: one count of attempts, one row that is written."""
    registry, caller = visit.registry, visit.caller
    with registry.database.read() as connection:
        found = users.named(connection, typed) if 0 < len(typed) <= LONGEST_EMAIL else []
    found = [each for each in found if each.email and not each.disabled]
    # What was typed may be a password by mistake: it is kept nowhere.
    counted = [str(each.id) for each in found] or [keyed_hash(registry.form_key, typed)[:16]]
    buckets = [mail.address_bucket(caller.address), *map(mail.account_bucket, counted)]
    try:
        reservation = registry.throttle.reserve(buckets, caller.received_at)
    except Blocked:
        return
    registry.throttle.keep(reservation)
    if not found:
        block = address_block(caller.address)
        registry.trail.count_anonymous(Event.PASSWORD_RESET_REQUEST, caller, block, caller.received_at)
        return
    with registry.door.write(permit) as tx:
        for account in found:
            resets.request(tx, account, registry.outbox)


def reset_page(visit: Visit) -> Answer:
    """`GET /reset/LINK`: the second factor first where there is one, then the new password."""
    found = _found(visit, Action.RESET_PASSWORD)
    return _gone(visit) if found is None else _reset_form(visit, found)


def reset(visit: Visit) -> Answer:
    """`POST /reset/LINK`: the code, or the new password where no code is needed or it was shown."""
    registry, found = visit.registry, _found(visit, Action.RESET_PASSWORD)
    if found is None:
        return _gone(visit)
    try:
        permit = _ask(visit, Action.RESET_PASSWORD, Target(account=found.user_name))
        if _asks_for_code(found):
            with registry.door.write(permit) as tx:
                secret = resets.proved(tx, found)
            return redirect(f"/reset/{secret}")
        context = users.guessable(found.user_name, found.user_email)
        password_hash = registry.passwords.hash(visit.one("new_password"), context=context)
        with registry.door.write(permit) as tx:
            resets.finish(tx, found, password_hash)
    except (Invalid, ProofRequired, Throttled, Busy) as error:
        return _reset_form(visit, found, error)
    except (Refused, Unauthenticated):  # another request has just used the link up
        return _gone(visit)
    return redirect("/login", done="password-reset")


def verify_page(visit: Visit) -> Answer:
    """`GET /verify/LINK`: one button."""
    return _one_button(visit, Action.VERIFY_EMAIL)


def verify(visit: Visit) -> Answer:
    """`POST /verify/LINK`: the address is proven."""
    return _pressed(visit, Action.VERIFY_EMAIL)


def undo_page(visit: Visit) -> Answer:
    """`GET /undo/LINK`: one button."""
    return _one_button(visit, Action.UNDO_EMAIL)


def undo(visit: Visit) -> Answer:
    """`POST /undo/LINK`: the address before the change is the account's again."""
    return _pressed(visit, Action.UNDO_EMAIL)


def _one_button(visit: Visit, action: Action) -> Answer:
    found = _found(visit, action)
    if found is None:
        return _gone(visit)
    return render.page(visit, "mail_link.html", link=found, undo=action is Action.UNDO_EMAIL, pressed=False)


def _pressed(visit: Visit, action: Action) -> Answer:
    found = _found(visit, action)
    if found is None:
        return _gone(visit)
    try:
        permit = _ask(visit, action, Target(account=found.user_name))
        with visit.registry.door.write(permit) as tx:
            (addresses.undo if action is Action.UNDO_EMAIL else addresses.verify)(tx, found)
    except (Refused, Unauthenticated):
        return _gone(visit)
    return render.page(visit, "mail_link.html", link=found, undo=action is Action.UNDO_EMAIL, pressed=True)


def _ask(visit: Visit, action: Action, target: Target) -> Permit:
    """Asks the door as nobody known who holds the link of this address, with the second factor of the form."""
    caller, otp, answer = visit.caller, visit.one("otp") or None, visit.key_answer
    evidence = replace(caller.evidence, link=visit.params.get("link"))
    visit.caller = replace(caller, principal=ANONYMOUS, evidence=evidence)
    try:
        return visit.require(action, target, otp=otp, security_key=answer)
    finally:
        visit.caller = caller  # the page is shown to whoever it is


def _found(visit: Visit, action: Action) -> Found | None:
    visit.require(Action.PING, Target())
    with visit.registry.database.read() as connection:
        return mail_links.find(connection, visit.params["link"], action, visit.caller.received_at)


def _asks_for_code(found: Found) -> bool:
    return found.mode is not None and found.purpose == mail_links.RESET


def _reset_form(visit: Visit, found: Found, error: TwokeyError | None = None) -> Answer:
    with visit.registry.database.read() as connection:
        has = factors.of(connection, found.user_id)
    return render.form_page(
        visit, "reset.html", error, link=found, asks_for_code=_asks_for_code(found), factors=has,
        link_id=visit.params["link"],
    )  # fmt: skip


def _gone(visit: Visit) -> Answer:
    return render.page(visit, "link_gone.html", GONE, sentence=mail_links.GONE)
