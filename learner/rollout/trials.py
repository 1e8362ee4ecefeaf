"""Steers the trial of a line: looks at what has been said, decides, and makes the record.

Whatever it decides is an offer, which counts when the log has taken it first; so a decision is made
once for each state of the line, and again only when somebody else's change came before it. Each
look is kept as a row, so that console and command line can say why a candidate isn't promoted yet.

All that a restart needs is in the log: the line, and since when. How long the line has been as it
is, is counted from when this process first saw it so.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlmodel import Session, col, select

from learner.rollout.controller import Decision, Progress, decide, held_by
from learner.rollout.evidence.evidence import Difference, difference
from learner.rollout.evidence.guardrails import Guardrail, watched
from learner.rollout.evidence.observe import Observed, Observer, Readings
from learner.rollout.evidence.voices import Remark, Voice, voices
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Json, Rollout
from streams.settings import RolloutSettings
from streams.store.tables import GenerationRow, RolloutRow, TrialRow
from streams.wire import id_of

# How long after a look the store is looked at again: verdicts come with people's next messages.
LOOK_S: Final = 2.0
# A look reads the whole trial, and generations wait for it: the pause is this often as long.
_PAUSES: Final = 20
# What the learner's models read, and nothing else can.
READ: Final = ("aboutness", "liked")


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a trial came to: the row to be kept of it, and the change that is due."""

    row: TrialRow
    change: Rollout | None


class SupportsReadings(Protocol):
    """What reads replies (learner.rollout.evidence.reading.Reader)."""

    @property
    def found(self) -> Readings: ...

    def step(self, session: Session, line: Line, /) -> int: ...


class Trials:
    """Steers one line's trials, one after the other. Not shared between threads."""

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        clock: Callable[[], float],
        reader: SupportsReadings | None = None,
    ) -> None:
        """Look at nothing yet.

        clock: seconds, of a clock that nobody sets
        reader: reads replies with the learner's models; None: what it would read isn't watched
        """
        self._settings, self._clock = settings, clock
        self._reader = reader
        self._seen: tuple[int, float] = (-1, 0.0)  # the line's seq, and since when it is that
        self._rests_until_s = 0.0
        self._offered = 0  # the seq that the last decision claims
        self._observer: tuple[str, Observer] | None = None  # of the trial that began with this id
        # by metric: the voices that were last compared, and what came of it
        self._compared_last: dict[str, tuple[tuple[list[Voice], list[Voice]], Difference]] = {}

    def due(self, line: Line) -> bool:
        """Return whether it is time to look at a line's trial."""
        if line.seq != self._seen[0]:
            self._seen = (line.seq, self._clock())
            self._rests_until_s = self._clock()
        if line.trial is None:
            self._observer = None
            return False
        return line.seq >= self._offered and self._clock() >= self._rests_until_s

    def read(self, session: Session, line: Line) -> None:
        """Read some of what only models can tell, outside of any transaction that writes."""
        if self._reader is not None:
            self._reader.step(session, line)

    def look(self, session: Session, line: Line, *, now_ms: int) -> Look | None:
        """Look at the trial of a line, and say which change is due; None where none is on.

        session: for reading: a look takes a while where much was said
        now_ms: Unix milliseconds, of the audit, and for voices that have waited long enough
        """
        began_s = self._clock()
        try:
            return self._look(session, line, now_ms)
        finally:
            now_s = self._clock()
            self._rests_until_s = now_s + max(LOOK_S, _PAUSES * (now_s - began_s))

    def offered(self, change: Rollout) -> None:
        """Note that a change is on its way to the log: until one counts none is decided on."""
        self._offered = change.seq

    def _look(self, session: Session, line: Line, now_ms: int) -> Look | None:
        trial, history = line.trial, _history(session, line)
        if trial is None or not history:
            return None
        progress = self._progress(session, line, history, now_ms)
        decision = decide(trial, progress, self._settings)
        row = TrialRow(
            line=line.name, seq=line.seq, candidate=trial.version, body=told(progress, decision),
            updated_ms=now_ms,
        )  # fmt: skip
        if decision.verb is None:
            return Look(row, None)
        return Look(row, _change(line, decision, self._settings, now_ms))

    def _progress(
        self, session: Session, line: Line, history: Sequence[RolloutRow], now_ms: int
    ) -> Progress:
        if self._observer is None or self._observer[0] != history[0].id:
            self._observer = (history[0].id, Observer(history))
        gate = _gate_of(session, line)
        readings = self._reader.found if self._reader is not None else {}
        observed = self._observer[1].read(session, history, readings)
        rails = watched(
            self._settings,
            unseen=history[-1].share == 0,
            without=() if self._reader is not None else READ,
        )
        return Progress(
            seen_s=self._clock() - self._seen[1],
            judged=self._compared(observed, "reward", self._settings.alpha, (-1, 1), now_ms),
            guardrails=tuple(
                Guardrail(
                    rail.name,
                    rail.limit,
                    self._compared(
                        observed, rail.name, self._settings.alpha / len(rails), rail.limits, now_ms
                    ),
                    asked=rail.asked,
                    falls=rail.falls,
                )
                for rail in rails
            ),
            sessions=observed.sessions,
            candidate_sessions=observed.candidate_sessions,
            touched=observed.touched,
            uninformative=self._uninformative(gate, history),
            failed="" if gate.get("passed", True) else str(gate.get("reason", "")),
            unasked=bool(gate.get("quick")),
            samples=observed.samples,
            unseen=observed.unseen,
        )

    def _compared(
        self,
        observed: Observed,
        name: str,
        alpha: float,
        limits: tuple[float, float],
        now_ms: int,
    ) -> Difference:
        nothing: tuple[list[Remark], list[Remark]] = ([], [])
        stable, candidate = (
            voices(
                remarks,
                size=self._settings.voice_turns,
                wait_ms=int(self._settings.voice_s * 1000),
                now_ms=now_ms,
            )
            for remarks in observed.remarks.get(name, nothing)
        )
        known = self._compared_last.get(name)
        if known is None or known[0] != (stable, candidate):
            found = difference(stable, candidate, alpha=alpha, limits=limits)
            known = self._compared_last[name] = ((stable, candidate), found)
        return known[1]

    def _uninformative(self, gate: Json, history: Sequence[RolloutRow]) -> tuple[str, ...]:
        """Return the gate's probes that could say nothing, and that nobody has passed over.

        One that can only ever fail, on any base, as that of finite numbers, is none of them.
        """
        if self._settings.uninformative_probe == "pass":
            return ()
        over = _passed_over(history)
        return tuple(
            row["probe"]
            for row in gate.get("rows", [])
            if row["outcome"] == "uninformative"
            and row.get("tells", row["probe"] != "finite")
            and row["probe"] not in over
        )


