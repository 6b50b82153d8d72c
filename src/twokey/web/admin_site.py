"""`/admin/settings`, `/admin/audit` and `/admin/health`."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

from sqlalchemy import func, select, text

import twokey
from twokey.accounts import site_settings
from twokey.audit import search
from twokey.audit.events import Event
from twokey.audit.search import Filter
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.clock import DAY, MICROSECONDS, iso
from twokey.db.schema import AuditEvent
from twokey.db.schema_mail import Mail
from twokey.errors import Invalid, TwokeyError
from twokey.guard import site
from twokey.http.answers import Answer
from twokey.http.health import OK, blobs_state, database_state
from twokey.web import render
from twokey.web.visit import Visit, redirect

EVENTS_SHOWN = 100
LONGEST_FILTER = 256
SIGNUP = {"open": "Open: anybody", "invite": "By invitation", "closed": "Closed: nobody"}
REQUIRE_2FA = {"off": "Nobody", "publishers": "Publishers", "everyone": "Everyone"}
LIFETIMES = {
    "login": "Login tokens: days without use",
    "publish": "Publish tokens: days",
    "automation": "Automation tokens: days",
    "granular": "Granular tokens: days",
    "read_only": "Read-only tokens: days",
    "maximum": "The most days of any token",
}
SETTINGS = ("signup", "require_2fa", "require_2fa_from", *(f"lifetime_{name}" for name in LIFETIMES))


def settings_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /admin/settings`: what holds now, and who made it so."""
    registry = visit.registry
    own = site_settings.texts(site.default(registry.settings))
    with registry.database.read() as connection:
        now = site_settings.texts(site.current(connection, registry.settings))
        changes = site_settings.changes(connection)
    shown = {name: visit.one(name) for name in SETTINGS} if error is not None else now
    return render.form_page(
        visit, "admin_settings.html", error, shown=shown, own=own, changes=changes, signups=SIGNUP,
        requirements=REQUIRE_2FA, lifetimes=LIFETIMES,
    )  # fmt: skip


def save_settings(visit: Visit) -> Answer:
    """Changes what differs; it holds from the next request on, on every node."""
    permit, wanted = visit.ask(Action.ADMIN_CHANGE, Target()), {name: visit.one(name) for name in SETTINGS}
    with visit.registry.door.write(permit) as tx:
        site_settings.change(tx, site.default(visit.registry.settings), wanted)
    return redirect("/admin/settings", done="settings")


def audit_page(visit: Visit) -> Answer:
    """`GET /admin/audit`: the newest events that fit the filter, and further back by the number of the oldest."""
    try:
        wanted, before = _filter(visit), _before(visit)
    except Invalid as error:
        return render.form_page(visit, "admin_audit.html", error, events=[], **_shown(visit), older=None)
    with visit.registry.database.read() as connection:
        entries = search.newest(connection, wanted, EVENTS_SHOWN + 1, before)
    shown, older = entries[:EVENTS_SHOWN], None
    if len(entries) > EVENTS_SHOWN:
        older = f"/admin/audit?{urlencode({**_sent(visit), 'before': shown[-1].seq})}"
    events = [{**each.document, "more": _more(each.document["details"])} for each in shown]
    return render.page(visit, "admin_audit.html", events=events, **_shown(visit), older=older)


def export(visit: Visit) -> Answer:
    """`GET /admin/audit/export`: every event that fits, a JSON object with its hash on each line."""
    wanted = _filter(visit)
    file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the answer closes it when it was sent
    try:
        with visit.registry.database.read() as connection:
            file.writelines(search.lines(connection, wanted))
        length = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    day = iso(visit.registry.clock.now())[:10]
    headers = {"content-disposition": f'attachment; filename="audit-{day}.jsonl"', "cache-control": "no-store"}
    return Answer(200, b"", "application/x-ndjson", headers, stream=file, length=length)


def health_page(visit: Visit) -> Answer:
    """`GET /admin/health`."""
    registry = visit.registry
    checkpoint = registry.checkpoints.latest()
    with registry.database.read() as connection:
        last_event = connection.execute(select(func.max(AuditEvent.seq))).scalar_one() or 0
        schema = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        waiting = (Mail.sent_at.is_(None), Mail.failed_at.is_(None))
        mails = connection.execute(select(func.count()).select_from(Mail).where(*waiting)).scalar_one()
    free = shutil.disk_usage(registry.settings.data).free
    states = {"Database": database_state(registry), "Tarballs": blobs_state(registry)}
    return render.page(
        visit, "admin_health.html", states=states, well=set(states.values()) == {OK}, now=registry.clock.now(),
        checkpoint=checkpoint, last_event=last_event, mails=mails, sends=registry.postman is not None, free=free,
        schema=schema, database="SQLite" if registry.database.is_sqlite else "PostgreSQL",
        python=platform.python_version(), release=twokey.__version__,
    )  # fmt: skip


def _sent(visit: Visit) -> dict[str, str]:
    names = ("account", "event", "resource", "from", "to")
    return {name: visit.query.get(name, "").strip() for name in names if visit.query.get(name, "").strip()}


def _shown(visit: Visit) -> dict[str, Any]:
    sent = _sent(visit)
    return {
        "sent": sent, "kinds": sorted(Event), "export": f"/admin/audit/export?{urlencode(sent)}",
        "further": "before" in visit.query,
    }  # fmt: skip


def _filter(visit: Visit) -> Filter:
    sent = _sent(visit)
    if any(len(value) > LONGEST_FILTER or not value.isprintable() for value in sent.values()):
        raise Invalid(f"A filter has at most {LONGEST_FILTER} characters that can be shown.")
    if "event" in sent and sent["event"] not in list(Event):
        raise Invalid("There is no such event: choose one of the list.")
    since, until = _day(sent.get("from")), _day(sent.get("to"))
    return Filter(
        account=sent.get("account", ""), event=sent.get("event", ""), resource=sent.get("resource", ""), since=since,
        until=None if until is None else until + DAY,
    )  # fmt: skip


def _day(value: str | None) -> int | None:
    """The beginning (µs, UTC) of a day."""
    if value is None:
        return None
    try:
        return int(datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * MICROSECONDS
    except (ValueError, OverflowError) as error:
        raise Invalid("A date has the form 2026-11-24.") from error


def _before(visit: Visit) -> int | None:
    value = visit.query.get("before")
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise Invalid("The number of an event is a whole number.")
    return int(value)


def _more(details: object) -> str:
    return json.dumps(details, ensure_ascii=False, sort_keys=True) if details else ""
