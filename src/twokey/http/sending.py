"""A file on its way to a client without passing through this process: `sendfile` on a duplicate of its socket.

uvloop has no `sendfile` of its own, and watches the socket for its transport; a duplicate of the descriptor can be
watched beside it. Whoever uses this sees to it that the transport writes nothing meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

CHUNK = 256 * 1024
TURN = 1024 * 1024  # bytes until others have their turn
MORE = getattr(socket, "MSG_MORE", 0)  # Linux: the head waits for the first bytes of the file


class FileSending:
    """One answer with a file as its body."""

    def __init__(
        self, transport: asyncio.Transport, path: Path, length: int, head: bytes, done: Callable[[bool], None]
    ) -> None:
        """Opens what it needs. `done` is told whether all was sent. Raises OSError where the file cannot be opened."""
        self._done = done
        self._head = memoryview(head)
        self._offset, self._length = 0, length
        self._watched = False
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if hasattr(os, "posix_fadvise"):  # the disk reads ahead, so that no other request waits for it
                os.posix_fadvise(self._file, 0, length, os.POSIX_FADV_WILLNEED)
            self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        except BaseException:
            os.close(self._file)
            raise

    @property
    def sent(self) -> int:
        """How many bytes of the file were sent."""
        return self._offset

    def proceed(self) -> None:
        """Sends as much as the socket takes now, and goes on when it takes more."""
        try:
            self._send()
        except BlockingIOError:
            pass
        except OSError:  # the client is gone
            self._end(False)
            return
        if self._offset == self._length and not self._head:
            self._end(True)
        elif not self._watched:
            self._watched = True
            asyncio.get_running_loop().add_writer(self._socket.fileno(), self.proceed)

    def abandon(self) -> None:
        """Ends it: the connection is lost."""
        self._end(False)

    def _send(self) -> None:
        while self._head:
            self._head = self._head[self._socket.send(self._head, MORE) :]
        end = min(self._length, self._offset + TURN)
        while self._offset < end:
            sent = os.sendfile(self._socket.fileno(), self._file, self._offset, min(CHUNK, end - self._offset))
            if sent == 0:
                raise OSError("the file is shorter than it was")
            self._offset += sent

    def _end(self, whole: bool) -> None:
        if self._file < 0:
            return
        if self._watched:
            asyncio.get_running_loop().remove_writer(self._socket.fileno())
        self._socket.close()
        os.close(self._file)
        self._file = -1
        self._done(whole)
