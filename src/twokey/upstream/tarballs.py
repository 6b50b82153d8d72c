"""The tarballs of upstream's packages, handed on while they are stored.

The last block is held back until the whole has the digest that the document names, so that wrong bytes never arrive
whole and are never kept (security.md 2.8). However many clients wait for one, it is fetched once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from twokey.errors import UpstreamFailed
from twokey.packages.names import PackageName
from twokey.upstream.document import KeptVersion
from twokey.upstream.storage import Storage, hasher, is_digest_of
from twokey.upstream.waiting import CHUNK, PATIENCE_SECONDS, PAUSES

if TYPE_CHECKING:
    from twokey.upstream.client import Client

HELD_BACK = 64 * 1024  # bytes, until the digest is right; a tarball that is shorter comes as a whole, or not at all
WHOLE_UP_TO = 1024 * 1024  # bytes up to which an answer waits for the whole, so that a failure has a sentence
MOST_TARBALL = 1024 * 1024 * 1024
MOST_SECONDS = 1800
WRITING_AT_ONCE = 8
OCTETS = "application/octet-stream"
log = logging.getLogger("twokey.upstream")


class Passing:
    """A tarball on its way from upstream to the disk, and to every client that waits for it."""

    def __init__(self, path: Path) -> None:
        """`path` is where it is being written."""
        self.path = path
        self.length: int | None = None  # as upstream announced it
        self.error: Exception | None = None
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._written = 0
        self._whole = False
        self._news = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether an answer can begin: all is there, or so much that there is no point in waiting."""
        return self._whole or self.error is not None or self._written > WHOLE_UP_TO

    @property
    def begun(self) -> bool:
        """Whether there is anything that may be handed on."""
        return self._whole or self._written > HELD_BACK

    @property
    def news(self) -> asyncio.Event:
        """Set at the next change."""
        return self._news

    def add(self, data: bytes) -> None:
        """Writes the next bytes. In a worker thread, of the writer alone."""
        os.pwrite(self._descriptor, data, self._written)

    def added(self, size: int) -> None:
        """Tells that so many bytes more are written."""
        self._written += size
        self._tell()

    def start_over(self) -> None:
        """Forgets what was written: nothing of it was handed on."""
        os.ftruncate(self._descriptor, 0)
        self._written = 0

    def end(self, error: Exception | None = None) -> None:
        """Tells that the whole is there and right, or why it will never be."""
        self.error, self._whole = error, error is None
        if self._whole:
            self.length = self._written
        else:
            self.path.unlink(missing_ok=True)
        self._tell()

    def __del__(self) -> None:
        """The bytes stay there as long as anybody may read them, wherever the file is meanwhile."""
        os.close(self._descriptor)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes from the first on, as far as they may be handed on. Raises what ended it before its end."""
        place = 0
        while True:
            news = self._news
            while place < (end := self._written if self._whole else self._written - HELD_BACK):
                data = await anyio.to_thread.run_sync(os.pread, self._descriptor, min(CHUNK, end - place), place)
                place += len(data)
                yield data
            if isinstance(self.error, UpstreamFailed):
                raise self.error
            if self.error is not None:
                raise UpstreamFailed("What came from upstream could not be stored here.") from self.error
            if self._whole:
                return
            await news.wait()

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Tarballs:
    """Fetches tarballs, each once at a time."""

    def __init__(self, client: Client, storage: Storage) -> None:
        """Asks `client`, keeps in `storage`."""
        self._client = client
        self._storage = storage
        self._flights: dict[str, tuple[Passing, asyncio.Task[None]]] = {}
        self._writers: anyio.CapacityLimiter | None = None

    async def fetch(self, name: PackageName, version: str, kept: KeptVersion) -> Passing:
        """The tarball, as soon as an answer with it can begin. Raises UpstreamFailed where none will, and OSError."""
        key = kept.integrity
        if key not in self._flights:
            passing = Passing(self._storage.temporary())
            task = asyncio.create_task(self._run(passing, name, version, kept))
            self._flights[key] = passing, task
        passing, _ = self._flights[key]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not passing.ready:
                    await passing.news.wait()
        except TimeoutError:
            if not passing.begun:
                raise UpstreamFailed(
                    f"Upstream is slow: nothing of {name}@{version} came in {PATIENCE_SECONDS:.0f} seconds. "
                    "Try again in a moment."
                ) from None
        if passing.error is not None:
            raise passing.error
        return passing

    def stop(self) -> None:
        """Gives up everything that is under way."""
        for _, task in self._flights.values():
            task.cancel()

    async def _run(self, passing: Passing, name: PackageName, version: str, kept: KeptVersion) -> None:
        error: Exception | None = None
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._fetch(passing, name, version, kept)
        except TimeoutError:
            error = UpstreamFailed(f"Upstream took longer than {MOST_SECONDS} seconds for {name}@{version}.")
        except Exception as failed:  # whatever it was, those who wait are told
            error = failed
        except BaseException:
            passing.end(UpstreamFailed("The server stops."))
            raise
        finally:
            self._flights.pop(kept.integrity, None)
        if error is not None:
            log.warning("%s@%s: %s", name, version, error)
        passing.end(error)

    async def _fetch(self, passing: Passing, name: PackageName, version: str, kept: KeptVersion) -> None:
        """Tries again as long as nothing was handed on."""
        for pause in PAUSES:
            try:
                await self._attempt(passing, name, version, kept)
                return
            except UpstreamFailed as error:
                if not error.passing or passing.begun:
                    raise
            await asyncio.sleep(pause)
            passing.start_over()
        await self._attempt(passing, name, version, kept)

    async def _attempt(self, passing: Passing, name: PackageName, version: str, kept: KeptVersion) -> None:
        digest, size = hasher(kept.integrity), 0

        def take(data: bytes) -> None:
            digest.update(data)
            passing.add(data)

        async with self._client.get(f"{name.full}/-/{kept.file}", OCTETS) as response:
            if response.status != 200:
                raise UpstreamFailed(f"Upstream lists {name}@{version}, but does not have its tarball.")
            if "content-encoding" not in response.headers:
                passing.length = response.content_length
            async for part in response.content.iter_chunked(CHUNK):
                size += len(part)
                if size > MOST_TARBALL:
                    response.close()
                    raise UpstreamFailed(f"The tarball of {name}@{version} is larger than {MOST_TARBALL} bytes.")
                await self._thread(partial(take, part))
                passing.added(len(part))
        if not is_digest_of(digest, kept.integrity):
            raise UpstreamFailed(
                f"What upstream sent for {name}@{version} is not what its document names (the digest differs): nothing "
                "of it was kept. Tell the operator if this stays so."
            )
        await self._thread(partial(self._storage.adopt, passing.path, kept.integrity))

    async def _thread(self, work: Callable[[], None]) -> None:
        if self._writers is None:  # it belongs to a running event loop
            self._writers = anyio.CapacityLimiter(WRITING_AT_ONCE)
        await anyio.to_thread.run_sync(work, limiter=self._writers)
