"""Searches a pool of signs for those that lie along a direction, alone and several together.

The pool is Philox words of a tensor's address, so what is found is told by a number. A sign alone
lies along a direction by a tenth of its length; several have a sum that lies along it further, most
of all where what they have beside it cancels. Lengths may be of another measure, in which some
directions are dearer (learner.population.spared).

Knows nothing of what the directions are of.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import torch
from torch import Tensor

from kernels.change import COLUMNS, POOL, ROWS, Address, Span
from kernels.contract import Backend
from learner.population.spared import Spared

AT_ONCE: Final = 2048  # rows of the pool that are floats at a time: 13 MB at a width of 1536
# So many of the closest are tried for each that is wanted: those behind them gain half as much.
CANDIDATES: Final = 4

# A number of the pool, and 1 or −1 for signs that lie along the opposite of what is wanted.
Side: TypeAlias = tuple[int, int]


def closest(
    backend: Backend, address: Address, along: Tensor, counts: Sequence[int]
) -> list[list[Side]]:
    """Return the row signs that lie closest along each direction, the closest first.

    along: (out, directions); counts: how many are wanted of each
    returns: direction → signs
    """
    found = _along(backend, address, ROWS, along, None)
    order = torch.argsort(found.abs(), dim=0, descending=True, stable=True)
    return [
        [(number, 1 if found[number, i] >= 0 else -1) for number in order[:count, i].tolist()]
        for i, count in enumerate(counts)
    ]


def _along(
    backend: Backend, address: Address, side: int, along: Tensor, spared: Spared | None
) -> Tensor:
    """Return how far the pool's signs lie along directions, for what they cost.

    returns: (POOL, directions)
    """
    signs, along = backend.signs(address, Span(side, len(along)), pairs=POOL).cpu(), along.float()
    found = []
    for first in range(0, POOL, AT_ONCE):
        part = signs[first : first + AT_ONCE].float()
        lengths = 1.0 if spared is None else spared.lengths(part)[:, None]
        found.append(part @ along / lengths)
    return torch.cat(found)


def together(
    backend: Backend,
    address: Address,
    along: Tensor,
    counts: Sequence[int],
    *,
    each: int,
    spared: Spared | None,
) -> list[list[list[Side]]]:
    """Return groups of column signs whose sums lie closest along each direction.

    along: (in, directions); counts: how many groups are wanted of each; each: signs a group
    spared: what is dear; None: all directions are alike
    returns: direction → group → signs, the closest first; no number is in two groups of a direction
    """
    found = []
    pool = _along(backend, address, COLUMNS, along, spared)
    for i, count in enumerate(counts):
        few = min(POOL, CANDIDATES * count * each)
        numbers = torch.argsort(pool[:, i].abs(), descending=True, stable=True)[:few]
        ways = torch.where(pool[numbers, i] >= 0, 1, -1)
        groups = [[place] for place in range(count)]
        if count and each > 1:
            span = Span(COLUMNS, len(along))
            signs = backend.chosen_signs(address, span, numbers.tolist()).cpu().float()
            groups = group(signs * ways[:, None], along[:, i].float(), count, each, spared)
        found.append([[(int(numbers[p]), int(ways[p])) for p in places] for places in groups])
    return found


def group(
    signs: Tensor, along: Tensor, count: int, each: int, spared: Spared | None
) -> list[list[int]]:
    """Deal signs out to groups, each begun by the closest that is left and closest as a whole.

    signs: (n, in) float32, the closest first, with their ways; along: (in,); count · each ≤ n
    returns: group → places among the signs
    """
    gains, dear = signs @ along, signs if spared is None else spared.dear(signs).float()
    free = torch.ones(len(signs), dtype=torch.bool)
    own = dear.square().sum(-1)
    groups = []
    for _ in range(count):
        places: list[int] = []
        total, gained = torch.zeros_like(dear[0]), 0.0
        for _ in range(each):
            lengths = (total.square().sum() + 2 * dear @ total + own).sqrt()
            scores = torch.where(free, (gained + gains) / lengths, -torch.inf)
            best = int(scores.argmax())
            places.append(best)
            free[best] = False
            total, gained = total + dear[best], gained + float(gains[best])
        groups.append(places)
    return groups
