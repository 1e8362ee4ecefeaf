"""Steers the trial of a line: looks at what has been said, decides, and makes the record.

Whatever it decides is an offer, which counts when the log has taken it first; so a decision is made
once for each state of the line, and again only when somebody else's change came before it. Each
look is kept as a row, so that console and command line can say why a candidate isn't promoted yet.

All that a restart needs is in the log: the line, and since when. How long the line has been as it
is, is counted from when this process first saw it so.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlmodel import Session, col, select

from learner.rollout.controller import Decision, Guardrail, Progress, decide
from learner.rollout.evidence import Difference, difference
from learner.rollout.observe import Observed, Observer
from learner.rollout.voices import Remark, Voice, voices
from streams.line import verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Json, Rollout
from streams.settings import RolloutSettings
from streams.store.tables import GenerationRow, RolloutRow, TrialRow

# How often the store is looked at for a trial: verdicts come with people's next messages.
LOOK_S: Final = 2.0
# Replies that are longer count as so long: one endless reply must not hide all others.
LENGTH_TOKENS: Final = 1024.0


class Trials:
    """Steers one line's trials, one after the other. Not shared between threads."""

    def __init__(self, settings: RolloutSettings, *, clock: Callable[[], float]) -> None:
        """Look at nothing yet. clock: seconds, of a clock that nobody sets."""
        self._settings, self._clock = settings, clock
        self._seen: tuple[int, float] = (-1, 0.0)  # the line's seq, and since when it is that
        self._looked_s = -LOOK_S
        self._offered = 0  # the seq that the last decision claims
        self._observer: tuple[str, Observer] | None = None  # of the trial that began with this id
        # by metric: the voices that were last compared, and what came of it
        self._compared_last: dict[str, tuple[tuple[list[Voice], list[Voice]], Difference]] = {}

    def due(self, line: Line) -> bool:
        """Return whether it is time to look at a line's trial."""
        if line.seq != self._seen[0]:
            self._seen = (line.seq, self._clock())
            self._looked_s = self._clock() - LOOK_S
        if line.trial is None:
            self._observer = None
            return False
        return line.seq >= self._offered and self._clock() - self._looked_s >= LOOK_S

    def look(self, session: Session, line: Line, *, now_ms: int) -> Rollout | None:
        """Look at the trial of a line, and return the change that is due, if one is.

        now_ms: Unix milliseconds, of the audit, and for voices that have waited long enough
        """
        self._looked_s = self._clock()
        trial, history = line.trial, _history(session, line)
        if trial is None or not history:
            return None
        progress = self._progress(session, line, history, now_ms)
        decision = decide(trial, progress, self._settings)
        row = session.get(TrialRow, line.name) or TrialRow(
            line=line.name, seq=0, candidate="", body={}, updated_ms=0
        )
        row.seq, row.candidate, row.updated_ms = line.seq, trial.version, now_ms
        row.body = told(progress, decision)
        session.add(row)
        if decision.verb is None:
            return None
        self._offered = line.seq + 1
        return _change(line, decision, self._settings, now_ms)

    def _progress(
        self, session: Session, line: Line, history: Sequence[RolloutRow], now_ms: int
    ) -> Progress:
        if self._observer is None or self._observer[0] != history[0].id:
            self._observer = (history[0].id, Observer(history))
        observed = self._observer[1].read(session, history)
        rails = _rails(self._settings)
        return Progress(
            seen_s=self._clock() - self._seen[1],
            judged=self._compared(observed, "reward", self._settings.alpha, (-1, 1), now_ms),
            guardrails=tuple(
                Guardrail(
                    name,
                    limit,
                    self._compared(
                        observed, name, self._settings.alpha / len(rails), (0, most), now_ms
                    ),
                    asked=name != "invalid calls",
                )
                for name, limit, most in rails
            ),
            sessions=observed.sessions,
            candidate_sessions=observed.candidate_sessions,
            touched=observed.touched,
            uninformative=self._uninformative(session, line, history),
            samples=observed.samples,
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

    def _uninformative(
        self, session: Session, line: Line, history: Sequence[RolloutRow]
    ) -> tuple[str, ...]:
        """Return the gate's probes that could say nothing, until somebody resumes all the same."""
        resumed = any(row.verb in ("resume", "skip-step") for row in history)
        if self._settings.uninformative_probe == "pass" or resumed or line.trial is None:
            return ()
        made = select(GenerationRow.gate).where(GenerationRow.child == line.trial.version)
        rows = (session.exec(made).first() or {}).get("rows", [])
        return tuple(row["probe"] for row in rows if row["outcome"] == "uninformative")


def told(progress: Progress, decision: Decision) -> Json:
    """Return a look at a trial as it is stored and shown."""
    return {
        "verb": decision.verb,
        "why": decision.reason,
        "judged": dataclasses.asdict(progress.judged),
        "guardrails": [
            {"name": rail.name, "limit": rail.limit, "broken": rail.broken}
            | dataclasses.asdict(rail.found)
            for rail in progress.guardrails
        ],
        "sessions": progress.sessions,
        "candidate_sessions": progress.candidate_sessions,
        "touched": progress.touched,
        "seen_s": progress.seen_s,
        "samples": dict(progress.samples),
    }


def _rails(settings: RolloutSettings) -> list[tuple[str, float, float]]:
    """Return name, limit and largest value of each guardrail that is watched."""
    every: list[tuple[str, float | None, float]] = [
        ("complaints", settings.max_complaints, 1.0),
        ("refusals", settings.max_refusals, 1.0),
        ("errors", settings.max_errors, 1.0),
        ("invalid calls", settings.max_invalid_calls, 1.0),
        ("length", settings.max_length_tokens, LENGTH_TOKENS),
    ]
    return [(name, limit, most) for name, limit, most in every if limit is not None]


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
    name = f"trial\0{line.name}\0{line.seq + 1}\0{decision.verb}\0{candidate}"
    id = hashlib.sha256(name.encode()).hexdigest()[:32]
    audit = Audit(LEARNER, decision.reason, now_ms, id)
    make: dict[Any, Callable[[], Rollout]] = {
        "step": lambda: verbs.step(line, settings.steps, audit),
        "hold": lambda: verbs.hold(line, audit),
        "abort": lambda: verbs.abort(line, audit),
    }
    return make[decision.verb]()
