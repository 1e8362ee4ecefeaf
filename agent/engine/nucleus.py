"""Draws a token of each row from what is left of its distribution: by min_p, top_k and top_p.

In vLLM's order (vllm/v1/sample/sampler.py, step 7, and vllm/v1/sample/ops/topk_topp_sampler.py):
what is less likely than min_p times the likeliest token goes (Nguyen et al. 2024), then all but the
top_k likeliest (Fan et al. 2018), then all but the likeliest that together have top_p of the mass
that is left (Holtzman et al. 2020). The likeliest token always stays.

Rows are computed independently, in compiled loops (kernels.loops.draw), several threads over them.

Knows nothing of text, bias or masks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.cpu.threads import Threads
from kernels.loops.attention import LOG2_E
from kernels.loops.draw import draw_rows, log_totals

Scores = NDArray[np.float32]

_THREADS: Final = Threads()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is left of one row's distribution. top_k 0, min_p 0 and top_p 1 leave everything."""

    top_k: int
    min_p: float
    top_p: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token, and its log-probability, nats, in what was left."""

    token: int
    logprob: float


def totals_of(scores: Scores) -> NDArray[np.float64]:
    """Return the log of the sum of e^score of each row: a score less it is a log-probability.

    returns: (rows,) nats; NaN for a row that is not finite
    """
    highest, totals = scores.max(axis=1), np.empty(len(scores))

    def loop(first: int, last: int) -> None:
        log_totals(first, last, scores, highest, totals)

    _THREADS.over(len(scores), loop, items=scores.shape[1])
    return totals


def draw(
    limits: Sequence[Limits], temperatures: Sequence[float], points: Sequence[float], scores: Scores
) -> list[Drawn]:
    """Draw a token of each row.

    points: a number of [0, 1) a row, which decides the token
    scores: (rows, vocabulary), C-contiguous; −inf: never drawn
    """
    highest, scales = scores.max(axis=1), LOG2_E / np.array(temperatures, np.float32)
    given = (
        scales,
        np.array([min(each.top_k, scores.shape[1]) for each in limits], np.int64),
        np.array([each.min_p for each in limits], np.float32),
        np.array([each.top_p for each in limits], np.float64),
        np.array(points, np.float64),
    )
    tokens, shares = np.empty(len(scores), np.int64), np.empty(len(scores))

    def loop(first: int, last: int) -> None:
        size = scores.shape[1]
        scratch, ids = np.empty((2, size), np.float32), np.empty(size, np.int32)
        draw_rows(first, last, scores, highest, *given, scratch, ids, tokens, shares)

    _THREADS.over(len(scores), loop, items=scores.shape[1])
    found = zip(tokens.tolist(), shares.tolist(), strict=True)
    return [Drawn(token, _log(share)) for token, share in found]


def _log(share: float) -> float:
    """Return the log of a share; rounding must not make it positive. NaN: a broken row."""
    return min(math.log(share), 0.0) if share > 0 else math.nan
