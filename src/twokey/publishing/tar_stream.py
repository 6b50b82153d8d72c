"""A tar archive inside one gzip member, read forward in bounded memory and never written to disk.

Readers of tar disagree where an archive is ambiguous, and a file that only some of them see is a
place to hide code. So an archive that could be read in two ways is refused; what npm and the tar
programs of the last decades really write is taken. Sources: POSIX `pax`, node-tar's `header.js`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from twokey.errors import Invalid, TooLarge
from twokey.strict_json import quoted

BLOCK = 512
_CHUNK = 128 * 1024
_MAX_METADATA = 1024 * 1024  # of one extended header, as in node-tar
_MAX_ALL_METADATA = 16 * 1024 * 1024  # of all: a flood of tiny records costs far more time than bytes
_ZERO_BLOCK = bytes(BLOCK)
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_RECORD_LENGTH = re.compile(rb"([1-9][0-9]{0,6}) ")

# Both leave the bytes of a name as they are. bun packs with libarchive, which writes the first beside every name that
# is not ASCII; whether those bytes are UTF-8 is judged with the path.
_CHARACTER_SETS = (b"BINARY", b"ISO-IR 10646 2000 UTF-8")

_FORBIDDEN_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"S": "a sparse file",
}


class Gunzip:
    """The bytes of exactly one gzip member."""

    def __init__(self, source: BinaryIO, size: int, *, most: int, ratio: int, ratio_floor: int) -> None:
        """`source` holds `size` bytes from where it stands.

        Reading raises `TooLarge` past `most` bytes of content, and where more than `ratio_floor`
        bytes came out that are more than `ratio` times `size`; `Invalid` where it is not one member.
        """
        self._source = source
        self._most = min(most, max(ratio_floor, ratio * size))
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = b""
        self._buffer = b""
        self._at = 0
        self._produced = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer where the content ends."""
        pieces: list[bytes] = []
        while count and (self._at < len(self._buffer) or self._fill()):
            piece = self._buffer[self._at : self._at + count]
            self._at += len(piece)
            count -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def skip(self, count: int) -> bool:
        """Pass over `count` bytes; False where the content ends before."""
        while count:
            if self._at == len(self._buffer) and not self._fill():
                return False
            step = min(count, len(self._buffer) - self._at)
            self._at += step
            count -= step
        return True

    def only_zeros_left(self) -> bool:
        """Read to the end; whether nothing but zeros came."""
        zeros = not self._buffer[self._at :].strip(b"\0")
        while zeros and self._fill():
            zeros = not self._buffer.strip(b"\0")
        self._at = len(self._buffer)
        return zeros

    def _fill(self) -> bool:
        """Decompress the next piece into the buffer; False at the end of the member."""
        self._buffer, self._at = b"", 0
        while not self._buffer:
            if self._inflate.eof:
                if self._inflate.unused_data or self._source.read(1):
                    raise Invalid("The tarball has data after its end. Pack it again, with nothing appended.")
                return False
            if not self._pending:
                self._pending = self._source.read(_CHUNK)
                if not self._pending:
                    raise Invalid("The tarball is cut off: its gzip data ends too early. Pack it again.")
            try:
                self._buffer = self._inflate.decompress(self._pending, _CHUNK)
            except zlib.error:
                raise Invalid("The tarball is not valid gzip data. Send what `npm pack` writes.") from None
            self._pending = self._inflate.unconsumed_tail
        self._produced += len(self._buffer)
        if self._produced > self._most:
            raise TooLarge(f"The tarball unpacks to more than {self._most:,} bytes. Publish a smaller package.")
        return True


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder as the archive names it. `size` in bytes, 0 for a folder."""

    path: bytes
    size: int
    is_folder: bool


class TarReader:
    """Iterates over the entries of an archive; between two steps, `read` gives the content."""

    def __init__(self, stream: Gunzip, most_headers: int) -> None:
        """`most_headers`: how many header blocks are read, those that extend others included."""
        self._stream = stream
        self._left = 0
        self._headers_left = most_headers
        self._metadata_left = _MAX_ALL_METADATA

    def read(self, most: int) -> bytes:
        """Up to `most` bytes more of the entry that the iteration stands at."""
        wanted = min(most, self._left)
        data = self._stream.take(wanted)
        if len(data) < wanted:
            raise _cut_off()
        self._left -= wanted
        return data

    def __iter__(self) -> Iterator[Entry]:
        """Every file and folder; raises `Invalid` for anything else, and where the archive is broken."""
        long_name: bytes | None = None
        extended: dict[bytes, bytes] | None = None
        while block := self._stream.take(BLOCK):
            if not block.strip(b"\0"):
                if not self._stream.only_zeros_left():
                    raise Invalid("The tarball has data after the end of its archive. Pack it again.")
                break
            if len(block) < BLOCK:
                raise _cut_off()
            self._headers_left -= 1
            if self._headers_left < 0:
                raise TooLarge("The tarball has too many headers. Publish a smaller package.")
            header = _Header.parse(block)
            if header.type == b"g":
                _check_global(_records(self._metadata(header)))
            elif header.type == b"x" and extended is None:
                extended = _records(self._metadata(header))
            elif header.type == b"L" and long_name is None:
                long_name = self._metadata(header).rstrip(b"\0")
            elif header.type in (b"x", b"L"):
                raise Invalid("The tarball has two extended headers for one entry. Pack it again.")
            else:
                yield self._entry(header, extended or {}, long_name)
                if not self._stream.skip(self._left + -header.size % BLOCK):
                    raise _cut_off()
                extended = long_name = None
        if extended is not None or long_name is not None:
            raise _cut_off()

    def _metadata(self, header: _Header) -> bytes:
        if header.size > _MAX_METADATA:
            raise Invalid("The tarball has an extended header of more than 1 MiB. Pack it again.")
        self._metadata_left -= header.size
        if self._metadata_left < 0:
            raise TooLarge("The tarball has extended headers of more than 16 MiB. Publish a smaller package.")
        self._left = header.size
        data = self.read(header.size)
        if not self._stream.skip(-header.size % BLOCK):
            raise _cut_off()
        return data

    def _entry(self, header: _Header, extended: dict[bytes, bytes], long_name: bytes | None) -> Entry:
        path = extended.get(b"path", header.path if long_name is None else long_name)
        shown = quoted(path.decode("utf-8", "replace"))
        if long_name is not None and path != long_name:
            raise Invalid(f"The tarball gives the entry {shown} two names. Pack it again.")
        kind = _FORBIDDEN_TYPES.get(header.type)
        if any(key.startswith(b"GNU.sparse.") for key in extended):
            kind = "a sparse file"
        elif b"linkpath" in extended:
            kind = "a link"
        elif header.type not in (b"0", b"\0", b"5"):
            kind = kind or "of a type that packages do not hold"
        if kind is not None:
            raise Invalid(f"The tarball entry {shown} is {kind}. A package holds only files and folders.")
        if b"size" in extended and extended[b"size"] != b"%d" % header.size:
            raise Invalid(f"The tarball gives the entry {shown} two sizes. Pack it again.")
        is_folder = header.type == b"5" or path.endswith(b"/")
        if is_folder and header.size:
            raise Invalid(f"The tarball entry {shown} is a folder with content. Pack it again.")
        self._left = header.size
        return Entry(path, header.size, is_folder)


@dataclass(frozen=True, slots=True)
class _Header:
    """One header block: what of it counts here."""

    path: bytes
    size: int
    type: bytes

    @classmethod
    def parse(cls, block: bytes) -> _Header:
        checksum = sum(block) - sum(block[148:156]) + 8 * 0x20
        if _number(block[148:156]) != checksum:
            raise Invalid("The tarball is damaged: the checksum of an entry is wrong. Pack it again.")
        path = _text(block[:100])
        prefix = _text(block[345:500])
        # GNU's magic ("ustar ") and the older formats keep other things where POSIX has the prefix
        if block[257:263] == b"ustar\0" and prefix:
            if block[263:265] != b"00":
                raise Invalid("The tarball is of an unknown ustar version. Pack it again.")
            path = prefix + b"/" + path
        return cls(path, _number(block[124:136]), block[156:157])


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """A number as tar writes it: octal digits, or base 256 where the first byte is 0x80."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise Invalid("The tarball is damaged: a number in a header is wrong. Pack it again.")
    return int(match.group(1) or b"0", 8)


