"""Draws what the demo measured: the share of replies that please, and their length, over versions.

Needs matplotlib (the extra dev), and nothing else does.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deploy.demo.lessons import Lessons, Point
from deploy.errors import DemoError

# Told apart by people who see colours otherwise, and in print (Okabe & Ito 2008).
_LEARNS: Final = "#0072b2"
_FROZEN: Final = "#999999"
_SIZE_INCHES: Final = (9.0, 3.9)
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
    shares, words = figure.subplots(1, 2)
    _plot(shares, lessons, lambda point: 100 * point.pleased)
    shares.set(ylabel="replies that please, %", ylim=(-4, 104))
    _plot(words, lessons, lambda point: point.words)
    words.set(ylabel="mean length, words")
    words.set_ylim(bottom=0)
    handles, labels = shares.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle("A user who likes short answers, on prompts never asked before", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _plot(axes: Any, lessons: Lessons, value: Callable[[Point], float]) -> None:
    """Draw one measure of both services over versions."""
    for label, points, colour, style in (
        ("learns", lessons.learning, _LEARNS, "o-"),
        ("does not learn", lessons.frozen, _FROZEN, "--"),
        ("does not learn, told in every prompt", lessons.told, _FROZEN, ":"),
    ):
        numbers = [point.number for point in points]
        axes.plot(numbers, [value(p) for p in points], style, color=colour, label=label)
    axes.set_xlabel("version")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
