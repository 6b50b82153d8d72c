"""What is measured: each scenario asks every server the same thing, round after round."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import corpus, load, wire
from bench.load import Cell
from bench.peers import ABBREVIATED, Nginx, Peer

SECONDS, CONNECTIONS = 2.0, 16
PACKED = {"accept": ABBREVIATED, "accept-encoding": "gzip,deflate"}
PLAIN = {"accept": ABBREVIATED}


@dataclass(frozen=True, slots=True)
class Reading:
    """GETs of some paths, over and over. `unchanged`: with the etag that the server gave, for a 304."""

    title: str
    names: Sequence[str]
    headers: Mapping[str, str]
    connections: int = CONNECTIONS
    unchanged: bool = False
    tarball: bool = False
    search: bool = False

    def measure(self, peer: Peer, folder: Path) -> Cell:
        """One round with one server."""
        paths, headers = self._paths(peer), dict(self.headers)
        first = wire.once(peer.port, paths[0], peer.token, headers)
        if first.status != 200:
            raise AssertionError(f"{peer.name} answers {first.status} for {paths[0]}")
        if self.unchanged:
            headers["if-none-match"] = first.headers["etag"]
            paths = paths[:1]
            again = wire.once(peer.port, paths[0], peer.token, headers)
            if again.status != 304:
                raise AssertionError(f"{peer.name} answers {again.status} in place of 304")
        return load.reads(peer, paths, headers, connections=self.connections, seconds=SECONDS, folder=folder)

    def serves(self, peer: Peer) -> bool:
        """Whether the server has this at all."""
        return not (self.search and isinstance(peer, Nginx))

    def _paths(self, peer: Peer) -> list[str]:
        if self.search:
            return [f"/-/v1/search?text={name}&size=20" for name in self.names]
        if self.tarball:
            releases = [corpus.release(name, "1.0.0", corpus.TARBALLS[name]) for name in self.names]
            return [peer.tarball_path(each) for each in releases]
        return ["/" + name for name in self.names]


@dataclass(slots=True)
class Publishing:
    """Versions of `size` bytes, never the same twice, from so many clients."""

    title: str
    size: int
    clients: int
    count: int
    _made: int = field(default=0)

    def measure(self, peer: Peer, folder: Path) -> Cell:
        """One round with one server. The bodies are made before the clock runs."""
        return load.publishes(peer, self.bodies(peer), clients=self.clients)

    def serves(self, peer: Peer) -> bool:
        """Whether the server takes publishes."""
        return not isinstance(peer, Nginx)

    def bodies(self, peer: Peer) -> list[tuple[str, bytes]]:
        """Names and documents. Each server is given the same number, of versions that nobody has yet."""
        made = []
        for _ in range(self.count):
            self._made += 1
            name = f"published-{self.size}-{self.clients}-{self._made % 20}"
            made.append((name, corpus.release(name, f"1.0.{self._made}", self.size).body()))
        return made


@dataclass(slots=True)
class ReadingBesidePublishes:
    """Small packuments over 8 connections, while one client publishes 20 MB after 20 MB; p99 is what counts."""

    title: str
    publishing: Publishing

    def measure(self, peer: Peer, folder: Path) -> Cell:
        """One round with one server."""
        small = Reading(self.title, corpus.small_names(), PACKED, connections=8)
        with _beside(peer, self.publishing.bodies(peer)):
            return small.measure(peer, folder)

    def serves(self, peer: Peer) -> bool:
        """Whether the server takes publishes."""
        return self.publishing.serves(peer)


@contextmanager
def _beside(peer: Peer, bodies: Sequence[tuple[str, bytes]]) -> Iterator[None]:
    ended, failed = threading.Event(), []

    def work() -> None:
        connection = wire.Connection(peer.port, peer.token)
        try:
            for name, body in bodies:
                if ended.is_set():
                    return
                peer.publish(connection, body, name)
        except (AssertionError, OSError) as error:
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


Scenario = Reading | Publishing | ReadingBesidePublishes


def scenarios(*, big: bool = True) -> list[Scenario]:
    """All of them, reads first: publishes change what is read."""
    small, mid = corpus.small_names(), [corpus.MID]
    reads: list[Scenario] = [
        Reading("packument, small, plain", small, PLAIN),
        Reading("packument, small, gzip", small, PACKED),
        Reading("304, small", small, PACKED, unchanged=True),
        Reading("packument, 290 versions, plain", mid, PLAIN),
        Reading("packument, 290 versions, gzip", mid, PACKED),
    ]
    if big:
        reads += [
            Reading("packument, 5,000 versions, plain", [corpus.BIG], PLAIN, connections=2),
            Reading("packument, 5,000 versions, gzip", [corpus.BIG], PACKED, connections=2),
            Reading("304, 5,000 versions", [corpus.BIG], PACKED, unchanged=True, connections=2),
        ]
    return [
        *reads,
        Reading("tarball, 10 KB", ["tar10k"], {}, tarball=True),
        Reading("tarball, 1 MB", ["tar1m"], {}, tarball=True),
        Reading("tarball, 20 MB", ["tar20m"], {}, tarball=True, connections=4),
        Reading("search", ["small", "bench", "small-17", "registry"], {}, search=True, connections=1),
        Publishing("publish, 10 KB, 1 client", 10 * corpus.KIB, 1, 60),
        Publishing("publish, 10 KB, 8 clients", 10 * corpus.KIB, 8, 120),
        Publishing("publish, 1 MB, 1 client", corpus.MIB, 1, 20),
        Publishing("publish, 1 MB, 8 clients", corpus.MIB, 8, 40),
        Publishing("publish, 20 MB, 1 client", 20 * corpus.MIB, 1, 4),
        Publishing("publish, 20 MB, 8 clients", 20 * corpus.MIB, 8, 8),
        ReadingBesidePublishes("packument, small, beside 20 MB publishes", Publishing("", 20 * corpus.MIB + 1, 1, 12)),
    ]
