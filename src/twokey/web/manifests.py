"""What pages say of a version's manifest, which holds whatever its author wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEPENDENCY_KINDS = {
    "dependencies": "Dependencies",
    "peerDependencies": "Peer dependencies",
    "optionalDependencies": "Optional dependencies",
    "devDependencies": "Development dependencies",
}
_WEB = re.compile(r"(?:git\+)?(https?://[^\s<>\"']+)")


def dependencies(manifest: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """What it depends on: name and range, by kind in the words of a page."""
    found: dict[str, list[tuple[str, str]]] = {}
    for kind, title in DEPENDENCY_KINDS.items():
        value = manifest.get(kind)
        if isinstance(value, dict) and value:
            found[title] = sorted((name, str(wanted)) for name, wanted in value.items())
    return found


def facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says that a page shows; manifests hold anything, so each is looked at."""
    dist, licence = manifest["dist"], manifest.get("license")
    if isinstance(licence, dict):
        licence = licence.get("type")
    keywords = manifest.get("keywords")
    repository = manifest.get("repository")
    if isinstance(repository, dict):
        repository = repository.get("url")
    return {
        "description": _text(manifest.get("description")),
        "license": _text(licence),
        "keywords": [_text(each) for each in keywords[:20] if _text(each)] if isinstance(keywords, list) else [],
        "homepage": _address(manifest.get("homepage")),
        "repository": _address(repository),
        "integrity": dist.get("integrity") or f"sha1 {dist.get('shasum')}",
        "files": dist.get("fileCount"),
        "unpacked": dist.get("unpackedSize"),
        "scripts": bool(manifest.get("hasInstallScript")),
        "engines": _engines(manifest.get("engines")),
    }


def _text(value: object) -> str:
    return value[:512] if isinstance(value, str) else ""


def _address(value: object) -> str:
    match = _WEB.fullmatch(_text(value).strip())
    return match[1].removesuffix(".git") if match else ""


def _engines(value: object) -> list[tuple[str, str]]:
    return [(name, _text(wanted)) for name, wanted in value.items() if _text(wanted)] if isinstance(value, dict) else []
