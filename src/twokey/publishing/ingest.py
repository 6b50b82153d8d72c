"""Takes a document with tarballs in it block by block: the tarballs go to the blob store, the rest is kept to be read.

Of npm's publish (npm-protocol.md 5.1) nearly every byte is in `_attachments.FILE.data`. A scanner follows the depth of
the JSON, takes the text of exactly those strings out, and decodes it on its way to a temporary file. What is left, the
envelope, is read by the strict reader as a whole, so a document is taken or refused, and in the same words, as if it
had been read in one piece (`tests/publishing/test_ingest.py`). To that end a string keeps its first characters, and
every character that base64 does not have: what the strict reader would complain about is still there.
"""

from __future__ import annotations

import json
import re

from twokey.blobs.store import Blobs
from twokey.errors import TooLarge
from twokey.publishing.received import Received
from twokey.publishing.tarball import TarballLimits
from twokey.strict_json import Cut, loads, object_of

MOST_TAKEN = 8
MIB = 1024 * 1024
_KEPT_HEAD = 2048  # bytes: a complaint shows a hundred characters, and one may be spelt with twelve bytes
_QUOTE, _BACKSLASH = b'"'[0], b"\\"[0]
_OBJECTS = b"{{{"
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}:,]', re.DOTALL)
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
# Of a data string: base64, a whole escape, one that the block cuts off, anything else.
_TOKEN = re.compile(
    rb"(?P<run>[A-Za-z0-9+/=]++)|(?P<cut_off>\\(?:u[0-9a-fA-F]{0,3})?\Z)|(?P<escape>\\(?:u[0-9a-fA-F]{4}|.))|.",
    re.DOTALL,
)


class Ingested:
    """A document that was taken. Whoever has it ends it with `close`."""

    def __init__(self, envelope: bytes, cuts: list[Cut], taken: list[tuple[str, Received]]) -> None:
        """`taken` are the tarballs by their files' names, as often as the document has them."""
        self._envelope = envelope
        self._cuts = cuts
        self._taken = taken

    def document(self) -> dict[str, object]:
        """The document, with a `Received` in each place that a tarball was taken from. Raises Invalid."""
        document = object_of(loads(self._envelope, cuts=self._cuts), "The body")
        for file, tarball in self._taken:  # no key is there twice, so these are the places
            attachments = object_of(document["_attachments"], "_attachments")
            object_of(attachments[file], "An attachment")["data"] = tarball
        return document

    def close(self) -> None:
        """Ends it: tarballs that were not kept are gone."""
        for _, tarball in self._taken:
            tarball.close()


