"""The page of a package that comes from upstream."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from markupsafe import Markup

from twokey.clock import HOUR
from twokey.errors import NotFound, Refused
from twokey.http.answers import Answer
from twokey.http.elsewhere import policy_of
from twokey.packages import packument, semver
from twokey.packages.packages import LATEST
from twokey.publishing import readme
from twokey.upstream import views
from twokey.upstream.policy import View
from twokey.web import manifests, render
from twokey.web.visit import Visit

VERSIONS_SHOWN = 100
SCRIPTS = ("preinstall", "install", "postinstall")


def package_page(visit: Visit, wanted: str | None) -> Answer:
    """The version that is asked for, by number or dist-tag, or else the latest one that is served here."""
    upstream, policy = policy_of(visit)
    _, document, shown = upstream.views.view(policy, visit.waited)
    version = views.version_named(shown, visit.package, wanted or _latest(shown))
    kept = shown.versions[version]
    manifest: dict[str, Any] = msgspec.json.decode(kept.manifest)
    ordered = sorted(shown.versions, key=semver.parse, reverse=True)
    is_latest = version == shown.tags.get(LATEST)
    repository = manifest.get("repository")
    return render.page(
        visit, "upstream.html", name=document.name, version=version, tags=shown.tags, is_latest=is_latest,
        published_at=kept.published, versions=[(each, shown.versions[each].published) for each in ordered],
        shown_versions=VERSIONS_SHOWN, withheld=list(shown.withheld.values())[-VERSIONS_SHOWN:],
        readme=Markup(_readme(document.readme, msgspec.json.encode(repository)) if is_latest else ""),  # noqa: S704 - sanitised
        dependencies=manifests.dependencies(manifest), facts=manifests.facts(manifest), scripts=_scripts(manifest),
        deprecated=_text(manifest.get("deprecated")), minimum_age=policy.minimum_age // HOUR,
        tarball=packument.tarball_path(visit.package, version),
        install=f"{document.name}@{version}" if wanted else document.name,
    )  # fmt: skip


def _latest(shown: View) -> str:
    if not shown.versions:
        reason = next(iter(shown.withheld.values()), None)
        raise NotFound("Not found") if reason is None else Refused(reason)
    return shown.tags.get(LATEST) or max(shown.versions, key=semver.parse)


def _scripts(manifest: dict[str, Any]) -> dict[str, str]:
    """The commands that run when it is installed, by the name of the script."""
    scripts = manifest.get("scripts")
    named = scripts if isinstance(scripts, dict) else {}
    return {name: _text(named[name]) for name in SCRIPTS if _text(named.get(name))}


def _text(value: object) -> str:
    return value[:1000] if isinstance(value, str) else ""


@lru_cache(64)
def _readme(text: str, repository: bytes) -> str:
    """The README as HTML. Those of our own packages are rendered when they are published; these, when they are read."""
    return readme.render(text, msgspec.json.decode(repository))
