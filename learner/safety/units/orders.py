"""Orders of units by what they do: the first ones do it in every calibration set.

The intersection of every set's top k, with k as large as wanted, is the first units by their worst
rank over the sets; so the sets need not agree on a threshold. Ties fall to the lower unit.

A unit is named layer · units of a layer + unit, among those of its kind.
"""

import numpy as np
from numpy.typing import NDArray

from learner.safety.units.measured import Scores

Order = NDArray[np.intp]


def exclusive_first(scores: Scores) -> Order:
    """Order the units of one kind, the most exclusively safety's first: I_S − I_U.

    scores: (sets, 2, layers, units), I_S and I_U
    """
    return first_by_worst_rank(scores[:, 0] - scores[:, 1])


def complex_first(scores: Scores) -> Order:
    """Order the units of one kind, those that do most of both first: I_S + I_U."""
    return first_by_worst_rank(scores[:, 0] + scores[:, 1])


def redundant_first(scores: Scores) -> Order:
    """Order the units of one kind, those that do least of both first."""
    return first_by_worst_rank(-scores[:, 0] - scores[:, 1])


def first_by_worst_rank(scores: Scores) -> Order:
    """Order units by their worst rank over the sets: (sets, layers, units), highest first.

    >>> first_by_worst_rank(np.array([[[9, 5, 0]], [[-9, 5, 0]]], dtype=np.int32)).tolist()
    [1, 0, 2]
    """
    scores = scores.reshape(len(scores), -1)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None], axis=1)
    return np.argsort(ranks.max(axis=0), kind="stable")
