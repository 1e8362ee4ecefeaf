"""The candidate on trial, looked at and steered from a shell: by way of the log alone."""

import time
from dataclasses import dataclass

from sqlmodel import Session

from deploy.errors import DeployError
from deploy.operate.history import existing_log
from streams.line.line import Line
from streams.line.offer import counted, decided, operate
from streams.line.verbs import Audit
from streams.records import Rollout, Verb
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.tables import PlannerRow, TrialRow


@dataclass(frozen=True, slots=True)
class Look:
    """What is on trial by the log, and what the learner last made of it, if it has.

    line: with an empty name for its base where it has never changed: the log has not met it
    """

    line: Line
    seen: TrialRow | None
    waits: PlannerRow | None = None  # what the learner waits for


def look(streams: StreamsSettings, session: Session, line: str) -> Look:
    """Return what is on trial. Raises: as `existing_log`."""
    with existing_log(streams) as log:
        now = decided(log, line) or Line(line, ("",))
    seen = session.get(TrialRow, line)
    if seen is not None and (now.trial is None or seen.candidate != now.trial.version):
        seen = None
    return Look(now, seen, session.get(PlannerRow, line))


def changes(streams: StreamsSettings, line: str, limit: int) -> list[Rollout]:
    """Return the last changes of a line, newest first: the audit. Raises: as `existing_log`."""
    with existing_log(streams) as log:
        return counted(log, line)[::-1][:limit]


def steer(
    streams: StreamsSettings,
    rollout: RolloutSettings,
    line: str,
    verb: Verb,
    *,
    who: str,
    reason: str,
    expected_seq: int | None = None,
) -> Rollout:
    """Use a verb on the candidate that is on trial, and return the record that counts.

    expected_seq: the line's seq that was seen; None: whatever it is
    raises: DeployError when the line never changed; otherwise as `existing_log` and
        streams.line.offer.operate
    """
    with existing_log(streams) as log:
        now = decided(log, line)
        if now is None:
            raise DeployError(f"the line {line} has never changed: nothing is on trial")
        audit = Audit.new(who, reason, int(time.time() * 1000))
        return operate(log, now, verb, audit, rollout, expected_seq=expected_seq)
