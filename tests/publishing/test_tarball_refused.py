"""Promise: a tarball that is unsafe, or that two readers could read in two ways, is refused with a reason."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.publishing.tar_maker import END, LIMITS, archive, entry, header, pax, record, tarball
from twokey.errors import Invalid, TooLarge
from twokey.publishing.tarball import inspect

GOOD = tarball(entry(b"package/index.js", b"x"))


def only(*entries: bytes) -> bytes:
    """A tarball without the package.json that the helpers add."""
    return gzip.compress(b"".join(entries) + END)


def stretched(data: bytes, length: int) -> bytes:
    """The same gzip member made `length` bytes long by a file name in its header."""
    name = b"n" * (length - len(data) - 1) + b"\0"
    return data[:3] + b"\x08" + data[4:10] + name + data[10:]


def manifest(body: bytes) -> bytes:
    return tarball(package_json=body)


def named(name: bytes) -> bytes:
    return tarball(entry(name, b"x"))


def by_pax(name: bytes) -> bytes:
    return tarball(pax(record(b"path", name)), entry(b"package/short", b"x"))


def linked(type_: bytes, target: bytes = b"package.json") -> bytes:
    return tarball(entry(b"package/odd", type_=type_, link=target))


PATHS = {
    "climbs out": (b"package/../../etc/passwd", "'..'"),
    "climbs within": (b"package/a/../b", "'..'"),
    "is only dots": (b"package/..", "'..'"),
    "root is dots": (b"../package/a", "'..'"),
    "absolute": (b"/etc/passwd", "absolute"),
    "doubly absolute": (b"//server/share", "absolute"),
    "backslash": (b"package\\..\\evil", "backslash"),
    "backslash inside": (b"package/a\\b", "backslash"),
    "UNC": (b"\\\\server\\share", "backslash"),
    "newline": (b"package/a\nb", "control"),
    "escape": (b"package/\x1b[2J", "control"),
    "delete": (b"package/\x7f", "control"),
    "C1 control": (b"package/\xc2\x9b", "control"),
    "drive as root": (b"C:/package/a", "drive"),
    "drive below the root": (b"package/c:/windows", "drive"),
    "drive, relative": (b"package/z:x", "drive"),
    "latin-1": (b"package/gr\xf6\xdfe", "UTF-8"),
    "overlong UTF-8": (b"package/\xc0\xae\xc0\xae/x", "UTF-8"),
    "UTF-8 surrogate": (b"package/\xed\xa0\x80", "UTF-8"),
    "empty": (b"", "no name"),
    "second root": (b"other/index.js", "two root folders"),
    "root in other case": (b"Package/index.js", "two root folders"),
    "file as root": (b"package", "outside"),
    "file beside root": (b"evil.js", "outside"),
    "dot root": (b"./package/x", "two root folders"),
}
LONG_PATHS = {
    "long path": (b"package/" + b"a/" * 509 + b"b", "1,024"),
    "long part": (b"package/" + b"a" * 256, "255"),
    "long part in bytes": (b"package/" + "ä".encode() * 128, "255"),
    "NUL": (b"package/a\0b", "control"),
    "climbs": (b"package/../x", "'..'"),
    "absolute": (b"/x", "absolute"),
    "not UTF-8": (b"package/\xff", "UTF-8"),
    "empty": (b"", "no name"),
}
TWINS = {
    "the same file": (b"package/a", b"package/a"),
    "second package.json": (b"package/package.json", b"package/b"),
    "package.json in other case": (b"package/Package.JSON", b"package/b"),
    "other case": (b"package/readme.md", b"package/README.md"),
    "other case of a folder": (b"package/lib/a", b"package/Lib/b"),
    "other Unicode form": ("package/\u00e9".encode(), "package/e\u0301".encode()),
    "sharp s": ("package/straße".encode(), b"package/STRASSE"),
    "dot part": (b"package/a", b"package/./a"),
    "double slash": (b"package/a/b", b"package/a//b"),
    "file, then folder": (b"package/a", b"package/a/b"),
    "folder, then file": (b"package/a/b", b"package/a"),
    "file, then folder entry": (b"package/a", b"package/a/"),
}
TYPES = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"6": "FIFO",
    b"7": "of a type",
    b"S": "sparse",
    b"K": "of a type",
    b"D": "of a type",
    b"M": "of a type",
    b"V": "of a type",
    b"X": "of a type",
    b"A": "of a type",
    b"\xff": "of a type",
}
ARCHIVES = {
    "empty": (b"", "cut off"),
    "no gzip": (archive(), "not valid gzip"),
    "zlib, not gzip": (b"x\x9c\x03\x00\x00\x00\x00\x01", "not valid gzip"),
    "cut off": (GOOD[:-9], "cut off"),
    "cut in the trailer": (GOOD[:-1], "cut off"),
    "wrong CRC": (GOOD[:-8] + b"\0\0\0\0" + GOOD[-4:], "not valid gzip"),
    "wrong length": (GOOD[:-4] + b"\0\0\0\0", "not valid gzip"),
    "byte behind": (GOOD + b"\0", "after its end"),
    "second member": (GOOD + GOOD, "after its end"),
    "empty second member": (GOOD + gzip.compress(b""), "after its end"),
    "content behind the end": (tarball(end=END + archive()), "after the end of its archive"),
    "content behind one zero block": (tarball(end=END[:512] + archive()), "after the end of its archive"),
    "far behind the end": (tarball(end=bytes(600_000) + b"x"), "after the end of its archive"),
    "amid zeros behind the end": (
        tarball(end=bytes(300_000) + b"x" + bytes(300_000)),
        "after the end of its archive",
    ),
    "byte behind a whole chunk": (stretched(GOOD, 2**17) + b"\0", "after its end"),
    "no entries": (only(), "no package.json"),
    "no package.json": (only(entry(b"package/index.js", b"x")), "no package.json"),
    "package.json too deep": (only(entry(b"package/lib/package.json", b"{}")), "no package.json"),
    "package.json in other case only": (only(entry(b"package/Package.json", b"{}")), "no package.json"),
    "package.json is a folder": (only(entry(b"package/package.json/")), "no package.json"),
    "header cut": (tarball(end=b"package/x"), "cut off"),
    "content cut": (tarball(header(b"package/a", 9000), end=b""), "cut off"),
    "padding cut": (tarball(header(b"package/a", 5), b"hello", end=b""), "cut off"),
    "global header cut": (tarball(header(b"g", 6, b"g"), record(b"a", b"b"), end=b""), "cut off"),
    "package.json cut": (only(header(b"package/package.json", 9000)), "cut off"),
    "wrong checksum": (tarball(header(b"package/a", checksum=b"000000\0 ")), "checksum"),
    "checksum not octal": (tarball(header(b"package/a", checksum=b"9999999 ")), "number in a header"),
    "size not octal": (tarball(header(b"package/a", size_field=b"0000000009z\0")), "number in a header"),
    "size after a NUL": (tarball(header(b"package/a", size_field=b"0\x001000000000")), "number in a header"),
    "negative size": (tarball(header(b"package/a", size_field=b"\xff" * 12)), "number in a header"),
    "minus": (tarball(header(b"package/a", size_field=b"-0000000001\0")), "number in a header"),
    "endless size": (tarball(header(b"package/a", size_field=b"\x80" + b"\xff" * 11)), "cut off"),
    "folder with content": (tarball(entry(b"package/a/", b"x", b"5")), "folder with content"),
    "slash with content": (tarball(entry(b"package/a/", b"x")), "folder with content"),
    "ustar of another version": (
        tarball(entry(b"a", magic=b"ustar\x0099", prefix=b"package")),
        "unknown ustar",
    ),
    "climbs by prefix": (tarball(entry(b"x", prefix=b"package/..")), "'..'"),
}
EXTENDED = {
    "other size": (pax(record(b"size", b"0")) + entry(b"package/a", b"x"), "two sizes"),
    "size with a zero": (pax(record(b"size", b"01")) + entry(b"package/a", b"x"), "two sizes"),
    "path twice": (pax(record(b"path", b"package/a"), record(b"path", b"package/b")), "path twice"),
    "size twice": (pax(record(b"size", b"1"), record(b"size", b"2")), "size twice"),
    "two headers": (pax(record(b"mtime", b"1")) * 2 + entry(b"package/a"), "two extended headers"),
    "two long names": (entry(b"L", b"package/a\0", b"L") * 2 + entry(b"package/a"), "two extended headers"),
    "two names": (
        entry(b"L", b"package/a\0", b"L") + pax(record(b"path", b"package/b")) + entry(b"package/c"),
        "two names",
    ),
    "climbs by long name": (entry(b"L", b"package/../../x\0", b"L") + entry(b"package/a"), "'..'"),
    "without an entry": (pax(record(b"path", b"package/a")), "cut off"),
    "long name without an entry": (entry(b"L", b"package/a\0", b"L"), "cut off"),
    "link": (pax(record(b"linkpath", b"/etc")) + entry(b"package/a"), "a link"),
    "sparse": (pax(record(b"GNU.sparse.major", b"1")) + entry(b"package/a"), "sparse"),
    "character set": (pax(record(b"hdrcharset", b"ISO-IR 8859 1 1998")) + entry(b"package/a"), "character set"),
    "global path": (pax(record(b"path", b"package/a"), type_=b"g") + entry(b"package/b"), "global header"),
    "global size": (pax(record(b"size", b"1"), type_=b"g") + entry(b"package/b"), "global header"),
    "global sparse": (pax(record(b"GNU.sparse.name", b"a"), type_=b"g") + entry(b"package/b"), "global"),
    "no length": (pax(b"path=package/a\n"), "extended header is wrong"),
    "length too long": (pax(b"99 path=package/a\n"), "extended header is wrong"),
    "length too short": (pax(b"9 path=package/a\n"), "extended header is wrong"),
    "no key": (pax(b"6 =xy\n"), "extended header is wrong"),
    "no equals": (pax(b"9 path_a\n"), "extended header is wrong"),
    "no newline": (pax(b"9 path=a "), "extended header is wrong"),
    "huge": (header(b"x", 2 * 1024 * 1024, b"x"), "1 MiB"),
    "huge long name": (header(b"L", 2 * 1024 * 1024, b"L"), "1 MiB"),
    "cut": (header(b"x", 4096, b"x"), "cut off"),
}
MANIFESTS = {
    "empty": b"",
    "no object": b"[]",
    "a string": b'"package"',
    "not JSON": b"{name: 'pkg'}",
    "two values": b"{}{}",
    "not UTF-8": b'{"name":"\xff"}',
    "NaN": b'{"n":NaN}',
    "too deep": b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
    "NUL": b'{"name":"a\\u0000b"}',
    "half a pair": b'{"name":"\\ud800"}',
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
}

VECTORS = (
    {f"path: {k}": (named(name), words) for k, (name, words) in PATHS.items()}
    | {f"PAX path: {k}": (by_pax(name), words) for k, (name, words) in LONG_PATHS.items()}
    | {f"twins: {k}": (tarball(entry(a), entry(b)), "two entries") for k, (a, b) in TWINS.items()}
    | {f"type: {t!r}": (linked(t), words) for t, words in TYPES.items()}
    | {f"archive: {k}": vector for k, vector in ARCHIVES.items()}
    | {f"extended: {k}": (tarball(more), words) for k, (more, words) in EXTENDED.items()}
    | {f"package.json: {k}": (manifest(body), "package.json in the tarball") for k, body in MANIFESTS.items()}
)


def test_the_control_passes() -> None:
    assert inspect(GOOD, LIMITS).file_count == 2
    assert inspect(stretched(GOOD, 2**17), LIMITS).file_count == 2


@pytest.mark.parametrize(("data", "words"), VECTORS.values(), ids=VECTORS.keys())
def test_a_hostile_tarball_is_refused_with_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        inspect(data, LIMITS)
    assert words in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert refusal.value.message.isprintable()


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS) >= 60


def bomb(size: int, name: bytes = b"package/zeros") -> bytes:
    return tarball(header(name, size), bytes(size))


def test_each_limit_is_kept_to_the_byte() -> None:
    two = tarball(entry(b"package/b", b"12345"))
    for allowed, refused in (
        (replace(LIMITS, tarball_bytes=len(two)), replace(LIMITS, tarball_bytes=len(two) - 1)),
        (replace(LIMITS, entries=2), replace(LIMITS, entries=1)),
        (replace(LIMITS, unpacked_bytes=3072), replace(LIMITS, unpacked_bytes=3071)),
        (replace(LIMITS, package_json_bytes=35), replace(LIMITS, package_json_bytes=34)),
    ):
        assert inspect(two, allowed).file_count == 2
        with pytest.raises(TooLarge):
            inspect(two, refused)


def test_a_bomb_is_refused_above_the_floor_only() -> None:
    limits = replace(LIMITS, ratio_floor=200_000)
    assert inspect(bomb(150_000), limits).unpacked_size > 150_000
    with pytest.raises(TooLarge, match="unpacks to more than 200,000 bytes"):
        inspect(bomb(1_000_000), limits)


def test_a_bomb_stops_early() -> None:
    source = io.BytesIO(bomb(30_000_000))
    with pytest.raises(TooLarge):
        inspect(source, replace(LIMITS, unpacked_bytes=1_000_000))
    # a file that claims gigabytes does not get them read into memory
    with pytest.raises(TooLarge):
        inspect(gzip.compress(header(b"package/package.json", 2**31)), LIMITS)


def test_a_bomb_of_folders_is_refused() -> None:
    deep = [entry(b"L", b"package/%d/" % i + b"a/" * 400 + b"f\0", b"L") + entry(b"f") for i in range(100)]
    with pytest.raises(TooLarge, match="too many folders"):
        inspect(tarball(*deep), LIMITS)


def test_a_flood_of_extended_headers_is_refused() -> None:
    one = pax(record(b"comment", b"x"), type_=b"g")
    few = replace(LIMITS, entries=5)
    assert inspect(tarball(one * 19), few).file_count == 1
    with pytest.raises(TooLarge, match="too many headers"):
        inspect(tarball(one * 20), few)
    large = pax(*[record(b"comment", b"x" * 100_000)] * 10, type_=b"g")
    assert inspect(tarball(large * 16), LIMITS).file_count == 1
    with pytest.raises(TooLarge, match="16 MiB"):
        inspect(tarball(large * 17), LIMITS)


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_noise_is_refused_and_nothing_else(noise: bytes) -> None:
    for data in (noise, gzip.compress(noise), gzip.compress(archive(end=b"") + noise)):
        try:
            inspect(data, LIMITS)
        except (Invalid, TooLarge) as refusal:
            assert refusal.message  # noqa: PT017  either it passes or it is refused like this


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=400, deadline=None)
def test_one_changed_byte_never_surprises(at: int, value: int) -> None:
    whole = bytearray(archive(pax(record(b"path", b"package/a")), entry(b"package/b", b"x")))
    whole[at % len(whole)] = value
    try:
        facts = inspect(gzip.compress(bytes(whole)), LIMITS)
    except (Invalid, TooLarge):
        return
    # what we take, the standard library reads too, and it finds the same number of files
    with tarfile.open(fileobj=io.BytesIO(bytes(whole))) as other:
        assert sum(member.isfile() for member in other) == facts.file_count
