"""What stands beside the rates: start-up, memory, and a cold `npm install` of the 200 small packages."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import clients

from bench import corpus, processes
from bench.peers import Nginx, Peer
from bench.scenarios import PACKED, Reading

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every server: the median of its rounds."""

    title: str
    figures: Mapping[str, float]
    unit: str


def rows(peers: Sequence[Peer], rounds: int, folder: Path) -> list[Row]:
    """Starts each server anew `rounds` times, then installs from each."""
    starts: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            peer.stop()
            starts[peer.name].append(peer.start())
    idle = {peer.name: processes.memory(peer.pid) / MIB for peer in peers}
    small = Reading("", corpus.small_names(), PACKED)
    under_load = {}
    for peer in peers:
        small.measure(peer, folder)
        under_load[peer.name] = processes.memory(peer.pid) / MIB
    seconds: dict[str, list[float]] = {peer.name: [] for peer in peers}
    cpu: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            took, used = install(peer, folder)
            seconds[peer.name].append(took)
            cpu[peer.name].append(used)
    return [
        Row("start to the first answer", _middle(starts), "s"),
        Row("memory (PSS) after the start", idle, "MB"),
        Row("memory (PSS) after reading small packuments", under_load, "MB"),
        Row("cold npm install of 200 packages", _middle(seconds), "s"),
        Row("the server's CPU for it", _middle(cpu), "s"),
    ]


def install(peer: Peer, folder: Path) -> tuple[float, float]:
    """`npm install` with an empty cache into an empty folder: how long it took, and the server's CPU, in seconds."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        home = Path(name)
        wanted = dict.fromkeys(corpus.small_names(), "^1.0.0")
        manifest = {"name": "application", "version": "1.0.0", "private": True, "dependencies": wanted}
        (home / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        lines = [f"registry={peer.url}", "audit=false", "fund=false", "update-notifier=false", f"cache={home}/cache"]
        if peer.token is not None and not isinstance(peer, Nginx):
            lines.append(f"//localhost:{peer.port}/:_authToken={peer.token}")
        (home / ".npmrc").write_text("\n".join(lines) + "\n", encoding="utf-8")
        environment = {"HOME": name, "PATH": "/usr/bin:/bin", "NODE_OPTIONS": "--dns-result-order=ipv4first"}
        command = [str(clients.node()), str(clients.npm_cli(11)), "install", "--ignore-scripts", "--no-progress"]
        before, began = processes.cpu_seconds(peer.pid), time.perf_counter()
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
        took, used = time.perf_counter() - began, processes.cpu_seconds(peer.pid) - before
        installed = len(list((home / "node_modules").glob("small-*")))
        if done.returncode or installed != corpus.SMALL:
            raise AssertionError(f"{peer.name}: {installed} of {corpus.SMALL} packages\n{done.stderr[-2000:]}")
        return took, used


def table(found: Sequence[Row]) -> str:
    """One row for each figure, with the ratio of twokey's to the peers'."""
    lines = [
        "| | twokey | Verdaccio | nginx | of Verdaccio's | of nginx's |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in found:
        own, verdaccio, nginx = (row.figures[name] for name in ("twokey", "Verdaccio", "nginx"))
        cells = [f"{each:.3g} {row.unit}" for each in (own, verdaccio, nginx)]
        ratios = [f"{own / each:.2f}" if each else "" for each in (verdaccio, nginx)]
        lines.append(f"| {row.title} | " + " | ".join([*cells, *ratios]) + " |")
    return "\n".join(lines)


def _middle(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: statistics.median(each) for name, each in found.items()}
