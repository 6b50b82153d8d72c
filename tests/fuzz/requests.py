"""Requests for a route, from what a client sends to what none would: generated, for whatever routes there are.

The words of JSON bodies and forms are taken from the source (what handlers read, what templates have fields for), so a
new route's own words are tried without being listed here.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

import twokey
from tests.policy.stage import PASSWORD
from twokey.http.routing import Guarded

SOURCE = Path(twokey.__file__).parent
_READ = re.compile(r'(?:optional|required)_\w+\(\s*\w+, "([^"]+)"|body(?:\.get\(|\[)"([^"]+)"')
_FIELD = re.compile(r'name="([a-z_0-9]+)"')
_QUERY = re.compile(r'query\.get\("([^"]+)"')
_PARAMETER = re.compile(r"\{(\w+):(\w+)\}")


def _words(pattern: re.Pattern[str], *files: str) -> list[str]:
    texts = [path.read_text() for each in files for path in sorted(SOURCE.glob(each))]
    return sorted({word for text in texts for found in pattern.finditer(text) for word in found.groups() if word})


JSON_KEYS = [*_words(_READ, "**/*.py"), "tfa", "versions", "dist-tags", "_attachments", "maintainers", "users"]
FIELDS = _words(_FIELD, "web/templates/*.html")
QUERIES = [*_words(_QUERY, "**/*.py"), "text", "size", "from", "write"]
CODE, SECRET, COOKIE = "{code}", "{token}", "{cookie}"  # written out when the request is sent

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X")
HOSTILE = (
    "..", "%2e%2e", "%2f", "%2F..%2f", "%00", "%ff%fe", "%0d%0aset-cookie:x", "%C0%AF", "@", "@%2f", "@/x", "-", "_",
    "~", "%25", "%zz", "%", "a" * 300, "a" * 2100, "constructor", "__proto__", "node_modules", "%F0%9F%94%91",
    "%E2%80%AE", ";", "*", "<script>", "'%20OR%201=1--", "1e999", "-1", "99999999999999999999", "{{7*7}}", "null",
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """Names of what is there, for requests that reach further."""

    names: dict[str, list[str]]

    def of(self, parameter: str) -> list[str]:
        """The names that a parameter of a path may have."""
        return self.names.get(parameter, self.names["name"])


@dataclass(frozen=True)
class Request:
    """One request, as it is sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def requests(route: Guarded, known: Known) -> st.SearchStrategy[Request]:
    """Requests for a route: mostly its own method, filled with names that are there and with what is none."""
    own = st.just(route.method)
    methods = st.one_of(
        own, own, own, st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"])
    )
    return st.builds(Request, methods, _targets(route.path, known), _headers(), _bodies(known))


def _segments(parameter: str, kind: str, known: Known) -> st.SearchStrategy[str]:
    text = st.text(max_size=20).map(lambda value: quote(value.encode("utf-8", "surrogatepass"), safe="@"))
    real = st.sampled_from(known.of(parameter))
    return st.one_of(real, real, real, st.sampled_from(HOSTILE), text)


@st.composite
def _targets(draw: st.DrawFn, path: str, known: Known) -> str:
    filled = _PARAMETER.sub(lambda found: draw(_segments(found[1], found[2], known)), path)
    filled += draw(st.sampled_from(["", "", "", "", "/", "//", "/x", "%2f", "/-rev/1-0"]))
    pairs = draw(st.lists(st.tuples(st.sampled_from(QUERIES), _values()), max_size=3))
    query = urlencode([(name, value.encode("utf-8", "surrogatepass")) for name, value in pairs])
    query += draw(st.sampled_from(["", "", "&&", "%", "&=", "&%ff=%ff"]))
    return f"{filled}?{query}" if query else filled


def _values() -> st.SearchStrategy[str]:
    hostile = ["", "0", "-1", "1e9", "9" * 30, "core", "\x00", "../x", "//evil.example", "é", "x" * 5000, "true", "☃"]
    return st.one_of(st.sampled_from(hostile), st.text(max_size=20))


