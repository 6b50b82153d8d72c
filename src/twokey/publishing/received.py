"""A tarball that arrived: its bytes lie in the blob store under no name yet, hashed on their way there."""

from __future__ import annotations

import binascii
import hashlib
from typing import BinaryIO

import pybase64

from twokey.blobs.store import Blobs
from twokey.errors import TooLarge
from twokey.publishing.tarball import Digests, TarballLimits

BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


class Received:
    """The bytes of one tarball, decoded and hashed piece by piece, in bounded memory.

    Whoever made it ends it with `close`, also after `keep`.
    """

    def __init__(self, blobs: Blobs, limits: TarballLimits) -> None:
        """Takes room in `blobs` at once."""
        self.size = 0
        self._incoming = blobs.receive()
        self._limits = limits
        self._sha1, self._sha512 = hashlib.sha1(usedforsecurity=False), hashlib.sha512()
        self._rest = b""  # of a group of four characters
        self._sound, self._ended = True, False

    def add(self, data: bytes) -> None:
        """Adds bytes of the tarball. Raises TooLarge as soon as it has more than its limit."""
        self.size += len(data)
        if self.size > self._limits.tarball_bytes:
            raise TooLarge(self._limits.sentence)
        self._sha1.update(data)
        self._sha512.update(data)
        self._incoming.write(data)

    def add_base64(self, text: bytes) -> bool:
        """Adds bytes as a piece of base64, cut anywhere. False, with nothing done, where that makes no good base64."""
        text = self._rest + text
        whole = len(text) // 4 * 4
        if not self._sound or (self._ended and text) or text[whole:].strip(BASE64):  # padding ends it
            return False
        try:
            data = pybase64.b64decode(text[:whole], validate=True)
        except (binascii.Error, ValueError):
            return False
        self._rest = text[whole:]
        self._ended = text[:whole].endswith(b"=")
        self.add(data)
        return True

    def spoil(self) -> None:
        """What came is no base64."""
        self._sound = False

    @property
    def is_sound(self) -> bool:
        """Whether everything that came was good base64, and whole."""
        return self._sound and not self._rest

    @property
    def digests(self) -> Digests:
        """The digests of what came."""
        return Digests(self._sha1.hexdigest(), self._sha512.digest())

    @property
    def stream(self) -> BinaryIO:
        """The bytes, to be read from any place."""
        return self._incoming.stream

    def keep(self) -> None:
        """Makes the bytes a blob under their sha512, durably; again where gc has taken it since."""
        self._incoming.keep(self._sha512.hexdigest())

    def close(self) -> None:
        """Ends it: bytes that were not kept are gone. May be called again."""
        self._incoming.discard()


def received(blobs: Blobs, data: bytes, limits: TarballLimits) -> Received:
    """A tarball that is in memory already, on the way that large ones go. Raises TooLarge."""
    made = Received(blobs, limits)
    try:
        made.add(data)
    except BaseException:
        made.close()
        raise
    return made
