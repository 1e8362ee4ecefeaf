"""The guardrails of a trial: which figures are watched, by which limits, and what breaks one.

A figure must not rise by more than its limit, or, where more of it is better, not fall by more.
Before every share stands the gate, whose probes have limits of their own (learner.safety.gate).

Pure.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from learner.rollout.evidence.evidence import Difference
from streams.settings import RolloutSettings

# Replies that are longer count as so long: one endless reply must not hide all others.
LENGTH_TOKENS: Final = 1024.0
# Likewise of slow ones: a machine that stood still says nothing of a version.
LATENCY_MS: Final = 1000.0
# Nats a token; the wider, the more voices a fall needs to be certain. Versions lie between 0.5 and
# 1.9 on the mean (EXPERIMENTS, "Aboutness"), and a step moves what people liked by tenths.
ABOUT_NATS: Final = (-1.0, 2.0)
LIKED_NATS: Final = (-2.0, 2.0)


@dataclass(frozen=True, slots=True)
class Watch:
    """A figure that is watched.

    limit: how far it may rise; of one that must not fall, how far it may fall, as a negative number
    limits: what it can be at least and at most; others are cut to them
    asked: False: it may have no data, as tool calls where no tools are offered
    unseen: whether it can be told of a reply that nobody has seen
    """

    name: str
    limit: float
    limits: tuple[float, float]
    falls: bool = False
    asked: bool = True
    unseen: bool = True


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What was found of a figure; its unit is in its name, or in the settings."""

    name: str
    limit: float
    found: Difference
    asked: bool = True
    falls: bool = False

    @property
    def broken(self) -> bool:
        """Whether it is certain that it rose, or fell, by more than the limit."""
        return self.found.high < self.limit if self.falls else self.found.low > self.limit

    @property
    def told(self) -> str:
        """What broke, in words."""
        moved = "fell" if self.falls else "rose"
        return f"{self.name} {moved} by {self.found}, and {self.limit:g} is the limit"


def watched(
    settings: RolloutSettings, *, unseen: bool, without: Collection[str] = ()
) -> list[Watch]:
    """Return what is watched.

    unseen: whether nobody sees the candidate's replies
    without: names of what this learner cannot read
    """
    every = [
        (settings.max_complaints, Watch("complaints", 0, (0, 1), unseen=False)),
        (settings.max_refusals, Watch("refusals", 0, (0, 1))),
        (settings.max_errors, Watch("errors", 0, (0, 1))),
        (settings.max_invalid_calls, Watch("invalid calls", 0, (0, 1), asked=False)),
        (settings.max_length_tokens, Watch("length", 0, (0, LENGTH_TOKENS))),
        (
            settings.max_latency_ms,
            Watch("latency", 0, (0, LATENCY_MS), asked=False, unseen=False),
        ),
        (settings.max_aboutness_nats, Watch("aboutness", 0, ABOUT_NATS, falls=True)),
        (settings.max_liked_nats, Watch("liked", 0, LIKED_NATS, falls=True, asked=False)),
    ]
    return [
        replace(watch, limit=-limit if watch.falls else limit)
        for limit, watch in every
        if limit is not None and (watch.unseen or not unseen) and watch.name not in without
    ]