def _records(body: bytes) -> dict[bytes, bytes]:
    """The `key=value` records of a PAX extended header, each led by its own length."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(body):
        length = _RECORD_LENGTH.match(body, at)
        end = at + int(length.group(1)) if length else 0
        record = body[length.end() : end] if length else b""
        key, equals, value = record[:-1].partition(b"=")
        if not key or not equals or end > len(body) or record[-1:] != b"\n":
            raise Invalid("The tarball is damaged: an extended header is wrong. Pack it again.")
        if key in found and key in (b"path", b"size"):
            raise Invalid(f"The tarball gives an entry its {key.decode()} twice. Pack it again.")
        if key == b"hdrcharset" and value not in _CHARACTER_SETS:
            raise Invalid("The tarball declares a character set of its own. Pack it with names in UTF-8.")
        found[key] = value
        at = end
    return found


def _check_global(records: dict[bytes, bytes]) -> None:
    """A global header may carry a comment (git writes one), but nothing that alters the entries."""
    if not records.keys().isdisjoint({b"path", b"size", b"linkpath"}) or any(
        key.startswith(b"GNU.sparse.") for key in records
    ):
        raise Invalid("The tarball has a global header that renames or resizes entries. Pack it again.")


def _cut_off() -> Invalid:
    return Invalid("The tarball is cut off: its archive ends too early. Pack it again.")
