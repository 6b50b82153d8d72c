"""Requests that are not what they should be: bodies that are broken as JSON, or valid but for one place, odd paths and
headers, and what is no tarball."""

from __future__ import annotations

import copy
import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from tests.promises.support import package, tarball

BROKEN: dict[str, bytes] = {
    "empty": b"",
    "space": b"  \n",
    "cut off": b'{"name": "core", "versions": {',
    "cut off in a string": b'{"name": "cor',
    "cut off in an escape": b'{"name": "\\u12',
    "two values": b"{} {}",
    "single quotes": b"{'name': 'core'}",
    "a comment": b'{"a": 1} // core',
    "a comma too many": b'{"a": 1,}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "core"}'.encode("utf-16"),
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NUL": b'{"name": "a\x00b"}',
    "NUL escaped": b'{"name": "a\\u0000b"}',
    "NUL as a key": b'{"\\u0000": 1}',
    "half a surrogate": b'{"name": "\\ud800"}',
    "the other half": b'{"password": "\\udfff"}',
    "surrogates swapped": b'{"name": "\\udc00\\ud800"}',
    "a control character": b'{"name": "a\x07b"}',
    "a key twice": b'{"name": "core", "name": "other"}',
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "deep and cut off": b'{"versions":' + b"[" * 200_000,
    "a huge integer": b'{"expires": ' + b"9" * 5000 + b"}",
    "a huge exponent": b'{"expires": 1e999999}',
    "a small exponent": b'{"expires": 1e-999999}',
    "not a number": b'{"expires": NaN}',
    "infinity": b'{"expires": -Infinity}',
    "many keys": b"{" + b",".join(b'"%d":0' % number for number in range(20_000)) + b"}",
    "many lists": b"[" + b"[]," * 60_000 + b"[]]",
    "a long string": b'{"shoe": "' + b"a" * 200_000 + b'"}',
    "null": b"null",
    "true": b"true",
    "a number": b"-0",
    "a string": b'"core"',
    "a list": b"[{}]",
    "form data": b"name=core&password=x",
    "gzip": gzip.compress(b"{}", mtime=0),
    "noise": bytes(range(256)),
}

# What may stand in the place of a value where Python's own reader, or a lenient one, would take it.
NO_VALUES: dict[str, bytes] = {
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "a number beyond all": b"1e999",
    "an integer that loses digits": b"9007199254740993",
    "an integer too long to read": b"9" * 5000,
    "NUL": b'"a\\u0000b"',
    "half a surrogate": b'"\\ud83d"',
    "a raw control character": b'"\x01"',
    "not UTF-8": b'"\xff"',
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "too deep": b"[" * 70 + b"]" * 70,
}

REPLACEMENTS: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**53, 1.5, 1e308, "", " ", "x" * 5000, "\u202e\u0007", "__proto__", "../../x",
    "\U0001f511", [], [None], [[]], ["x"], {}, {"": ""}, {"a": {"b": []}}, {"__proto__": 1},
)  # fmt: skip


def mutants(document: Any, *, thorough: bool) -> Iterator[tuple[str, Any]]:
    """The document with one value left out, renamed, or replaced, with the place that was changed.

    Replaced by each of REPLACEMENTS in turn, or, where it is not thorough, by every eighth.
    """
    for number, path in enumerate(_paths(document)):
        for replacement in REPLACEMENTS if thorough else REPLACEMENTS[number % 8 :: 8]:
            yield f"{'/'.join(map(str, path))} = {json.dumps(replacement)[:40]}", _with(document, path, replacement)
        if path:
            yield f"{'/'.join(map(str, path))} left out", _without(document, path)
            yield f"{'/'.join(map(str, path))} renamed", _renamed(document, path)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _paths(child, (*path, key))


def _at(document: Any, path: tuple[str | int, ...]) -> tuple[Any, Any]:
    whole = copy.deepcopy(document)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    return whole, holder


def _with(document: Any, path: tuple[str | int, ...], replacement: Any) -> Any:
    if not path:
        return replacement
    whole, holder = _at(document, path)
    holder[path[-1]] = replacement
    return whole


def _without(document: Any, path: tuple[str | int, ...]) -> Any:
    whole, holder = _at(document, path)
    del holder[path[-1]]
    return whole


def _renamed(document: Any, path: tuple[str | int, ...]) -> Any:
    whole, holder = _at(document, path)
    value = holder.pop(path[-1])
    if isinstance(holder, dict):
        holder["\u00e9 '\"\\ \U0001f511"] = value
    else:
        holder.extend([value, value])
    return whole


