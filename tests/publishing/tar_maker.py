"""Makes tarballs byte by byte, so that tests can make broken ones."""

from __future__ import annotations

import gzip
import json

from twokey.publishing.tarball import TarballLimits

BLOCK = 512
END = bytes(2 * BLOCK)
LIMITS = TarballLimits()
PACKAGE_JSON = json.dumps({"name": "pkg", "version": "1.0.0"}).encode()


def header(
    name: bytes,
    size: int = 0,
    type_: bytes = b"0",
    *,
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
    size_field: bytes | None = None,
    link: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One header block; `size_field` and `checksum` override what would be written."""
    block = bytearray(BLOCK)
    for at, value in (
        (0, name),
        (100, b"000644 \0"),
        (124, b"%011o\0" % size if size_field is None else size_field),
        (136, b"00000000000\0"),
        (156, type_),
        (157, link),
        (257, magic),
        (345, prefix),
    ):
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block) if checksum is None else checksum
    return bytes(block)


def padded(body: bytes) -> bytes:
    """`body` filled up to whole blocks."""
    return body + bytes(-len(body) % BLOCK)


def entry(name: bytes, body: bytes = b"", type_: bytes = b"0", **fields: bytes) -> bytes:
    """A header and its content."""
    return header(name, len(body), type_, **fields) + padded(body)


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record with the right length."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def pax(*records: bytes, type_: bytes = b"x") -> bytes:
    """A PAX extended header of these records."""
    return entry(b"PaxHeader", b"".join(records), type_)


def archive(*entries: bytes, end: bytes = END, package_json: bytes = PACKAGE_JSON) -> bytes:
    """A tar archive of package.json and `entries`, not compressed."""
    return entry(b"package/package.json", package_json) + b"".join(entries) + end


def tarball(*entries: bytes, end: bytes = END, package_json: bytes = PACKAGE_JSON) -> bytes:
    """The same, compressed."""
    return gzip.compress(archive(*entries, end=end, package_json=package_json), mtime=0)
