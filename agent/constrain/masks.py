"""Takes from scores what the grammars of their replies do not allow.

A row is masked by IEEE selections of its own, so it comes out the same to the bit whatever rows
stand beside it; a mask that cannot be had concerns its own reply alone.

Knows nothing of grammars, or of how a token is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.constrain.contract import Matcher
from agent.errors import LostMaskError
from kernels.cpu.threads import Threads
from kernels.loops.draw import hold_rows

# A token is the model's own choice where the mask leaves it at least this share of what it would
# have said; below, what is learned from the token would be the grammar's.
OWN_SHARE: Final = 0.99

_THREADS: Final = Threads()


@dataclass(frozen=True, slots=True)
class Masked:
    """Scores of which only what is allowed is left.

    scores: (replies, vocabulary); −inf: not allowed
    forced: rows whose mask took more than 1 − OWN_SHARE of the model's probability
    lost: rows whose mask could not be had, and why
    """

    scores: Tensor
    forced: frozenset[int] = frozenset()
    lost: dict[int, LostMaskError] = field(default_factory=dict)


def masked(
    matchers: Mapping[int, Matcher], scores: Tensor, logits: Tensor, totals: NDArray[np.float64]
) -> Masked:
    """Mask the rows that have a matcher.

    scores: (replies, vocabulary) float32; not changed, and returned themselves where nothing is
    logits, totals: what the model said, and the log of the sum of e^logit of each row; by these
        the share is reckoned that is left
    """
    if not matchers:
        return Masked(scores)
    num_rows, size = scores.shape
    allowed, places = np.empty((len(matchers), size), np.bool_), np.full(num_rows, -1)
    lost: dict[int, LostMaskError] = {}
    for place, (row, matcher) in enumerate(matchers.items()):
        try:
            allowed[place] = matcher.mask()[:size]
        except LostMaskError as cause:
            lost[row] = cause
            continue
        places[row] = place
    held, shares = np.empty((num_rows, size), np.float32), np.ones(num_rows)
    before, said = scores.contiguous().numpy(), logits.contiguous().numpy()

    def loop(first: int, last: int) -> None:
        hold_rows(first, last, before, said, totals, allowed, places, held, shares)

    _THREADS.over(num_rows, loop, items=size)
    forced = np.flatnonzero(shares < OWN_SHARE).tolist()
    return Masked(torch.from_numpy(held), frozenset(forced), lost)
