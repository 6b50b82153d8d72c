"""`/-/npm/v1/user`: the profile and two-factor authentication (npm-protocol.md 2)."""

from __future__ import annotations

import re

from twokey.accounts import addresses, users
from twokey.accounts.users import PROFILE_FIELDS, Account
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Mode
from twokey.clock import iso
from twokey.errors import Invalid, Unauthenticated
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.strict_json import object_of, optional_string, required_string
from twokey.two_factor import enrolment, recovery_codes, totp

ACTIONS = (
    Action.READ_PROFILE, Action.CHANGE_PROFILE, Action.CHANGE_EMAIL, Action.CHANGE_PASSWORD, Action.BEGIN_ENROLMENT,
    Action.CONFIRM_ENROLMENT, Action.CHANGE_SECOND_FACTOR,
)  # fmt: skip
LONGEST_SECRET = 4096
DISABLE = "disable"
KNOWN = frozenset({"tfa", "password", "email", *PROFILE_FIELDS})
# What npm sends back of the document that it read; never a change.
IGNORED = frozenset({"name", "email_verified", "created", "updated", "cidr_whitelist"})
_NPM = re.compile(r"npm/(\d+)\.(\d+)\.")


def read(call: Call) -> Answer:
    """`npm profile get`."""
    call.require(Action.READ_PROFILE, Target())
    return _document(call)


def change(call: Call) -> Answer:
    """`npm profile set`, `enable-2fa`, `disable-2fa` and the password, told apart by the body."""
    body = call.json()
    unknown = sorted(set(body) - KNOWN - IGNORED)
    if unknown:
        raise Invalid(f"There is no profile field {unknown[0]!r}: {', '.join(sorted(KNOWN - {'tfa'}))} can be set.")
    if "tfa" in body:
        return _second_factor(call, body["tfa"])
    if body.get("password") is not None:
        return _password(call, body)
    account = _account(call)
    email = optional_string(body, "email", max_length=users.LONGEST_EMAIL)
    changes = _profile_changes(account, body)
    new_email = users.check_email(email) if email and email != account.email else None
    if new_email and changes:
        raise Invalid("Change the mail address apart from the other fields: the two need different proof.")
    target = Target(account=account.name)
    if new_email:
        with call.registry.door.write(call.require(Action.CHANGE_EMAIL, target)) as tx:
            addresses.change(tx, account.id, new_email, call.registry.outbox)
    elif changes:
        with call.registry.door.write(call.require(Action.CHANGE_PROFILE, target)) as tx:
            users.change_profile(tx, account.id, changes)
    else:
        # npm sends every field; those that stay as they are need no proof, only the right to read them.
        call.require(Action.READ_PROFILE, Target())
    return _document(call)


