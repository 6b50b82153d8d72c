"""How reads, searches and publishes grow with the registry: `python -m bench.growth`.

Packages are written into the database as `bench.search` makes them; versions of one package are published over HTTP.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import corpus, report, search, wire
from bench.peers import ABBREVIATED, Twokey
from twokey.db import migrate
from twokey.db.engine import Database

ASKED = 200
PACKAGES = (1_000, 10_000, 100_000, 1_000_000)
VERSIONS = (1, 10, 100, 290, 1_000, 5_000)
PROBES = 9


def main() -> None:
    """Measures both, prints, and writes the document where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--most-packages", type=int, default=PACKAGES[-1])
    parser.add_argument("--most-versions", type=int, default=VERSIONS[-1])
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    chosen = parser.parse_args()
    lines = ["| packages | packument, first read, ms | again, ms | search for a name, ms | publish, ms | database |",
             "| ---: | ---: | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for count in (each for each in PACKAGES if each <= chosen.most_packages):
        lines.append(packages(count))
        print(lines[-1], file=sys.stderr)
    lines += ["", "| versions before | publish of one more, ms | first read after, ms |", "| ---: | ---: | ---: |"]
    for row in versions([each for each in VERSIONS if each <= chosen.most_versions]):
        lines.append(row)
        print(row, file=sys.stderr)
    text = "\n".join(lines)
    print(text)
    if chosen.write:
        report.write("growth", text)


def packages(count: int) -> str:
    """The row of a registry with so many packages."""
    with tempfile.TemporaryDirectory(prefix="twokey-bench-") as name:
        server = Twokey(Path(name), {"TWOKEY_READ": "public"})
        data = server.folder / "data"
        data.mkdir(mode=0o700)
        database = Database(f"sqlite:///{data}/twokey.db")
        migrate.upgrade(database)
        search.fill(database, count)
        database.dispose()
        asked = [str(each["name"]) for each in search.packages(ASKED) if not each["restricted"]]
        with server:
            server.sign_up()
            connection = wire.Connection(server.port)
            first = [_milliseconds(connection, "/" + each.replace("/", "%2f")) for each in asked]
            again = [_milliseconds(connection, "/" + each.replace("/", "%2f")) for each in asked]
            searches = [_milliseconds(connection, f"/-/v1/search?text={each}") for each in asked[:50]]
            connection.close()
            published = [_publish(server, corpus.release("grown", f"1.0.{each}")) for each in range(PROBES)]
        size = (data / "twokey.db").stat().st_size / 1024 / 1024
        figures = " | ".join(f"{statistics.median(each):.2f}" for each in (first, again, searches, published))
        return f"| {count:,} | {figures} | {size:,.0f} MB |"


def versions(counts: Sequence[int]) -> Iterator[str]:
    """A row for each number of versions that one package has."""
    with tempfile.TemporaryDirectory(prefix="twokey-bench-") as name, Twokey(Path(name)) as server:
        server.sign_up()
        releases = corpus.big_releases(max(counts) + PROBES * len(counts))
        reader = wire.Connection(server.port, server.token)
        published = 0
        for count in counts:
            while published < count:
                _publish(server, next(releases))
                published += 1
            found: list[tuple[float, float]] = []
            for _ in range(PROBES):
                took = _publish(server, next(releases))
                published += 1
                found.append((took, _milliseconds(reader, f"/{corpus.BIG}")))
            yield (
                f"| {count:,} | "
                + " | ".join(f"{statistics.median(each):.2f}" for each in zip(*found, strict=True))
                + " |"
            )
        reader.close()


def _publish(server: Twokey, release: corpus.Release) -> float:
    """One publish: how long it took, in ms. Its CPU is less than the kernel's clock tells: see `bench.publish`."""
    body = release.body()
    connection = wire.Connection(server.port, server.token)
    began = time.perf_counter()
    server.publish(connection, body, release.name)
    took = time.perf_counter() - began
    connection.close()
    return took * 1000


def _milliseconds(connection: wire.Connection, path: str) -> float:
    began = time.perf_counter()
    answer = connection.request("GET", path, headers={"accept": ABBREVIATED, "accept-encoding": "gzip"})
    if answer.status != 200:
        raise AssertionError(f"{path}: {answer.status} {answer.body[:200]!r}")
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
