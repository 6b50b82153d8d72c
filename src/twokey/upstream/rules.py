"""What the operator decided about names and upstream, as rows: claims, and versions that are blocked or allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from twokey.audit.events import Event
from twokey.audit.transaction import Transaction
from twokey.db.schema_upstream import UpstreamRule
from twokey.errors import Conflict, Invalid, NotFound
from twokey.packages import semver
from twokey.packages.names import MAX_NAME, PackageName
from twokey.strict_json import quoted

ALL = "*"
LONGEST_REASON = 200
_PART = re.compile(r"[A-Za-z0-9._~*-]+")


class Kind(StrEnum):
    """What a rule is for."""

    CLAIM = "claim"  # of this registry: never asked of upstream
    BLOCK = "block"  # never served
    ALLOW = "allow"  # served however young


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `pattern`: a name in which `*` stands for any text, or a whole scope; `versions`: as `semver.matching`
    reads them."""

    kind: Kind
    pattern: str
    versions: str
    reason: str
    created_at: int

    def names(self, name: PackageName) -> bool:
        """Whether the rule is about this package."""
        pattern = self.pattern if "/" in self.pattern or not self.pattern.startswith("@") else f"{self.pattern}/*"
        scope, slash, base = pattern.rpartition("/")
        if (name.scope is not None) != bool(slash):
            return False
        return _fits(base, name.base) and (name.scope is None or _fits(scope.removeprefix("@"), name.scope))

    def holds(self, version: str) -> bool:
        """Whether the rule is about this version of its packages."""
        return bool(semver.matching(self.versions, [version]))


def every(connection: Connection) -> list[Rule]:
    """All rules, by kind and pattern."""
    query = select(
        UpstreamRule.kind, UpstreamRule.pattern, UpstreamRule.versions, UpstreamRule.reason, UpstreamRule.created_at
    ).order_by(UpstreamRule.kind, UpstreamRule.pattern, UpstreamRule.versions)
    return [Rule(Kind(row[0]), row[1], row[2], row[3], row[4]) for row in connection.execute(query)]


def add(tx: Transaction, kind: Kind, spec: str, reason: str = "") -> Rule:
    """Makes a rule for `spec`: `@scope`, `name`, `na*`, and but for claims `name@versions`.

    Raises Invalid, Conflict.
    """
    pattern, versions = split(kind, spec)
    if len(reason) > LONGEST_REASON or not (reason.isprintable() and reason == reason.strip()):
        raise Invalid(f"A reason has at most {LONGEST_REASON} printable characters.")
    rule = Rule(kind, pattern, versions, reason, tx.now)
    if any(_key(rule) == _key(each) for each in every(tx.connection)):
        raise Conflict(f"There is such a rule already: {kind.value} {spec}.")
    tx.connection.execute(
        insert(UpstreamRule).values(
            kind=kind.value, pattern=pattern, versions=versions, reason=reason, created_at=tx.now
        )
    )
    tx.record(_EVENTS[kind], resource=f"upstream:{pattern}", details={"versions": versions, "reason": reason})
    return rule


def remove(tx: Transaction, kind: Kind, spec: str) -> None:
    """Takes a rule back. Raises Invalid, NotFound."""
    pattern, versions = split(kind, spec)
    gone = tx.connection.execute(
        delete(UpstreamRule).where(
            UpstreamRule.kind == kind.value, UpstreamRule.pattern == pattern, UpstreamRule.versions == versions
        )
    )
    if not gone.rowcount:
        raise NotFound(f"There is no such rule: {kind.value} {spec}. twokey admin upstream rules lists them.")
    details = {"rule": kind.value, "versions": versions}
    tx.record(Event.UPSTREAM_RULE_REMOVE, resource=f"upstream:{pattern}", details=details)


def split(kind: Kind, spec: str) -> tuple[str, str]:
    """Pattern and versions of a spec. Raises Invalid."""
    cut = spec.find("@", 1)
    pattern, versions = (spec, ALL) if cut < 0 else (spec[:cut], spec[cut + 1 :].strip() or ALL)
    scope, slash, base = pattern.rpartition("/")
    parts = [base.removeprefix("@")] if not slash else [scope.removeprefix("@"), base]
    sound = len(pattern) <= MAX_NAME and all(_PART.fullmatch(part) for part in parts)
    if not sound or (slash and not scope.startswith("@")):
        raise Invalid(f"{quoted(spec)} is neither a package nor a pattern: write @scope, name, @scope/name or acme-*.")
    if kind is Kind.CLAIM and cut >= 0:
        raise Invalid("A claim is for all versions of a name: leave the version out.")
    semver.matching(versions, [])
    for part in versions.split() if versions != ALL else ():
        semver.matching(part, ["0.0.0"])  # raises Invalid where it is no comparison
    return pattern, versions


def of(rules: Sequence[Rule], kind: Kind, name: PackageName) -> list[Rule]:
    """Those of a kind that are about a package."""
    return [rule for rule in rules if rule.kind is kind and rule.names(name)]


_EVENTS = {
    Kind.CLAIM: Event.UPSTREAM_CLAIM,
    Kind.BLOCK: Event.UPSTREAM_BLOCK,
    Kind.ALLOW: Event.UPSTREAM_ALLOW,
}


def _key(rule: Rule) -> tuple[Kind, str, str]:
    return rule.kind, rule.pattern, rule.versions


def _fits(pattern: str, text: str) -> bool:
    """Whether `*` in the pattern can stand for texts so that it is `text`. In lower case: names that differ in case
    alone are confused."""
    first, *rest = pattern.lower().split("*")
    text = text.lower()
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return text.endswith(rest[-1]) and len(text) - len(rest[-1]) >= place
