"""How much better or worse the candidate is judged than the version that serves, with bounds.

Voices (learner.rollout.evidence.voices) of both are taken in the order in which they were complete.
As soon as there is at least one new voice of each, the mean of the candidate's new ones less the
mean of the stable version's new ones is one observation of the difference; so both are heard at the
same time of day, and a share may be any. Over these observations stands a confidence sequence: an
interval that holds the true difference at every moment at once with probability 1 − α, so that it
may be looked at after every verdict, and decided on at any of them (Waudby-Smith & Ramdas 2024,
"Estimating means of bounded random variables by betting", JRSS-B 86(1): hedged capital, theorem 3,
with the bets of equations 26 and 27). Each of its two bounds fails with probability α/2 at most.

A principal that speaks of both versions pulls the two apart less than two principals would, which
widens the interval; the mean is one of principals, and not of turns.

The package `confseq` of the same authors has such bounds. It isn't kept: it comes as source alone,
must be compiled with CMake and Boost, and is marked as alpha; of it we would use what stands below.

Pure. Knows nothing of turns, versions or what is decided.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learner.rollout.evidence.voices import Voice

# Candidates for a mean of [0, 1]: an interval is wider by up to 1/400 than the exact one.
GRID: Final = 401
# No bet may lose more than this part of the capital at once (the paper's c, 1/2 or 3/4 there): with
# few voices, as a first share has, 3/4 found a bad candidate with half of the voices.
_STAKE: Final = 0.75
# The variance that is taken for granted before there is one: a difference of two judged means.
_VARIANCE: Final = 1 / 16

Floats = NDArray[np.float64]
Voices = Sequence[Voice]


class Means:
    """Confidence sequences of one or many means of observations in [0, 1].

    Row i is sequence i; many at once are for simulations.
    """

    def __init__(self, *, alpha: float, sequences: int = 1, grid: int = GRID) -> None:
        """Begin with nothing observed: every mean is possible.

        alpha: probability with which a sequence may ever leave out its mean
        """
        self._alpha = alpha
        self._grid: Floats = np.linspace(0.0, 1.0, grid)
        with np.errstate(divide="ignore"):
            self._most_up: Floats = _STAKE / self._grid
            self._most_down: Floats = _STAKE / (1.0 - self._grid)
        # log capital of bets that the mean is above, and below, each candidate for it
        self._up: Floats = np.zeros((sequences, grid))
        self._down: Floats = np.zeros((sequences, grid))
        self._counts: Floats = np.zeros(sequences)
        self._sums: Floats = np.zeros(sequences)
        self._squares: Floats = np.zeros(sequences)  # of distances from the mean so far

    def add(self, values: Floats, where: NDArray[np.bool_] | None = None) -> None:
        """Observe one value in each sequence.

        values: (sequences,), in [0, 1]
        where: (sequences,), whether there is one; None: in each
        """
        rows = np.arange(len(values)) if where is None else np.flatnonzero(where)
        x, n = values[rows], self._counts[rows]
        variance = (_VARIANCE + self._squares[rows]) / (n + 1)  # of what came before
        bets = np.sqrt(2 * math.log(2 / self._alpha) / (variance * (n + 1) * np.log(n + 2)))
        distance = x[:, None] - self._grid
        self._up[rows] += np.log1p(np.minimum(bets[:, None], self._most_up) * distance)
        self._down[rows] += np.log1p(-np.minimum(bets[:, None], self._most_down) * distance)
        self._counts[rows], self._sums[rows] = n + 1, self._sums[rows] + x
        self._squares[rows] += (x - (0.5 + self._sums[rows]) / (n + 2)) ** 2

    def bounds(self) -> tuple[Floats, Floats]:
        """Return the lower and the upper bounds of the means, each (sequences,).

        A bound is the last point of the grid that is left out, so that none is too narrow.
        """
        limit = math.log(2 / self._alpha)  # half of the capital is bet upwards, half downwards
        return self._grid[_left_out(self._up < limit)], self._grid[::-1][
            _left_out(self._down[:, ::-1] < limit)
        ]


def _left_out(possible: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the place before each row's first possible one, or 0; the last where none is."""
    last = possible.shape[1] - 1
    places: NDArray[np.intp] = np.maximum(possible.argmax(1) - 1, 0)
    places[~possible.any(1)] = last
    return places


@dataclass(frozen=True, slots=True)
class Difference:
    """The candidate's mean less the stable version's, in the units of what was observed.

    low, high: bounds that hold at all times together; as wide as can be without observations
    """

    low: float
    estimate: float
    high: float
    stable: int  # voices
    candidate: int

    def __str__(self) -> str:
        """The difference as operators read it.

        >>> str(Difference(-0.8, -0.42, -0.05, stable=180, candidate=21))
        '-0.42 (-0.80 to -0.05; 21 principals against 180)'
        """
        return (
            f"{self.estimate:+.2f} ({self.low:+.2f} to {self.high:+.2f}; "
            f"{self.candidate} principals against {self.stable})"
        )


def difference(
    stable: Voices, candidate: Voices, *, alpha: float, limits: tuple[float, float] = (-1.0, 1.0)
) -> Difference:
    """Compare the voices on two versions.

    alpha: probability with which the bounds may ever leave out the true difference, each one half
    limits: what a voice can be at least and at most; others are cut to them

    >>> difference([], [(0, 1.0)], alpha=0.05).low
    -2.0
    """
    widest = limits[1] - limits[0]
    means = Means(alpha=alpha)
    for value in observations(_cut(stable, limits), _cut(candidate, limits)):
        means.add(np.array([(value + widest) / (2 * widest)]))
    low, high = means.bounds()
    estimate = _mean(_cut(candidate, limits)) - _mean(_cut(stable, limits))
    return Difference(
        low=float(low[0]) * 2 * widest - widest,
        estimate=estimate if stable and candidate else 0.0,
        high=float(high[0]) * 2 * widest - widest,
        stable=len(stable),
        candidate=len(candidate),
    )


def observations(stable: Voices, candidate: Voices) -> Iterator[float]:
    """Yield the differences of the means of new voices, whenever there are new ones of both.

    >>> list(observations([(1, 0.0), (2, 1.0), (5, 1.0)], [(3, 1.0), (4, 0.0)]))
    [0.5, -1.0]
    """
    new: tuple[list[float], list[float]] = ([], [])
    for _, _, which, value in sorted([*_placed(stable, 0), *_placed(candidate, 1)]):
        new[which].append(value)
        if new[0] and new[1]:
            yield sum(new[1]) / len(new[1]) - sum(new[0]) / len(new[0])
            new = ([], [])


def _placed(voices: Voices, which: int) -> Iterator[tuple[int, float, int, float]]:
    """Yield each voice with its place among its own of the same moment, so that both take turns."""
    together = Counter(at_ms for at_ms, _ in voices)
    seen: Counter[int] = Counter()
    for at_ms, value in voices:
        yield at_ms, (seen[at_ms] + 0.5) / together[at_ms], which, value
        seen[at_ms] += 1


def _cut(voices: Voices, limits: tuple[float, float]) -> Voices:
    return [(at_ms, min(limits[1], max(limits[0], value))) for at_ms, value in voices]


def _mean(voices: Voices) -> float:
    return sum(value for _, value in voices) / max(len(voices), 1)
