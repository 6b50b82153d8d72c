"""OSV records (ossf.github.io/osv-schema), as far as npm's clients show something of them.

The severity is the one that the advisory's own database gives. Where it gives none it is `critical` for malware, else
what the CVSS vector says, and `moderate` without one. The score is the vector's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from twokey import strict_json
from twokey.errors import Invalid
from twokey.packages import affected, rating
from twokey.packages.affected import Span
from twokey.packages.names import PackageName
from twokey.packages.rating import Rating

SEVERITIES = {"low": "low", "moderate": "moderate", "medium": "moderate", "high": "high", "critical": "critical"}
MALWARE = "MAL-"
LONGEST_TITLE, LONGEST_ADDRESS, LONGEST_RANGE, MOST_ALIASES = 300, 2048, 256 * 1024, 100
MALWARE_ORIGINS = "malicious-packages-origins"  # what the OpenSSF's collection of malware says of its records
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_CWE = re.compile(r"CWE-[0-9]{1,6}")
_CVSS = re.compile(r"CVSS:[0-9]\.[0-9]/[A-Z:/a-z]{1,300}")


@dataclass(frozen=True, slots=True)
class Record:
    """One advisory.

    `aliases`: what other databases call the same fault. `packages`: the npm packages that it affects, each with its
    range; none once it is withdrawn.
    """

    osv_id: str
    aliases: tuple[str, ...] = ()
    title: str = ""
    url: str = ""
    severity: str = "moderate"
    cvss_vector: str | None = None
    cvss_score: float | None = None
    cwes: tuple[str, ...] = ()
    malicious: bool = False
    published: str = ""
    modified: str = ""
    withdrawn: bool = False
    packages: tuple[tuple[str, str], ...] = ()


def parse(data: bytes) -> Record:
    """The record that a file holds. Raises Invalid where it is no OSV record."""
    document = strict_json.object_of(strict_json.loads(data), "An OSV record")
    osv_id = document.get("id")
    if not isinstance(osv_id, str) or not _ID.fullmatch(osv_id):
        raise Invalid("An OSV record has an id, such as GHSA-xxxx-xxxx-xxxx.")
    own = _object(document.get("database_specific"))
    aliases = dict.fromkeys(text for text in _texts(document.get("aliases")) if _ID.fullmatch(text))
    malicious = any(name.startswith(MALWARE) for name in (osv_id, *aliases)) or MALWARE_ORIGINS in own
    vector, rated = _rated(document)
    unnamed = "critical" if malicious else rated.word if rated else "moderate"
    withdrawn = bool(document.get("withdrawn"))
    return Record(
        osv_id=osv_id,
        aliases=tuple(aliases)[:MOST_ALIASES],
        title=_title(document) or osv_id,
        url=_address(document),
        severity=SEVERITIES.get(str(own.get("severity")).lower(), unnamed),
        cvss_vector=vector,
        cvss_score=rated.score if rated else None,
        cwes=tuple(text for text in _texts(own.get("cwe_ids")) if _CWE.fullmatch(text)),
        malicious=malicious,
        published=_line(document.get("published"), 64),
        modified=_line(document.get("modified"), 64),
        withdrawn=withdrawn,
        packages=() if withdrawn else _packages(document),
    )


def _packages(document: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    spans: dict[str, list[Span]] = {}
    versions: dict[str, list[str]] = {}
    for entry in _objects(document.get("affected")):
        package = _object(entry.get("package"))
        if package.get("ecosystem") != "npm":
            continue
        name = PackageName.parse(str(package.get("name"))).full
        versions.setdefault(name, []).extend(_texts(entry.get("versions")))
        for each in _objects(entry.get("ranges")):
            if each.get("type") in ("SEMVER", "ECOSYSTEM"):
                spans.setdefault(name, []).extend(affected.spans(_objects(each.get("events"))))
    ranges = {name: affected.range_of(spans.get(name, ()), texts) for name, texts in versions.items()}
    if any(len(text) > LONGEST_RANGE for text in ranges.values()):
        raise Invalid(f"The affected versions of a package are more than {LONGEST_RANGE} characters.")
    return tuple(sorted((name, text) for name, text in ranges.items() if text))


def _title(document: Mapping[str, object]) -> str:
    details = str(document.get("details") or "").strip()
    return _line(document.get("summary"), LONGEST_TITLE) or _line(details.partition("\n")[0], LONGEST_TITLE)


def _address(document: Mapping[str, object]) -> str:
    """Where more is told: the advisory itself if the record names it, else its first reference."""
    references = list(_objects(document.get("references")))
    references.sort(key=lambda each: each.get("type") != "ADVISORY")
    for each in references:
        address = each.get("url")
        if isinstance(address, str) and address.startswith(("https://", "http://")) and len(address) <= LONGEST_ADDRESS:
            return _line(address.replace(" ", "%20"), LONGEST_ADDRESS)
    return f"https://osv.dev/vulnerability/{document['id']}"


def _rated(document: Mapping[str, object]) -> tuple[str | None, Rating | None]:
    """The CVSS vector and what it comes to: of version 3, which npm's clients have always been told, else of 4."""
    vectors = [(each.get("type"), each.get("score")) for each in _objects(document.get("severity"))]
    for kind in ("CVSS_V3", "CVSS_V4"):
        for each, vector in vectors:
            if each == kind and isinstance(vector, str) and _CVSS.fullmatch(vector):
                rated = rating.of_vector(vector)
                if rated is not None:
                    return vector, rated
    return None, None


def _line(value: object, length: int) -> str:
    """A text for a terminal: one line, nothing in it that a terminal obeys."""
    text = value if isinstance(value, str) else ""
    return " ".join("".join(each for each in text if each.isprintable() or each.isspace()).split())[:length]


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterable[Mapping[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
