"""Builds the manifest of a version from the tarball's own package.json and what the client sent.

Whatever decides what is installed or run comes from the tarball: a client that sends one thing and
packs another must not be able to show reviewers one package and install a second one.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from twokey.errors import Invalid
from twokey.packages import semver
from twokey.packages.names import PackageName
from twokey.publishing.normalize import normalized
from twokey.publishing.tarball import TarballFacts
from twokey.strict_json import object_of, quoted

FROM_TARBALL = (
    "dependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundleDependencies",
    "bin",
    "scripts",
    "engines",
    "os",
    "cpu",
    "libc",
)
"""Fields that are the tarball's, whatever the client sends. `hasInstallScript` is found out."""

# What the server itself says, or says elsewhere. Of the names that begin with "_" only two are kept:
# the others are records of a registry (_id, _rev, _npmUser, ...).
_NEVER_FROM_CLIENT = frozenset(
    {"bundledDependencies", "dist", "hasInstallScript", "integrity", "maintainers", "readme", "readmeFilename"}
    | {"shasum", "time"}
)
_KEPT_PRIVATE = frozenset({"_nodeVersion", "_npmVersion"})

ABBREVIATED = (
    "name",
    "version",
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundleDependencies",
    "bin",
    "directories",
    "dist",
    "engines",
    "os",
    "cpu",
    "libc",
    "funding",
    "deprecated",
    "hasInstallScript",
    "_hasShrinkwrap",
)
"""Fields of a version in the abbreviated packument, which npm installs from."""

_GIT_HOST = re.compile(
    r"(?:git\+)?(?:https?|ssh|git)://(?:[^@/\s]*@)?(github\.com|gitlab\.com|bitbucket\.org)[/:]"
    r"([^/\s#]+/[^/\s#]+?)(?:\.git)?/?(#\S*)?"
)
_GIT_SCP = re.compile(r"git@(github\.com|gitlab\.com|bitbucket\.org):([^/\s#]+/[^/\s#]+?)(?:\.git)?(#\S*)?")
_GIT_SHORTCUT = re.compile(r"(?:(github|gitlab|bitbucket):)?([^/@:\s#.][^/@:\s#]*/[^/@:\s#]+?)(?:\.git)?(#\S*)?")


class BuiltManifest(NamedTuple):
    """The manifest of a version, its abbreviated form, and the fields that the client told otherwise."""

    manifest: dict[str, object]
    abbreviated: dict[str, object]
    differences: list[str]


def build(name: PackageName, version: str, client_manifest: dict[str, object], facts: TarballFacts) -> BuiltManifest:
    """The server's manifest of `name@version`.

    `client_manifest` is the version's object in npm's PUT body, `facts` what the tarball holds.
    Raises `Invalid` where the tarball is of another package or version, or where an integrity or
    shasum that the client sent is not the tarball's. The `dist` has no `tarball` address yet.
    Normalised as in npm's `@npmcli/package-json/lib/normalize.js`, so that an ordinary publish
    differs in nothing.
    """
    _check_identity(name, version, facts.package_json)
    _check_digests(client_manifest.get("dist"), facts)
    ours = normalized(facts.package_json, name.base, facts)
    theirs = normalized(client_manifest, name.base, facts)

    manifest = {
        key: value
        for key, value in client_manifest.items()
        if key not in _NEVER_FROM_CLIENT
        and key not in FROM_TARBALL
        and (not key.startswith("_") or key in _KEPT_PRIVATE)
    }
    manifest |= {key: ours[key] for key in FROM_TARBALL if key in ours}
    manifest |= {"_id": f"{name}@{version}", "name": name.full, "version": version}
    manifest["dist"] = {
        "shasum": facts.shasum,
        "integrity": facts.integrity,
        "fileCount": facts.file_count,
        "unpackedSize": facts.unpacked_size,
    }
    if facts.readme_filename is not None:
        manifest["readmeFilename"] = facts.readme_filename
    if facts.has_install_script:
        manifest["hasInstallScript"] = True
    if facts.has_shrinkwrap:
        manifest["_hasShrinkwrap"] = True
    if not isinstance(manifest.get("deprecated"), str) or not manifest["deprecated"]:
        manifest.pop("deprecated", None)

    differences = [key for key in FROM_TARBALL if _comparable(key, ours) != _comparable(key, theirs)]
    if client_manifest.get("hasInstallScript", facts.has_install_script) is not facts.has_install_script:
        differences.append("hasInstallScript")
    abbreviated = {key: manifest[key] for key in ABBREVIATED if key in manifest}
    return BuiltManifest(manifest, abbreviated, differences)


def _check_identity(name: PackageName, version: str, package_json: dict[str, object]) -> None:
    """Raise `Invalid` where the tarball's package.json names another package or version."""
    packed_name = package_json.get("name")
    if not isinstance(packed_name, str) or packed_name.strip() != name.full:
        raise Invalid(
            f"The tarball's package.json has the name {_shown(packed_name)}, but {quoted(name.full)} is being "
            "published. Make them the same."
        )
    packed_version = package_json.get("version")
    if not isinstance(packed_version, str) or semver.clean(packed_version) != version:
        raise Invalid(
            f"The tarball's package.json has the version {_shown(packed_version)}, but {quoted(version)} is "
            "being published. Make them the same."
        )


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else "(none)"


def _check_digests(dist: object, facts: TarballFacts) -> None:
    """Raise `Invalid` where the client's `dist` names digests that are not the tarball's."""
    if dist is None:
        return
    sent = object_of(dist, "The version's dist")
    shasum = sent.get("shasum")
    if shasum is not None and shasum != facts.shasum:
        raise Invalid("The dist.shasum that was sent is not the SHA-1 of the tarball. Publish again.")
    integrity = sent.get("integrity")
    if integrity is None:
        return
    sha1 = "sha1-" + base64.b64encode(bytes.fromhex(facts.shasum)).decode()
    known = (facts.integrity, sha1)
    if not isinstance(integrity, str) or not integrity.split():
        raise Invalid("The dist.integrity that was sent is not a string of hashes. Publish again.")
    if not all(part in known for part in integrity.split()):
        raise Invalid("The dist.integrity that was sent is not the tarball's sha512. Publish again.")


def _comparable(field: str, manifest: dict[str, object]) -> object:
    """The value of `field` with the differences levelled that npm's versions make among themselves."""
    value = manifest.get(field)
    if field == "dependencies" and isinstance(value, dict):
        # npm up to 9 copied optional dependencies into `dependencies`, later ones do not
        optional = manifest.get("optionalDependencies")
        value = {k: v for k, v in value.items() if not isinstance(optional, dict) or k not in optional}
    if field in ("dependencies", "optionalDependencies", "peerDependencies") and isinstance(value, dict):
        value = {k: _same_git(v) for k, v in value.items()}
    return value or None  # an empty object or list says the same as none


def _same_git(spec: str) -> str:
    """One spelling for a repository on a known host, which npm rewrites before it publishes."""
    for pattern in (_GIT_HOST, _GIT_SCP, _GIT_SHORTCUT):
        match = pattern.fullmatch(spec)
        if match:
            host = (match.group(1) or "github").partition(".")[0]
            return f"{host}:{match.group(2)}{match.group(3) or ''}"
    return spec
