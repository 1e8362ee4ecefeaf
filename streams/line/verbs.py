"""The verbs of a line: each makes the record of one change, where the line's state allows it.

    start ─▶ pending ─ start ─▶ running ─ step, skip-step ─▶ running … ─ step ─▶ completed
                                 │    ▲
                     pause, hold ▼    │ resume
                               paused, held

A trial in any of these four states ends with abort (what serves, serves on), with promote-full (the
candidate serves everybody now), with rollback or with reset. Without a trial, promote takes a
version into service at once. A reset is always possible until it has been made: the base serves,
and nothing is learned until the verb learn.

Every Rollout record is made here: agent, learner, console and command line call the same functions.
A record is an offer; the log decides which of several with the same seq counts (streams.line.line).

Pure: no clock, no log. Knows nothing of evidence, or of who may use which verb.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, get_args

from streams.errors import VerbRefusedError
from streams.line.line import Line, Trial
from streams.records import Rollout, State, Verb

_ANY_TRIAL: Final = frozenset({"pending", "running", "paused", "held"})
_NO_TRIAL: Final = frozenset({"none"})
# The states of a trial in which a verb is valid; rollback asks for an earlier version instead.
_VALID_IN: Final[Mapping[Verb, frozenset[str]]] = {
    "promote": _NO_TRIAL,
    "start": _NO_TRIAL | {"pending"},
    "step": frozenset({"running"}),
    "skip-step": frozenset({"running", "held"}),
    "pause": frozenset({"running", "held"}),
    "resume": frozenset({"paused", "held"}),
    "hold": frozenset({"running"}),
    "abort": _ANY_TRIAL,
    "promote-full": _ANY_TRIAL,
    "rollback": _NO_TRIAL | _ANY_TRIAL,
    "reset": _NO_TRIAL | _ANY_TRIAL,
    "learn": _NO_TRIAL,
}


@dataclass(frozen=True, slots=True)
class Audit:
    """The person or part that changes a line, why and when: what stays of a change for ever.

    id: the record's; created_ms: Unix milliseconds
    """

    who: str
    reason: str
    created_ms: int
    id: str

    @classmethod
    def new(cls, who: str, reason: str, created_ms: int) -> "Audit":
        """Return the audit of a change that happens once; its id is drawn."""
        return cls(who, reason, created_ms, uuid.uuid4().hex)


def valid(line: Line) -> tuple[Verb, ...]:
    """Return the verbs that are valid for a line now.

    >>> valid(Line("main", ("base",)))
    ('promote', 'start', 'reset')
    """
    state = line.trial.state if line.trial else "none"
    verbs: tuple[Verb, ...] = get_args(Verb)
    return tuple(v for v in verbs if state in _VALID_IN[v] and not _is_idle(line, v))


_IDLE: Final[Mapping[Verb, str]] = {
    "rollback": "has no earlier version to go back to",
    "reset": "is at its base already, and nothing is learned",
    "learn": "learns already",
}


def _is_idle(line: Line, verb: Verb) -> bool:
    """Whether a verb would change nothing of what serves, or of whether it is learned."""
    match verb:
        case "rollback":
            return line.previous is None
        case "reset":
            return line.previous is None and line.trial is None and not line.learning
        case "learn":
            return line.learning
    return False


def promote(line: Line, version: str, audit: Audit) -> Rollout:
    """Take a version into service at once, without a trial.

    raises: VerbRefusedError while a candidate is on trial, or when the version serves already
    """
    _require(line, "promote")
    if version == line.version:
        raise _refused(line, "promote", f"{version} serves the line {line.name} already")
    return _change(line, audit, "promote", "completed", version=version)


def rollback(line: Line, audit: Audit, *, to: str | None = None) -> Rollout:
    """Take an earlier version back into service; a trial that is on ends with it.

    to: a version that served before; None: the one before the one that serves
    raises: VerbRefusedError when there is none, or `to` is none of them
    """
    if line.previous is None:
        raise _refused(
            line, "rollback", f"the line {line.name} is at its base: there is nothing to go back to"
        )
    if to is not None and to not in line.served[:-1]:
        raise _refused(line, "rollback", f"{to} did not serve the line {line.name} before")
    candidate = line.trial.version if line.trial else None
    back = to or line.previous
    return _change(line, audit, "rollback", "aborted", version=back, candidate=candidate)


def start(line: Line, candidate: str, audit: Audit, *, share: float | None) -> Rollout:
    """Put a candidate on trial, or give a pending one its first sessions.

    share: of the sessions, 0 to 1; 0: it answers beside, unseen; None: it is pending, and waits for
        a second start
    raises: VerbRefusedError while another one is on trial, or when the candidate serves already
    """
    _require(line, "start")
    if candidate == line.version:
        raise _refused(line, "start", f"{candidate} serves the line {line.name} already")
    if line.trial is not None and line.trial.version != candidate:
        raise _refused(line, "start", f"{line.trial.version} is on trial already")
    state: State = "pending" if share is None else "running"
    return _change(line, audit, "start", state, candidate=candidate, share=share or 0.0)


def step(line: Line, shares: Sequence[float], audit: Audit) -> Rollout:
    """Give the candidate its next share; after the last one it serves everybody.

    shares: the policy's, of the sessions, by step
    raises: VerbRefusedError when no trial is running
    """
    return _step(line, "step", shares, audit)


def skip_step(line: Line, shares: Sequence[float], audit: Audit) -> Rollout:
    """Take the next step as `step` does, without waiting for evidence; also where it is held."""
    return _step(line, "skip-step", shares, audit)


def pause(line: Line, audit: Audit) -> Rollout:
    """Keep a trial at its share until an operator resumes it. raises: VerbRefusedError."""
    return _same_share(line, "pause", "paused", audit)


def hold(line: Line, audit: Audit) -> Rollout:
    """Keep a trial at its share because it cannot be decided now. raises: VerbRefusedError."""
    return _same_share(line, "hold", "held", audit)


def resume(line: Line, audit: Audit) -> Rollout:
    """Let a trial that is paused or held run on. raises: VerbRefusedError."""
    return _same_share(line, "resume", "running", audit)


def abort(line: Line, audit: Audit) -> Rollout:
    """End a trial: what serves, serves everybody again. raises: VerbRefusedError."""
    trial = on_trial(line, "abort")
    return _change(
        line, audit, "abort", "aborted", candidate=trial.version, step=trial.step, share=0.0
    )


def promote_full(line: Line, audit: Audit) -> Rollout:
    """Let the candidate on trial serve everybody now. raises: VerbRefusedError."""
    return _complete(line, "promote-full", on_trial(line, "promote-full"), audit)


def reset(line: Line, base: str, audit: Audit) -> Rollout:
    """Let the base serve everybody, and learn nothing until the verb learn; ends a trial.

    base: the version without any recipe
    raises: VerbRefusedError when that has been done already
    """
    if "reset" not in valid(line) and line.version == base:
        raise _refused(line, "reset", f"the base serves the line {line.name}, which does not learn")
    candidate = line.trial.version if line.trial else None
    return _change(line, audit, "reset", "aborted", version=base, candidate=candidate)


def learn(line: Line, audit: Audit) -> Rollout:
    """Learn again, on what serves. raises: VerbRefusedError while it is learned anyway."""
    if line.learning:
        raise _refused(line, "learn", f"the line {line.name} is learned already")
    _require(line, "learn")
    return _change(line, audit, "learn", "completed")


def refuse(line: Line, verb: Verb) -> NoReturn:
    """Refuse a verb that is not valid for a line now. Raises: VerbRefusedError, always."""
    raise _refused(line, verb, _told(line, verb))


def _step(line: Line, verb: Verb, shares: Sequence[float], audit: Audit) -> Rollout:
    trial = on_trial(line, verb)
    place = trial.step + 1
    if place >= len(shares):
        return _complete(line, verb, trial, audit)
    return _change(
        line, audit, verb, "running", candidate=trial.version, step=place, share=shares[place]
    )


def _complete(line: Line, verb: Verb, trial: Trial, audit: Audit) -> Rollout:
    return _change(
        line,
        audit,
        verb,
        "completed",
        version=trial.version,
        candidate=trial.version,
        step=trial.step,
    )


def _same_share(line: Line, verb: Verb, state: State, audit: Audit) -> Rollout:
    trial = on_trial(line, verb)
    return _change(
        line, audit, verb, state, candidate=trial.version, step=trial.step, share=trial.share
    )


def _require(line: Line, verb: Verb) -> None:
    if verb not in valid(line):
        raise _refused(line, verb, _told(line, verb))


def on_trial(line: Line, verb: Verb) -> Trial:
    """Return a line's trial, of which a verb is meant. Raises: VerbRefusedError without one."""
    if line.trial is None or verb not in valid(line):
        raise _refused(line, verb, _told(line, verb))
    return line.trial


def _told(line: Line, verb: Verb) -> str:
    if _is_idle(line, verb):
        return f"the line {line.name} {_IDLE[verb]}"
    trial = line.trial
    now = f"{trial.version} is on trial ({trial.state})" if trial else "no candidate is on trial"
    return f"{now} on the line {line.name}"


def _refused(line: Line, verb: Verb, why: str) -> VerbRefusedError:
    return VerbRefusedError(f"cannot {verb}: {why}", valid=valid(line))


def _change(
    line: Line,
    audit: Audit,
    verb: Verb,
    state: State,
    *,
    version: str | None = None,
    candidate: str | None = None,
    step: int = 0,
    share: float = 1.0,
) -> Rollout:
    """Make the record of the next change; version None: what serves, serves on."""
    return Rollout(
        id=audit.id,
        line=line.name,
        seq=line.seq + 1,
        version=version or line.version,
        previous=line.version,
        candidate=candidate,
        state=state,
        step=step,
        share=share,
        verb=verb,
        reason=audit.reason,
        who=audit.who,
        created_ms=audit.created_ms,
    )
