"""A package's document as upstream has it, made into one that we can serve: nothing in it is taken on trust.

Each version is decoded once, when it comes in. What is kept is our own rendering, in the form in which our own
packages are kept (packages/packument.py): `dist` first, the tarball's address left open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twokey.errors import UpstreamFailed
from twokey.packages import semver
from twokey.packages.names import PackageName
from twokey.publishing.manifest import ABBREVIATED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FILE = re.compile(r"[A-Za-z0-9._~+-]{1,400}\.tgz")
_SHA512 = re.compile(r"sha512-([A-Za-z0-9+/]{86}==)")
_SHA1 = re.compile(r"[0-9a-f]{40}")
_TAG = re.compile(r"[^\x00-\x20\x7f/]{1,128}")
# Of the names that begin with "_" only these say something of the version; the others are records of a registry.
_KEPT_PRIVATE = frozenset({"_nodeVersion", "_npmVersion", "_npmUser", "_hasShrinkwrap"})
_DROPPED = frozenset({"readme", "readmeFilename", "dist"})
_HEAD = ("description", "license", "homepage", "repository", "keywords", "bugs", "author", "maintainers", "users")
_SCRIPTS = ("preinstall", "install", "postinstall")
LONGEST_README = 1024 * 1024


class KeptVersion(msgspec.Struct):
    """One version. `published`: microseconds, None where upstream does not say. `file`: its tarball's name there."""

    manifest: msgspec.Raw
    abbreviated: msgspec.Raw
    file: str
    integrity: str
    published: int | None = None


class KeptDocument(msgspec.Struct):
    """A document. `times`: `created` and `modified`, as upstream wrote them; `head`: what is said of the package."""

    name: str
    tags: dict[str, str]
    times: dict[str, str]
    head: dict[str, Any]
    readme: str
    readme_filename: str
    versions: dict[str, KeptVersion]


class _Received(msgspec.Struct):
    name: str
    versions: dict[str, msgspec.Raw] = {}
    tags: dict[str, Any] = msgspec.field(default={}, name="dist-tags")
    time: dict[str, Any] = {}
    readme: Any = ""
    readme_filename: Any = msgspec.field(default="", name="readmeFilename")


_decode_received = msgspec.json.Decoder(_Received).decode
_decode_kept = msgspec.json.Decoder(KeptDocument).decode
_decode_head = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def received(name: PackageName, body: bytes) -> KeptDocument:
    """What upstream sent for `name`. Raises UpstreamFailed where that is no document of this package.

    A version that is none, is of another package, or names no digest of its tarball is left out.
    """
    try:
        document, body = _read(body)
        rest = _decode_head(body)
        head = {key: msgspec.json.decode(rest[key]) for key in _HEAD if key in rest}
        versions = dict(_versions(name, document))
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise UpstreamFailed(f"What upstream sent for {name} is no document of a package.") from error
    if document.name != name.full:
        raise UpstreamFailed(f"What upstream sent for {name} is the document of another package.")
    if not versions:
        raise UpstreamFailed(f"What upstream sent for {name} has no version that can be used.")
    tags = {
        tag: version
        for tag, version in document.tags.items()
        if isinstance(version, str) and version in versions and _TAG.fullmatch(tag)
    }
    times = {key: str(document.time[key]) for key in ("created", "modified") if moment(document.time.get(key))}
    readme = document.readme if isinstance(document.readme, str) else ""
    filename = document.readme_filename if isinstance(document.readme_filename, str) else ""
    return KeptDocument(name.full, tags, times, head, readme[:LONGEST_README], filename[:200], versions)


def _read(body: bytes) -> tuple[_Received, bytes]:
    """The document, and its bytes as they can be decoded further.

    Registries cut long READMEs, sometimes in the middle of a character: half a surrogate pair is left, which is no
    Unicode, and msgspec refuses it. Python's own reader takes it, and what it is written back as is sound.
    """
    try:
        return _decode_received(body), body
    except msgspec.DecodeError:
        sound = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")
        return _decode_received(sound), sound


def encoded(document: KeptDocument) -> bytes:
    """The document as it is kept."""
    return msgspec.json.encode(document)


def decoded(body: bytes) -> KeptDocument:
    """A kept document. Raises msgspec.MsgspecError."""
    return _decode_kept(body)


def moment(text: object) -> int | None:
    """A time of upstream's (ISO 8601) in microseconds; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found.replace(tzinfo=found.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def runs_scripts(manifest: Mapping[str, Any]) -> bool:
    """Whether installing the version runs code, as its manifest has it."""
    scripts = manifest.get("scripts")
    named = isinstance(scripts, dict) and any(scripts.get(each) for each in _SCRIPTS)
    return bool(manifest.get("hasInstallScript")) or named or bool(manifest.get("gypfile"))


def _versions(name: PackageName, document: _Received) -> Iterator[tuple[str, KeptVersion]]:
    for version, raw in document.versions.items():
        manifest = msgspec.json.decode(raw)
        kept = _version(name, version, manifest) if isinstance(manifest, dict) else None
        if kept is not None:
            kept.published = moment(document.time.get(version))
            yield version, kept


def _version(name: PackageName, version: str, received: dict[str, Any]) -> KeptVersion | None:
    dist = received.get("dist")
    if received.get("name") != name.full or received.get("version") != version or not isinstance(dist, dict):
        return None
    if semver.clean(version) != version:
        return None
    integrity = _integrity(dist)
    if integrity is None:
        return None
    manifest = {
        key: value
        for key, value in received.items()
        if key not in _DROPPED and (not key.startswith("_") or key in _KEPT_PRIVATE)
    }
    manifest |= {"_id": f"{name}@{version}"}
    if runs_scripts(received):
        manifest["hasInstallScript"] = True
    # `dist` first, so that the first empty address in the text is the tarball's, whatever the manifest holds
    whole = {"dist": {"tarball": "", **_dist(dist)}, **manifest}
    short = {key: whole[key] for key in ("dist", *ABBREVIATED) if key in whole}
    file = urlsplit(str(dist.get("tarball", ""))).path.rpartition("/-/")[2]
    if not _FILE.fullmatch(file):
        file = f"{name.base}-{version}.tgz"
    return KeptVersion(
        msgspec.Raw(msgspec.json.encode(whole)), msgspec.Raw(msgspec.json.encode(short)), file, integrity
    )


def _integrity(dist: Mapping[str, Any]) -> str | None:
    """`sha512-...`, or `sha1-HEX` of a version from before there was any other."""
    named = dist.get("integrity")
    for each in named.split() if isinstance(named, str) else ():
        if _SHA512.fullmatch(each):
            return str(each)
    shasum = dist.get("shasum")
    return f"sha1-{shasum}" if isinstance(shasum, str) and _SHA1.fullmatch(shasum) else None


def _dist(dist: Mapping[str, Any]) -> dict[str, object]:
    """What of `dist` is passed on: digests, sizes, and upstream's own signatures. Its attestations are not: clients
    would look for them here."""
    kept: dict[str, object] = {
        key: dist[key] for key in ("integrity", "shasum") if isinstance(dist.get(key), str) and dist[key]
    }
    kept |= {key: dist[key] for key in ("fileCount", "unpackedSize") if isinstance(dist.get(key), int)}
    signatures = dist.get("signatures")
    sound = [
        {"keyid": each["keyid"], "sig": each["sig"]}
        for each in (signatures if isinstance(signatures, list) else ())
        if isinstance(each, dict) and isinstance(each.get("keyid"), str) and isinstance(each.get("sig"), str)
    ]
    return {**kept, "signatures": sound} if sound else kept
