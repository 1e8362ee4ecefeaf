"""Turns log-probabilities into the fitness of members, turn by turn.

fitness = Σ over turns of weight · ( reward + hint − anchor ), and for each turn
  reward = reward_weight · confidence · mean over reply tokens of min(r·s, clip(r, 1±ε)·s), with
           r = π_member / π_logged and s the judged score: PPO's clipped objective (Schulman et al.
           2017, eq. 7), so one turn can pull a version only so far;
  hint   = hint_weight · mean of A · log π_member over the tokens of the hinted rewrite, or of the
           reply (A: learner.hints);
  anchor = kl_weight · mean of k3 = r − 1 − log r, which estimates KL(logged ‖ member) without
           negative values (Schulman 2020, "Approximating KL divergence").

The table turn × member is kept, so that influence can be explained and taken out again.

Knows nothing of how log-probabilities are computed, or what becomes of the fitness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from learner.population import Passage, Scored

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one judged turn teaches in a generation."""

    turn_id: str
    weight: float  # its share of the generation, from learner.trust
    score: int
    confidence: float
    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    logprobs: tuple[float, ...]  # of the reply's tokens as they were sampled; empty: the parent's
    target: tuple[int, ...] = ()  # the hinted rewrite; empty: none
    teacher: tuple[float, ...] = ()  # the hinted teacher's log-probabilities of the target's tokens
    news: tuple[float, ...] = ()  # weights of the target's tokens, from teacher and parent
    # of the reply's tokens, from the hinted teacher; empty: none
    advantages: tuple[float, ...] = ()

    @property
    def passage(self) -> Passage:
        """What is scored of it: the reply, and the target behind the same prompt."""
        return Passage(self.prompt, (self.reply, self.target) if self.target else (self.reply,))


@dataclass(frozen=True, slots=True)
class Terms:
    """How much each term counts; see learner.settings."""

    reward: float
    hint: float
    kl: float
    ratio_clip: float


def table(lessons: Sequence[Lesson], scored: Scored, logprobs: Tensor, terms: Terms) -> Floats:
    """Give the fitness of every member on every turn.

    logprobs: (members, scored), of the lessons' passages in order
    returns: (turns, members)
    """
    found = logprobs.double().numpy()
    rows = [
        _turn_fitness(lesson, [found[:, place] for place in places], terms)
        for lesson, places in zip(lessons, scored.places, strict=True)
    ]
    return np.stack(rows)


def combined(lessons: Sequence[Lesson], fitness: Floats) -> Floats:
    """Give each member's fitness: (turns, members) → (members,)."""
    return np.asarray([lesson.weight for lesson in lessons]) @ fitness


def _turn_fitness(lesson: Lesson, scored: Sequence[Floats], terms: Terms) -> Floats:
    reply = scored[0]
    log_ratio = reply - np.asarray(lesson.logprobs)
    # beyond e²⁰ the ratio is clipped or absurd: bounding it keeps the anchor finite
    ratio = np.exp(np.clip(log_ratio, -20.0, 20.0))
    fitness: Floats = -terms.kl * np.mean(ratio - 1 - np.log(ratio), axis=1)
    if lesson.score:
        clipped = np.clip(ratio, 1 - terms.ratio_clip, 1 + terms.ratio_clip)
        pulled = np.minimum(ratio * lesson.score, clipped * lesson.score)
        fitness += terms.reward * lesson.confidence * pulled.mean(axis=1)
    if lesson.target:
        fitness += terms.hint * (scored[1] * np.asarray(lesson.news)).mean(axis=1)
    if lesson.advantages:
        fitness += terms.hint * (reply * np.asarray(lesson.advantages)).mean(axis=1)
    return fitness
