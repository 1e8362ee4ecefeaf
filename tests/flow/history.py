"""Judges a run by two histories: what was appended, and what was applied.

Nothing acknowledged is lost, nothing is applied twice or out of nothing, and the records of one key
are applied in the order in which they were first appended (after Knossos and Elle: the run is
recorded, and a pure function looks for what must not be in it).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# acknowledged: append returned; unknown: it raised, or its process died; the record may be there
Outcome = Literal["acknowledged", "unknown"]


@dataclass(frozen=True, slots=True)
class Appended:
    """One try to append a record; a retry is another one of the same id."""

    key: str
    id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Applied:
    """One use of a record, in the order of the commits."""

    key: str
    id: str


def violations(appended: Sequence[Appended], applied: Sequence[Applied]) -> list[str]:
    """Return what is wrong with a run, in words; empty when every promise was kept.

    >>> violations([Appended("k", "a", "acknowledged")], [])
    ['lost: a']
    """
    times = Counter(use.id for use in applied)
    known = {attempt.id for attempt in appended}
    acknowledged = dict.fromkeys(a.id for a in appended if a.outcome == "acknowledged")
    return [
        *(f"lost: {id}" for id in acknowledged if not times[id]),
        *(f"twice: {id} ({count} times)" for id, count in times.items() if count > 1),
        *(f"out of nothing: {id}" for id in times if id not in known),
        *_out_of_order(appended, applied),
    ]


def _out_of_order(appended: Iterable[Appended], applied: Iterable[Applied]) -> list[str]:
    place: dict[str, int] = {}
    for attempt in appended:
        place.setdefault(attempt.id, len(place))
    last: dict[str, str] = {}
    wrong: list[str] = []
    for use in applied:
        before = last.get(use.key)
        if before is not None and place.get(use.id, 0) < place.get(before, 0):
            wrong.append(f"out of order: {use.id} after {before} of key {use.key}")
        last[use.key] = use.id
    return wrong
