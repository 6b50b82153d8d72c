"""Which versions an advisory affects: OSV's events as an npm range, and whether a version is in such a range.

OSV (ossf.github.io/osv-schema, "affected[].ranges[].events") tells where a fault was introduced, where it was fixed
and which version was the last affected one, by Semantic Versioning order. What is made of it is a small part of npm's
ranges: `*`, `<2.0.0`, `>=1.0.0 <=1.4.0`, `1.2.3`, joined by ` || `.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twokey.errors import Invalid
from twokey.packages import semver
from twokey.packages.semver import Version

ALL = "*"
NO_VERSION = "<0.0.0"  # what clients read as "no patch available"
FIXED, INTRODUCED, LAST_AFFECTED = "fixed", "introduced", "last_affected"
# At one version a span ends before the next begins, and begins before it ends as affected for the last time.
_ORDER = {FIXED: 0, "limit": 0, INTRODUCED: 1, LAST_AFFECTED: 2}


@dataclass(frozen=True, slots=True)
class Span:
    """Versions from `first` (None: from the beginning) up to `end` (None: without end), with or without it."""

    first: Version | None = None
    end: Version | None = None
    with_end: bool = False

    def holds(self, version: Version) -> bool:
        """Whether the version is in it."""
        if self.first is not None and version < self.first:
            return False
        return self.end is None or version < self.end or (self.with_end and version == self.end)

    def __str__(self) -> str:
        if self.first is not None and self.first == self.end and self.with_end:
            return self.first.core
        parts = [] if self.first is None else [f">={self.first.core}"]
        if self.end is not None:
            parts.append(f"{'<=' if self.with_end else '<'}{self.end.core}")
        return " ".join(parts) or ALL


def spans(events: Iterable[Mapping[str, object]]) -> list[Span]:
    """The spans that the events of one OSV range open and close. Raises Invalid for a version that is none."""
    sorted_events = sorted(_parsed(events), key=lambda event: (event[0] is not None, event[0] or _ZERO, event[1]))
    found: list[Span] = []
    opened, first = False, None
    for version, order in sorted_events:
        if order == _ORDER[INTRODUCED]:
            if not opened:
                opened, first = True, version
        elif opened:
            found.append(Span(first, version, with_end=order == _ORDER[LAST_AFFECTED]))
            opened = False
    if opened:
        found.append(Span(first))
    return found


def range_of(parts: Sequence[Span], versions: Iterable[str]) -> str:
    """The spans, and the versions that are in none of them, as one npm range; empty where there is neither."""
    single = set()
    for text in versions:
        if semver.valid(text):
            version = semver.parse(text)
            if not any(part.holds(version) for part in parts):
                single.add(version)
    texts = [str(part) for part in parts] + [version.core for version in sorted(single)]
    return ALL if ALL in texts else " || ".join(dict.fromkeys(texts))


def read(text: str) -> list[Span]:
    """The spans of a range that `range_of` wrote."""
    return [_span(part) for part in text.split(" || ")] if text else []


def held(parts: Iterable[Span], ordered: Sequence[Version]) -> frozenset[Version]:
    """Those of the versions, which are in order, that any of the spans holds.

    Anybody may ask for many versions, and advisories have many spans: the ends of each span are looked up in the order.
    """
    places: set[int] = set()
    for part in parts:
        first = 0 if part.first is None else bisect_left(ordered, part.first)
        end = len(ordered)
        if part.end is not None:
            end = (bisect_right if part.with_end else bisect_left)(ordered, part.end)
        places.update(range(first, end))
    return frozenset(ordered[place] for place in places)


def patched(text: str) -> str:
    """From where on a range is left behind: `>=2.0.0`, or `<0.0.0` where no version after it is known to be good."""
    ends = [part.end for part in read(text) if part.end is not None]
    if len(ends) < len(read(text)) or not ends:
        return NO_VERSION
    last = max(ends)
    inclusive = any(part.end == last and part.with_end for part in read(text))
    return f"{'>' if inclusive else '>='}{last.core}"


_ZERO = semver.parse("0.0.0")


def _parsed(events: Iterable[Mapping[str, object]]) -> Iterable[tuple[Version | None, int]]:
    for event in events:
        for kind, order in _ORDER.items():
            text = event.get(kind)
            if text is None or (kind == "limit" and text == ALL):
                continue
            if not isinstance(text, str):
                raise Invalid(f"The {kind} of a range is a version.")
            yield (None if text == "0" and kind == INTRODUCED else semver.parse(text)), order


def _span(text: str) -> Span:
    first = end = None
    with_end = False
    for comparator in text.split():
        if comparator.startswith(">="):
            first = semver.parse(comparator[2:])
        elif comparator.startswith("<="):
            end, with_end = semver.parse(comparator[2:]), True
        elif comparator.startswith("<"):
            end = semver.parse(comparator[1:])
        elif comparator != ALL:
            first = end = semver.parse(comparator)
            with_end = True
    return Span(first, end, with_end)
