"""Measures judges on labelled follow-ups: what they get right, what they miss, what they mishear.

A signed verdict is one that would teach: −1 or 1 with confidence. Precision counts signed verdicts,
wrong signs are a share of all items, recall is of the items that have a sign.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from learner.judges.judge import Judge, combine
from tests.hearing.items import Item

# Kinds in which people say that the reply was not what they wanted.
UNHAPPY = ("complaint", "wish", "courtesy_then_complaint")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was made of one item."""

    item: Item
    score: int
    hint: str | None
    seconds: float


def hear(judges: Sequence[Judge], items: Iterable[Item]) -> list[Heard]:
    """Let judges hear items, and combine what they say as the learner does."""
    heard = []
    for item in items:
        turn, link = item.turn(), item.link()
        begun = time.perf_counter()
        given = [judge.judge(turn, link) for judge in judges]
        seconds = time.perf_counter() - begun
        verdict = combine(judgement for judgement in given if judgement is not None)
        signed = verdict is not None and verdict.confidence > 0
        heard.append(
            Heard(
                item=item,
                score=verdict.score if verdict is not None and signed else 0,
                hint=verdict.hint if verdict is not None else None,
                seconds=seconds,
            )
        )
    return heard


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of verdicts is worth.

    hints: of wishes, the share that has a hint; spurious: hints where nothing is wished or wrong
    """

    num_items: int
    num_signed: int
    precision: float
    wrong_signs: int
    recall: float  # of all signed items
    recall_unhappy: float  # of complaints and wishes
    recall_pleased: float
    hints: float
    spurious_hints: int

    @staticmethod
    def of(heard: Sequence[Heard]) -> "Figures":
        """Count."""
        signed = [h for h in heard if h.score != 0]
        right = [h for h in signed if h.score == h.item.score]
        wishes = [h for h in heard if h.item.wish]
        return Figures(
            num_items=len(heard),
            num_signed=len(signed),
            precision=_share(len(right), len(signed)),
            wrong_signs=sum(h.score * h.item.score < 0 for h in heard),
            recall=_recall(heard, lambda item: item.score != 0),
            recall_unhappy=_recall(heard, lambda item: item.kind in UNHAPPY),
            recall_pleased=_recall(heard, lambda item: item.score == 1),
            hints=_share(sum(h.hint is not None for h in wishes), len(wishes)),
            spurious_hints=sum(
                h.hint is not None and h.item.instruction is None and h.item.score != -1
                for h in heard
            ),
        )


def _recall(heard: Sequence[Heard], wanted: Callable[[Item], bool]) -> float:
    among = [h for h in heard if wanted(h.item)]
    return _share(sum(h.score == h.item.score for h in among), len(among))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def table(heard: Sequence[Heard], by: Callable[[Item], str], name: str) -> list[str]:
    """Return rows of Markdown: the figures of each group, then of all."""
    groups: dict[str, list[Heard]] = {}
    for one in heard:
        groups.setdefault(by(one.item), []).append(one)
    lines = [
        f"| {name} | items | signed | precision | wrong signs | recall | complaints, wishes | "
        "praise, thanks | wishes with hint | spurious hints |",
        "|---|" + "---:|" * 9,
    ]
    return [*lines, *(_row(group, found) for group, found in groups.items()), _row("all", heard)]


def _row(name: str, heard: Sequence[Heard]) -> str:
    f = Figures.of(heard)
    cells = [
        f"{f.num_items}", f"{f.num_signed}", _percent(f.precision), f"{f.wrong_signs}",
        _percent(f.recall), _percent(f.recall_unhappy), _percent(f.recall_pleased),
        _percent(f.hints), f"{f.spurious_hints}",
    ]  # fmt: skip
    return f"| {name} | " + " | ".join(cells) + " |"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"


def times(heard: Sequence[Heard]) -> str:
    """Return what a verdict costs: median and 99th percentile, in milliseconds."""
    spent = np.array([h.seconds for h in heard]) * 1e3
    return f"{np.percentile(spent, 50):.1f} ms p50, {np.percentile(spent, 99):.1f} ms p99"
