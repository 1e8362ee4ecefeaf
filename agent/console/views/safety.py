"""Safety: what the gate said of each version, and the units that never move."""

from collections.abc import Mapping
from typing import Any, Final

from sqlmodel import Session, col, select

from agent.console.views.view import Ask, View
from agent.watch.safety import watched
from agent.watch.units import map_of
from streams.records import Json
from streams.store.tables import GenerationRow

BINS: Final = 96  # columns of the drawing: on a phone each is three pixels wide
CLASS_BINS: Final = 48  # of a drawing of one class: there are several on the page
# Classes that are drawn, by the letter that a map writes for a unit; complex is all the rest.
DRAWN: Final = {"s": "exclusive safety", "u": "exclusive utility", "r": "redundant"}


def read(session: Session, ask: Ask) -> Json:
    """Read a page of the gate's reports, and the newest unit map."""
    query = select(
        GenerationRow.number, GenerationRow.child, GenerationRow.state, GenerationRow.reason,
        GenerationRow.gate, GenerationRow.done_ms,
    ).where(GenerationRow.line == ask.line, col(GenerationRow.child).is_not(None))  # type: ignore[call-overload]  # fmt: skip
    if before := ask.number("before", 0):
        query = query.where(GenerationRow.number < before)
    rows = session.execute(query.order_by(col(GenerationRow.number).desc()).limit(ask.rows + 1))
    found = [dict(row._mapping) for row in rows]
    shown = found[: ask.rows]
    return {
        "reports": shown,
        "next": shown[-1]["number"] if len(found) > len(shown) else None,
        "map": _map(session, ask),
        "watch": watched(session, ask.line),
    }


def of_agent(_: Ask) -> Json:
    """What is shown while the store is away."""
    return {"reports": [], "next": None, "map": None, "watch": {}}


VIEW = View(
    "safety", "/safety", "Safety", of_agent, read, key="s",
    purpose="what the gate asked of each version, and the units that never move",
)  # fmt: skip


def _map(session: Session, ask: Ask) -> Json | None:
    """Read the map of the line's frozen units; before it has a version, the newest map."""
    found = map_of(session, ask.line)
    if found is None:
        return None
    (row, in_force), sizes = found, ask.insight.sizes()
    neurons, groups = _units(row.body, "neurons"), _units(row.body, "groups")
    layers = range(max([sizes["layers"], *(layer + 1 for layer in (*neurons, *groups))]))
    width = max([sizes["neurons"], *(unit + 1 for some in neurons.values() for unit in some)])
    num_groups = max([sizes["groups"], *(unit + 1 for some in groups.values() for unit in some)])
    return {
        "digest": row.digest,
        "mask": row.body.get("mask"),
        "in_force": in_force,
        "policy": row.body.get("policy", "top-complex"),
        "seeds": row.body.get("seeds"),
        "classes": _classes(row.body),
        "base": row.body.get("base"),
        "frozen_share": row.body.get("frozen_share"),
        "created_ms": row.created_ms,
        "num_neurons": sum(map(len, neurons.values())),
        "num_groups": sum(map(len, groups.values())),
        "width": width,
        "groups_wide": num_groups,
        "layers": [
            {
                "layer": layer,
                "frozen": len(neurons.get(layer, ())),
                "bins": binned(neurons.get(layer, []), width),
                "groups": [int(group in groups.get(layer, ())) for group in range(num_groups)],
            }
            for layer in layers
        ],
    }


def _classes(body: Mapping[str, Any]) -> list[Json]:
    """Return what a map tells of each class; empty for one that was made before there were any."""
    if "classes" not in body:
        return []
    return [
        {
            "name": name,
            "parameters": body["parameters"][name],
            "share": body["shares"][name],
            "sets_agree": body["stability"]["sets"].get(name),
            "seeds_agree": body["stability"].get("seeds", {}).get(name),
            "layers": [_of_class(body["classes"], layer, letter)
                       for layer in range(len(body["classes"]["neurons"]))] if letter else [],
        }
        for letter, name in [*DRAWN.items(), ("", "complex")]
    ]  # fmt: skip


def _of_class(classes: Mapping[str, list[str]], layer: int, letter: str) -> Json:
    neurons, groups = classes["neurons"][layer], classes["groups"][layer]
    units = [unit for unit, at in enumerate(neurons) if at == letter]
    return {
        "layer": layer,
        "count": len(units),
        "bins": binned(units, len(neurons), CLASS_BINS),
        "groups": [int(at == letter) for at in groups],
    }


def _units(body: Mapping[str, Any], kind: str) -> dict[int, list[int]]:
    """Frozen units by layer; a map tells of each its scores, too, a mask its number alone."""
    by_layer = body.get(kind)
    if not isinstance(by_layer, Mapping):
        return {}
    return {
        int(layer): [unit[0] if isinstance(unit, list) else unit for unit in units]
        for layer, units in by_layer.items()
    }


def binned(units: list[int], width: int, bins: int = BINS) -> list[float]:
    """Return the share of frozen units in each part of a layer.

    >>> binned([0, 1, 2, 9], 12, bins=4)
    [1.0, 0.0, 0.0, 0.3333]
    """
    bins = min(bins, max(width, 1))
    edges = [round(place * width / bins) for place in range(bins + 1)]
    counts, place = [0] * bins, 0
    for unit in sorted(units):
        while unit >= edges[place + 1]:
            place += 1
        counts[place] += 1
    return [
        round(num / max(high - low, 1), 4)
        for num, low, high in zip(counts, edges, edges[1:], strict=False)
    ]
