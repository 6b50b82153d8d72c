"""How often packages were fetched, in the shape of the public registry's download API.

`/downloads/point/PERIOD[/PACKAGE]`, `/downloads/range/PERIOD[/PACKAGE]`, `/versions/PACKAGE/PERIOD`. A period is
`last-day`, `last-week`, `last-month`, `last-year`, a day, or `DAY:DAY`. The last day is today, as on a package's page:
downloads count here within seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date

from sqlalchemy import Connection

from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import Invalid
from twokey.http.answers import FRESH, Answer, json_answer
from twokey.http.routing import Call
from twokey.packages import downloads, packages
from twokey.packages.names import PackageName
from twokey.packages.packages import Found

LAST = {"last-day": 1, "last-week": 7, "last-month": 30, "last-year": 365}  # days, today included
LONGEST = 550  # days: 18 months
MOST_NAMES = 128
EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Days = tuple[int, int]  # the first and the last, counted from 1970-01-01
Shape = Callable[[Mapping[int, int], Days], object]


def total_point(call: Call) -> Answer:
    """`GET /downloads/point/PERIOD`: the sum over all public packages."""
    return _total(call, _point)


def total_range(call: Call) -> Answer:
    """`GET /downloads/range/PERIOD`: the same for each day."""
    return _total(call, _range)


def point(call: Call) -> Answer:
    """`GET /downloads/point/PERIOD/PACKAGE`, or up to 128 names with commas between: the sum of each."""
    return _of_packages(call, _point)


def range_(call: Call) -> Answer:
    """`GET /downloads/range/PERIOD/PACKAGE`, or names with commas between: the same for each day."""
    return _of_packages(call, _range)


def by_version(call: Call) -> Answer:
    """`GET /versions/PACKAGE/PERIOD`: the downloads of each version, for a period that ends today."""
    period = call.params["period"]
    if period not in LAST:
        raise Invalid(f"The downloads of versions are told for {', '.join(LAST)}.")
    call.require(Action.READ_PACKAGE, call.package_target())
    first, _ = _days(period, downloads.day_of(call.caller.received_at))
    with call.registry.database.read() as connection:
        found = packages.get(connection, call.package)
        counts = downloads.by_version(connection, found.id, first)
    return json_answer({"package": found.name, "downloads": counts}, 200, FRESH)


def _total(call: Call, shape: Shape) -> Answer:
    days = _days(call.params["period"], downloads.day_of(call.caller.received_at))
    call.require(Action.SEARCH, Target())
    with call.registry.database.read() as connection:
        counts = downloads.daily_of_all(connection, *days)
    return json_answer(_document(counts, days, shape), 200, FRESH)


def _of_packages(call: Call, shape: Shape) -> Answer:
    days = _days(call.params["period"], downloads.day_of(call.caller.received_at))
    names = [PackageName.parse(name) for name in str(call.params["names"]).split(",")]
    if len(names) == 1:
        call.require(Action.READ_PACKAGE, Target(package=names[0].full, scope=names[0].scope))
        with call.registry.database.read() as connection:
            return json_answer(_of_one(connection, packages.get(connection, names[0]), days, shape), 200, FRESH)
    if len(names) > MOST_NAMES:
        raise Invalid(f"At most {MOST_NAMES} packages can be asked for at once.")
    if any(name.scope is not None for name in names):
        raise Invalid("Packages in a scope are asked for one by one.")
    call.require(Action.SEARCH, Target())
    visible = [name for name in names if call.registry.door.may_read(call.caller, name.full, None)]
    document: dict[str, object] = {name.full: None for name in names}
    with call.registry.database.read() as connection:
        for name in visible:
            found = packages.find(connection, name)
            if found is not None and found.unpublished_at is None:
                document[name.full] = _of_one(connection, found, days, shape)
    return json_answer(document, 200, FRESH)


def _of_one(connection: Connection, found: Found, days: Days, shape: Shape) -> dict[str, object]:
    return {**_document(downloads.daily(connection, found.id, *days), days, shape), "package": found.name}


def _document(counts: Mapping[int, int], days: Days, shape: Shape) -> dict[str, object]:
    return {"downloads": shape(counts, days), "start": _text(days[0]), "end": _text(days[1])}


def _point(counts: Mapping[int, int], _days: Days) -> int:
    return sum(counts.values())


def _range(counts: Mapping[int, int], days: Days) -> list[dict[str, object]]:
    return [{"downloads": counts.get(day, 0), "day": _text(day)} for day in range(days[0], days[1] + 1)]


def _days(period: str, today: int) -> Days:
    """The first and the last day of a period. Raises Invalid."""
    if period in LAST:
        return today - LAST[period] + 1, today
    begin, colon, end = period.partition(":")
    first, last = _day(begin), _day(end if colon else begin)
    if first > last:
        raise Invalid("The period ends before it begins: write it as FIRST-DAY:LAST-DAY.")
    if last - first >= LONGEST:
        raise Invalid(f"A period has at most {LONGEST} days: ask for it in parts.")
    return first, last


def _day(text: str) -> int:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text).toordinal() - EPOCH
    except ValueError:
        pass
    raise Invalid(f"A period is one of {', '.join(LAST)}, a day such as 2026-11-24, or two days with a colon between.")


def _text(day: int) -> str:
    return date.fromordinal(EPOCH + day).isoformat()
