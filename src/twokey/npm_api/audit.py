"""`npm audit` and its like: which of the versions that a client has installed have known faults (npm-protocol.md 8.2).

Answered from the advisories that the operator imported. Two shapes: the bulk one of npm 7 and later, pnpm, Yarn 4 and
Bun, and the older one of npm 6, which sends its whole tree (npm 10 falls back to it).
"""

from __future__ import annotations

import zlib

from twokey import strict_json
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.errors import Invalid, TooLarge
from twokey.http.answers import Answer, json_answer
from twokey.http.routing import Call
from twokey.npm_api import audit_tree
from twokey.packages import advisories, semver
from twokey.packages.advisories import Match
from twokey.packages.semver import Version

MOST_PACKED, MOST_UNPACKED = 2 * 1024 * 1024, 16 * 1024 * 1024  # bytes of a body
MOST_PACKAGES, MOST_VERSIONS = 20_000, 100_000
NOT_KEPT = {"cache-control": "no-store"}
GZIP = 16 + zlib.MAX_WBITS


def bulk(call: Call) -> Answer:
    """`POST /-/npm/v1/security/advisories/bulk` with `{NAME: [VERSION, ...]}`: the advisories of each, by name."""
    call.require(Action.AUDIT, Target())
    found = _matching(call, _asked(_body(call)))
    document = {name: [_advisory(match) for match in matches] for name, matches in found.items()}
    return json_answer(document, 200, NOT_KEPT)


def tree(call: Call) -> Answer:
    """`POST /-/npm/v1/security/audits[/quick]` with a lockfile's tree: the report that npm 6 and Yarn 1 print."""
    call.require(Action.AUDIT, Target())
    root = audit_tree.read(_body(call), MOST_PACKAGES)
    asked: dict[str, list[str]] = {}
    for node in root.everything():
        asked.setdefault(node.name, []).append(node.version)
    found = _matching(call, {name: _versions(texts) for name, texts in asked.items()})
    return json_answer(audit_tree.report(root, found), 200, NOT_KEPT)


def _matching(call: Call, asked: dict[str, list[Version]]) -> dict[str, list[Match]]:
    with call.registry.database.read() as connection:
        return advisories.matching(connection, asked)


def _asked(document: dict[str, object]) -> dict[str, list[Version]]:
    if len(document) > MOST_PACKAGES:
        raise TooLarge(f"An audit takes at most {MOST_PACKAGES} packages at once: send them in parts.")
    asked: dict[str, list[Version]] = {}
    count = 0
    for name, versions in document.items():
        if not isinstance(versions, list) or not all(isinstance(each, str) for each in versions):
            raise Invalid("An audit takes an object of package names, each with a list of versions.")
        count += len(versions)
        asked[name] = _versions(versions)
    if count > MOST_VERSIONS:
        raise TooLarge(f"An audit takes at most {MOST_VERSIONS} versions at once: send them in parts.")
    return asked


def _versions(texts: list[str]) -> list[Version]:
    """The versions among the texts: of a folder, a link or a repository there are no advisories."""
    return [semver.parse(text) for text in dict.fromkeys(texts) if semver.valid(text)]


def _advisory(match: Match) -> dict[str, object]:
    return {
        "id": match.id,
        "url": match.url,
        "title": match.title,
        "severity": match.severity,
        "vulnerable_versions": match.vulnerable_versions,
        "cwe": match.cwes,
        "cvss": {"score": match.cvss_score, "vectorString": match.cvss_vector},
    }


def _body(call: Call) -> dict[str, object]:
    """The JSON object that was sent, as npm does: packed by gzip. Raises Invalid, and TooLarge before it is unpacked
    to more than the limit."""
    encoding = call.headers.get("content-encoding", "identity").strip().lower()
    body = call.body
    if encoding in ("gzip", "x-gzip"):
        body = _unpacked(body)
    elif encoding != "identity":
        raise Invalid(f"The content encoding {strict_json.quoted(encoding)} is not understood: send gzip, or none.")
    return strict_json.object_of(strict_json.loads(body), "The body")


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(GZIP)
    try:
        body = unpacker.decompress(packed, MOST_UNPACKED + 1)
    except zlib.error as error:
        raise Invalid("The body is not gzip, as its content encoding says.") from error
    if len(body) > MOST_UNPACKED:
        raise TooLarge(f"The request is too large: at most {MOST_UNPACKED} bytes are taken here, unpacked.")
    if not unpacker.eof or unpacker.unused_data:
        raise Invalid("The gzip body is cut off, or something comes after it.")
    return body