class Ingest:
    """Takes one document. `feed` it in order, then `finish`, or `close` it."""

    def __init__(self, blobs: Blobs, limits: TarballLimits, most_envelope: int) -> None:
        """`most_envelope`: bytes of the document without its tarballs."""
        self._blobs = blobs
        self._limits = limits
        self._most_envelope = most_envelope
        self._envelope = bytearray()
        self._cuts: list[Cut] = []
        self._taken: list[tuple[str, Received]] = []
        self._kinds = bytearray()  # the brackets that are open
        self._keys = [b"", b"", b""]  # of the three outermost objects, as they were written
        self._after_colon = False
        self._state = self._between
        self._string_start = 0  # in the envelope
        self._escaped = False
        self._tarball: Received | None = None  # while its text comes
        self._cut_off = b""  # the beginning of an escape at the end of a block

    def feed(self, block: bytes) -> None:
        """Takes the next bytes. Raises TooLarge for a limit, and what writing raises."""
        at = 0
        while at < len(block):
            at = self._state(block, at)

    def finish(self) -> Ingested:
        """The document, after its last byte."""
        self._keep(self._cut_off)
        return Ingested(bytes(self._envelope), self._cuts, self._taken)

    def close(self) -> None:
        """Ends it: nothing of it is left."""
        for _, tarball in self._taken:
            tarball.close()

    def _keep(self, data: bytes) -> None:
        if len(self._envelope) + len(data) > self._most_envelope:
            raise TooLarge(
                f"The document is larger than {self._most_envelope // MIB} MiB without its tarball "
                "(TWOKEY_LIMIT_DOCUMENT). Send less at once."
            )
        self._envelope += data

    def _cut(self, length: int) -> None:
        """Notes that so many characters of a string are left out of the envelope here."""
        before = len(self._envelope)
        if self._cuts and self._cuts[-1].before == before:
            length += self._cuts.pop().length
        self._cuts.append(Cut(before, length))

    # -- outside strings -----------------------------------------------------------------------------------------

    def _between(self, block: bytes, at: int) -> int:
        for mark in _MARK.finditer(block, at):
            start, end = mark.span()
            byte = block[start]
            if byte == _QUOTE:
                if self._after_colon and self._kinds == _OBJECTS and self._is_data():
                    self._keep(block[at : start + 1])
                    self._state = self._begin_data
                    return start + 1
                if end == start + 1:  # its end is in another block
                    self._keep(block[at:end])
                    self._string_start = len(self._envelope) - 1
                    self._state = self._in_string
                    return end
                self._string(mark[0])
            elif byte in b"{[":
                self._kinds.append(byte)
                self._after_colon = False
            elif byte in b"}]":
                del self._kinds[-1:]
                self._after_colon = False
            else:
                self._after_colon = byte == b":"[0]
        self._keep(block[at:])
        return len(block)

    def _in_string(self, block: bytes, at: int) -> int:
        end = at + self._escaped
        self._escaped = False
        match = _STRING.match(block, end)
        end = match.end() if match else end
        if end == len(block):
            self._keep(block[at:])
            return end
        self._keep(block[at : end + 1])
        if block[end] == _BACKSLASH:  # the last byte of the block
            self._escaped = True
        else:
            self._string(bytes(self._envelope[self._string_start :]))
            self._state = self._between
        return end + 1

    def _string(self, raw: bytes) -> None:
        """A string has ended, as it was written: where it is a key, it tells what comes."""
        depth = len(self._kinds)
        if not self._after_colon and 0 < depth <= len(self._keys):
            self._keys[depth - 1] = raw

    def _is_data(self) -> bool:
        outer, file, inner = (_text(key) for key in self._keys)
        # A provenance bundle lies there too; it is text, and small.
        return outer == "_attachments" and inner == "data" and file is not None and not file.endswith(".sigstore")

    # -- within the text of a tarball ----------------------------------------------------------------------------

    def _begin_data(self, block: bytes, at: int) -> int:
        self._string_start = len(self._envelope)
        if block[at] == _QUOTE:  # there is nothing in it: the reader says so
            return self._end_data(at)
        if len(self._taken) == MOST_TAKEN:
            raise TooLarge(f"The document has more than {MOST_TAKEN} tarballs in it. Publish one version at a time.")
        self._tarball = Received(self._blobs, self._limits)
        self._taken.append((_text(self._keys[1]) or "", self._tarball))
        self._state = self._in_data
        return at

    def _in_data(self, block: bytes, at: int) -> int:
        assert self._tarball is not None
        end = block.find(b'"', at)
        piece = block[at:] if end < 0 else block[at:end]
        if self._cut_off or not self._tarball.add_base64(piece):
            return self._in_odd_data(block, at)
        self._leave_out(piece)
        return len(block) if end < 0 else self._end_data(end)

    def _in_odd_data(self, block: bytes, at: int) -> int:
        """Goes on where something is escaped, or is no base64; then only that is kept, and what parts it."""
        assert self._tarball is not None
        text = self._cut_off + block[at:]
        before, self._cut_off = len(self._cut_off), b""
        for token in _TOKEN.finditer(text):
            raw, kind = token[0], token.lastgroup
            if kind == "cut_off":
                self._cut_off = raw
            elif kind is None and raw == b'"':
                return self._end_data(at + token.start() - before)
            elif self._tarball.add_base64(_plain(raw, kind)):
                self._leave_out(raw, whole=kind == "escape")
            else:
                self._tarball.spoil()
                self._leave_out(raw, whole=kind != "run", least=1 if kind == "run" else len(raw))
        return len(block)

    def _leave_out(self, raw: bytes, *, whole: bool = False, least: int = 0) -> None:
        """Leaves characters of a data string out, but for its head and for `least` of these; an escape as a `whole`."""
        room = max(least, _KEPT_HEAD - (len(self._envelope) - self._string_start))
        kept = len(raw) if whole and room > 0 else min(room, len(raw))
        self._keep(raw[:kept])
        if kept < len(raw):
            self._cut(len(raw) - kept)

    def _end_data(self, at: int) -> int:
        """The string's closing quote is at this place of the block."""
        self._keep(b'"')
        self._tarball = None
        self._state = self._between
        return at + 1


def _plain(raw: bytes, kind: str | None) -> bytes:
    """What a token of a data string stands for."""
    text = _text(b'"' + raw + b'"') if kind == "escape" else None
    return raw if text is None else text.encode("utf-8", "surrogatepass")


def _text(raw: bytes) -> str | None:
    """A JSON string as it was written, read; None where it is none."""
    try:
        text: str = json.loads(raw)
    except ValueError:
        return None
    return text
