"""Turns log-probabilities into the fitness of members, turn by turn.

fitness = Σ over turns of weight · fitness of the turn.

A turn with a hinted rewrite is scored on the rewrite alone: hint. Its own long reply would cost
twice as much again, and adds nothing to what is known then (EXPERIMENTS, "Hints"). Any other turn
is scored on its reply: reward + hint − anchor.

  hint   = hint_weight · mean of A · log π_member over the scored tokens (A: of a rewrite its news,
           or, where it leads already, what holds it there, learner.fitness.news; of a reply
           learner.batch.hints);
  reward = reward_weight · confidence · mean over reply tokens of min(r·s, clip(r, 1±ε)·s), with
           r = π_member / π_logged and s the judged score: PPO's clipped objective (Schulman et al.
           2017, eq. 7), so one turn can pull a version only so far;
  anchor = kl_weight · mean of k3 = r − 1 − log r, which estimates KL(logged ‖ member) without
           negative values (Schulman 2020, "Approximating KL divergence").

A token that a constraint's mask chose is no choice of the model's: log-probabilities are those
without the mask, for logged and member alike, and forced tokens are left out of the means, so that
neither praise nor blame of a reply teaches its brackets.

From the fitness of every turn bank_weight · KL(base ‖ member) on prompts of the bank is taken,
which no turn is about: a hinted turn has no anchor of its own (learner.fitness.reference).

The table turn × member is kept, so that influence can be explained and taken out again.

Knows nothing of how log-probabilities are computed, or what becomes of the fitness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.batch.lesson import Lesson
from learner.population.members import Scored

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Terms:
    """How much each term counts; see learner.settings."""

    reward: float
    hint: float
    kl: float
    ratio_clip: float
    bank: float = 0.0


def table(lessons: Sequence[Lesson], scored: Scored, logprobs: Tensor, terms: Terms) -> Floats:
    """Return the fitness of every member on every turn.

    logprobs: (members, scored), of the lessons' passages in order
    returns: (turns, members)
    """
    found = logprobs.double().cpu().numpy()
    rows = [
        _turn_fitness(lesson, found[:, place], terms)
        for lesson, (place,) in zip(lessons, scored.places, strict=True)
    ]
    return np.stack(rows)


def slopes(lessons: Sequence[Lesson], scored: Scored, logprobs: Tensor, terms: Terms) -> Tensor:
    """Return how fast the combined fitness rises with each scored log-probability.

    logprobs: (scored,), where
    returns: (scored,) float32
    """
    found = logprobs.double().cpu().numpy()
    rows = [
        lesson.weight * _turn_slopes(lesson, found[place], terms)
        for lesson, (place,) in zip(lessons, scored.places, strict=True)
    ]
    return torch.from_numpy(np.concatenate(rows)).float().to(logprobs.device)


def combined(lessons: Sequence[Lesson], fitness: Floats) -> Floats:
    """Return each member's fitness: (turns, members) → (members,)."""
    return np.asarray([lesson.weight for lesson in lessons]) @ fitness


def left(lessons: Sequence[Lesson], scored: Scored, logprobs: Tensor, terms: Terms) -> float:
    """Return how much the lessons' fitness can rise: up to the teacher, and to the ratio's clip.

    A reply that the version has left already may rise by its anchor, too.

    logprobs: (scored,), where
    """
    found = logprobs.double().cpu().numpy()
    rows = [
        lesson.weight * _turn_left(lesson, found[place], terms)
        for lesson, (place,) in zip(lessons, scored.places, strict=True)
    ]
    return float(sum(rows))


def agreement(lessons: Sequence[Lesson], fitness: Floats) -> float:
    """Return how far the turns agree on which of two opposite members is the fitter: Cronbach's α.

    The turns are the raters, the pairs what is rated: α is the share of the combined difference's
    variance that the turns have in common, and so an estimate of how much of it other turns would
    say too (Cronbach 1951, eq. 2; Spearman-Brown for equal raters). Chance gives 0 on average.

    fitness: (turns, members), members 2p and 2p+1 are the + and − of pair p
    returns: at most 1; 1 for a single turn, of which nothing can be said
    """
    if len(lessons) < 2:
        return 1.0
    weights = np.asarray([lesson.weight for lesson in lessons])
    rated = weights[:, None] * (fitness[:, 0::2] - fitness[:, 1::2])
    together = float(rated.sum(axis=0).var())
    if together == 0:
        return 0.0
    turns = len(lessons)
    return turns / (turns - 1) * (1 - float(rated.var(axis=1).sum()) / together)


