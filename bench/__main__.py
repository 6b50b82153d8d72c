"""twokey against Verdaccio and nginx: `make bench`, or `python -m bench` with the options below.

All servers run at once; the rounds are interleaved (A B C A B C), and what counts are ratios within one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import footprint, load, report
from bench.load import Cell
from bench.peers import VERDACCIO, Nginx, Peer, Twokey, Verdaccio, harvest
from bench.scenarios import Scenario, scenarios


def main() -> None:
    """Fills the servers, measures, prints, and writes the document where asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="scenarios whose title holds this")
    parser.add_argument("--without-big", action="store_true", help="without the package of 5,000 versions")
    parser.add_argument("--keep", type=Path, help="a folder in which the filled servers are kept and found again")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and its picture")
    parser.add_argument("--workers", type=int, default=1, help="TWOKEY_WORKERS")
    chosen = parser.parse_args()
    reason = load.missing() or (None if VERDACCIO.exists() else "Install Verdaccio first: npm ci --prefix bench/peers")
    if reason:
        sys.exit(reason)
    with ExitStack() as stack:
        folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="twokey-bench-")))
        peers = _filled(stack, folder, chosen.workers, big=not chosen.without_big)
        wanted = [each for each in scenarios(big=not chosen.without_big) if chosen.only in each.title]
        about = _about(chosen.rounds, chosen.workers)
        beside = footprint.table(footprint.rows(peers, chosen.rounds, folder)) if chosen.only in "footprint" else ""
        results = _measure(peers, wanted, chosen.rounds, folder)
        about += f"; load average after it {os.getloadavg()[0]:.1f}."
    text = f"{about}\n\n{report.table(results)}\n\n{beside}"
    print(text)
    if chosen.write:
        report.write("peers", text)
        report.PICTURE.write_text(report.picture(results), encoding="utf-8")


def _filled(stack: ExitStack, folder: Path, workers: int, *, big: bool) -> list[Peer]:
    """The three servers, running, with the same packages."""
    filled = folder / "filled"
    if not filled.exists() and folder.exists():
        for name in ("twokey", "verdaccio", "nginx"):
            shutil.rmtree(folder / name, ignore_errors=True)
    environment = {"TWOKEY_WORKERS": str(workers)} if workers > 1 else {}
    twokey = stack.enter_context(Twokey(folder / "twokey", environment))
    verdaccio = stack.enter_context(Verdaccio(folder / "verdaccio"))
    nginx = stack.enter_context(Nginx(folder / "nginx"))
    tokens = folder / "tokens"
    if filled.exists():
        twokey.token, verdaccio.token = tokens.read_text(encoding="ascii").split()
    else:
        twokey.sign_up()
        verdaccio.sign_up()
        print("filling the servers ...", file=sys.stderr)
        twokey.fill(big=big)
        harvest(twokey, verdaccio, nginx)
        tokens.write_text(f"{twokey.token}\n{verdaccio.token}\n", encoding="ascii")
        filled.touch()
    return [twokey, verdaccio, nginx]


def _measure(peers: list[Peer], wanted: list[Scenario], rounds: int, folder: Path) -> dict[str, dict[str, list[Cell]]]:
    results: dict[str, dict[str, list[Cell]]] = {}
    for scenario in wanted:
        measured: dict[str, list[Cell]] = {}
        for _ in range(rounds):
            for peer in peers:
                if scenario.serves(peer):
                    measured.setdefault(peer.name, []).append(scenario.measure(peer, folder))
        results[scenario.title] = measured
        rates = {name: f"{report.middle(cells, 'rate'):.4g}/s" for name, cells in measured.items()}
        print(f"{scenario.title}: {rates}", file=sys.stderr)
    return results


def _about(rounds: int, workers: int) -> str:
    python = f"CPython {platform.python_version()}"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {python}, TWOKEY_WORKERS={workers}, "
        f"medians of {rounds} interleaved rounds; load average before it {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
