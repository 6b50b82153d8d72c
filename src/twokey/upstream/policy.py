"""What of an upstream package is served: nothing blocked, nothing malicious, nothing too young. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twokey.clock import HOUR
from twokey.packages import affected, semver
from twokey.packages.names import PackageName
from twokey.packages.packages import LATEST
from twokey.upstream.document import KeptDocument, KeptVersion
from twokey.upstream.rules import Kind, Rule


@dataclass(frozen=True, slots=True)
class Malicious:
    """An advisory that says which versions of a package are malware; `versions` as `affected` writes them."""

    osv_id: str
    versions: str


@dataclass(frozen=True, slots=True)
class Policy:
    """All that bears on one package. `minimum_age` in microseconds."""

    name: PackageName
    blocks: tuple[Rule, ...] = ()
    allows: tuple[Rule, ...] = ()
    malicious: tuple[Malicious, ...] = ()
    minimum_age: int = 0

    @property
    def fingerprint(self) -> str:
        """Differs where the policy does."""
        parts = [(rule.kind.value, rule.pattern, rule.versions, rule.reason) for rule in (*self.blocks, *self.allows)]
        text = repr((parts, [(each.osv_id, each.versions) for each in self.malicious], self.minimum_age))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class View:
    """What is served of a document: `versions` in upstream's order, dist-tags that lead to those, and why (a sentence)
    each other version is withheld. `changes`: the moments (µs) at which a version becomes old enough."""

    versions: Mapping[str, KeptVersion]
    tags: Mapping[str, str]
    withheld: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[int, ...] = ()
    notice: str | None = None


def policy_for(name: PackageName, rules: Sequence[Rule], malicious: Sequence[Malicious], minimum_age: int) -> Policy:
    """The policy for one package out of all rules."""
    about = [rule for rule in rules if rule.names(name)]
    return Policy(
        name,
        tuple(rule for rule in about if rule.kind is Kind.BLOCK),
        tuple(rule for rule in about if rule.kind is Kind.ALLOW),
        tuple(malicious),
        minimum_age,
    )


def view(document: KeptDocument, policy: Policy, now: int) -> View:
    """What is served of `document` at `now` (µs)."""
    withheld: dict[str, str] = {}
    changes: list[int] = []
    forbidden = _forbidden(document, policy)
    for version, kept in document.versions.items():
        if version in forbidden:
            withheld[version] = forbidden[version]
            continue
        if not policy.minimum_age or any(rule.holds(version) for rule in policy.allows):
            continue
        if kept.published is None:
            withheld[version] = f"{policy.name}@{version} is withheld: upstream does not say when it was published."
        elif now < kept.published + policy.minimum_age:
            changes.append(kept.published + policy.minimum_age)
            withheld[version] = _too_young(policy, version, kept.published, now)
    shown = {version: kept for version, kept in document.versions.items() if version not in withheld}
    tags = {tag: found for tag, wanted in document.tags.items() if (found := _instead(wanted, shown)) is not None}
    return View(shown, tags, withheld, tuple(sorted(changes)), _notice(document, withheld, tags))


def _forbidden(document: KeptDocument, policy: Policy) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in policy.blocks:
        because = f": {rule.reason}" if rule.reason else ""
        for version in document.versions:
            if rule.holds(version):
                said = f"{policy.name}@{version} is blocked by the operator of this registry{because}."
                found.setdefault(version, said.replace("..", "."))
    if policy.malicious:
        ordered = sorted(semver.parse(version) for version in document.versions)
        for advisory in policy.malicious:
            for each in affected.held(affected.read(advisory.versions), ordered):
                found[each.core] = (
                    f"{policy.name}@{each.core} is known to be malicious ({advisory.osv_id}): it is not served. "
                    "Take another version, and look at what has installed this one."
                )
    return found


def _too_young(policy: Policy, version: str, published: int, now: int) -> str:
    hours = -(-(published + policy.minimum_age - now) // HOUR)
    return (
        f"{policy.name}@{version} is withheld for {hours} more hour{'s' if hours != 1 else ''}: versions are taken "
        f"{policy.minimum_age // HOUR} hours after they were published. Ask the operator of this registry if it is "
        "urgent."
    )


def _instead(wanted: str, shown: Mapping[str, KeptVersion]) -> str | None:
    """Where a dist-tag leads: its own version, or the highest one below it that is served and no prerelease, as npm's
    `--before` has it (npm-pick-manifest/lib/index.js); from a prerelease also to earlier ones of the same version."""
    if wanted in shown:
        return wanted
    limit = semver.parse(wanted)
    below = {text: found for text in shown if (found := semver.parse(text)) < limit}
    same = limit.prerelease and limit.core.partition("-")[0]
    fitting = [
        text for text, found in below.items()
        if not found.prerelease or (same and found.core.partition("-")[0] == same)
    ]  # fmt: skip
    return max(fitting, key=below.__getitem__, default=None)


def _notice(document: KeptDocument, withheld: Mapping[str, str], tags: Mapping[str, str]) -> str | None:
    """What npm prints where `latest` does not lead where upstream's does."""
    wanted = document.tags.get(LATEST)
    if wanted is None or wanted not in withheld:
        return None
    instead = f" latest is {tags[LATEST]} here." if LATEST in tags else ""
    return withheld[wanted] + instead
