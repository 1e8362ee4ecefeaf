"""Draws a token of each row from what is left of its distribution: by min_p, top_k and top_p.

In vLLM's order (vllm/v1/sample/sampler.py, step 7, and vllm/v1/sample/ops/topk_topp_sampler.py):
what is less likely than min_p times the likeliest token goes (Nguyen et al. 2024), then all but the
top_k likeliest (Fan et al. 2018), then all but the likeliest that together have top_p of the mass
that is left (Holtzman et al. 2020). The likeliest token always stays.

Rows are computed independently: sums go along a row in order, and no function whose rounding could
depend on a number's place in memory is applied to a whole batch.

Knows nothing of scores, temperature or text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# How many of the likeliest tokens are looked at until they hold what is left: finding 64 costs a
# fortieth of sorting a vocabulary, and a model that knows what to say rarely needs more.
_LADDER = (64, 256, 2048, 16384)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is left of one row's distribution. top_k 0, min_p 0 and top_p 1 leave everything."""

    top_k: int
    min_p: float
    top_p: float

    @property
    def leave_all(self) -> bool:
        return not self.top_k and not self.min_p and self.top_p >= 1


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token, and its log-probability, nats, in what was left."""

    token: int
    logprob: float


def draw(limits: Sequence[Limits], points: Sequence[float], probabilities: Tensor) -> list[Drawn]:
    """Draw a token of each row.

    points: a number of [0, 1) a row, which decides the token
    probabilities: (rows, vocabulary) float32, each row sums to 1
    """
    drawn: dict[int, Drawn] = {}
    whole = [row for row, each in enumerate(limits) if each.leave_all]
    if whole:
        kept = probabilities if len(whole) == len(limits) else probabilities[whole]
        mass = kept.cumsum(-1, dtype=torch.float64)
        sizes = torch.full((len(whole),), kept.shape[1])
        took = _taken(kept, None, mass, sizes, [points[row] for row in whole])
        drawn |= zip(whole, took, strict=True)
    rows = [row for row, each in enumerate(limits) if not each.leave_all]
    for rung in (*_LADDER, probabilities.shape[1]):
        if not rows:
            break
        left = probabilities if len(rows) == len(limits) else probabilities[rows]
        size = min(rung, left.shape[1])
        kept, ids = left.topk(size)
        mass, sizes, found = _left(kept, [limits[row] for row in rows])
        if size == left.shape[1]:
            found[:] = True
        took = _taken(kept, ids, mass, sizes, [points[row] for row in rows])
        drawn |= {row: each for row, each, sure in zip(rows, took, found, strict=True) if sure}
        rows = [row for row in rows if row not in drawn]
    return [drawn[row] for row in range(len(limits))]


def _left(kept: Tensor, limits: Sequence[Limits]) -> tuple[Tensor, Tensor, Tensor]:
    """Find what is left of rows whose likeliest tokens are known.

    kept: (rows, known) the largest probabilities, falling
    returns: mass (rows, known) float64: sums of what min_p and top_k leave, up to each token;
        sizes (rows,): how many tokens are left; found (rows,): whether what is not known would
        change that
    """
    known = kept.shape[1]
    least = torch.tensor([[each.min_p] for each in limits]) * kept[:, :1]
    top_k = torch.tensor([[each.top_k or known + 1] for each in limits])
    top_p = torch.tensor([[each.top_p] for each in limits], dtype=torch.float64)
    limited = torch.tensor([[bool(each.top_k or each.min_p)] for each in limits])
    stays = (kept >= least) & (torch.arange(known) < top_k)
    counts = stays.sum(-1, keepdim=True)
    mass = (kept * stays).cumsum(-1, dtype=torch.float64)
    goal = top_p * torch.where(limited, mass[:, -1:], 1.0)
    sizes = torch.where(top_p < 1, (mass < goal).sum(-1, keepdim=True) + 1, counts)
    sizes = torch.minimum(sizes, counts).clamp(min=1)  # a broken row has nothing, not even one
    ended = (counts < known) | (top_k == known)  # nothing that is not known stays
    found = torch.where(limited, ended, mass[:, -1:] >= goal)
    return mass, sizes[:, 0], found[:, 0]


def _taken(
    kept: Tensor, ids: Tensor | None, mass: Tensor, sizes: Tensor, points: Sequence[float]
) -> list[Drawn]:
    """Take the token of each row at which the sum of what is left passes its point.

    ids: None: a token's place is its id
    """
    totals = mass.gather(1, sizes[:, None] - 1)
    at = torch.tensor(points, dtype=torch.float64)[:, None] * totals
    places = torch.minimum(torch.searchsorted(mass, at, right=True), sizes[:, None] - 1)
    tokens = places if ids is None else ids.gather(1, places)
    shares = kept.gather(1, places)
    return [
        Drawn(token, _log(share, total))
        for token, share, total in zip(
            tokens[:, 0].tolist(), shares[:, 0].tolist(), totals[:, 0].tolist(), strict=True
        )
    ]


def _log(share: float, total: float) -> float:
    """The log of a share of a total; rounding must not make it positive. NaN: a broken row."""
    if not (share > 0 and total > 0):
        return math.nan
    return min(math.log(share) - math.log(total), 0.0)
