"""Spans of what the learner does: verdicts, lessons, a generation with its gate, its changes.

Told when the work is over and its outcome is committed, or in the log. What a crash cuts off is
told by the run that repeats it, as the same spans.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from learner.update.generation import Outcome
from streams.log.contract import Outgoing
from streams.records import Judgement, Rollout, decode
from streams.store.store import Store
from streams.store.tables import GenerationRow, TurnRow
from streams.trace import places
from streams.trace.changes import tell_rollout
from streams.trace.contract import Tracer


class Report(Protocol):
    """What a gate found of a candidate."""

    @property
    def passed(self) -> bool: ...

    @property
    def reason(self) -> str: ...


class Spans:
    """The spans of one learner."""

    def __init__(self, tracer: Tracer, store: Store, clock: Callable[[], float]) -> None:
        """Begin. store: where a turn's trace is looked up; clock: Unix seconds."""
        self._tracer, self._store, self._clock = tracer, store, clock
        self._began_s = self._taught_s = self._scored_s = 0.0
        self._turns: dict[str, places.Place] = {}
        self._targets: Mapping[str, Any] = {}

    def begin(self) -> None:
        """A generation is begun."""
        self._began_s = self._clock()
        self._turns, self._targets = {}, {}

    def taught(self, rows: Mapping[str, TurnRow], targets: Mapping[str, Any]) -> None:
        """The lessons of its turns are known."""
        if self._tracer.on:
            self._taught_s, self._targets = self._clock(), targets
            self._turns = {id: _turn_of(row) for id, row in rows.items()}

    def scored(self) -> None:
        """The members are scored, and there is a child or none."""
        self._scored_s = self._clock()

    def done(self, row: GenerationRow, outcome: Outcome, report: Report | None) -> None:
        """Tell a generation that is committed: its lessons, itself, its gate."""
        if not self._tracer.on:
            return
        made = outcome.child.recipe.version if outcome.child else row.id
        generation, now_s = places.generation(made), self._clock()
        for id, turn in self._turns.items():
            target = self._targets.get(id) or {}
            self._tracer.span(
                "lesson",
                places.lesson(turn, id, row.id),
                began_s=self._began_s,
                ended_s=self._taught_s,
                parent=turn,
                links=[generation],
                attributes={
                    "turn": id, "accepted": bool(target.get("text")),
                    "reason": target.get("reason"),
                },
            )  # fmt: skip
        self._tracer.span(
            "generation",
            generation,
            began_s=self._began_s,
            ended_s=self._scored_s,
            links=list(self._turns.values()),
            attributes={
                "line": row.line, "number": row.number, "parent": row.parent, "version": row.child,
                "turns": len(row.turn_ids), "gain": outcome.gain, "kl": outcome.kl,
                "outcome": row.state, "reason": outcome.reason,
            },
        )  # fmt: skip
        if report is not None:
            self._tracer.span(
                "gate",
                places.gate(made),
                began_s=self._scored_s,
                ended_s=now_s,
                parent=generation,
                failed=None if report.passed else report.reason,
                attributes={"version": made, "passed": report.passed, "reason": report.reason},
            )

    def published(self, sent: Outgoing) -> None:
        """Tell a verdict or a change that has reached the log."""
        if not self._tracer.on or sent.topic not in ("judgements", "rollouts"):
            return
        record = decode(sent.value)
        if isinstance(record, Rollout):
            tell_rollout(self._tracer, record, now_s=self._clock())
        elif isinstance(record, Judgement):
            self._tell_judgement(record)

    def _tell_judgement(self, record: Judgement) -> None:
        with self._store.reading() as session:
            row = session.get(TurnRow, record.turn_id)
            turn = _turn_of(row) if row else places.turn(record.turn_id, None)
        self._tracer.span(
            "judgement",
            places.judgement(turn, record.id),
            began_s=record.created_ms / 1000,
            ended_s=self._clock(),
            parent=turn,
            attributes={
                "turn": record.turn_id, "source": record.source, "score": record.score,
                "confidence": record.confidence,
            },
        )  # fmt: skip


def _turn_of(row: TurnRow) -> places.Place:
    return places.turn(row.id, row.record.get("trace"))
