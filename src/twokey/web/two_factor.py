"""`/settings/USER/2fa`: authenticator apps, recovery codes, the mode."""

from __future__ import annotations

from urllib.parse import quote

from twokey.accounts.users import Account
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Permit
from twokey.authority.principal import Mode
from twokey.clock import MINUTE
from twokey.errors import Invalid, ProofRequired
from twokey.http.answers import Answer
from twokey.two_factor import enrolment, factors, recovery_codes, security_keys, totp
from twokey.web import render
from twokey.web.account import account_of
from twokey.web.visit import Visit, redirect

PAGE = "/settings/~/2fa"
WIZARD = "/settings/~/2fa/authenticator"


def overview(visit: Visit) -> Answer:
    """`GET /settings/USER/2fa`."""
    visit.own(Action.READ_PROFILE)
    registry, account, site = visit.registry, account_of(visit), visit.registry.site()
    with registry.database.read() as connection:
        authenticators = enrolment.listing(connection, account.id)
        keys = security_keys.listing(connection, account.id)
        asks_in_browser = factors.of(connection, account.id).asks_in_browser
        left = recovery_codes.left(connection, account.id)
        pending = enrolment.is_pending(
            connection, account.id, registry.clock.now(), registry.settings.enrolment_minutes
        )
    return render.page(
        visit, "two_factor.html", account=account, authenticators=authenticators, keys=keys,
        asks_in_browser=asks_in_browser, left=left, few=recovery_codes.FEW,
        pending=pending, required=site.required_2fa(registry.clock.now()) != "off",
        required_from=site.notice_2fa(registry.clock.now()),
    )  # fmt: skip


def add_authenticator(visit: Visit) -> Answer:
    """Begins an enrolment, or goes on with the one that a terminal began."""
    visit.own(Action.READ_PROFILE)
    registry, account = visit.registry, account_of(visit)
    mode = mode_of(visit.one("mode") or Mode.AUTH_AND_WRITES.value)
    action = Action.BEGIN_ENROLMENT if account.mode is None else Action.CHANGE_SECOND_FACTOR
    with registry.door.write(visit.ask(action)) as tx:
        enrolment.begin_or_resume(tx, account.id, mode, registry.vault, registry.settings.enrolment_minutes)
    return redirect(WIZARD)


def wizard(visit: Visit) -> Answer:
    """`GET /settings/USER/2fa/authenticator`: the QR code, for the session that began the enrolment."""
    visit.own(Action.READ_PROFILE)
    pending = _pending(visit)
    return redirect(PAGE) if pending is None else _wizard(visit, account_of(visit), pending)


def confirm_authenticator(visit: Visit) -> Answer:
    """The code that the app shows: turns two-factor authentication on, or adds the authenticator."""
    visit.own(Action.READ_PROFILE)
    account = account_of(visit)
    first = account.mode is None
    try:
        permit = visit.ask(Action.CONFIRM_ENROLMENT if first else Action.CONFIRM_FACTOR)
    except ProofRequired as error:
        pending = _pending(visit)
        if pending is None:
            raise Invalid(str(error)) from error
        return _wizard(visit, account, pending, error)
    return confirmed(visit, permit, name=visit.one("name"), first=first, done="authenticator-added")


def confirmed(visit: Visit, permit: Permit, *, first: bool, done: str, name: str | None = None) -> Answer:
    """Turns two-factor authentication on with the factor that was confirmed, or adds it to the others.

    `name` is the one of an authenticator app.
    """
    registry, proof = visit.registry, permit.proof
    assert proof is not None
    made = recovery_codes.generate(visit.user_id, registry.vault, registry.gate) if first else None
    with registry.door.write(permit) as tx:
        if made is None:
            enrolment.confirm_another(tx, visit.user_id, proof)
        else:
            enrolment.confirm(tx, visit.user_id, proof, made)
        if name is not None:
            enrolment.name(tx, proof.source, name)
    return redirect(PAGE, done=done) if made is None else recovery_codes_page(visit, made.codes, first=True)


def cancel(visit: Visit) -> Answer:
    """Drops the pending enrolment."""
    visit.own(Action.READ_PROFILE)
    action = Action.BEGIN_ENROLMENT if account_of(visit).mode is None else Action.CHANGE_SECOND_FACTOR
    with visit.registry.door.write(visit.ask(action)) as tx:
        enrolment.cancel(tx, visit.user_id)
    return redirect(PAGE, done="enrolment-cancelled")


