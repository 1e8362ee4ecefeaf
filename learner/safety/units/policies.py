"""Which units are frozen: a policy turns the scores of one kind of units into those.

- `top-complex`: the exclusive safety units and the highest complex ones, up to a share of all; the
  paper's 7.5 % kept refusals through fine-tuning (Li & Kim 2024, table 2).
- `all-complex`: the exclusive safety units and all complex ones; what is of use alone, and what is
  redundant, moves.
- `all-but-redundant`: the redundant units, the alignment budget, are all that moves.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from learner.safety.units.classes import COMPLEX, EXCLUSIVE_PART, REDUNDANT, SAFETY, classified
from learner.safety.units.measured import Scores
from learner.safety.units.orders import Order, complex_first, exclusive_first
from learner.settings import Freeze


def frozen_units(policy: Freeze, scores: Scores, share: float) -> dict[int, list[int]]:
    """Choose the units of one kind that are frozen.

    scores: (sets, 2, layers, units), I_S and I_U
    share: of all units of this kind, 0 to 1; read by `top-complex` alone
    returns: layer → units, ascending; layers without a frozen unit are left out

    >>> frozen_units("top-complex", np.array([[[[9, 1, 0, 8]], [[0, 1, 0, 8]]]]), 0.5)
    {0: [0, 3]}
    """
    num_units = scores.shape[3]
    frozen: dict[int, list[int]] = {}
    for unit in sorted(POLICIES[policy](scores, share).tolist()):
        frozen.setdefault(unit // num_units, []).append(unit % num_units)
    return frozen


def _top_complex(scores: Scores, share: float) -> Order:
    wanted = int(scores[0, 0].size * share)
    exclusive = exclusive_first(scores)[: round(wanted * EXCLUSIVE_PART)]
    common = complex_first(scores)
    rest = common[~np.isin(common, exclusive)][: wanted - len(exclusive)]
    return np.concatenate([exclusive, rest])


def _all_complex(scores: Scores, _share: float) -> Order:
    return np.flatnonzero(np.isin(classified(scores), (SAFETY, COMPLEX)))


def _all_but_redundant(scores: Scores, _share: float) -> Order:
    return np.flatnonzero(classified(scores) != REDUNDANT)


POLICIES: Final[Mapping[Freeze, Callable[[Scores, float], Order]]] = {
    "top-complex": _top_complex,
    "all-complex": _all_complex,
    "all-but-redundant": _all_but_redundant,
}
