"""Requests at random: methods, paths, queries, headers and bodies that mean nothing, or nearly something."""

from __future__ import annotations

import json
import string

from hypothesis import strategies as st

Noise = tuple[str, list[bytes], bytes, list[tuple[bytes, bytes]], bytes]


def _percent(text: str) -> bytes:
    return "".join(f"%{ord(each):02x}" for each in text).encode()


def _visible(noise: bytes) -> bytes:
    # A space or a control character ends a part of the request line or header; what comes after is not HTTP.
    return bytes(each for each in noise if each > 0x20 and each != 0x7F)


METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"])
VISIBLE = st.binary(min_size=1, max_size=40).map(_visible)
PARTS = st.one_of(
    st.sampled_from([
        b"-", b"known", b"@a", b"%2f", b"..", b"%00", b"-rev", b"package", b"dist-tags", b"npm", b"v1", b"user",
        b"tokens", b"org.couchdb.user:alice", b"known-1.0.0.tgz", b"1.0.0", b"latest",
    ]),
    st.text(alphabet=string.printable, max_size=12).map(_percent),
    VISIBLE,
)  # fmt: skip
QUERIES = st.one_of(st.just(b""), VISIBLE.map(lambda noise: b"?" + noise.replace(b"#", b"")))
HEADER_NAMES = st.sampled_from([
    b"authorization", b"npm-otp", b"user-agent", b"accept", b"accept-encoding", b"if-none-match", b"host",
    b"npm-auth-type", b"x-forwarded-for", b"content-type", b"cookie", b"range",
])  # fmt: skip
HEADER_VALUES = st.one_of(
    VISIBLE, VISIBLE.map(lambda noise: b"Basic " + noise), VISIBLE.map(lambda noise: b"Bearer " + noise)
)
KEYS = st.sampled_from([
    "name", "_id", "_rev", "versions", "dist-tags", "_attachments", "data", "1.0.0", "known-1.0.0.tgz", "maintainers",
    "users", "tfa", "mode", "password", "old", "new", "email", "fullname", "packages", "cidr_whitelist", "expires",
    "readonly", "access", "dist", "integrity", "",
])  # fmt: skip
JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
BODY = st.one_of(st.binary(max_size=200), JSONS.map(lambda value: json.dumps(value).encode()))
REQUESTS = st.tuples(
    METHODS,
    st.lists(PARTS, min_size=1, max_size=5),
    QUERIES,
    st.lists(st.tuples(HEADER_NAMES, HEADER_VALUES), max_size=3),
    BODY,
)
