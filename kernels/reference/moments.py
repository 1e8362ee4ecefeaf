"""Mean and variance of every unit, in one pass, in any number of pieces.

Turns activations (tokens, units) into a count, means and sums of squared differences, which
merge exactly as if all tokens had come at once (Chan, Golub & LeVeque 1979, eq. 2.1; Welford
1962 for one token at a time). The naive E[x²] − E[x]² loses everything where the mean is large.

Knows nothing of safety; SSAH's scores are built on it (learner.safety.units.scores).
"""

import torch
from torch import Tensor

from kernels.contract import Backend


class Moments:
    """Running mean and variance of units, in float64."""

    def __init__(self, units: int, *, backend: Backend) -> None:
        self.count = 0
        self._backend = backend
        self._mean = torch.zeros(units, dtype=torch.float64)
        self._squares = torch.zeros(units, dtype=torch.float64)

    @property
    def mean(self) -> Tensor:
        """(units,) float64."""
        return self._mean.clone()

    def add(self, x: Tensor) -> None:
        """Take in more tokens.

        x: (tokens, units)
        """
        if not len(x):
            return
        mean, squares = (part.to("cpu", torch.float64) for part in self._backend.moments(x))
        self._merge(len(x), mean, squares)

    def merge(self, other: "Moments") -> None:
        """Take in all that another one has seen."""
        if other.count:
            self._merge(other.count, other._mean, other._squares)

    def variance(self) -> Tensor:
        """Return the unbiased variance: (units,) float64.

        raises: ValueError with fewer than two tokens
        """
        if self.count < 2:
            raise ValueError("a variance needs at least two tokens")
        return self._squares / (self.count - 1)

    def _merge(self, count: int, mean: Tensor, squares: Tensor) -> None:
        total = self.count + count
        delta = mean - self._mean
        self._squares += squares + delta.square() * (self.count * count / total)
        self._mean += delta * (count / total)
        self.count = total
