"""The rank-1 factors of a generation's members, as member_linear takes them.

Turns (key, tensor, members) into a_m and b_m: member 2p is +a_p, member 2p+1 is −a_p, b_p is
common to the pair. Frozen rows have zeros in a, frozen columns in b.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.change import COLUMNS, NOTHING_FROZEN, ROWS, Address, Frozen, Span
from kernels.contract import Backend
from kernels.version.layout import TensorSpec


def rank1_factors(
    backend: Backend,
    spec: TensorSpec,
    *,
    key: int,
    members: Sequence[int],
    frozen: Frozen = NOTHING_FROZEN,
) -> tuple[Tensor, Tensor]:
    """Return the factors of some members of one tensor.

    members: member numbers, in the order wanted (not empty)
    returns: rows (members, out) int8 with the member's ± in it, columns (members, in) int8
    """
    pairs, address = [member // 2 for member in members], Address.of(key, spec.name)
    rows, columns = (
        backend.signs(address, Span(side, size), pairs=max(pairs) + 1)[pairs]
        for side, size in zip((ROWS, COLUMNS), spec.shape, strict=True)
    )
    half = torch.tensor([1 - 2 * (m % 2) for m in members], dtype=torch.int8, device=rows.device)
    return frozen.zeroed(rows * half[:, None], columns)
