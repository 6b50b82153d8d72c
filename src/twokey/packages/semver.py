"""Versions: the strict grammar and the order of Semantic Versioning 2.0.0.

Rules as in npm's `semver/classes/semver.js` without its lenience: no leading `v`, no spaces.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import total_ordering

from twokey.errors import Invalid
from twokey.strict_json import quoted

MAX_LENGTH = 256
LARGEST_NUMBER = 2**53 - 1

_NUMBER = r"(0|[1-9][0-9]*)"
_PRERELEASE_PART = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD_PART = r"[0-9A-Za-z-]+"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
    rf"(?:-({_PRERELEASE_PART}(?:\.{_PRERELEASE_PART})*))?"
    rf"(?:\+({_BUILD_PART}(?:\.{_BUILD_PART})*))?"
)

# What npm took before there was strictness, and still cleans: 1.2.3beta, 01.2.3 (node-semver's `LOOSE`).
_LOOSE_PART = r"(?:[0-9]*[A-Za-z-][0-9A-Za-z-]*|[0-9]+)"
_LOOSE = re.compile(
    rf"[v=\s]*([0-9]+)\.([0-9]+)\.([0-9]+)(?:-?({_LOOSE_PART}(?:\.{_LOOSE_PART})*))?(?:\+{_BUILD_PART}(?:\.{_BUILD_PART})*)?"
)
_COMPARISON = re.compile(r"(<=|>=|<|>|=|)([^<>=].*)")
_COMPARE = {"": operator.eq, "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

# number < text, and a shorter list of equal parts < a longer one (semver.org 11.4)
_PartKey = tuple[int, int, str]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """One version. Ordered and equal by precedence, so build metadata does not count."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[int | str, ...] = ()
    build: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = self.core
        return text + "+" + ".".join(self.build) if self.build else text

    @property
    def core(self) -> str:
        """The version without build metadata: what npm publishes."""
        text = f"{self.major}.{self.minor}.{self.patch}"
        return text + "-" + ".".join(map(str, self.prerelease)) if self.prerelease else text

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Version) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._key() < other._key() if isinstance(other, Version) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[int, int, int, bool, tuple[_PartKey, ...]]:
        parts = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in self.prerelease)
        return self.major, self.minor, self.patch, not self.prerelease, parts


def parse(text: str) -> Version:
    """The version that `text` spells; raises `Invalid` where it spells none."""
    if len(text) > MAX_LENGTH:
        raise Invalid(f"The version is longer than {MAX_LENGTH} characters. Choose a shorter one.")
    match = _VERSION.fullmatch(text)
    if match is None:
        raise Invalid(
            f"{quoted(text)} is not a valid version. Use three numbers such as 1.2.3, "
            "with a prerelease such as -beta.1 after them where needed."
        )
    major, minor, patch = (int(number) for number in match.group(1, 2, 3))
    if max(major, minor, patch) > LARGEST_NUMBER:
        raise Invalid(f"A number in the version {quoted(text)} is too large. Use one below 2^53.")
    prerelease = match.group(4).split(".") if match.group(4) else []
    build = match.group(5).split(".") if match.group(5) else []
    return Version(major, minor, patch, tuple(int(p) if p.isdecimal() else p for p in prerelease), tuple(build))


def valid(text: str) -> bool:
    """Whether `parse` takes `text`."""
    try:
        parse(text)
    except Invalid:
        return False
    return True


def clean(text: str) -> str | None:
    """What npm makes of a version in a package.json, or None where it is no version.

    Spaces around it, leading `v` and `=`, leading zeros and the build metadata go, and a prerelease gets its hyphen,
    as in npm's `semver/functions/clean.js`, loose as `@npmcli/package-json/lib/normalize.js` calls it.
    """
    match = _LOOSE.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    if match is None:
        return None
    core = ".".join(str(int(number)) for number in match.group(1, 2, 3))
    prerelease = match.group(4).split(".") if match.group(4) else []
    strict = ".".join(str(int(part)) if part.isdecimal() else part for part in prerelease)
    try:
        return parse(f"{core}-{strict}" if strict else core).core
    except Invalid:
        return None


def matching(text: str, versions: Iterable[str]) -> list[str]:
    """Those of `versions` that `text` names, the lowest first: `*` all, else versions and comparisons that all hold.

    Such as `1.2.3` and `>=1.0.0 <2.0.0`; prereleases are compared like any other, as `npm deprecate` does it. Raises
    `Invalid` for what is neither, carets and tildes among them.
    """
    held = {each: parse(each) for each in versions}
    for part in text.split() if text.strip() != "*" else ():
        match = _COMPARISON.fullmatch(part)
        if match is None:
            raise Invalid(
                f"{quoted(part)} is no version and no comparison: write * for all, one version such as 1.2.3, "
                "or a range such as >=1.0.0 <2.0.0."
            )
        holds, limit = _COMPARE[match[1]], parse(match[2])
        held = {each: version for each, version in held.items() if holds(version, limit)}
    return sorted(held, key=held.__getitem__)


def highest(versions: Iterable[str]) -> str | None:
    """The version that `latest` moves to when its own is unpublished, or None where none is left.

    The highest that is no prerelease; where all are, the highest. Raises `Invalid` for a string that
    is no version.
    """
    parsed = {text: parse(text) for text in versions}
    released = [text for text, version in parsed.items() if not version.prerelease]
    return max(released or parsed, key=parsed.__getitem__, default=None)
