"""Documents of upstream's packages as clients get them: what the policy leaves, with addresses of this registry."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import msgspec

from twokey.clock import iso
from twokey.errors import NotFound, Refused
from twokey.packages.names import PackageName
from twokey.packages.packument import TARBALL_PLACE, tarball_path
from twokey.packages.rendered import Document, RenderedDocuments
from twokey.upstream.document import KeptDocument, KeptVersion, moment
from twokey.upstream.mirror import Mirror
from twokey.upstream.policy import Policy, View, view
from twokey.upstream.storage import Head
from twokey.upstream.waiting import Waited

FULL, ABBREVIATED = "full", "abbreviated"
MOST_BYTES = 32 * 1024 * 1024  # of rendered documents, as gzip
MOST_REMEMBERED = 20_000
_FROM_LATEST = ("description", "license", "homepage", "repository", "keywords", "bugs", "author")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document. `tag` differs with everything that it is made of, but for the encoding."""

    document: Document
    tag: str
    notice: str | None


class Views:
    """Renders, and keeps what it rendered within a bound of its own."""

    def __init__(self, mirror: Mirror, now: Callable[[], int]) -> None:
        """Reads the mirror's documents; `now` tells the time in µs."""
        self._mirror = mirror
        self._now = now
        self._documents = RenderedDocuments(MOST_BYTES)
        self._changes: OrderedDict[tuple[str, str], tuple[int, ...]] = OrderedDict()
        self._notices: OrderedDict[tuple[str, str, int], str | None] = OrderedDict()
        self._lock = Lock()

    def view(self, policy: Policy, waited: Waited) -> tuple[Head, KeptDocument, View]:
        """The kept document and what of it is served. Raises Waits, NotFound, UpstreamFailed."""
        head, document = self._mirror.read(policy.name, waited)
        return head, document, self._note(head, policy, view(document, policy, self._now()))

    def packument(self, policy: Policy, waited: Waited, kind: str, base: str) -> Rendered:
        """The document of the package, FULL or ABBREVIATED. Raises Waits, NotFound, Refused, UpstreamFailed.

        `base` is this registry's address without a slash at its end.
        """
        head = self._mirror.look(policy.name, waited)
        changes = self._changes.get((head.revision, policy.fingerprint))
        if changes is None:
            head, _, shown = self.view(policy, waited)
            changes = shown.changes
        upcoming = _upcoming(changes, self._now())

        def render() -> bytes:
            _, document, shown = self.view(policy, waited)
            if not shown.versions:
                raise Refused(_none_left(shown), notice=_none_left(shown))
            return (_full if kind == FULL else _abbreviated)(head, document, shown, base)

        key = (head.name, head.revision, policy.fingerprint, upcoming, kind, base)
        document = self._documents.get(key, render)
        notice = self._notices.get((head.revision, policy.fingerprint, upcoming))
        tag = f"u{head.revision[:24]}-{policy.fingerprint[:8]}{f'.{upcoming}' if upcoming else ''}-{kind[0]}"
        return Rendered(document, tag, notice)

    def _note(self, head: Head, policy: Policy, shown: View) -> View:
        known = (head.revision, policy.fingerprint)
        with self._lock:
            self._changes[known] = shown.changes
            self._notices[(*known, _upcoming(shown.changes, self._now()))] = shown.notice
            while len(self._changes) > MOST_REMEMBERED:
                self._changes.popitem(last=False)
            while len(self._notices) > MOST_REMEMBERED:
                self._notices.popitem(last=False)
        return shown


def _upcoming(changes: Sequence[int], now: int) -> int:
    """The next moment at which another version is old enough, 0 where none is awaited: until then, the same versions
    are served."""
    place = bisect_right(changes, now)
    return changes[place] if place < len(changes) else 0


def manifest(name: PackageName, version: str, kept: KeptVersion, base: str) -> bytes:
    """A version's manifest with the address of its tarball here."""
    return _addressed(kept.manifest, name, version, base)


def version_named(shown: View, name: PackageName, version_or_tag: str) -> str:
    """The version that is asked for, by its number or by a dist-tag. Raises NotFound, Refused for one withheld."""
    wanted = shown.tags.get(version_or_tag, version_or_tag)
    served(shown, name, wanted)
    return wanted


def served(shown: View, name: PackageName, version: str) -> KeptVersion:
    """The version of that number. Raises NotFound, Refused for one withheld."""
    if version in shown.withheld:
        raise Refused(shown.withheld[version], notice=shown.withheld[version])
    if version not in shown.versions:
        raise NotFound(f"{name} has no version or dist-tag {version}.")
    return shown.versions[version]


def _full(head: Head, document: KeptDocument, shown: View, base: str) -> bytes:
    name = PackageName.parse(document.name)
    first = {"_id": name.full, "_rev": f"1-{head.revision[:32]}", "name": name.full, "dist-tags": shown.tags}
    last = {
        "time": _times(document, shown),
        "maintainers": document.head.get("maintainers", []),
        "users": document.head.get("users", {}),
        **{key: document.head[key] for key in _FROM_LATEST if key in document.head},
        "readme": document.readme,
        "readmeFilename": document.readme_filename,
    }
    parts = ((version, manifest(name, version, kept, base)) for version, kept in shown.versions.items())
    return _joined(first, parts, last)


def _abbreviated(_head: Head, document: KeptDocument, shown: View, base: str) -> bytes:
    name = PackageName.parse(document.name)
    times = _times(document, shown)
    first = {"name": name.full, "modified": times["modified"], "dist-tags": shown.tags}
    parts = ((version, _addressed(kept.abbreviated, name, version, base)) for version, kept in shown.versions.items())
    return _joined(first, parts, {"time": times})


def _times(document: KeptDocument, shown: View) -> dict[str, str]:
    published = {version: kept.published for version, kept in shown.versions.items() if kept.published is not None}
    ends = (min(published.values(), default=0), max(published.values(), default=0))
    whole = {
        key: iso(moment(document.times.get(key)) or end) for key, end in zip(("created", "modified"), ends, strict=True)
    }
    return {**whole, **{version: iso(at) for version, at in published.items()}}


def _addressed(raw: msgspec.Raw, name: PackageName, version: str, base: str) -> bytes:
    place = b'"tarball":' + msgspec.json.encode(f"{base}/{tarball_path(name, version)}")
    return bytes(raw).replace(TARBALL_PLACE.encode(), place, 1)


def _joined(first: Mapping[str, object], versions: Iterable[tuple[str, bytes]], last: Mapping[str, object]) -> bytes:
    parts = b",".join(msgspec.json.encode(version) + b":" + text for version, text in versions)
    return b"".join((msgspec.json.encode(first)[:-1], b',"versions":{', parts, b"},", msgspec.json.encode(last)[1:]))


def _none_left(shown: View) -> str:
    return next(iter(shown.withheld.values()), "No version of this package is served here.")
