"""Turns the fitness of members into the integers of a recipe.

ES (Salimans et al. 2017; Qiu et al. 2025): centred ranks, so that one absurd score cannot steer;
pair differences; integers of root mean square 64, so that every recipe has the same resolution
whatever the fitness was. RandOpt (Gan & Isola 2026) in its first form: the best K members folded
into one version.

Knows nothing of models: numbers in, integers out.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

UNIT: Final = 64  # the integer that stands for 1: 4 × it is the largest that a recipe can carry
LARGEST: Final = 255


@dataclass(frozen=True, slots=True)
class Update:
    """What a generation adds to the master: K += step · Σ_p c_p a_p b_pᵀ."""

    coefficients: tuple[int, ...]  # one a pair
    step: int  # 0: smaller than one quantum


def centred_ranks(fitness: Floats) -> Floats:
    """Replace fitness by its rank, scaled to [-0.5, 0.5].

    Only the order matters, so one absurd score cannot steer the update
    (Salimans et al. 2017, sec. 2.1).

    fitness: (members,), higher is better; ties share a rank
    returns: (members,), sums to zero

    >>> centred_ranks(np.array([3.0, 900.0, 1.0])).tolist()
    [0.0, 0.5, -0.5]
    """
    if fitness.size < 2:
        return np.zeros(fitness.shape)
    _, place, count = np.unique(fitness, return_inverse=True, return_counts=True)
    # the mean of the places that a group of equals takes
    ranks = (np.cumsum(count) - (count + 1) / 2)[place]
    return np.asarray(ranks / (fitness.size - 1) - 0.5, dtype=np.float64)


def es(
    fitness: Floats,
    *,
    step: float,
    sigma_log2: int,
    quantum_log2: int,
    goal: float = math.inf,
    ranked: bool = True,
) -> Update:
    """Return the ES update: Δ = step · σ / pairs · Σ_p r_p E_p, with r of root mean square 1.

    A step is no longer than the pairs' measured slopes say that it takes for the goal (as Polyak's,
    1987, sec. 5.3.2, where the highest value is known): so steps shrink to nothing with what is
    left to gain, as ranks alone never do.

    fitness: (2 · pairs,), members 2p and 2p+1 are the + and − of pair p
    step: the longest; goal: gain in fitness, to first order, that is enough; may be infinite
    ranked: whether a pair counts by its members' ranks, or by what they gained: directions of
        falling size are not alike, and few
    quantum_log2: weight of one unit of K, relative to the tensor's scale
    returns: all-zero coefficients when the members do not differ; a step of 0 when less than half
        a quantum is enough
    """
    pairs = fitness.size // 2
    scores = centred_ranks(fitness) if ranked else fitness
    coefficients = integers(scores[0::2] - scores[1::2])
    slopes = (fitness[0::2] - fitness[1::2]) / 2  # along σ E of each pair
    foreseen = float(np.asarray(coefficients) / UNIT @ slopes) / pairs  # of a step of 1
    enough = goal / foreseen if foreseen > 0 else math.inf
    if enough >= step:
        return Update(coefficients, quanta(step / pairs, sigma_log2, quantum_log2))
    per_quantum = UNIT * 2.0 ** (quantum_log2 - sigma_log2)
    return Update(coefficients, round(max(0.0, enough) / pairs / per_quantum))


def randopt(fitness: Floats, *, top_k: int, sigma_log2: int, quantum_log2: int) -> Update:
    """Fold the best K members into one: Δ = σ / K · Σ of their signs (K at most half of all)."""
    top_k = min(top_k, fitness.size // 2)
    best = np.argsort(-fitness, kind="stable")[:top_k]
    folded = np.zeros(fitness.size // 2, dtype=np.int64)
    np.add.at(folded, best // 2, np.where(best % 2 == 0, UNIT, -UNIT))
    if np.ptp(fitness) == 0:
        folded[:] = 0
    return Update(tuple(folded.tolist()), quanta(1 / top_k, sigma_log2, quantum_log2))


def quanta(step: float, sigma_log2: int, quantum_log2: int) -> int:
    """Return the integer step that moves K by `step` · σ for a coefficient of UNIT; at least 1.

    >>> quanta(6 / 32, sigma_log2=-4, quantum_log2=-18)
    48
    """
    return max(1, round(step * 2.0 ** (sigma_log2 - quantum_log2) / UNIT))


def integers(values: Floats) -> tuple[int, ...]:
    """Scale to root mean square 64, round, and clip to what a recipe carries.

    >>> integers(np.array([1.0, -1.0, 1.0]))
    (64, -64, 64)
    >>> integers(np.array([0.0, 0.0]))
    (0, 0)
    """
    size = float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
    if size == 0:
        return (0,) * values.size
    scaled = np.rint(values / size * UNIT).clip(-LARGEST, LARGEST)
    return tuple(scaled.astype(np.int64).tolist())


def fitted(update: Update, most: int) -> Update:
    """Make an update's coefficients so much smaller, and its step longer, that their sum is exact.

    most: how large Σ|c| may be (kernels.change.most_weight); an update within it stays as it is

    >>> fitted(Update((64, -64, 0), 10), 64)
    Update(coefficients=(32, -32, 0), step=20)
    """
    whole = sum(map(abs, update.coefficients))
    if whole <= most:
        return update
    small = tuple((abs(c) * most // whole) * (1 if c > 0 else -1) for c in update.coefficients)
    return Update(small, round(update.step * whole / max(1, sum(map(abs, small)))))


def shrunk(step: int, moved: float, budget: float) -> int:
    """Return the next smaller step to try, after one that moved too far; 0: there is none.

    A child's KL grows with the square of its step, so one try more is nearly always enough.

    moved, budget: nats a token; moved may be infinite, or not a number

    >>> shrunk(64, 0.08, 0.05)
    48
    """
    ratio = min(1.0, budget / moved) if math.isfinite(moved) and moved > 0 else 0.0
    # a little under the estimate, which noise has; never by less than one, or by more than half
    return min(step - 1, max(step // 2, int(step * 0.95 * math.sqrt(ratio))))
