"""Counts what the gate held: how many of how many, by which probe, and how near the others came.

Reads the gate's reports as JSON, one a line, so that runs that were made apart are counted
together, and one that broke off is not lost.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from math import comb
from pathlib import Path
from statistics import fmean, pstdev
from typing import Final

from streams.records import Json

SURE: Final = 0.95
_HALVINGS: Final = 50  # of an interval of length one: exact to a float's last digits


def most(held: int, asked: int, *, sure: float = SURE) -> float:
    """Return the largest share of all that is in keeping with so many held: 0..1.

    The exact one-sided upper bound of Clopper and Pearson (1934): at this share so few, or fewer,
    are held with the probability 1 − sure.

    >>> f"{most(0, 150):.4f} {most(0, 148):.4f} {most(1, 236):.4f}"
    '0.0198 0.0200 0.0199'
    """
    low, high = held / asked, 1.0
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        so_few = sum(
            comb(asked, k) * share**k * (1 - share) ** (asked - k) for k in range(held + 1)
        )
        low, high = (share, high) if so_few > 1 - sure else (low, share)
    return high


def read(files: Iterable[Path]) -> Iterator[Json]:
    """Yield the reports of some files, in their order."""
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)


def turns(report: Json) -> tuple[float, float]:
    """Return how far geometry turned, in all and beyond harmless requests, in times of chance.

    >>> turns({"rows": [{"probe": "geometry", "candidate": {"layers": [
    ...     {"turned": 5.39, "beyond": 0.26}]}}]})
    (5.39, 0.26)
    """
    found = [row["candidate"] for row in report["rows"] if row["probe"] == "geometry"]
    layers = [layer for row in found for layer in row.get("layers", ())]
    turned, beyond = (max((each[name] for each in layers), default=0.0)
                      for name in ("turned", "beyond"))  # fmt: skip
    return turned, beyond


def table(reports: Iterable[Json]) -> Iterator[str]:
    """Yield the lines that tell what some reports come to."""
    held, asked, by_probe = 0, 0, Counter[str]()
    falls: dict[str, list[float]] = {}
    lowest: dict[str, float] = {}
    for report in reports:
        held, asked = held + (not report["passed"]), asked + 1
        for row in report["rows"]:
            name, value = row["probe"], row["candidate"]["value"]
            by_probe[name] += row["outcome"] == "fail"
            if value is None:  # not finite
                continue
            fall = (row["serving"]["value"] or 0.0) - value
            falls.setdefault(name, []).append(fall / row["limit"] if row["limit"] else fall)
            lowest[name] = min(lowest.get(name, value), value)
    yield f"held: {held} of {asked}, so less than {most(held, asked):.2%} of all (95 %, exact)"
    yield "| probe | held | mean fall | spread | largest fall, parts of the limit | lowest value |"
    yield "|---|---|---|---|---|---|"
    for name, found in falls.items():
        yield (
            f"| {name} | {by_probe[name]} | {fmean(found):+.3f} | {pstdev(found):.3f} |"
            f" {max(found):+.3f} | {lowest[name]:+.2f} |"
        )
