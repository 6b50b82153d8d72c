"""The tables and the picture that `make bench` writes into docs/performance.md."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.load import Cell

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
PICTURE = DOCUMENT.parent / "pictures" / "performance.svg"
TWOKEY, VERDACCIO, NGINX = "twokey", "Verdaccio", "nginx"
Rounds = Mapping[str, Sequence[Cell]]  # by the server's name


def middle(rounds: Sequence[Cell], value: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median([float(getattr(each, value)) for each in rounds])


def ratio(measured: Rounds, peer: str, value: str = "rate") -> float | None:
    """twokey's figure in the peer's; None where the peer was not measured."""
    if not measured.get(peer) or not middle(measured[peer], value):
        return None
    return middle(measured[TWOKEY], value) / middle(measured[peer], value)


def table(results: Mapping[str, Rounds]) -> str:
    """One row for each scenario: rates with their range, ratios, CPU per request, latencies."""
    lines = [
        "| scenario | twokey, per s (min-max) | Verdaccio | nginx | x Verdaccio | x nginx "
        "| CPU/request: twokey, Verdaccio, nginx | p50 / p99 ms: twokey | Verdaccio | nginx |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for title, measured in results.items():
        own = measured[TWOKEY]
        spread = f"{_number(min(each.rate for each in own))}-{_number(max(each.rate for each in own))}"
        peers = [peer for peer in (TWOKEY, VERDACCIO, NGINX) if measured.get(peer)]
        cpu = ", ".join(_time(middle(measured[peer], "cpu")) for peer in peers)
        cells = [
            title,
            f"{_number(middle(own, 'rate'))} ({spread})",
            *(_rate(measured, peer) for peer in (VERDACCIO, NGINX)),
            *(_times(ratio(measured, peer)) for peer in (VERDACCIO, NGINX)),
            cpu,
            *(_latency(measured, peer) for peer in (TWOKEY, VERDACCIO, NGINX)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(results: Mapping[str, Rounds]) -> str:
    """Bars of twokey's rate in Verdaccio's and in nginx's, on a logarithmic scale, as SVG."""
    bars = [
        (title, ratio(measured, VERDACCIO), ratio(measured, NGINX))
        for title, measured in results.items()
        if measured.get(VERDACCIO) or measured.get(NGINX)
    ]
    left, width, row = 300, 520, 34
    height = 60 + row * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 90} {height}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{left}" y="18" fill="#1f4e8c">requests a second, in times of Verdaccio\'s</text>'
        f'<text x="{left}" y="36" fill="#8a8f98">and of nginx\'s, which asks nobody who they are; the line is 1'
        "</text>",
    ]

    def place(value: float) -> float:
        return left + width * (math.log10(min(max(value, 0.1), 10_000)) + 1) / 5

    parts.append(f'<line x1="{place(1)}" x2="{place(1)}" y1="44" y2="{height - 8}" stroke="#c33"/>')
    for number, (title, verdaccio, nginx) in enumerate(bars):
        top = 50 + row * number
        parts.append(f'<text x="{left - 8}" y="{top + 17}" text-anchor="end">{title}</text>')
        for offset, value, colour in ((0, verdaccio, "#1f4e8c"), (13, nginx, "#8a8f98")):
            if value is not None:
                end = place(value)
                parts.append(
                    f'<rect x="{left}" y="{top + offset}" width="{max(1.0, end - left):.0f}" height="11" '
                    f'fill="{colour}"/>'
                    f'<text x="{end + 5:.0f}" y="{top + offset + 10}" font-size="11">{_times(value)}</text>'
                )
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(section: str, text: str, document: Path = DOCUMENT) -> None:
    """Puts the text between the section's marks in the document, which has them."""
    begin, end = f"<!-- bench: {section} -->", f"<!-- end: {section} -->"
    written = document.read_text(encoding="utf-8")
    if begin not in written or end not in written:
        raise AssertionError(f"{document.name} has no place for {section}")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    replaced = re.sub(pattern, lambda _: f"{begin}\n{text}\n{end}", written, flags=re.DOTALL)
    document.write_text(replaced, encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(microseconds: float) -> str:
    return f"{microseconds:.0f} µs" if microseconds < 1000 else f"{microseconds / 1000:.3g} ms"


def _times(value: float | None) -> str:
    return "" if value is None else f"{_number(value)}x" if value >= 10 else f"{value:.2f}x"


def _rate(measured: Rounds, peer: str) -> str:
    return _number(middle(measured[peer], "rate")) if measured.get(peer) else ""


def _latency(measured: Rounds, peer: str) -> str:
    if not measured.get(peer):
        return ""
    failed = sum(each.failed for each in measured[peer])
    text = f"{middle(measured[peer], 'middle'):.3g} / {middle(measured[peer], 'slowest'):.3g}"
    return f"{text} ({failed} failed)" if failed else text
