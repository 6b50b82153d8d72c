"""Load: wrk for reads, connections of our own for publishes."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import processes, wire
from bench.peers import Peer


@dataclass(frozen=True, slots=True)
class Cell:
    """What one server did in one round: requests a second, its CPU per request in µs, latencies in ms, failures."""

    rate: float
    cpu: float
    middle: float
    slowest: float
    failed: int


def missing() -> str | None:
    """What has to be installed first; None where all is there."""
    absent = [
        each for each in ("wrk", "nginx") if shutil.which(each) is None and not Path(f"/usr/sbin/{each}").exists()
    ]
    return f"Install first: apt-get install {' '.join(absent)}" if absent else None


def reads(
    peer: Peer, paths: Sequence[str], headers: Mapping[str, str], *, connections: int, seconds: float, folder: Path
) -> Cell:
    """GETs of the paths in turn, over kept connections; p99 as `slowest`."""
    shown = {
        **headers,
        "Host": f"localhost:{peer.port}",  # as wrk spells it: else it sends another one
        **({"authorization": f"Bearer {peer.token}"} if peer.token else {}),
    }
    script = folder / f"{peer.name}.lua"
    script.write_text(_LUA.format(paths=_lua(list(paths)), headers=_lua(shown)), encoding="utf-8")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s"]
    before = processes.cpu_seconds(peer.pid)
    done = subprocess.run(
        [*command, "-s", str(script), f"http://127.0.0.1:{peer.port}/"], capture_output=True, text=True, check=True
    ).stdout
    used = processes.cpu_seconds(peer.pid) - before
    said = re.search(r"^COUNTED (.*)$", done, re.MULTILINE)
    if said is None:
        raise AssertionError(f"wrk said nothing of {peer.name}:\n{done}")
    counted = json.loads(said[1])
    requests = max(1, counted["requests"])
    return Cell(
        counted["requests"] / counted["seconds"],
        used / requests * 1e6,
        counted["p50"],
        counted["p99"],
        counted["failed"],
    )


def publishes(peer: Peer, bodies: Sequence[tuple[str, bytes]], *, clients: int) -> Cell:
    """Each of the bodies (a name and a document) once, shared out among so many connections."""
    queue = list(reversed(bodies))
    times: list[float] = []
    failed: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        connection = wire.Connection(peer.port, peer.token)
        while True:
            with lock:
                if not queue:
                    break
                name, body = queue.pop()
            started = time.perf_counter()
            try:
                peer.publish(connection, body, name)
            except AssertionError as error:
                with lock:
                    failed.append(str(error))
            with lock:
                times.append(time.perf_counter() - started)
        connection.close()

    before, began = processes.cpu_seconds(peer.pid), time.perf_counter()
    _together(work, clients)
    took, used = time.perf_counter() - began, processes.cpu_seconds(peer.pid) - before
    ordered = sorted(times)
    return Cell(
        len(bodies) / took, used / len(bodies) * 1e6, statistics.median(ordered) * 1000, ordered[-1] * 1000, len(failed)
    )


def _together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _lua(value: list[str] | dict[str, str]) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"[{json.dumps(key)}]={json.dumps(each)}" for key, each in value.items()) + "}"
    return "{" + ",".join(map(json.dumps, value)) + "}"


_LUA = """
local paths = {paths}
local headers = {headers}
local ready, place = {{}}, 0
function init(args)
  for i, path in ipairs(paths) do ready[i] = wrk.format("GET", path, headers) end
end
function request()
  place = place % #ready + 1
  return ready[place]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('COUNTED {{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "failed": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""
