"""Folds the topic `rollouts` into what serves a line: every reader comes to the same answer.

The first record whose seq is the last one's plus one counts; every other of that seq, and one that
skips ahead, is ignored by all readers alike. A record says all that holds after it: what serves,
and which candidate is on trial, in which state and with which share of the sessions. A rollback
goes back along the versions that served, so a second one goes back further, and never forward to
what was taken back. A reset goes back to the base, leaves nothing to go back to, and stops learning
until a later record lets it go on.

Knows nothing of weights, threads or logs. Records are made in streams.line.verbs.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from streams.records import Rollout, State, Verb

# Words by which people mean one of its versions.
WORDS: Final = ("stable", "previous", "candidate")
NUMBER_DIGITS: Final = 5  # at most; more are how a name begins, which may have no letters
ON_TRIAL: Final[frozenset[State]] = frozenset({"pending", "running", "paused", "held"})


def is_number(version: str) -> bool:
    """Return whether a version is meant by its number."""
    return version.isascii() and version.isdigit() and len(version) <= NUMBER_DIGITS


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate beside the version that serves."""

    version: str
    state: State  # one of ON_TRIAL
    step: int  # place in the policy's shares, from 0
    share: float  # of the sessions that the candidate answers, 0 to 1
    started_by: str = ""  # whoever started it; empty: nobody has, yet

    @property
    def unseen(self) -> bool:
        """Whether the candidate answers beside what serves, and nobody sees it."""
        return self.share == 0 and self.state in ("running", "held")


@dataclass(frozen=True, slots=True)
class Line:
    """What serves a line, what served before it, and what is on trial."""

    name: str
    served: tuple[str, ...]  # oldest first, what was taken back left out; never empty
    seq: int = 0
    since_ms: int = 0
    verb: Verb = "promote"
    trial: Trial | None = None
    learning: bool = (
        True  # False: from a reset on, until somebody says that it may be learned again
    )
    change: str = field(default="", compare=False)  # id of the last record that counted

    @property
    def version(self) -> str:
        """The version that serves all sessions but the candidate's share."""
        return self.served[-1]

    @property
    def previous(self) -> str | None:
        """The version that a rollback takes back into service; None at the base."""
        return self.served[-2] if len(self.served) > 1 else None

    def named(self, word: str) -> str | None:
        """Return the version that one of WORDS means now; None: there is none.

        >>> [Line("main", ("base", "v1")).named(word) for word in WORDS]
        ['v1', 'base', None]
        """
        trial = self.trial.version if self.trial else None
        return dict(zip(WORDS, (self.version, self.previous, trial), strict=True))[word]

    def take(self, rollout: Rollout) -> "Line":
        """Return the line after a rollout; the same line when the rollout does not count.

        >>> from streams.line.verbs import Audit, promote
        >>> line, audit = Line("main", ("base",)), Audit("ann", "better", 0, "1")
        >>> line.take(promote(line, "a", audit)).take(promote(line, "b", audit)).version
        'a'
        """
        if rollout.line != self.name or rollout.seq != self.seq + 1:
            return self
        served = (*self.served, rollout.version)
        if rollout.verb == "reset":
            served = (rollout.version,)
        elif rollout.verb == "rollback" and rollout.version in self.served:
            served = self.served[: _last(self.served, rollout.version) + 1]
        elif rollout.version == self.version:
            served = self.served
        return replace(
            self,
            served=served,
            seq=rollout.seq,
            since_ms=rollout.created_ms,
            verb=rollout.verb,
            trial=_trial(rollout, self.trial),
            learning=_learns(self, rollout),
            change=rollout.id,
        )


def _learns(before: Line, rollout: Rollout) -> bool:
    match rollout.verb:
        case "reset":
            return False
        case "learn":
            return True
    return before.learning


def _last(served: tuple[str, ...], version: str) -> int:
    return len(served) - 1 - served[::-1].index(version)


def _trial(rollout: Rollout, before: Trial | None) -> Trial | None:
    if rollout.candidate is None or rollout.state not in ON_TRIAL:
        return None
    started_by = before.started_by if before and before.version == rollout.candidate else ""
    if rollout.verb == "start" and rollout.state == "running":
        started_by = rollout.who
    return Trial(rollout.candidate, rollout.state, rollout.step, rollout.share, started_by)
