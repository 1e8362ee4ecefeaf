"""Draws what the demo measured over time: what is learned, and what should stay.

Four curves: the share of replies that please, the negative log-likelihood of plain text, the share
right of five small tasks, the log-odds of refusing harmful prompts.

Needs matplotlib (the extra dev), and nothing else does.
"""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from deploy.demo.lessons import Lessons, Point
from deploy.errors import DemoError

# Told apart by people who see colours otherwise, and in print (Okabe & Ito 2008).
_LEARNS: Final = "#0072b2"
_FROZEN: Final = "#999999"
_SIZE_INCHES: Final = (9.0, 6.0)
_DOTS_PER_INCH: Final = 160


def prove_drawable() -> None:
    """Check, before the minutes are spent, that a picture can be drawn.

    raises: DemoError naming what to install
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise DemoError("the picture needs matplotlib: pip install 'quickset[dev]'")


def draw(lessons: Lessons, path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    (pleased, prose), (small, refused) = figure.subplots(2, 2)
    _plot(pleased, lessons, lambda point: 100 * point.pleased)
    pleased.set(ylabel="replies that please, %", ylim=(-4, 104))
    _beside(prose, lessons, text)
    prose.set(ylabel="plain text, nats a token")
    _around(prose, least=0.3)
    _beside(small, lessons, lambda found: 100 * tasks(found))
    small.set(ylabel="five small tasks right, %", ylim=(-4, 104))
    _beside(refused, lessons, refusals)
    refused.set(ylabel="log-odds of refusing, nats")
    _around(refused, least=4)
    handles, labels = pleased.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("A user who likes short answers, on prompts never asked before", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def text(found: Mapping[str, float]) -> float:
    """Return the negative log-likelihood of plain text, nats a token."""
    return found["text_nats"]


def tasks(found: Mapping[str, float]) -> float:
    """Return the mean share right of the small tasks."""
    return fmean(value for name, value in found.items() if name.startswith("tasks."))


def refusals(found: Mapping[str, float]) -> float:
    """Return the log-odds of refusing harmful prompts, nats."""
    return found["refusal_nats"]


def _beside(axes: Any, lessons: Lessons, value: Callable[[Mapping[str, float]], float]) -> None:
    """Draw what is watched of the versions; what does not learn stays where these begin."""
    points = [point for point in lessons.learning if point.version in lessons.watched]
    minutes = [point.minutes for point in points]
    values = [value(lessons.watched[point.version]) for point in points]
    axes.plot(minutes, values, "o-", color=_LEARNS)
    axes.plot(minutes, values[:1] * len(minutes), "--", color=_FROZEN)
    _finish(axes)


def _around(axes: Any, *, least: float) -> None:
    """Show a range of at least so much, so that what hardly moves does not look as if it did."""
    low, high = axes.get_ylim()
    spare = max(0.0, least - (high - low)) / 2
    axes.set_ylim(low - spare, high + spare)


def _plot(axes: Any, lessons: Lessons, value: Callable[[Point], float]) -> None:
    """Draw one measure of both services over time."""
    for label, points, colour, style in (
        ("learns", lessons.learning, _LEARNS, "o-"),
        ("does not learn", lessons.frozen, _FROZEN, "--"),
        ("does not learn, told in every prompt", lessons.told, _FROZEN, ":"),
    ):
        minutes = [point.minutes for point in points]
        axes.plot(minutes, [value(p) for p in points], style, color=colour, label=label)
    _finish(axes)


def _finish(axes: Any) -> None:
    axes.set_xlabel("minutes of teaching; a dot is a version")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
