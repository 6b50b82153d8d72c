"""What a publish costs: time, memory and the longest stall of the event loop: `python -m bench.publish`.

One server, watched (`bench.watched`): one upload of each size, eight of 20 MB at once, the deprecation of every version
of a package that has thousands, and publishes onto that package, whose versions are written into the database.
Memory is the highest resident size during the uploads less the size before; a stall stands beside the longest one of an
idle moment as long, for a busy machine has those, too. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import insert, select

from bench import corpus, processes, report, wire
from bench.peers import Twokey
from bench.watched import PATH
from twokey.db import schema
from twokey.db.engine import Database

MIB = 1024 * 1024
SIZES = (1, 20, 100)
TOGETHER, PROBES = 8, 40
HEAD = "| | ms | server CPU, ms | memory above idle, MiB | longest stall, ms | idle, ms |"
RULE = "| --- | ---: | ---: | ---: | ---: | ---: |"


class Watched(Twokey):
    """twokey with a watch over its event loop."""

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """The same settings, another module."""
        command, settings = super().command()
        return [command[0], "-m", "bench.watched"], {**settings, "PYTHONPATH": f"{settings['PYTHONPATH']}:{Path.cwd()}"}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("--versions", type=int, default=corpus.BIG_VERSIONS)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="twokey-bench-") as name, Watched(Path(name)) as server:
        server.sign_up()
        _publish(server, corpus.release("warm", "1.0.0", 2 * MIB))
        lines = [HEAD, RULE]
        for size in SIZES:
            release = corpus.release(f"size-{size}", "1.0.0", size * MIB)
            lines.append(row(server, f"one upload of {size} MB", [_publishing(server, release)]))
        for turn in ("first", "second"):  # in the first the server's threads are made
            several = [corpus.release(f"{turn}-{number}", "1.0.0", 20 * MIB) for number in range(TOGETHER)]
            uploads = [_publishing(server, each) for each in several]
            lines.append(row(server, f"{TOGETHER} uploads of 20 MB, {turn} time", uploads))
        lines += onto_many(server, chosen.versions)
    text = "\n".join(lines)
    print(text)
    if chosen.write:
        report.write("publish", text)


def onto_many(server: Watched, count: int) -> list[str]:
    """The lines of publishes onto a package that has `count` versions, and of their deprecation."""
    releases = corpus.big_releases(count + PROBES + 1)
    _publish(server, next(releases))
    fill(server.folder / "data" / "twokey.db", count)
    for _ in range(count - 1):
        next(releases)
    found = [_timed(server, [_publishing(server, next(releases))]) for _ in range(PROBES)]
    times, cpus = zip(*found, strict=True)
    title = f"publish onto {count:,} versions: median of {PROBES}, CPU their mean"
    publishes = f"| {title} | {statistics.median(times):.1f} | {statistics.mean(cpus):.1f} | | | |"
    connection = wire.Connection(server.port, server.token)
    changed = connection.request("GET", f"/{corpus.BIG}?write=true").json
    for manifest in changed["versions"].values():
        manifest["deprecated"] = "use another"
    body = json.dumps(changed).encode()
    put = lambda: server.publish(connection, body, corpus.BIG)  # noqa: E731
    deprecation = row(server, f"deprecation of all of them, {len(body) // MIB} MiB", [put])
    connection.close()
    return [publishes, deprecation]


def fill(path: Path, count: int) -> None:
    """Gives the big package its versions, but for the first, as publishes of them would have stored them."""
    database = Database(f"sqlite:///{path}")
    with database.write() as connection:
        package = connection.execute(select(schema.Package.id).where(schema.Package.name == corpus.BIG)).scalar_one()
        stored = connection.execute(select(schema.Version.__table__).where(schema.Version.package_id == package))
        first = dict(stored.mappings().one())
        del first["id"]
        rows = []
        for number in range(1, count):
            version = f"{number // 100}.{number % 100}.0"
            texts = {each: first[each].replace('"0.0.0"', f'"{version}"') for each in ("manifest", "abbreviated")}
            rows.append({**first, **texts, "version": version})
        connection.execute(insert(schema.Version), rows)
    database.dispose()


def row(server: Watched, title: str, work: Sequence[Callable[[], None]]) -> str:
    """One line of the table: the pieces of `work` at once."""
    pid = server.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")  # the highest size begins anew
    before = processes.highest_memory(pid)
    _lateness(server)
    took, cpu = _timed(server, work)
    stall, memory = _lateness(server), processes.highest_memory(pid) - before
    time.sleep(took / 1000)
    idle = _lateness(server)
    return f"| {title} | {took:.0f} | {cpu:.0f} | {memory / MIB:.1f} | {stall:.1f} | {idle:.1f} |"


def _timed(server: Watched, work: Sequence[Callable[[], None]]) -> tuple[float, float]:
    """How long it took, and the server's CPU, in ms."""
    threads = [threading.Thread(target=each) for each in work]
    used, began = processes.cpu_seconds(server.pid), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    return took * 1000, (processes.cpu_seconds(server.pid) - used) * 1000


def _publishing(server: Watched, release: corpus.Release) -> Callable[[], None]:
    body = release.body()

    def publish() -> None:
        connection = wire.Connection(server.port, server.token)
        server.publish(connection, body, release.name)
        connection.close()

    return publish


def _publish(server: Watched, release: corpus.Release) -> None:
    _publishing(server, release)()


def _lateness(server: Watched) -> float:
    return float(wire.once(server.port, PATH, server.token).body)


if __name__ == "__main__":
    main()
