"""Counts the times between the tokens of replies, many at once.

A histogram as Prometheus reads it. That of its client library takes locks and walks along its
bounds for each value, and each token is one.

Belongs to the event loop's thread.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

# Seconds. From one decode step of a small model to a cold prompt on a busy machine.
BOUNDS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class Gaps:
    """A collector for a registry."""

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        """Start at nought. labels: their names"""
        self._name, self._text, self._labels = name, text, labels
        # by the labels' values: how many lie up to each bound and beyond the one before, and behind
        # the last one
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums_s: dict[tuple[str, ...], float] = {}

    def observe(self, labels: tuple[str, ...], waits_s: Iterable[float]) -> None:
        """Count times, seconds. labels: their values"""
        counts = self._counts.setdefault(labels, [0] * (len(BOUNDS) + 1))
        sum_s = self._sums_s.get(labels, 0.0)
        for wait_s in waits_s:
            counts[bisect_left(BOUNDS, wait_s)] += 1
            sum_s += wait_s
        self._sums_s[labels] = sum_s

    def collect(self) -> Iterator[Metric]:
        """What a scrape reads."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*map(str, BOUNDS), "+Inf"]
        for labels, counts in self._counts.items():
            up_to = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(labels, up_to, self._sums_s[labels])
        yield family
