"""The only one who speaks HTTP to upstream: bounded in time and size, and nowhere that `egress.py` does not allow.

No header of a client goes on but what we ask for ourselves; no cookie, no credential, no proxy that the settings do not
name. Addresses are made of parsed names.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from twokey.errors import ConfigurationError, UpstreamFailed
from twokey.packages.names import PackageName
from twokey.upstream.egress import Egress, Place, inner
from twokey.upstream.waiting import CHUNK, PAUSES

MOST_REDIRECTS = 3
CONNECT_SECONDS, SILENCE_SECONDS, DOCUMENT_SECONDS = 5, 8, 30
MOST_DOCUMENT = 64 * 1024 * 1024  # bytes, unpacked; the largest that was met is a third of it
MOST_CONNECTIONS = 64
JSON = "application/json"
_REDIRECTS = (301, 302, 303, 307, 308)
_AWAY = "Upstream cannot be reached"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as upstream sent it; `body` is None where upstream said that the one with our etag still holds."""

    body: bytes | None
    etag: str | None


class Client:
    """A client of one upstream. Everything here runs on the event loop."""

    def __init__(self, address: str, egress: Egress, agent: str, ca: Path | None = None, proxy: str | None = None):
        """`address` without a slash at its end; `ca`: a PEM file of certificates to trust beside the system's.

        Raises ConfigurationError where that file cannot be used.
        """
        self.address = address
        self._egress = egress
        self._agent = agent
        self._proxy = proxy
        self._open: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}
        self._tls = ssl.create_default_context()
        if ca is not None:
            try:
                self._tls.load_verify_locations(ca)
            except OSError as error:  # ssl.SSLError among them
                raise ConfigurationError(f"TWOKEY_UPSTREAM_CA={str(ca)!r} cannot be used: {error}.") from error

    async def close(self) -> None:
        """Closes the connections of this event loop."""
        session = self._open.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    async def document(self, name: PackageName, etag: str | None = None) -> Fetched | None:
        """The document of a package, None where upstream has none. Raises UpstreamFailed."""
        return await self.json(name.escaped, etag)

    async def json(self, path: str, etag: str | None = None) -> Fetched | None:
        """What is at `path` of upstream, asked up to three times. Raises UpstreamFailed."""
        try:
            async with asyncio.timeout(DOCUMENT_SECONDS):
                for pause in PAUSES:
                    try:
                        return await self._json(path, etag)
                    except UpstreamFailed as error:
                        if not error.passing:
                            raise
                        await asyncio.sleep(pause)
                return await self._json(path, etag)
        except TimeoutError:
            raise UpstreamFailed(f"Upstream took longer than {DOCUMENT_SECONDS} seconds.", passing=True) from None

    async def _json(self, path: str, etag: str | None) -> Fetched | None:
        async with self.get(path, JSON, etag) as response:
            if response.status in (404, 410):
                return None
            if response.status == 304 and etag is not None:
                return Fetched(None, etag)
            parts, size = [], 0
            async for part in response.content.iter_chunked(CHUNK):
                size += len(part)
                if size > MOST_DOCUMENT:
                    response.close()  # what else it has to say is not listened to
                    raise UpstreamFailed(f"What upstream sent is larger than {MOST_DOCUMENT} bytes: it was not kept.")
                parts.append(part)
            return Fetched(b"".join(parts), response.headers.get("etag"))

    @asynccontextmanager
    async def get(self, path: str, accept: str, etag: str | None = None) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer at `path` of upstream, after at most three redirects: 200, 304, 404 or 410.

        Raises UpstreamFailed for every other, and for what happens while it is read.
        """
        headers = {"accept": accept, "accept-encoding": "gzip" if accept == JSON else "identity"}
        if etag is not None:
            headers["if-none-match"] = etag
        address = f"{self.address}/{path}"
        try:
            for _ in range(MOST_REDIRECTS + 1):
                self._egress.check(address)
                async with self._session().get(
                    URL(address, encoded=True), headers=headers, allow_redirects=False, proxy=self._proxy
                ) as response:
                    if response.status not in _REDIRECTS:
                        yield _looked_at(response)
                        return
                    address = urljoin(address, response.headers.get("location", ""))
            raise UpstreamFailed(f"Upstream redirects more than {MOST_REDIRECTS} times.")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UpstreamFailed(f"{_AWAY}: {_reason(error)}.", passing=True) from error

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if loop not in self._open:
            connector = aiohttp.TCPConnector(
                limit=MOST_CONNECTIONS, ssl=self._tls, resolver=_CheckedResolver(self._egress)
            )
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
            self._open[loop] = aiohttp.ClientSession(
                connector=connector, timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": self._agent}, read_bufsize=CHUNK,
            )  # fmt: skip
        return self._open[loop]


class _CheckedResolver(AbstractResolver):
    """Resolves a name once, and refuses one with an inner address that nobody listed.

    The connector connects to the addresses that this gives, so that nothing is resolved again in between.
    """

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises UpstreamFailed where one of them may not be connected to."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        addresses = [(kind, protocol, str(where[0])) for kind, _, protocol, _, where in found]
        if not self._egress.allows(Place(host.rstrip(".").lower(), port), [address for _, _, address in addresses]):
            raise inner(host)
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, protocol, address in addresses
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


def _looked_at(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    if response.status in (200, 304, 404, 410):
        return response
    raise UpstreamFailed(f"Upstream answered with the error {response.status}.", passing=response.status >= 500)


def _reason(error: Exception) -> str:
    """What happened, without addresses: those are the operator's, and stand in the log."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        return "its certificate is not trusted (see TWOKEY_UPSTREAM_CA)"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "there is no connection to it"
    return "its answer breaks off, or is no HTTP"