def _turn_fitness(lesson: Lesson, scored: Floats, terms: Terms) -> Floats:
    """(members, tokens) → (members,)."""
    if lesson.target:
        told: Floats = terms.hint * (scored * _weights(lesson)).mean(axis=1)
        return told
    own = _own(lesson, scored.shape[1])
    if not own:
        return np.zeros(len(scored))
    ratio = _ratio(lesson, scored, own)
    scored = scored[:, own]
    fitness: Floats = -terms.kl * np.mean(ratio - 1 - np.log(ratio), axis=1)
    if lesson.score:
        clipped = np.clip(ratio, 1 - terms.ratio_clip, 1 + terms.ratio_clip)
        pulled = np.minimum(ratio * lesson.score, clipped * lesson.score)
        fitness += terms.reward * lesson.confidence * pulled.mean(axis=1)
    if lesson.advantages:
        fitness += terms.hint * (scored * np.asarray(lesson.advantages)[own]).mean(axis=1)
    return fitness


def _turn_slopes(lesson: Lesson, scored: Floats, terms: Terms) -> Floats:
    """(tokens,) → (tokens,), the derivative of `_turn_fitness`."""
    if lesson.target:
        told: Floats = terms.hint * _weights(lesson) / scored.size
        return told
    slopes, own = np.zeros(scored.size), _own(lesson, scored.size)
    if not own:
        return slopes
    ratio = _ratio(lesson, scored, own)
    rising: Floats = -terms.kl * (ratio - 1)
    if lesson.score:
        clipped = np.clip(ratio, 1 - terms.ratio_clip, 1 + terms.ratio_clip)
        free = ratio * lesson.score <= clipped * lesson.score
        rising += np.where(free, terms.reward * lesson.confidence * lesson.score * ratio, 0.0)
    if lesson.advantages:
        rising += terms.hint * np.asarray(lesson.advantages)[own]
    slopes[own] = rising / len(own)
    return slopes


def _turn_left(lesson: Lesson, scored: Floats, terms: Terms) -> float:
    """(tokens,) → how much `_turn_fitness` can rise."""
    if lesson.target:  # news is how far the teacher is ahead
        return terms.hint * float(np.square(lesson.news).mean())
    own = _own(lesson, scored.size)
    if not own:
        return 0.0
    ratio = _ratio(lesson, scored, own)
    rise = terms.kl * float((ratio - 1 - np.log(ratio)).mean())
    if lesson.score:
        clip = 1 + lesson.score * terms.ratio_clip
        to_clip = np.maximum(0.0, lesson.score * (clip - ratio))
        rise += terms.reward * lesson.confidence * float(to_clip.mean())
    if lesson.advantages:
        rise += terms.hint * float(np.square(np.asarray(lesson.advantages)[own]).mean())
    return rise


def _weights(lesson: Lesson) -> Floats:
    """Return how much each token of the rewrite counts: what is won is not to be lost again."""
    taught = np.asarray(lesson.news, dtype=float)
    return taught + np.asarray(lesson.held) if lesson.held else taught


def _own(lesson: Lesson, tokens: int) -> list[int]:
    """Return the places of the tokens that the model chose itself."""
    return [place for place in range(tokens) if place not in lesson.forced]


def _ratio(lesson: Lesson, scored: Floats, own: list[int]) -> Floats:
    """Return π_member / π_logged of some tokens of a reply: (…, tokens) → (…, own)."""
    log_ratio = scored[..., own] - np.asarray(lesson.logprobs)[own]
    # beyond e²⁰ the ratio is clipped or absurd: bounding it keeps the anchor finite
    ratio: Floats = np.exp(np.clip(log_ratio, -20.0, 20.0))
    return ratio
