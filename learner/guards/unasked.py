"""Asks a version that serves what the gate left out for it, and takes it back when it fails that.

A candidate that would serve everybody at once does not wait for the base to be measured for every
probe (learner.safety.gate). Once the base has been, the version that serves is held against the
newest one before it that was asked everything, or the base. What is found takes the place of the
report in its generation's row; one that fails gives way to that version, as an operator's rollback
would have it, where the policy lets the learner do so. Nothing stops: the next candidate is asked
everything first.
"""

import logging
from typing import Protocol

from sqlmodel import Session

from learner.batch.plan import next_row, unfinished
from learner.rollout import claims
from learner.rollout.closer import SupportsGate, joined
from learner.rollout.release import Report
from learner.settings import LearnerSettings
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store import outbox
from streams.store.lease import Writing
from streams.store.states import WITHDRAWN
from streams.wire import id_of

_LOG = logging.getLogger(__name__)


class SupportsLook(SupportsGate, Protocol):
    """The parts of a learner that are needed."""

    @property
    def rollout(self) -> RolloutSettings: ...


class LookBack:
    """Looks at each version that serves a line once. Not shared between threads."""

    def __init__(self, settings: LearnerSettings) -> None:
        """Look at nothing yet."""
        self._settings = settings
        self._looked = ""

    def look(self, parts: SupportsLook, line: Line, writing: Writing, *, now_ms: int) -> bool:
        """Ask what serves what is left, if anything is; True when it was asked now.

        The gate's base must have been measured: else it leaves the same probes out again.
        """
        if line.version == self._looked or line.trial is not None:
            return False
        serving = parts.serving
        with parts.store.reading() as session:
            if unfinished(session, line.name) or claims.awaited(session, line.name) > line.seq:
                return False
            row = ledger.made(session, line.version)
            if row is None or not (row.gate or {}).get("quick") or line.previous is None:
                self._looked = line.version
                return False
            before = _asked_whole(session, line)
            chain = ledger.chain(session, before, known=serving.chain)
        decoder = serving.beside(chain) if chain else serving.base.decoder
        report = parts.gate.examine(serving.decoder, decoder, before, candidate_name=line.version)
        may = not parts.rollout.asks_operator
        with writing() as session:
            self._write(session, line, report, back=before if may else None, now_ms=now_ms)
        self._looked = line.version  # not before it is written: what fails is done again
        _LOG.info("all probes of %s: %s", line.version, report.reason)
        return True

    def _write(
        self, session: Session, line: Line, report: Report, *, back: str | None, now_ms: int
    ) -> None:
        """Keep the report, and take the version back that failed.

        back: what serves then; None: that is an operator's to decide, who reads the report
        """
        row = ledger.made(session, line.version)
        if row is None:
            return
        row.gate = joined(row.gate or {}, report.as_json())
        session.add(row)
        if report.passed or back is None:
            return
        reason = f"asked once the base had been measured: {report.reason}"
        change = take_back(session, line, self._settings, reason, back=back, now_ms=now_ms)
        outbox.put(session, "rollouts", line.name, change, line=line.name)


def take_back(
    session: Session, line: Line, settings: LearnerSettings, reason: str, *, back: str, now_ms: int
) -> Rollout:
    """Note in a generation of its own that what serves failed, and return what lets `back` serve.

    The caller commits, and sees to it that the log takes the change.
    """
    taken = next_row(session, line, settings, now_ms=now_ms)
    taken.state, taken.done_ms, taken.reason = WITHDRAWN, now_ms, reason
    taken.withdraws = {"probes": True, "to": back}
    id = id_of("unasked", taken.id)
    change = verbs.rollback(line, Audit(LEARNER, reason, now_ms, id), to=back)
    taken.seq = change.seq
    session.add(taken)
    return change


def _asked_whole(session: Session, line: Line) -> str:
    """Return the newest version before the one that serves that was asked all, as the base was."""
    for version in reversed(line.served[1:-1]):
        row = ledger.made(session, version)
        if row is None or not (row.gate or {}).get("quick"):
            return version
    return line.served[0]
