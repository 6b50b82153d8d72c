"""Names of packages, dist-tags and users: which exist, which may be made here, and which collide."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from twokey.errors import Invalid
from twokey.packages import semver
from twokey.strict_json import quoted

MAX_NAME = 214
MAX_TAG = 128

# What encodeURIComponent leaves as it is; the second set is what new names may hold of it.
_URL_SAFE = re.compile(r"[A-Za-z0-9\-_.!~*'()]+")
_NEW = re.compile(r"[a-z0-9\-_.]+")
# Without "*": npm reads a tag that holds one as a range more often than not.
_TAG = re.compile(r"[A-Za-z0-9\-_.!~'()]+")
_USER = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")

_NEVER = frozenset({"node_modules", "favicon.ico"})
# Keys that mean something on every JavaScript object: a client that uses the name as one is lost.
_OBJECT_KEYS = frozenset({"__proto__", "constructor", "prototype", "toString", "tostring", "hasOwnProperty"})
_RESERVED = _OBJECT_KEYS | {"hasownproperty"}

# Node's `module.builtinModules` that need no `node:` prefix. Requiring one of them always gives Node's
# own, so a package of that name could never be loaded.
# fmt: off
_CORE_MODULES = frozenset(
    {
        "assert", "async_hooks", "buffer", "child_process", "cluster", "console", "constants",
        "crypto", "dgram", "diagnostics_channel", "dns", "domain", "events", "fs", "http", "http2",
        "https", "inspector", "module", "net", "os", "path", "perf_hooks", "process", "punycode",
        "querystring", "readline", "repl", "stream", "string_decoder", "sys", "timers", "tls",
        "trace_events", "tty", "url", "util", "v8", "vm", "wasi", "worker_threads", "zlib",
    }
)
# fmt: on

# The forms of a semver range that can be spelt in URL-safe characters. A little wider than npm's
# validRange (leading zeros, the loose `1.2.3beta`): what is refused here can never be taken for a range.
_RANGE_PART = r"(?:[0-9]+|[xX])"
_RANGE = re.compile(
    rf"~?v*{_RANGE_PART}(?:\.{_RANGE_PART}(?:\.{_RANGE_PART}(?:-?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)?)?)?"
)

_LOOKALIKES = str.maketrans({".": "", "-": "", "_": "", "0": "o", "1": "l", "i": "l"})


@dataclass(frozen=True, slots=True)
class PackageName:
    """A package name, parsed. `scope` is without its `@`."""

    scope: str | None
    base: str

    def __str__(self) -> str:
        return self.full

    @property
    def full(self) -> str:
        """`@scope/base`, or `base` where there is no scope."""
        return f"@{self.scope}/{self.base}" if self.scope is not None else self.base

    @property
    def escaped(self) -> str:
        """The name as npm puts it into an address: `@scope%2fbase`."""
        return self.full.replace("/", "%2f")

    @property
    def canonical(self) -> str:
        """The key under which names that people confuse collide.

        Within a scope, which stays as it is in lower case: case, `.`, `-` and `_` do not count, and
        `0` reads as `o`, `1` and `i` as `l`. A base of nothing but separators stays as it is.
        """
        lower = self.base.lower()
        key = lower.translate(_LOOKALIKES) or lower
        return f"@{self.scope.lower()}/{key}" if self.scope is not None else key

    @staticmethod
    def parse(text: str) -> PackageName:
        """The name that `text` spells, for reading: takes every name that npm ever allowed.

        Raises `Invalid` for what can be no package name at all. Source: npm's
        `validate-npm-package-name/lib/index.js`, its rules for old packages.
        """
        if not 0 < len(text) <= MAX_NAME:
            raise Invalid(f"A package name has 1 to {MAX_NAME} characters; this one has {len(text)}.")
        scope: str | None = None
        base = text
        if text.startswith("@"):
            scope, slash, base = text[1:].partition("/")
            if not slash:
                raise Invalid(f"{quoted(text)} is no package name: after a scope comes a slash and the name.")
        parts = [base] if scope is None else [scope, base]
        if not all(_URL_SAFE.fullmatch(part) for part in parts):
            raise Invalid(f"{quoted(text)} is no package name: it holds a character that names may not hold.")
        if any(part.startswith(".") for part in parts) or text.startswith(("-", "_")):
            raise Invalid(f"{quoted(text)} is no package name: names do not begin with a dot, '-' or '_'.")
        if text.lower() in _NEVER:
            raise Invalid(f"{quoted(text)} is no package name: it is reserved.")
        return PackageName(scope, base)


def check_new_name(name: PackageName, allowed: Collection[str] = ()) -> None:
    """Raise `Invalid` where a package of this name may not be created here.

    `allowed` are names that the operator takes all the same: old ones with capitals, and those of Node's modules,
    which the public registry has and real packages depend on. Source: npm's `validate-npm-package-name/lib/index.js`,
    its rules for new packages, and the words that break clients or this registry's own addresses.
    """
    PackageName.parse(name.full)
    shown = quoted(name.full, MAX_NAME)
    is_allowed = name.full in allowed
    if not is_allowed and not all(_NEW.fullmatch(part) for part in (name.base, name.scope or name.base)):
        raise Invalid(
            f"{shown} cannot be the name of a new package. Use lower-case letters, digits, '-', '_' and '.' only."
        )
    # "-" begins this registry's own addresses, behind a scope too: /@scope/-/file.tgz
    if name.base == "-" or name.base in _NEVER or (name.scope is None and name.base in _RESERVED):
        raise Invalid(f"{shown} is a reserved word. Choose another name.")
    if not is_allowed and name.scope is None and name.base in _CORE_MODULES:
        raise Invalid(
            f"{shown} is a module of Node.js itself. Choose another name, put it into a scope, or ask the operator of "
            "this registry to allow it."
        )


def published_version(text: str) -> str:
    """The version that `text` is published as; raises `Invalid` where it is none.

    Strict semver (`semver.parse`) without build metadata. npm, pnpm and yarn 1 drop it before they publish, yarn 4 and
    bun leave that to the registry; two versions that differ in it alone have the same precedence, so there is one.
    """
    return semver.parse(text).core


def check_dist_tag(text: str) -> str:
    """`text`, where it can be a dist-tag; raises `Invalid` otherwise.

    A tag must not read as a semver range (npm's `lib/commands/dist-tag.js`): `npm install x@1.x`
    would not mean the tag.
    """
    if not 0 < len(text) <= MAX_TAG:
        raise Invalid(f"A dist-tag has 1 to {MAX_TAG} characters; this one has {len(text)}.")
    if not _TAG.fullmatch(text):
        raise Invalid(f"{quoted(text)} cannot be a dist-tag. Use letters, digits, '-', '_' and '.', without spaces.")
    if _RANGE.fullmatch(text):
        raise Invalid(f"{quoted(text)} cannot be a dist-tag: it reads as a version or a range. Use a word.")
    if text in (".", "..") or text in _OBJECT_KEYS:
        raise Invalid(f"{quoted(text)} is reserved and cannot be a dist-tag. Choose another word.")
    return text


def check_user_name(text: str) -> str:
    """`text`, where it can be the name of a user or an organisation; raises `Invalid` otherwise."""
    if not _USER.fullmatch(text):
        raise Invalid(
            f"{quoted(text)} cannot be a user name. Use 1 to 32 lower-case letters, digits, '.', '_' and "
            "'-', beginning with a letter or a digit."
        )
    return text
