"""Sees when a line learns to please a model's rewards instead of people's (arXiv 2603.08660).

Rewards that a model gives itself, by its judge, can rise without end while everything
else falls. So over the newest versions that learned from such rewards the rewards are held against
what no judge of turns gives: the gate's canaries, aboutness and variety of replies, their length
and entropy. Rewards up and one of these down from the first half to the second means collapse:
the line goes back to where these versions began, and nothing is learned before an operator orders
it (`quickset learn`). What was ordered before, and waits, is no word on the stop: it ends with it.

Pure but for what `seen` reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from sqlmodel import Session, col, select

from learner.batch.plan import REWARDS, next_row, unfinished
from learner.batch.when.mode import ORDER, Orders
from learner.judges.rows import intrinsic
from learner.rollout import claims
from learner.settings import LearnerSettings
from streams.line import verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.stopped import stopped
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store import outbox
from streams.store.lease import Writing
from streams.store.states import RELEASED, WITHDRAWN
from streams.store.store import Store
from streams.store.tables import GenerationRow
from streams.wire import id_of

# Versions that are looked at; two halves of two are the least that has a trend.
WINDOW: Final = 6
_LEAST: Final = 4
# How much the mean pseudo-reward (−1..1) must have risen to count as up.
_RISE: Final = 0.1
# By how much each signal must have fallen, in its unit: half of what the gate lets through at once;
# of length and entropy a third, in either direction for length.
FALLS: Final[Mapping[str, float]] = {"canaries": 0.25, "aboutness": 0.25, "variety": 0.15}
_SHARE: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Seen:
    """One version that learned from intrinsic rewards.

    reward: their mean in its batch, −1..1; signals: of its replies, by name
    """

    version: str
    parent: str
    reward: float
    signals: Mapping[str, float]


def collapsing(seen: Sequence[Seen]) -> str | None:
    """Return what fell while rewards rose, in words; None: no collapse.

    seen: versions of one line, in order
    """
    if len(seen) < _LEAST:
        return None
    middle = len(seen) // 2
    early, late = seen[:middle], seen[middle:]
    rise = fmean(each.reward for each in late) - fmean(each.reward for each in early)
    if rise < _RISE:
        return None
    told = [said for name in _names(seen) if (said := _fallen(name, early, late))]
    if not told:
        return None
    return f"a model's rewards rose by {rise:.2f} while {', '.join(told)}"


def _names(seen: Sequence[Seen]) -> list[str]:
    return sorted(set.intersection(*(set(each.signals) for each in seen)))


def _fallen(name: str, early: Sequence[Seen], late: Sequence[Seen]) -> str | None:
    before, after = (fmean(each.signals[name] for each in half) for half in (early, late))
    if name in FALLS:
        bad = before - after > FALLS[name]
    elif name == "length":
        bad = before > 0 and abs(after - before) > _SHARE * before
    else:
        bad = before - after > _SHARE * before
    return f"{name} went from {before:.2f} to {after:.2f}" if bad else None


def seen_of(session: Session, line: Line) -> list[Seen]:
    """Read the newest versions that serve a line and learned from intrinsic rewards, in order."""
    rows = session.exec(
        select(GenerationRow)
        .where(
            GenerationRow.line == line.name,
            GenerationRow.state == RELEASED,
            col(GenerationRow.child).in_(line.served[-WINDOW:]),
        )
        .order_by(col(GenerationRow.number))
    ).all()
    found = [(row, _reward(session, row)) for row in rows]
    return [
        Seen(str(row.child), row.parent, reward, signals_of(row.gate))
        for row, reward in found
        if reward is not None
    ]


def signals_of(gate: Mapping[str, Any]) -> dict[str, float]:
    """Return what the gate read of a version's replies, by name.

    >>> row = {"probe": "variety", "candidate": {"value": 0.9, "length": 30.0}}
    >>> signals_of({"rows": [row]})
    {'variety': 0.9, 'length': 30.0}
    """
    found: dict[str, float] = {}
    for row in gate.get("rows", []):
        own = row["candidate"]
        if row["probe"] in FALLS and own.get("value") is not None:
            found[row["probe"]] = own["value"]
        found |= {name: own[name] for name in ("length", "entropy") if own.get(name) is not None}
    return found


def _reward(session: Session, row: GenerationRow) -> float | None:
    """Return the mean of the intrinsic rewards that a generation learned from; None: of none.

    Of an older build's plan it is not known what had been said by then: what has been by now.
    """
    if REWARDS in row.horizon:
        reward: float | None = row.horizon[REWARDS]
        return reward
    return intrinsic(session, row.turn_ids)


def obstacle(session: Session, line: str) -> str | None:
    """Return what a line that the guard has stopped waits for; None: it waits for nothing."""
    why = stopped(session, line)
    if why is None:
        return None
    return f"somebody to order a generation (quickset learn): the guard stopped it, {why}"


def guard(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    rollout: RolloutSettings,
    *,
    now_ms: int,
) -> tuple[GenerationRow, Rollout | None] | None:
    """Take back what a collapse has made; None: there is none. The caller commits.

    returns: the generation that says so, and the change of the line, if it may be made here
    """
    seen = seen_of(session, line)
    why = collapsing(seen)
    if why is None or seen[-1].version != line.version or _was_told(session, line):
        return None
    row = next_row(session, line, settings, now_ms=now_ms)
    row.state, row.done_ms, row.reason = WITHDRAWN, now_ms, f"collapse: {why}"
    back = seen[0].parent
    row.withdraws = {"collapse": True, "to": back}
    if rollout.asks_operator or back not in line.served:
        row.reason += f"; an operator may go back to {back}"
        return row, None
    id = id_of("collapse", row.id)
    change = verbs.rollback(line, Audit(LEARNER, row.reason, now_ms, id), to=back)
    row.seq = change.seq
    return row, change


def _was_told(session: Session, line: Line) -> bool:
    """Whether the version that serves was found so before: a restart does not stop it twice."""
    told = select(GenerationRow.withdraws).where(
        GenerationRow.line == line.name, GenerationRow.parent == line.version
    )
    return any(withdraws.get("collapse") for withdraws in session.exec(told))


class Guard:
    """Looks at each version of a line once, while it is at rest. Not shared between threads."""

    def __init__(self, settings: LearnerSettings, rollout: RolloutSettings, orders: Orders) -> None:
        """Look at nothing yet. orders: of the line; one that is open at a stop ends there."""
        self._settings, self._rollout, self._orders = settings, rollout, orders
        self._looked = ""

    def look(self, store: Store, writing: Writing, line: Line, *, now_ms: int) -> str | None:
        """Take back what a collapse has made, and return why, in words; None: there is none.

        writing: a transaction of the line's learner. The caller publishes
        """
        if line.version == self._looked or line.trial is not None:
            return None
        with store.reading() as session:
            if unfinished(session, line.name) or claims.awaited(session, line.name) > line.seq:
                return None
            found = guard(session, line, self._settings, self._rollout, now_ms=now_ms)
            order = self._orders.open(session)
        if found is None:
            self._looked = line.version
            return None
        row, change = found
        if order is not None:
            row.horizon |= {ORDER: order.id}
        with writing() as session:
            session.add(row)
            if change is not None:
                outbox.put(session, "rollouts", line.name, change, line=line.name)
            reason = row.reason
        self._looked = line.version  # not before it is written: what fails is done again
        return reason