def _profile_changes(account: Account, body: dict[str, object]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for field in PROFILE_FIELDS:
        if field in body:
            value = optional_string(body, field, max_length=users.LONGEST_FIELD) or None
            if value is not None:
                users.check_field(field, value)
            if value != account.profile[field]:
                changes[field] = value
    return changes


def _password(call: Call, body: dict[str, object]) -> Answer:
    account, both = _account(call), object_of(body["password"], "The password")
    old = required_string(both, "old", max_length=LONGEST_SECRET)
    new = required_string(both, "new", max_length=LONGEST_SECRET)
    permit = call.require(Action.CHANGE_PASSWORD, Target(account=account.name), password=old)
    password_hash = call.registry.passwords.hash(new, context=users.guessable(account.name, account.email))
    with call.registry.door.write(permit) as tx:
        users.change_password(tx, account.id, account.name, password_hash)
    return _document(call)


def _second_factor(call: Call, tfa: object) -> Answer:
    account = _account(call)
    if isinstance(tfa, list):
        return _confirm(call, account, tfa)
    wish = object_of(tfa, "tfa")
    mode = required_string(wish, "mode", max_length=32)
    password = optional_string(wish, "password", max_length=LONGEST_SECRET)
    if mode == DISABLE:
        return _disable(call, account, password)
    if mode not in list(Mode):
        raise Invalid(f"The mode {mode!r} is unknown: use auth-only or auth-and-writes.")
    if account.mode is None:
        return _begin(call, account, Mode(mode), password)
    return _change_mode(call, account, Mode(mode), password)


def _begin(call: Call, account: Account, mode: Mode, password: str | None) -> Answer:
    registry = call.registry
    permit = call.require(Action.BEGIN_ENROLMENT, Target(account=account.name), password=password)
    with registry.door.write(permit) as tx:
        secret = enrolment.begin(tx, account.id, mode, registry.vault)
    return _document(call, tfa=totp.otpauth_uri(secret, registry.settings.issuer, account.name))


def _confirm(call: Call, account: Account, codes: list[object]) -> Answer:
    """The code that npm asks for below the QR code; newer clients may send several, the first is the one."""
    code = codes[0] if codes else None
    if not isinstance(code, str):
        raise Invalid("tfa holds no code: send the six digits that the authenticator app shows.")
    registry = call.registry
    permit = call.require(Action.CONFIRM_ENROLMENT, Target(account=account.name), otp=code)
    assert permit.proof is not None
    made = recovery_codes.generate(account.id, registry.vault, registry.gate)
    with registry.door.write(permit) as tx:
        enrolment.confirm(tx, account.id, permit.proof, made)
    return _document(call, tfa=list(made.codes))


def _change_mode(call: Call, account: Account, mode: Mode, password: str | None) -> Answer:
    permit = call.require(Action.CHANGE_SECOND_FACTOR, Target(account=account.name), password=password)
    with call.registry.door.write(permit) as tx:
        enrolment.change_mode(tx, account.id, mode)
    # npm up to 11.3 takes null for success here, later ones the object (npm-protocol.md 2.4).
    return _document(call, tfa=None) if _is_old_npm(call.caller.user_agent) else _document(call)


def _disable(call: Call, account: Account, password: str | None) -> Answer:
    """Turns 2FA off; while nothing is active, npm's way to begin an unfinished enrolment again, without a code."""
    target = Target(account=account.name)
    if account.mode is None:
        with call.registry.door.write(call.require(Action.BEGIN_ENROLMENT, target, password=password)) as tx:
            enrolment.cancel(tx, account.id)
        return _document(call)
    permit = call.require(Action.CHANGE_SECOND_FACTOR, target, password=password, removes_last_factor=True)
    with call.registry.door.write(permit) as tx:
        enrolment.disable(tx, account.id, Event.SECOND_FACTOR_DISABLE)
    return _document(call)


def _is_old_npm(user_agent: str) -> bool:
    match = _NPM.match(user_agent)
    return match is not None and (int(match[1]), int(match[2])) <= (11, 3)


def _account(call: Call) -> Account:
    user_id = call.caller.principal.user_id
    if user_id is None:
        raise Unauthenticated("You need to log in for this: run npm login.")
    with call.registry.database.read() as connection:
        return users.by_id(connection, user_id)


_AS_IT_IS = object()


def _document(call: Call, tfa: object = _AS_IT_IS) -> Answer:
    """The profile as npm reads it; every key is shown to the user, so there is none too many."""
    account, registry = _account(call), call.registry
    if tfa is _AS_IT_IS:
        tfa = False
        if account.mode is not None:
            tfa = {"pending": False, "mode": account.mode.value}
        else:
            with registry.database.read() as connection:
                now, minutes = registry.clock.now(), registry.settings.enrolment_minutes
                if enrolment.is_pending(connection, account.id, now, minutes):
                    tfa = {"pending": True, "mode": Mode.AUTH_AND_WRITES.value}
    document = {
        "name": account.name,
        "email": account.email,
        "email_verified": account.email_verified,
        # npm 12 knows twitter and freenode no more and shows whatever it gets, so they are there only where set.
        **{key: value for key, value in account.profile.items() if value or key in ("fullname", "homepage", "github")},
        "created": iso(account.created_at),
        "updated": iso(account.updated_at),
        "cidr_whitelist": None,
        "tfa": tfa,
    }
    return json_answer(document, 200, {"cache-control": "no-store"})
