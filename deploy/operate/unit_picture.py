"""Draws a unit map: a row a layer, a column a unit, the colour its class; frozen units are marked.

Needs matplotlib (the extra dev), and nothing else does.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from deploy.errors import MissingExtraError

# By letter; told apart by people who see colours otherwise, and in print (Okabe & Ito 2008).
_COLOURS: Final = {
    "s": ("exclusive safety", "#d55e00"),
    "u": ("exclusive utility", "#0072b2"),
    "c": ("complex", "#e8e4d8"),
    "r": ("redundant", "#999999"),
}
_SIZE_INCHES: Final = (11.0, 5.6)
_DOTS_PER_INCH: Final = 160


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def prove_drawable() -> None:
    """Check, before the minutes are spent, that a picture can be drawn.

    raises: MissingExtraError naming what to install
    """
    if not can_draw():
        raise MissingExtraError("the picture needs matplotlib: pip install 'quickset[dev]'")


def draw(body: Mapping[str, Any], path: Path) -> None:
    """Write the picture of a map (learner.safety.units.unit_map.UnitMap.body) as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(
        2, 2, width_ratios=(14, 1), sharey="row", squeeze=False, gridspec_kw={"wspace": 0.02}
    )
    for place, kind in enumerate(("neurons", "groups")):
        classes, frozen = body["classes"][kind], body[kind]
        _panel(rows[0][place], _painted(classes), kind)
        _panel(rows[1][place], _marked(classes, frozen), kind)
    rows[0][0].set_ylabel("class\nlayer")
    rows[1][0].set_ylabel("frozen\nlayer")
    shares = body["shares"]
    patches = [
        Patch(facecolor=colour, edgecolor="#555555", label=f"{name} {shares[name]:.1%}")
        for name, colour in _COLOURS.values()
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False)
    told = f"{body['policy']}: {shares['frozen']:.1%} of the units' parameters never move"
    figure.suptitle(f"Units of {body['base']}; {told}", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _painted(classes: Sequence[str]) -> list[list[tuple[float, ...]]]:
    colours = {letter: _rgb(colour) for letter, (_, colour) in _COLOURS.items()}
    return [[colours[letter] for letter in layer] for layer in classes]


def _marked(
    classes: Sequence[str], frozen: Mapping[str, Sequence[Sequence[int]]]
) -> list[list[tuple[float, ...]]]:
    """Paint frozen units in their class's colour, darker where that is pale; all others white."""
    pixels = []
    for number, layer in enumerate(classes):
        still = {unit for unit, *_ in frozen.get(str(number), ())}
        colours = {letter: _rgb(colour) for letter, (_, colour) in _COLOURS.items()}
        colours["c"] = _rgb("#333333")
        white = _rgb("#ffffff")
        pixels.append([colours[at] if unit in still else white for unit, at in enumerate(layer)])
    return pixels


def _panel(axes: Any, pixels: list[list[tuple[float, ...]]], kind: str) -> None:
    # every unit keeps its colour: blended neighbours would be of a class that there is not
    axes.imshow(pixels, aspect="auto", interpolation="nearest")
    axes.locator_params(integer=True)  # units are counted: there is no half of one
    axes.set_xlabel("neuron" if kind == "neurons" else "KV group")


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