def remove_authenticator(visit: Visit) -> Answer:
    """Removes one of several authenticators."""
    visit.own(Action.READ_PROFILE)
    with visit.registry.door.write(visit.ask(Action.CHANGE_SECOND_FACTOR)) as tx:
        enrolment.remove(tx, visit.user_id, visit.one("authenticator"))
    return redirect(PAGE, done="authenticator-removed")


def change_mode(visit: Visit) -> Answer:
    """How much the second factor guards."""
    visit.own(Action.READ_PROFILE)
    mode = mode_of(visit.one("mode"))
    with visit.registry.door.write(visit.ask(Action.CHANGE_SECOND_FACTOR)) as tx:
        enrolment.change_mode(tx, visit.user_id, mode)
    return redirect(PAGE, done="mode")


def disable(visit: Visit) -> Answer:
    """Turns two-factor authentication off, where neither the site nor a package of one's own asks for it."""
    visit.own(Action.READ_PROFILE)
    permit = visit.ask(Action.CHANGE_SECOND_FACTOR, removes_last_factor=True)
    with visit.registry.door.write(permit) as tx:
        enrolment.disable(tx, visit.user_id, Event.SECOND_FACTOR_DISABLE)
    return redirect(PAGE, done="disabled")


def regenerate(visit: Visit) -> Answer:
    """Ten new recovery codes; the old ones are void."""
    visit.own(Action.READ_PROFILE)
    registry = visit.registry
    permit = visit.ask(Action.CHANGE_SECOND_FACTOR)
    made = recovery_codes.generate(visit.user_id, registry.vault, registry.gate)
    with registry.door.write(permit) as tx:
        enrolment.regenerate_recovery_codes(tx, visit.user_id, made)
    return recovery_codes_page(visit, made.codes, first=False)


def saved(visit: Visit) -> Answer:
    """The recovery codes are saved: the tick box says so, and without it there is no way on."""
    visit.own(Action.READ_PROFILE)
    if visit.one("saved") != "yes":
        raise Invalid(
            "Tick the box first: without your recovery codes a lost phone locks you out. "
            "If they are gone from your screen, make new ones on the two-factor authentication page."
        )
    return redirect(PAGE, done="recovery-saved")


def mode_of(text: str) -> Mode:
    """The mode that a form names. Raises Invalid."""
    if text not in list(Mode):
        raise Invalid(f"The mode {text[:32]!r} is unknown: use auth-only or auth-and-writes.")
    return Mode(text)


def _pending(visit: Visit) -> enrolment.Secret | None:
    """The pending secret, for the session that may see it."""
    registry, now = visit.registry, visit.registry.clock.now()
    not_before = now - registry.settings.enrolment_minutes * MINUTE
    with registry.database.read() as connection:
        found = enrolment.secrets_of(
            connection, visit.user_id, enrolment.PENDING, registry.vault, not_before=not_before
        )
    mine = [each for each in found if each.session_id == visit.caller.principal.session_id]
    return mine[0] if mine else None


def _wizard(visit: Visit, account: Account, pending: enrolment.Secret, error: ProofRequired | None = None) -> Answer:
    import segno  # only this page draws

    key = totp.as_base32(pending.secret)
    address = totp.otpauth_uri(pending.secret, visit.registry.settings.issuer, visit.user)
    return render.form_page(
        visit, "wizard.html", error,
        qr=segno.make(address, error="m", micro=False).svg_data_uri(scale=6, border=4, dark="#000", light="#fff"),
        key=key, groups=[key[start : start + 4] for start in range(0, len(key), 4)], address=address,
        mode=pending.mode_wanted.value, first=account.mode is None, name=visit.one("name"),
    )  # fmt: skip


def recovery_codes_page(visit: Visit, codes: tuple[str, ...], *, first: bool) -> Answer:
    """The ten codes, shown this once."""
    lines = [f"Recovery codes of {visit.user} at {visit.base}/", *codes, "Each code works once.", ""]
    download = "data:text/plain;charset=utf-8," + quote("\r\n".join(lines))
    return render.page(visit, "recovery_codes.html", codes=codes, download=download, first=first)
