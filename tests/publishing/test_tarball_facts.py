"""Promise: what npm, git and old tar programs write is taken, and the server's own facts are right."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.publishing.tar_maker import LIMITS, archive, entry, header, pax, record, tarball
from twokey.publishing.tarball import TarballFacts, inspect


def facts_of(*entries: bytes, **package: object) -> TarballFacts:
    body = json.dumps({"name": "pkg", "version": "1.0.0", **package}).encode()
    return inspect(tarball(*entries, package_json=body), LIMITS)


def test_the_digests_and_sizes_are_those_of_the_bytes() -> None:
    data = tarball(entry(b"package/a", b"12345"), entry(b"package/lib/", type_=b"5"))
    facts = inspect(data, LIMITS)
    assert facts.shasum == hashlib.sha1(data).hexdigest()
    assert facts.sha512 == hashlib.sha512(data).hexdigest()
    assert facts.integrity == "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    assert facts.size == len(data)
    assert facts.file_count == 2
    assert facts.unpacked_size == 5 + len(b'{"name": "pkg", "version": "1.0.0"}')
    assert facts.package_json == {"name": "pkg", "version": "1.0.0"}
    assert not facts.has_install_script
    assert not facts.has_shrinkwrap


def test_bytes_and_a_file_give_the_same_facts() -> None:
    data = tarball(entry(b"package/README", b"hi"))
    source = io.BytesIO(data)
    source.seek(5)  # where the file stands does not matter
    assert inspect(source, LIMITS) == inspect(data, LIMITS)


ODDITIES = {
    "a name in UTF-8 as bun writes it": (
        archive(
            pax(record(b"hdrcharset", b"BINARY"), record(b"path", "package/größe.js".encode())), entry(b"package/a")
        ),
        2,
    ),
    "no end blocks": (archive(end=b""), 1),
    "one end block": (archive(end=bytes(512)), 1),
    "much zero padding": (archive(end=bytes(50_000)), 1),
    "padding of no whole block": (archive(end=bytes(700)), 1),
    "no magic": (archive(entry(b"package/a", magic=b"")), 2),
    "GNU magic": (archive(entry(b"package/a", magic=b"ustar  \0")), 2),
    "GNU magic with times where the prefix was": (
        archive(entry(b"package/a", magic=b"ustar  \0", prefix=b"14000000000")),
        2,
    ),
    "type NUL": (archive(entry(b"package/a", type_=b"\0")), 2),
    "folder of old": (archive(entry(b"package/lib/"), entry(b"package/lib/a")), 2),
    "folder twice": (archive(entry(b"package/lib/", type_=b"5"), entry(b"package/lib/", type_=b"5")), 1),
    "folder after its file": (archive(entry(b"package/l/a"), entry(b"package/l/", type_=b"5")), 2),
    "folder without a slash": (archive(entry(b"package/l", type_=b"5"), entry(b"package/l/a")), 2),
    "root folder": (archive(entry(b"package/", type_=b"5")), 1),
    "size in base 256": (archive(header(b"package/a", size_field=b"\x80" + bytes(11))), 2),
    "size with spaces": (archive(header(b"package/a", size_field=b"          0 ")), 2),
    "size not filled in": (archive(header(b"package/a", size_field=bytes(12))), 2),
    "prefix": (archive(entry(b"a", prefix=b"package/lib")), 2),
    "PAX path": (archive(pax(record(b"path", b"package/l")), entry(b"s")), 2),
    "PAX path and prefix, as npm writes them": (
        archive(pax(record(b"path", b"package/l")), entry(b"l", prefix=b"package")),
        2,
    ),
    "PAX size": (archive(pax(record(b"size", b"1")), entry(b"package/a", b"x")), 2),
    "PAX extras": (archive(pax(record(b"NODETAR.x", b"y\nz"), record(b"mtime", b"1")), entry(b"package/a")), 2),
    "git's comment": (archive(pax(record(b"comment", b"abc"), type_=b"g"), entry(b"package/a")), 2),
    "GNU long name": (archive(entry(b"L", b"package/" + b"d/" * 90 + b"f\0", b"L"), entry(b"package/d")), 2),
    "dot parts": (archive(entry(b"package/./lib//a")), 2),
    "names of many kinds": (archive(*(entry(f"package/{n}".encode()) for n in ("ä", "~", " ", "ab:c"))), 5),
}


@pytest.mark.parametrize(("content", "files"), ODDITIES.values(), ids=ODDITIES.keys())
def test_what_old_and_odd_programs_write_is_taken(content: bytes, files: int) -> None:
    assert inspect(gzip.compress(content), LIMITS).file_count == files


@pytest.mark.parametrize("root", ["package", "repo-main", ".", "Größe", "package-1.0.0"])
def test_the_root_folder_may_have_any_name(root: str) -> None:
    content = entry(f"{root}/package.json".encode(), b"{}") + entry(f"{root}/a".encode())
    assert inspect(gzip.compress(content), LIMITS).file_count == 2


def test_a_byte_order_mark_in_package_json_is_taken_as_npm_takes_it() -> None:
    assert inspect(tarball(package_json=b'\xef\xbb\xbf{"name":"a"}'), LIMITS).package_json == {"name": "a"}


def test_of_a_key_twice_in_package_json_the_last_counts_as_for_every_npm_client() -> None:
    body = b'{"name":"pkg","scripts":{"install":"x"},"scripts":{"test":"y"},"scripts":{"install":"z"}}'
    facts = inspect(tarball(package_json=body), LIMITS)
    assert facts.package_json["scripts"] == {"install": "z"}
    assert facts.has_install_script


@pytest.mark.parametrize(
    ("scripts", "extra", "expected"),
    [
        ({"preinstall": "x"}, {}, True),
        ({"install": "x"}, {}, True),
        ({"postinstall": "x"}, {}, True),
        ({"test": "x", "prepare": "y"}, {}, False),
        ({"install": ""}, {}, False),
        ("install", {}, False),
        ({}, {"gypfile": False}, False),
    ],
)
def test_install_scripts_are_found(scripts: object, extra: dict[str, object], expected: bool) -> None:
    assert facts_of(scripts=scripts, **extra).has_install_script is expected


def test_a_gyp_file_at_the_root_is_an_install_script() -> None:
    assert facts_of(entry(b"package/binding.gyp")).has_install_script
    assert not facts_of(entry(b"package/deps/binding.gyp")).has_install_script
    assert not facts_of(entry(b"package/binding.gyp"), gypfile=False).has_install_script


def test_a_shrinkwrap_at_the_root_is_found() -> None:
    assert facts_of(entry(b"package/npm-shrinkwrap.json", b"{}")).has_shrinkwrap
    assert not facts_of(entry(b"package/lib/npm-shrinkwrap.json", b"{}")).has_shrinkwrap


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["README", "readme.md"], "readme.md"),
        (["Readme.markdown", "README.zh-CN.md"], "Readme.markdown"),
        (["README.zh-CN.md", "README.md"], "README.md"),
        (["README.txt", "README"], "README"),
        (["readme.txt"], "readme.txt"),
        (["READMENOT", "lib/README.md", "my-readme.md"], None),
    ],
)
def test_the_readme_that_npm_would_show_is_kept(files: list[str], expected: str | None) -> None:
    entries = [entry(f"package/{name}".encode(), f"I am {name}".encode()) for name in files]
    for order in (entries, entries[::-1]):
        facts = facts_of(*order)
        assert facts.readme_filename == expected
        assert facts.readme == (f"I am {expected}" if expected else None)


def test_a_readme_is_text_of_at_most_a_mebibyte() -> None:
    assert facts_of(entry(b"package/README.md", b"a\0\xffb")).readme == "a\ufffd\ufffdb"
    readme = facts_of(entry(b"package/README.md", b"x" * 1_100_000), entry(b"package/z", b"z")).readme
    assert readme is not None
    assert len(readme) == 1024 * 1024


def test_the_files_of_directories_bin_are_listed() -> None:
    files = [entry(f"package/{f}".encode()) for f in ("bin/b", "bin/a", "bin/.hidden", "binx/c", "bin/sub/d")]
    for spelling in ("bin", "./bin", "bin/", "/bin"):
        assert facts_of(*files, directories={"bin": spelling}).bin_files == ("bin/a", "bin/b", "bin/sub/d")
    assert facts_of(*files, directories={"bin": "none"}).bin_files == ()
    assert facts_of(*files, directories={"bin": "Bin"}).bin_files == ()
    assert facts_of(*files, directories={"bin": 1}).bin_files == ()
    assert facts_of(*files).bin_files == ()


PARTS = st.text("abcdefgh.-_äé ", min_size=1, max_size=60).filter(lambda p: p.strip(".") and p.strip() == p)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: "/".join(["d", *parts, "file"]))


@given(st.dictionaries(PATHS, st.binary(max_size=2000), max_size=6), st.sampled_from([0, 1, 2]))
@settings(max_examples=100, deadline=None)
def test_what_the_standard_library_packs_is_taken(files: dict[str, bytes], tar_format: int) -> None:
    if tar_format == tarfile.USTAR_FORMAT:
        files = {name: body for name, body in files.items() if len(name.encode()) < 80}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tar_format, encoding="utf-8") as tar:
        for name, body in {"package.json": b"{}", **files}.items():
            member = tarfile.TarInfo("package/" + name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    facts = inspect(out.getvalue(), LIMITS)
    assert facts.file_count == len(files) + 1
    assert facts.unpacked_size == 2 + sum(map(len, files.values()))