def _passed_over(history: Sequence[RolloutRow]) -> set[str]:
    """Return the uninformative probes for which a candidate was held, and let run on since.

    Whoever resumes a candidate that was paused, or held for something else, was told of none.
    """
    told: set[str] = set()
    over: set[str] = set()
    for row in history:
        if row.verb == "hold":
            told |= held_by(row.reason)
        elif row.verb in ("resume", "skip-step"):
            over |= told
    return over


def _gate_of(session: Session, line: Line) -> Json:
    """Return what the gate said of the candidate on trial."""
    version = line.trial.version if line.trial else ""
    made = select(GenerationRow.gate).where(GenerationRow.child == version)
    return dict(session.exec(made.order_by(*ledger.SAID_LAST)).first() or {})


def told(progress: Progress, decision: Decision) -> Json:
    """Return a look at a trial as it is stored and shown."""
    return {
        "verb": decision.verb,
        "why": decision.reason,
        "judged": dataclasses.asdict(progress.judged),
        "guardrails": [
            {"name": rail.name, "limit": rail.limit, "falls": rail.falls, "broken": rail.broken}
            | dataclasses.asdict(rail.found)
            for rail in progress.guardrails
        ],
        "sessions": progress.sessions,
        "candidate_sessions": progress.candidate_sessions,
        "touched": progress.touched,
        "seen_s": progress.seen_s,
        "samples": dict(progress.samples),
        "unseen": progress.unseen,
    }


def _history(session: Session, line: Line) -> list[RolloutRow]:
    """Read the changes of the trial that is on, from when its candidate was given sessions."""
    if line.trial is None:
        return []
    changes = session.exec(
        select(RolloutRow)
        .where(
            RolloutRow.line == line.name,
            RolloutRow.candidate == line.trial.version,
            RolloutRow.seq <= line.seq,
        )
        .order_by(col(RolloutRow.seq).desc())
    )
    found: list[RolloutRow] = []
    for row in changes:
        found.insert(0, row)
        if row.verb == "start":
            return found
    return []


def _change(line: Line, decision: Decision, settings: RolloutSettings, now_ms: int) -> Rollout:
    candidate = line.trial.version if line.trial else ""
    id = id_of("trial", line.name, line.seq + 1, decision.verb, candidate)
    audit = Audit(LEARNER, decision.reason, now_ms, id)
    make: dict[Any, Callable[[], Rollout]] = {
        "step": lambda: verbs.step(line, settings.shares, audit),
        "hold": lambda: verbs.hold(line, audit),
        "abort": lambda: verbs.abort(line, audit),
    }
    return make[decision.verb]()
