"""Settings of the site that an administrator changes at run time: rows that stand over the instance's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.clock import MICROSECONDS
from twokey.db.schema import User
from twokey.db.schema_site import SiteSetting
from twokey.errors import Invalid
from twokey.tokens.tokens import Lifetimes

SIGNUP = ("open", "invite", "closed")
REQUIRE_2FA = ("off", "publishers", "everyone")
LIFETIMES = tuple(each.name for each in fields(Lifetimes))
NONE = "none"
LONGEST_DAYS = 36500
_EVERY = select(SiteSetting.name, SiteSetting.value)


@dataclass(frozen=True, slots=True)
class Site:
    """What holds on the site. `require_2fa_from` (µs): until then the requirement is a notice only."""

    signup: str
    require_2fa: str
    require_2fa_from: int
    lifetimes: Lifetimes

    def required_2fa(self, at: int) -> str:
        """Of whom a second factor is required at `at` (µs)."""
        return "off" if at < self.require_2fa_from else self.require_2fa

    def notice_2fa(self, at: int) -> str | None:
        """The day from which a second factor will be required, while that is still to come."""
        if self.require_2fa == "off" or at >= self.require_2fa_from:
            return None
        return texts(self)["require_2fa_from"]


@dataclass(frozen=True, slots=True)
class Changed:
    """Who changed a setting, and when (µs)."""

    by: str
    at: int


def read(connection: Connection, default: Site) -> Site:
    """The site as it is: `default` with the rows over it."""
    rows: dict[str, str] = dict(row for row in connection.execute(_EVERY))
    if not rows:
        return default
    lifetimes = default.lifetimes
    for name in LIFETIMES:
        if (text := rows.get(f"lifetime_{name}")) is not None:
            lifetimes = replace(lifetimes, **{name: _days(text)})
    return Site(
        signup=rows.get("signup", default.signup),
        require_2fa=rows.get("require_2fa", default.require_2fa),
        require_2fa_from=_moment(rows.get("require_2fa_from", "")),
        lifetimes=_within_maximum(lifetimes),
    )


def changes(connection: Connection) -> dict[str, Changed]:
    """The settings that an administrator has changed, with who did it last."""
    query = select(SiteSetting.name, User.name, SiteSetting.changed_at).join(User, User.id == SiteSetting.changed_by)
    return {name: Changed(by, at) for name, by, at in connection.execute(query)}


def texts(site: Site) -> dict[str, str]:
    """Every setting as text, as a form shows it and `change` takes it."""
    lifetimes = {f"lifetime_{name}": _text(getattr(site.lifetimes, name)) for name in LIFETIMES}
    day = f"{datetime.fromtimestamp(site.require_2fa_from // MICROSECONDS, UTC):%Y-%m-%d}"
    return {
        "signup": site.signup,
        "require_2fa": site.require_2fa,
        "require_2fa_from": day if site.require_2fa_from else "",
        **lifetimes,
    }


def change(tx: Transaction, default: Site, wanted: Mapping[str, str]) -> None:
    """Sets every setting to what `wanted` says, in the words of `texts`. Raises Invalid, with nothing changed.

    What is the instance's own setting is kept as that: it follows a later start with another one.
    """
    checked = _checked(wanted)
    before, own = texts(read(tx.connection, default)), texts(default)
    different = {name: value for name, value in checked.items() if value != before[name]}
    if not different:
        raise Invalid("Nothing was changed: these are the settings already.")
    tx.connection.execute(delete(SiteSetting).where(SiteSetting.name.in_(different)))
    rows = [
        {"name": name, "value": value, "changed_at": tx.now, "changed_by": tx.permit.actor}
        for name, value in different.items()
        if value != own[name]
    ]
    if rows:
        tx.connection.execute(insert(SiteSetting), rows)
    tx.record(
        Event.SETTINGS_CHANGE, resource="registry",
        details={"before": {name: before[name] for name in different}, "after": different},
    )  # fmt: skip


def _checked(wanted: Mapping[str, str]) -> dict[str, str]:
    if wanted["signup"] not in SIGNUP:
        raise Invalid("Sign-up is open, by invitation, or closed: choose one of them.")
    if wanted["require_2fa"] not in REQUIRE_2FA:
        raise Invalid("Two-factor authentication is required of nobody, of publishers or of everyone: choose one.")
    _moment(wanted["require_2fa_from"])
    days = {name: _days(wanted[f"lifetime_{name}"]) for name in LIFETIMES}
    for name, value in days.items():
        if days["maximum"] is not None and (value is None or value > days["maximum"]):
            kind = name.replace("_", "-")
            raise Invalid(f"A {kind} token would live longer than the most of {days['maximum']} days: set it lower.")
    texts = {f"lifetime_{name}": _text(value) for name, value in days.items()}
    grace = wanted["require_2fa_from"] if wanted["require_2fa"] != "off" else ""
    return {
        "signup": wanted["signup"], "require_2fa": wanted["require_2fa"], "require_2fa_from": grace, **texts,
    }  # fmt: skip


def _within_maximum(lifetimes: Lifetimes) -> Lifetimes:
    """An instance started with longer lives than an administrator's maximum keeps to the maximum."""
    most = lifetimes.maximum
    if most is None:
        return lifetimes
    shorter = {name: min(value, most) if (value := getattr(lifetimes, name)) else most for name in LIFETIMES}
    return replace(lifetimes, **shorter)


def _days(text: str) -> int | None:
    text = text.strip()
    if text == NONE:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= LONGEST_DAYS:
        raise Invalid(f"The life of a token is a number of days from 1 to {LONGEST_DAYS}, or none.")
    return int(text)


def _text(days: int | None) -> str:
    return NONE if days is None else str(days)


def _moment(text: str) -> int:
    """The beginning (µs, UTC) of the day `text`; 0 for none."""
    if not text:
        return 0
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise Invalid("The date from which it is required has the form 2026-11-24.") from error
    return int(day.timestamp()) * MICROSECONDS
