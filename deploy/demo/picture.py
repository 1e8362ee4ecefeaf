"""Draws what the course came to, as it was measured."""

from pathlib import Path
from typing import TYPE_CHECKING

from deploy.demo.course import Result
from deploy.errors import DemoError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREEN, GREY, ORANGE = "#2d6a4a", "#8a8f8a", "#b4651f"


def draw(result: Result, path: Path) -> None:
    """Write a PNG of two panels: length of replies, and how many please, over generations.

    raises: DemoError when matplotlib is not installed
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as missing:
        raise DemoError(
            "drawing needs the package matplotlib: pip install 'quickset[dev]', or --no-picture"
        ) from missing
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    generations = [measure.generations for measure in result.measures]
    _panel(left, "Reply length, unseen prompts", "mean tokens, cut at 64")
    left.plot(generations, [m.frozen_tokens for m in result.measures], color=GREY, label="frozen")
    left.plot(
        generations,
        [m.tokens for m in result.measures],
        color=GREEN,
        marker="o",
        markersize=4,
        label="learning",
    )
    left.axhline(
        result.hinted_tokens, color=ORANGE, linestyle=":", label="frozen, told in every prompt"
    )
    left.set_ylim(0, 68)
    _panel(right, "Replies that please, unseen prompts", "share of 8")
    right.plot(generations, [m.frozen_pleased for m in result.measures], color=GREY)
    right.plot(
        generations, [m.pleased for m in result.measures], color=GREEN, marker="o", markersize=4
    )
    right.axhline(result.hinted_pleased, color=ORANGE, linestyle=":")
    right.set_ylim(-0.03, 1.03)
    left.legend(frameon=False, loc="lower left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _panel(axes: "Axes", title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("generations")
    axes.set_ylabel(unit)
    axes.spines[["top", "right"]].set_visible(False)
