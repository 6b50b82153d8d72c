"""Promise: a document that is taken in blocks is read, or refused and in the same words, as if it came in one piece."""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.domain.world import SettableClock
from tests.publishing.test_document import attachment, publication
from tests.support import postgres
from twokey.blobs.local import LocalBlobs
from twokey.errors import Invalid, TooLarge
from twokey.packages.names import PackageName
from twokey.publishing.document import Intent, Publish, parse
from twokey.publishing.ingest import MOST_TAKEN, Ingest
from twokey.publishing.received import Received
from twokey.publishing.tarball import TarballLimits
from twokey.strict_json import loads, object_of

NAME = PackageName.parse("@acme/bar")
MIB = 1024 * 1024
FILE = "@acme/bar-1.0.0.tgz"
LONG = base64.b64encode(bytes(range(256)) * 9).decode()  # beyond what the envelope keeps of it


@pytest.fixture(scope="module")
def blobs() -> Iterator[LocalBlobs]:
    with tempfile.TemporaryDirectory(dir=postgres.memory()) as folder:
        yield LocalBlobs(Path(folder), SettableClock())


def leftovers(blobs: LocalBlobs) -> list[Path]:
    return list(blobs.path("0" * 128).parents[2].glob("tmp/*"))


def in_one_piece(body: bytes) -> Intent | str:
    """What a document asks for, read as small ones are; or what is said of it."""
    try:
        return parse(NAME, None, object_of(loads(body), "The body"))
    except Invalid as refusal:
        return refusal.message


def in_blocks(blobs: LocalBlobs, blocks: Iterable[bytes]) -> Intent | str:
    """The same of what comes in blocks, with the tarball's bytes in place of where they lie."""
    ingest = Ingest(blobs, TarballLimits(), MIB)
    with closing(ingest):
        for block in blocks:
            ingest.feed(block)
        try:
            intent = parse(NAME, None, ingest.finish().document())
        except Invalid as refusal:
            return refusal.message
        if not isinstance(intent, Publish):
            return intent
        assert isinstance(intent.tarball, Received)
        data = intent.tarball.stream
        data.seek(0)
        content = data.read()
        assert intent.tarball.digests.sha1 == hashlib.sha1(content).hexdigest()
        assert intent.tarball.digests.sha512 == hashlib.sha512(content).digest()
        return _with(intent, content)


def _with(intent: Publish, content: bytes) -> Publish:
    values = {name: getattr(intent, name) for name in Publish.__slots__}
    return Publish(**{**values, "tarball": content})