def _headers() -> st.SearchStrategy[list[tuple[str, str]]]:
    def one(name: str, *values: str) -> st.SearchStrategy[list[tuple[str, str]]]:
        return st.sampled_from([[], [], *([(name, value)] for value in values)])

    bearer = f"Bearer {SECRET}"
    credentials = st.sampled_from([
        *([[("authorization", bearer)]] * 4), *([[("cookie", f"__Host-tk={COOKIE}")]] * 4), [],
        [("authorization", bearer), ("authorization", bearer)], [("authorization", "Basic YWxpY2U6eA==")],
        [("authorization", "Basic !")], [("authorization", "Bearer ${NPM_TOKEN}")], [("authorization", "Bearer ")],
        [("authorization", "x" * 5000)], [("authorization", bearer), ("cookie", f"__Host-tk={COOKIE}")],
        [("cookie", "__Host-tk=é; __Host-tk-device=\"; =;;")],
    ])  # fmt: skip
    others = [
        one("accept", "*/*", "text/html", "text/html", "application/vnd.npm.install-v1+json", "q=;;,", "x" * 3000),
        one("npm-otp", CODE, CODE, "", "123456", "é", "1" * 100, "1111-2222-3333"),
        one("content-type", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=é", ""),
        one("content-encoding", "gzip", "br", "deflate", "x"),
        one("range", "bytes=0-0", "bytes=5-1", "bytes=-1", "bytes=0-1,3-4", "x"),
        one("if-none-match", '"1-0"', "*", "é"), one("if-modified-since", "yesterday"),
        one("npm-auth-type", "web", "legacy"), one("npm-command", "publish", "é"),
        one("origin", "{origin}", "https://evil.example", "null"), one("sec-fetch-site", "same-origin", "cross-site"),
        one("host", "localhost", "evil.example:1", "[::1]:80", "", "a b"), one("x-forwarded-for", "1.2.3.4, x, ::1"),
        one("user-agent", "npm/11.0.0 node/v22.0.0", "pnpm/9", "é" * 600),
        one("content-length", "5", "99999999999", "x"),
        one("transfer-encoding", "chunked"), one("expect", "100-continue"), one("referer", "{origin}/guide", "é"),
    ]  # fmt: skip
    return st.tuples(credentials, *others).map(lambda found: [pair for pairs in found for pair in pairs])


def _leaves(known: Known) -> st.SearchStrategy[Any]:
    there = [name for names in known.names.values() for name in names]
    plain: list[Any] = [
        None, True, False, 0, -1, 2**63, 10**40, 1.5, 1e308, "", PASSWORD, CODE, "auth-only", "auth-and-writes",
        "disable", "read-write", "read-only", "public", "restricted", "owner", "1.0.0", "latest", "\x00", "\ud800",
        "x" * 5000, [], {},
    ]  # fmt: skip
    return st.one_of(st.sampled_from(plain), st.sampled_from(there), st.text(max_size=12))


def _documents(known: Known) -> st.SearchStrategy[Any]:
    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        keys = st.one_of(st.sampled_from(JSON_KEYS), st.sampled_from(JSON_KEYS), st.text(max_size=5))
        return st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5))

    return st.one_of(st.recursive(_leaves(known), deeper, max_leaves=12), _npm_bodies(known))


@st.composite
def _npm_bodies(draw: st.DrawFn, known: Known) -> Any:
    """What npm itself sends, with one part of it another."""
    name = draw(st.sampled_from(known.of("name")))
    version = {"name": name, "version": "3.0.0", "dist": {"integrity": "sha512-x", "tarball": "http://localhost/x.tgz"}}
    data = {"content_type": "application/octet-stream", "data": "AAAA", "length": 3}
    body: Any = draw(st.sampled_from([
        {"_id": name, "name": name, "dist-tags": {"latest": "3.0.0"}, "versions": {"3.0.0": version}, "access": None,
         "_attachments": {f"{name}-3.0.0.tgz": data}},
        {"_id": name, "maintainers": [{"name": name}]}, {"_id": name, "users": {name: True}},
        {"_id": name, "versions": {"1.0.0": {"deprecated": "x"}}},
        {"tfa": {"mode": "auth-only", "password": PASSWORD}}, {"tfa": ["123456"]},
        {"password": {"old": PASSWORD, "new": "a lamp under nine bridges 8"}}, {"name": name, "password": PASSWORD},
        {"password": PASSWORD, "name": "x", "packages": [name], "scopes": ["@x"], "expires": 1,
         "cidr_whitelist": ["::/0"]},
        {"user": name, "role": "admin"}, {"package": name, "permissions": "read-only"}, {"access": "public"},
        [{"token": "npm_x", "type": "x", "url": "x"}], {"publish_requires_tfa": True}, "1.0.0",
    ]))  # fmt: skip
    place = body
    while isinstance(place, dict | list) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.booleans()):
            changed = json.loads(json.dumps(body))
            return _replaced(changed, place, body, key, draw(_leaves(known)))
        place = place[key]
    return body


def _replaced(copy: Any, place: Any, original: Any, key: Any, value: Any) -> Any:
    """The copy with `value` where `place[key]` is in the original."""
    if original is place:
        copy[key] = value
        return copy
    items = original.items() if isinstance(original, dict) else enumerate(original)
    for name, each in items:
        if isinstance(each, dict | list):
            _replaced(copy[name], place, each, key, value)
    return copy


def _bodies(known: Known) -> st.SearchStrategy[bytes]:
    fields = st.lists(st.tuples(st.sampled_from(FIELDS), st.one_of(_leaves(known).map(str), _values())), max_size=8)
    forms = fields.map(lambda pairs: urlencode(
        [("csrf", "{csrf}"), *((name, value.encode("utf-8", "surrogatepass")) for name, value in pairs)]
    ).replace("%7B", "{").replace("%7D", "}").encode())  # fmt: skip
    documents = _documents(known).map(lambda value: json.dumps(value, ensure_ascii=True).encode())
    strange = st.sampled_from([
        b"", b"{", b"[" * 5000, b'{"a":' * 3000, b"\xff\xfe", b"NaN", b'{"a":1,"a":2}', b"1e400", b"\x00", b'"\\ud800"',
        b"{}" * 3, gzip.compress(b"{}"), b"\xef\xbb\xbf{}", b'{"x":"' + b"y" * 300_000 + b'"}', b"a=%ff&a=%00",
        b"&" * 500, b"csrf={csrf}&csrf={csrf}",
    ])  # fmt: skip
    return st.one_of(documents, documents, forms, forms, strange, st.binary(max_size=40))
