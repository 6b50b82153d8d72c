"""The figures of the server as Prometheus reads them (its text format, version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from twokey.figures import BOUNDS, Figures

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def rendered(figures: Figures) -> bytes:
    """The figures of all workers as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Every family with its samples."""
        by_status = ("kind", "status")
        answers = CounterMetricFamily("twokey_requests", "Answers by kind of request and status.", labels=by_status)
        for kind, status, number in self._figures.answers():
            answers.add_metric((kind, status), number)
        lane = CounterMetricFamily("twokey_lane_answers", "Answers of the fast lane among them.", labels=("kind",))
        for kind, number in self._figures.by_lane():
            lane.add_metric((kind,), number)
        times = HistogramMetricFamily("twokey_request_seconds", "Seconds from head to last byte.", labels=("kind",))
        for kind, numbers, seconds in self._figures.times():
            buckets, total = [], 0
            for bound, number in zip((*map(str, BOUNDS), "+Inf"), numbers, strict=True):
                total += number
                buckets.append((bound, float(total)))
            times.add_metric((kind,), buckets, seconds)
        return answers, lane, times