def no_tarballs(name: str, version: str) -> dict[str, bytes]:
    """What may come in the place of a tarball."""
    good = package(name, version)
    bare = gzip.decompress(good)
    member = tarfile.TarInfo("package/package.json")
    negative = bytearray(member.tobuf())
    negative[124:136] = b"\xff" * 12  # a size below zero, in base 256
    huge = bytearray(member.tobuf())
    huge[124:136] = b"\x80" + b"\xff" * 11
    return {
        "one byte": b"\x00",
        "the magic of gzip": b"\x1f\x8b",
        "half": good[: len(good) // 2],
        "without its end": good[:-8],
        "with a wrong sum": good[:-8] + b"\x00" * 8,
        "twice": good + good,
        "with a tail": good + b"tail",
        "a tar without gzip": bare,
        "nothing in gzip": gzip.compress(b"", mtime=0),
        "noise in gzip": gzip.compress(bytes(range(256)) * 8, mtime=0),
        "zeros in gzip": gzip.compress(bytes(1 << 20), mtime=0),
        "gzip in gzip": gzip.compress(good, mtime=0),
        "half a tar in gzip": gzip.compress(bare[:700], mtime=0),
        "a negative size": gzip.compress(_summed(negative) + bytes(1024), mtime=0),
        "a huge size": gzip.compress(_summed(huge) + bytes(1024), mtime=0),
        "a bomb": gzip.compress(bytes(100 << 20), mtime=0),
        "a folder for package.json": _links(tarfile.DIRTYPE),
        "a link for package.json": _links(tarfile.SYMTYPE),
        "a FIFO": _links(tarfile.FIFOTYPE),
        "an escape": tarball({"package/package.json": b"{}", "package/../../x": b""}),
        "an absolute path": tarball({"/package.json": b"{}"}),
        "no JSON": tarball({"package/package.json": b"no json"}),
        "empty JSON": tarball({"package/package.json": b""}),
        "a list": tarball({"package/package.json": b"[]"}),
        "deep JSON": tarball({"package/package.json": b"[" * 100_000}),
        "zip": b"PK\x03\x04" + bytes(100),
    }


def _links(kind: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/package.json")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    return packed.getvalue()


def _summed(header: bytearray) -> bytes:
    """A header block with its checksum put right."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


HEADERS: dict[str, dict[str, str]] = {
    "basic, not ASCII": {"authorization": "Basic \u00e9\u00e9\u00e9\u00e9"},
    "basic, not base64": {"authorization": "Basic ====x"},
    "basic, not UTF-8": {"authorization": "Basic //79"},
    "basic, NUL": {"authorization": "Basic YQBiOmMAZA=="},
    "basic, no colon": {"authorization": "Basic YWJj"},
    "basic, empty": {"authorization": "Basic"},
    "basic, a long name": {"authorization": "Basic " + "YWFh" * 900 + "OmE="},
    "bearer, empty": {"authorization": "Bearer "},
    "bearer, not ASCII": {"authorization": "Bearer npm_\u00ff\u00fe"},
    "bearer, long": {"authorization": "Bearer " + "x" * 10_000},
    "bearer, a variable": {"authorization": "Bearer ${NPM_TOKEN}"},
    "no scheme": {"authorization": "npm_abc"},
    "digest": {"authorization": 'Digest username="a"'},
    "a code, not ASCII": {"npm-otp": "\u00ff\u00fe\u00fd"},
    "a code, long": {"npm-otp": "1" * 5000},
    "an agent, not ASCII": {"user-agent": "\u00ff" * 300},
    "accept nothing": {"accept": ";;;,,,q=x", "accept-encoding": "\u00ff, gzip;q=\u00e9"},
    "a host that is none": {"host": "[::1"},
    "an odd port": {"host": "localhost:99999999999999999999"},
    "forwarded": {"x-forwarded-for": "\u00ff, 1.2.3.4:x, [", "x-forwarded-host": "a b", "x-forwarded-proto": "gopher"},
    "odd validators": {"if-none-match": '"\u00ff", W/, *', "if-modified-since": "yesterday", "range": "bytes=9-1"},
    "odd content": {"content-type": "application/\u00ff; charset=utf-7", "content-encoding": "gzip"},
    "expect": {"expect": "a miracle"},
    "upgrade": {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"},
}  # fmt: skip

PATHS = (
    "/%", "/%zz", "/%00", "/%ff", "/a%2fb", "/@a", "/@a/", "/@/b", "/@a%2f", "/@a%2f..", "/@a%2fb%2fc", "/..", "/.",
    "/a/..", "/%2e%2e", "/%2e%2e/%2e%2e/etc/passwd", "//", "///a", "/a//b", "/-", "/-/", "/-/nothing", "/_a", "/.a",
    "/a%20b", "/a%0ab", "/\\", "/a%5cb", "/node_modules", "/favicon.ico", "/a/-/", "/a/-/../b.tgz",
    "/a/-/%2e%2e%2fb.tgz", "/a/-/x", "/a/1.0.0/x", "/" + "a" * 215, "/" + "a" * 3000, "/" + "%61" * 700,
    "/@" + "a" * 300 + "/b", "/\u00e9", "/%c3%a9", "/%f0%9f%94%91", "/-/package/%40a%2fb/dist-tags",
    "/-/package/a/dist-tags/%2e", "/-/user/org.couchdb.user:%00", "/-/user/org.couchdb.user:",
    "/-/user/org.couchdb.user:a%2fb", "/-/npm/v1/tokens?page=x", "/-/npm/v1/tokens?page=-1",
    "/-/npm/v1/tokens?page=%ff", "/-/npm/v1/tokens?page=99999", "/known?write=%00", "/known?%ff=%fe&&&=", "/known;x",
    "/known/*", "/*", "/a*b", "/~", "/!'()", "/known/1.0.0%2fx", "/known/-/known-%00.tgz", "/-/package/-/dist-tags",
)  # fmt: skip
