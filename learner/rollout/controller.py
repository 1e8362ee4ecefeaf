"""Decides what becomes of a candidate on trial: the next step, a hold, an end, or nothing yet.

    pending ─ operator ─▶ running(step) ─ soak, voices ─▶ running(step + 1) ─ … ─▶ completed
                               │  certainly worse, or past a guardrail, at any step ─▶ aborted
                               │  undecided past the deadline, no data, uneven shares ─▶ held

- It is never promoted on missing data, nor unless the bounds leave out that it is worse by more
  than the margin; where a person must promote it, it is held for that person then.
- Certain harm ends a trial in every state in which the candidate answers anybody, held or paused.
- Time is how long this process has seen the line as it is: a clock that is set, or a restart, can
  only make a step longer.
- While nobody sees it, a candidate is judged by its guardrails, and by the judges that need no
  user's words, where there are any; that alone never promotes it: its first share comes next.

Pure: the same trial and the same progress mean the same decision. Every change is made by a verb
(streams.line.verbs), and counts when the log has taken it first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from learner.rollout.evidence.evidence import Difference
from learner.rollout.evidence.guardrails import Guardrail
from learner.rollout.evidence.ratio import mismatched
from streams.line.line import Trial
from streams.records import Verb
from streams.settings import RolloutSettings

# How a hold's reason begins that names probes; what it names an operator may pass over.
_UNINFORMATIVE: Final = "uninformative probe: the gate could not tell by "


@dataclass(frozen=True, slots=True)
class Progress:
    """What a trial has come to.

    seen_s: for how long the line has been as it is, seconds
    sessions, candidate_sessions: first seen since then, in all and the candidate's
    touched: sessions that the candidate has answered since the trial began
    uninformative: probes of the gate that could say nothing, and that no operator has passed over
    failed: what the gate's probes found against the candidate, in words; empty: nothing
    unasked: probes of the gate are left to ask: it stays at its step until they are
    samples: of each metric, turns of the candidate that say the worst of it; shown, not decided on
    unseen: replies of the candidate that nobody has seen
    """

    seen_s: float
    judged: Difference
    guardrails: tuple[Guardrail, ...]
    sessions: int
    candidate_sessions: int
    touched: int
    uninformative: tuple[str, ...] = ()
    failed: str = ""
    unasked: bool = False
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The verb that is due, if one is, and why it is, or why the candidate isn't promoted yet."""

    verb: Verb | None
    reason: str


def decide(trial: Trial, progress: Progress, settings: RolloutSettings) -> Decision:
    """Return what is to become of a trial now."""
    if trial.state == "pending" and not progress.failed:
        return Decision(None, "waits for an operator to start it")
    harm = _harm(progress)
    if harm is not None:
        return Decision("abort", f"{harm}; it had answered {_touched(progress)}")
    if trial.state != "running":
        return Decision(None, f"{trial.state}: an operator may resume, promote or abort it")
    if progress.uninformative:
        return Decision("hold", _UNINFORMATIVE + ", ".join(progress.uninformative))
    if mismatched(progress.candidate_sessions, progress.sessions, trial.share):
        return Decision(
            "hold",
            f"uneven assignment: {progress.candidate_sessions} of {progress.sessions} sessions, "
            f"where {trial.share:.0%} were due",
        )
    return _by_evidence(trial, progress, settings)


def held_by(reason: str) -> frozenset[str]:
    """Return the uninformative probes that the reason of a hold names; none: another reason.

    >>> sorted(held_by("uninformative probe: the gate could not tell by odds, sense"))
    ['odds', 'sense']
    """
    names = reason.removeprefix(_UNINFORMATIVE)
    return frozenset() if names == reason else frozenset(names.split(", "))


def _by_evidence(trial: Trial, progress: Progress, settings: RolloutSettings) -> Decision:
    judged, late = progress.judged, progress.seen_s >= settings.deadline_s
    missing = _missing(trial, progress, settings)
    if missing is not None:
        return Decision("hold" if late else None, f"no data: {missing}")
    if progress.seen_s < settings.soak_s:
        left_s = settings.soak_s - progress.seen_s
        return Decision(None, f"{left_s:.0f} s of this step's soak are left; judged {judged}")
    if progress.unasked:
        return Decision(
            None, "waits for the gate's other probes, which are asked while it is tried"
        )
    last = trial.step + 1 >= len(settings.shares)
    good = judged.low > -settings.margin if last else judged.estimate >= -settings.margin
    if not good:
        if last:
            asked = "to serve everybody its lower bound must be above"
        else:
            asked = "for the next step its estimate must not be below"
        told = f"judged {judged}; {asked} {-settings.margin:+.2f}"
        return Decision("hold", f"inconclusive: {told}") if late else Decision(None, told)
    if last and settings.asks_operator:
        return Decision("hold", f"judged {judged}: waits for an operator to promote it")
    return Decision("step", f"judged {judged}")


def _harm(progress: Progress) -> str | None:
    if progress.failed:
        return f"the gate: {progress.failed}"
    if progress.judged.high < 0:
        return f"judged worse: {progress.judged}"
    for rail in progress.guardrails:
        if rail.broken:
            return rail.told
    return None


def _touched(progress: Progress) -> str:
    """Return whom the candidate has reached, in words."""
    if not progress.touched and progress.unseen:
        return f"nobody, and {progress.unseen} prompts unseen"
    return f"{progress.touched} session{'' if progress.touched == 1 else 's'}"


def _missing(trial: Trial, progress: Progress, settings: RolloutSettings) -> str | None:
    judged, least = progress.judged, settings.min_principals
    if trial.share == 0 and not judged.candidate:
        named: tuple[tuple[str, int], ...] = ()  # nobody judges what nobody has seen
    else:
        named = (("the candidate", judged.candidate), ("what serves", judged.stable))
    for name, voices in named:
        if voices < least:
            return f"{voices} of {least} principals have judged {name}"
    if trial.share == 0 and not progress.guardrails and not named:
        return "no guardrail is watched, and nothing else can be told of what nobody has seen"
    for rail in progress.guardrails:
        found = rail.found
        if found.candidate < least and (rail.asked or found.stable >= least):
            return f"{rail.name} of {found.candidate} principals, and {least} are needed"
    return None
