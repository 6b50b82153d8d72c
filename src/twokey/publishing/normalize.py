"""Brings a package.json into the form that npm publishes, for the fields that decide an install.

Both sides of a comparison pass through here: the tarball's package.json as the author wrote it, and
the manifest that a client made of it. Rules: npm's `@npmcli/package-json/lib/normalize.js` and
`normalize-data.js`.
"""

from __future__ import annotations

import posixpath
import re

from twokey.publishing.tarball import TarballFacts

_LOCAL_BIN = re.compile(r"^(?:\.[/\\])?node_modules[/\\]\.bin[/\\]")
_AFTER_DEPENDENCY_NAME = re.compile(r"[@\s><=]")
# Taken as they are where they are of a type that npm reads.
_PLAIN: dict[str, tuple[type, ...]] = {
    "peerDependenciesMeta": (dict,),
    "engines": (dict, list),
    "os": (list, str),
    "cpu": (list, str),
    "libc": (list, str),
}


def normalized(package: dict[str, object], base: str, facts: TarballFacts) -> dict[str, object]:
    """The fields of `package` that decide what is installed or run, as npm would publish them.

    `base` is the package's name without its scope; `facts` tells which files npm would look at.
    A field that npm drops for its type is absent.
    """
    found: dict[str, object] = {
        key: package[key] for key, types in _PLAIN.items() if isinstance(package.get(key), types)
    }
    for key in ("dependencies", "optionalDependencies", "peerDependencies"):
        found[key] = _dependencies(package.get(key))
    bundle = _bundle(package)
    found["bundleDependencies"] = bundle
    if bundle:
        dependencies = _dependencies(package.get("dependencies")) or {}
        found["dependencies"] = {**dict.fromkeys(bundle, "*"), **dependencies}
    found["bin"] = _bin(package.get("bin"), base, facts)
    found["scripts"] = _scripts(package, facts)
    return {key: value for key, value in found.items() if value is not None}


def _dependencies(value: object) -> dict[str, str] | None:
    """Name to range. Very old packages list them in an array or in one string."""
    if isinstance(value, str):
        value = re.split(r"[\s,]+", value.strip())
    if isinstance(value, list):
        listed: dict[str, object] = {}
        for item in value:
            if isinstance(item, str) and item.strip():
                name = _AFTER_DEPENDENCY_NAME.split(item.strip(), maxsplit=1)[0]
                listed[name] = item.strip()[len(name) :].removeprefix("@")
        value = listed
    if not isinstance(value, dict):
        return None
    return {name: spec.strip() for name, spec in value.items() if isinstance(spec, str)}


def _bundle(package: dict[str, object]) -> list[str] | None:
    value = package.get("bundleDependencies")
    if value is None:
        value = package.get("bundledDependencies")
    if value is True:
        return list(_dependencies(package.get("dependencies")) or {})
    if isinstance(value, dict | list):
        return [name for name in value if isinstance(name, str) and name]
    return None


def _bin(value: object, base: str, facts: TarballFacts) -> dict[str, str] | None:
    """Command to path. A lone string is the command that is called as the package."""
    if not value:
        value = list(facts.bin_files)
    if isinstance(value, str):
        value = {base: value}
    elif isinstance(value, list):
        value = {posixpath.basename(path): path for path in value if isinstance(path, str)}
    if not isinstance(value, dict):
        return None
    found: dict[str, str] = {}
    for command, path in value.items():
        name = posixpath.basename(_inside(command))
        target = _inside(path) if isinstance(path, str) else ""
        if name and target:
            found[name] = target
    return found or None


def _inside(path: str) -> str:
    """`path` relative to the package and without a way out of it, its separators slashes."""
    slashed = path.replace("\\", "/").replace(":", "/")
    # a leading "//" is kept by normpath, hence the strip before and after
    return posixpath.normpath("/" + slashed.lstrip("/")).strip("/")


def _scripts(package: dict[str, object], facts: TarballFacts) -> dict[str, str] | None:
    value = package.get("scripts")
    scripts: dict[str, str] = {}
    if isinstance(value, dict):
        scripts = {k: _LOCAL_BIN.sub("", v).strip() for k, v in value.items() if isinstance(v, str)}
    # npm writes down what it would do by itself
    building = not scripts.get("install") and not scripts.get("preinstall")
    if building and facts.has_gyp_file and package.get("gypfile") is not False:
        scripts["install"] = "node-gyp rebuild"
    if not scripts.get("start") and "server.js" in facts.root_files:
        scripts["start"] = "node server.js"
    return scripts or (scripts if isinstance(value, dict) else None)