def blocks_of(body: bytes, places: Sequence[int]) -> list[bytes]:
    """The body cut at these places."""
    ends = [*sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def assert_alike(blobs: LocalBlobs, body: bytes, places: Sequence[int] = ()) -> Intent | str:
    expected = in_one_piece(body)
    assert in_blocks(blobs, [body]) == expected
    assert in_blocks(blobs, blocks_of(body, places)) == expected
    assert in_blocks(blobs, (body[at : at + 1] for at in range(len(body)))) == expected
    assert not leftovers(blobs)
    return expected


def document(
    data: str = '"dGFyYmFsbA=="', *, key: str = '"data"', more: str = "", top: str = '"_attachments"'
) -> bytes:
    """A publish as text, the attachment's data as it is given."""
    rest = json.dumps({key: value for key, value in publication().items() if key != "_attachments"})
    return f'{{{top} : {{ "{FILE}" : {{ {key}\t:\n {data} {more}}} }},{rest[1:]}'.encode("utf-8", "surrogatepass")


ODD = {
    "as it should be": document(),
    "escaped slashes": document('"' + LONG.replace("/", "\\/") + '"'),
    "escaped letters": document('"\\u0064GFyYmFsbA\\u003d="'),
    "an escaped key": document(key='"d\\u0061ta"'),
    "an escaped name of the attachments": document(top='"_attach\\u006dents"'),
    "a key that is none": document(key='"data\\u0000"'),
    "long": document(f'"{LONG}"'),
    "long with the wrong length": document(f'"{LONG}"', more=', "length": 5'),
    "with its length": document(f'"{LONG}"', more=', "length": 2304'),
    "long, a line break in it": document(f'"{LONG}\\n{LONG}"'),
    "long, a raw line break in it": document(f'"{LONG}\n{LONG}"'),
    "long, NUL at its end": document(f'"{LONG}\\u0000"'),
    "NUL": document('"dGFy\\u0000YmFsbA=="'),
    "long, half a pair": document(f'"{LONG}\\ud83dA\\ude00"'),
    "long, a pair": document(f'"{LONG}\\ud83d\\ude00"'),
    "long, two halves of a letter": document().replace(b"dGFyYmFsbA==", LONG.encode() + b"\xc3A\x81"),
    "long, a letter": document(f'"{LONG}ä{LONG}"'),
    "long, no UTF-8": document(f'"{LONG}"').replace(LONG[-8:].encode(), b"\xff" + LONG[-8:].encode()),
    "long, a wrong escape": document(f'"{LONG}\\x{LONG}"'),
    "long, a short escape": document(f'"{LONG}\\u12"'),
    "long, a short escape and more": document(f'"{LONG}\\u12{LONG}\\u0041"'),
    "long, an escaped quote": document(f'"{LONG}\\"{LONG}"'),
    "long, an escaped backslash": document(f'"{LONG}\\\\{LONG}"'),
    "long, cut off": document(f'"{LONG}"')[: len(LONG)],
    "long, cut off in an escape": document(f'"{LONG}"')[: len(LONG)] + b"\\u00",
    "long, wrong after it": document(f'"{LONG}" x'),
    "long, wrong on the next line": document(f'"{LONG}" \n\n x'),
    "padding inside": document(f'"{LONG}{LONG}dGE=dGE="'),
    "padding twice": document('"dGE=" , "data": "dGE="'),
    "too little padding": document(f'"{LONG}dGE"'),
    "URL alphabet": document(f'"{LONG}-_-_"'),
    "empty": document('""'),
    "a list": document('["dGFy"]'),
    "an object": document('{"data": "dGFy"}'),
    "a number": document("5"),
    "nothing": document("null"),
    "a stub": document(more=', "stub": true'),
    "two colons": document(': "dGFy"'),
    "no colon": document('"dGFy"', key='"length" "data"'),
    "the attachments in a list": b'[' + document() + b"]",
    "the attachments a list": b'{"x": {"a.tgz": 1}, "_attachments": [{"data": "QUJD"}], "name": "other"}',
    "the attachments deeper": b'{"name": ' + document() + b"}",
    "two documents": document() + document(),
    "a byte order mark": b"\xef\xbb\xbf" + document(),
    "a bundle": document(f'"{LONG}"').replace(FILE.encode(), b"a.sigstore"),
    "no attachments at all": json.dumps(publication() | {"_attachments": None}).encode(),
    "nothing at all": b"",
    "a string": b'"' + LONG.encode(),
    "brackets that close nothing": b"]}]}" + document(),
    "too deep": b"[" * 70 + document(),
}  # fmt: skip


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_whatever_is_odd_about_a_document_is_read_alike(blobs: LocalBlobs, body: bytes) -> None:
    assert_alike(blobs, body, range(0, len(body), 7))


def test_what_is_odd_is_not_all_refused(blobs: LocalBlobs) -> None:
    """So that the comparison above compares tarballs, too."""
    taken = {name for name, body in ODD.items() if isinstance(in_one_piece(body), Publish)}
    assert taken >= {
        "as it should be",
        "escaped slashes",
        "escaped letters",
        "an escaped key",
        "long",
        "with its length",
    }


def test_several_attachments_are_read_alike(blobs: LocalBlobs) -> None:
    one, two = attachment(b"one"), attachment(b"two")
    for attachments in (
        {FILE: one, "b.tgz": two},
        {"b.tgz": {**two, "stub": True}, FILE: one},
        {FILE: one, "a.sigstore": {"data": "{}"}},
        {"a.txt": two, FILE: one},
        {FILE: [one]},
        {FILE: {"data": one}},
    ):
        assert_alike(blobs, json.dumps(publication() | {"_attachments": attachments}).encode())
    twice = json.dumps(publication())[:-1] + f', "_attachments": {json.dumps({FILE: one})}}}'
    assert "twice" in str(assert_alike(blobs, twice.encode()))


SPACE = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
PIECES = st.sampled_from(
    [
        "QUJD", "QQ==", "QUI=", "A", "=", "/", "+", "-", " ", "\\/", "\\u0041", "\\u002f", "\\n", "\\u0000", "\\ud83d",
        "\\ude00", "\\u12", "\\", "\\\\", '\\"', "\n", "\x01", "ä", "𝄞", LONG, LONG[:2100],
    ]
)  # fmt: skip
DATA = st.builds(lambda parts: '"' + "".join(parts) + '"', st.lists(PIECES, max_size=6)) | st.sampled_from(
    ["null", "5", "[]", '["QUJD"]', "{}", '{"data":"QUJD"}', "true"]
)
KEY = st.sampled_from(['"data"', '"d\\u0061ta"', '"length"', '"stub"', '"content_type"', '"data '])
FILES = st.sampled_from([f'"{FILE}"', '"b.tgz"', '"a.sigstore"', '"b.t\\u0067z"', '"c.txt"'])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A publish whose attachments are of every kind, with white space anywhere, in any order of its keys."""

    def object_(items: Sequence[tuple[str, str]]) -> str:
        inner = ",".join(f"{draw(SPACE)}{key}{draw(SPACE)}:{draw(SPACE)}{value}{draw(SPACE)}" for key, value in items)
        return "{" + (inner or draw(SPACE)) + "}"

    attachments = [
        (draw(FILES), object_([(draw(KEY), draw(DATA)) for _ in range(draw(st.integers(0, 3)))]))
        for _ in range(draw(st.integers(0, 3)))
    ]
    known = [(json.dumps(key), json.dumps(value)) for key, value in publication().items() if key != "_attachments"]
    items = draw(
        st.permutations(
            [*known, (draw(st.sampled_from(['"_attachments"', '"_attachment\\u0073"'])), object_(attachments))]
        )
    )
    return (draw(SPACE) + object_(items)).encode("utf-8")


@given(body=texts(), places=st.lists(st.integers(0, 1 << 16), max_size=5))
@settings(max_examples=300, deadline=None)
def test_every_publish_is_read_alike_wherever_its_blocks_end(blobs: LocalBlobs, body: bytes, places: list[int]) -> None:
    assert_alike(blobs, body, places)


FRAGMENTS = st.sampled_from(
    [
        b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b'"_attachments"', b'"data"', b'"a.tgz"', b'"QUJD"', b"QUJD",
        b" ", b"\\u0000", b"\\ud800", b"\xc3", b"\x81", b"\xff", b"\x00", b"null", b"1e5", b"NaN", LONG.encode(),
    ]
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 3), st.lists(FRAGMENTS, max_size=3)), max_size=4)


@given(
    body=texts(),
    changes=st.lists(
        st.tuples(st.integers(0, 1 << 16), st.integers(0, 3), st.lists(FRAGMENTS, max_size=3)), max_size=4
    ),
    places=st.lists(st.integers(0, 1 << 16), max_size=5),
)
@example(body=b'{"_attachments":{"a":{"data":"QUJD', changes=[], places=[31])
@settings(max_examples=400, deadline=None)
def test_every_broken_document_is_refused_alike_wherever_its_blocks_end(
    blobs: LocalBlobs, body: bytes, changes: list[tuple[int, int, list[bytes]]], places: list[int]
) -> None:
    for place, length, fragments in changes:
        at = place % (len(body) + 1)
        body = body[:at] + b"".join(fragments) + body[at + length :]
    assert_alike(blobs, body, places)


@given(fragments=st.lists(FRAGMENTS, max_size=30), places=st.lists(st.integers(0, 1 << 16), max_size=5))
@settings(max_examples=400, deadline=None)
def test_every_rubble_of_json_is_refused_alike(blobs: LocalBlobs, fragments: list[bytes], places: list[int]) -> None:
    assert_alike(blobs, b"".join(fragments), places)


# -- bounds ------------------------------------------------------------------------------------------------------------


def feed(blobs: LocalBlobs, body: bytes, *, tarball: int = MIB, envelope: int = MIB, block: int = 4096) -> Any:
    """Takes a document in blocks, and how many bytes it had taken when it gave up; never to be read."""
    ingest = Ingest(blobs, TarballLimits(tarball_bytes=tarball), envelope)
    with closing(ingest):
        for at in range(0, len(body), block):
            try:
                ingest.feed(body[at : at + block])
            except TooLarge as refusal:
                return at, refusal.message
        return len(ingest.finish()._envelope), ""


def test_a_tarball_over_its_limit_ends_at_once(blobs: LocalBlobs) -> None:
    body = json.dumps(publication() | {"_attachments": {FILE: {"data": "QUJD" * MIB}}}).encode()
    at, said = feed(blobs, body)
    assert "(TWOKEY_LIMIT_TARBALL)" in said
    assert at < MIB * 4 // 3 + 8192
    assert not leftovers(blobs)
    assert feed(blobs, body, tarball=3 * MIB)[1] == ""


def test_a_document_over_its_limit_ends_at_once(blobs: LocalBlobs) -> None:
    body = json.dumps(publication() | {"readme": "x" * 2 * MIB}).encode()
    at, said = feed(blobs, body)
    assert "(TWOKEY_LIMIT_DOCUMENT)" in said
    assert at < MIB + 8192
    assert feed(blobs, body, envelope=3 * MIB)[1] == ""


def test_little_is_kept_of_a_tarball(blobs: LocalBlobs) -> None:
    for data in ("QUJD" * MIB, "QUJ\\/" * MIB, "QQ==" + "QUJD" * MIB):
        body = document(f'"{data}"')
        assert feed(blobs, body, tarball=4 * MIB)[0] < 8192


def test_a_crowd_of_tarballs_ends_at_once(blobs: LocalBlobs) -> None:
    crowd = {f"{number}.tgz": attachment() for number in range(1000)}
    body = json.dumps(publication() | {"_attachments": crowd}).encode()
    at, said = feed(blobs, body, block=64)
    assert f"more than {MOST_TAKEN} tarballs" in said
    assert at < 2000
    assert not leftovers(blobs)
