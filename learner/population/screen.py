"""Searches the signs whose rank-1 moves change the fitness most.

Of POOL row signs a and as many column signs b of each tensor those are chosen that lie closest to
the leading singular directions of the fitness's slope (learner.population.slopes); a random move
lies along them hardly at all, and a chosen one by a tenth of its length.

The screen only proposes. Members are still measured by forward passes, and their fitness decides.
Where sums round otherwise, on another machine, a screen may choose otherwise; so what it chose is
in the recipe, and a version is built from that. On one machine the same parent, lessons and key
give the same choice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from kernels.change import COLUMNS, POOL, ROWS, Address, Span
from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.noise import Addresses, Perturbation
from learner.population.slopes import Directions, Pull, leading, summed_slopes

# Singular directions of a tensor that pairs are spent on: of six turns the first four hold nearly
# all that the slope has, and each is found by a few products more.
DIRECTIONS: Final = 4
AT_ONCE: Final = 2048  # rows of the pool that are floats at a time: 13 MB at a width of 1536


@torch.inference_mode()
def screen(
    decoder: Decoder,
    pulls: Sequence[Pull],
    perturbation: Perturbation,
    *,
    pause: Callable[[], None],
) -> Addresses:
    """Choose the tensor and the signs of each pair.

    decoder: the parent; pulls: the slopes of the fitness on the texts that it is made of
    perturbation: what is perturbed; where its pairs lie, which this finds, is not read
    pause: called between pieces of work
    returns: as many as there are pairs; those of plain rank-1 noise where nothing has a slope
    raises: ValueError when none of what moves is in the last block's MLP
    """
    sums = summed_slopes(decoder, pulls, perturbation, pause=pause)
    named = {spec.name: place for place, spec in enumerate(perturbation.specs)}
    found = {}
    for name, total in sums.items():
        address = Address.of(perturbation.key, name)
        sigma = 2.0 ** perturbation.sigma_of[name]
        found[named[name]] = leading(total * sigma, perturbation.backend, address, most=DIRECTIONS)
        pause()
    shares = _shares(found, perturbation.pairs)
    if not shares:
        numbers = tuple(range(perturbation.pairs))
        places = list(found)
        return Addresses(tuple(places[p % len(places)] for p in numbers), numbers, numbers)
    tensors: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    for place, directions in found.items():
        counts = [shares.get((place, i), 0) for i in range(len(directions.sizes))]
        address = Address.of(perturbation.key, perturbation.specs[place].name)
        for side, chosen in ((ROWS, rows), (COLUMNS, columns)):
            along = directions.left if side == ROWS else directions.right
            chosen += _aligned(perturbation.backend, address, side, along, counts)
            pause()
        tensors += [place] * sum(counts)
    return Addresses(tuple(tensors), tuple(rows), tuple(columns))


def _shares(found: Mapping[int, Directions], pairs: int) -> dict[tuple[int, int], int]:
    """Share the pairs out among tensors and directions, by the squares of their sizes.

    returns: (tensor, direction) → pairs, as many as there are in all; empty where all sizes are 0
    """
    places = [(place, i) for place, d in found.items() for i in range(len(d.sizes))]
    energy = torch.cat([d.sizes.square() for d in found.values()]).numpy()
    if energy.sum() == 0:
        return {}
    wanted = energy / energy.sum() * pairs
    counts = np.floor(wanted).astype(int)
    # largest remainders first, and among equals the first in order
    rest = np.argsort(counts - wanted, kind="stable")[: pairs - counts.sum()]
    counts[rest] += 1
    return dict(zip(places, counts.tolist(), strict=True))


def _aligned(
    backend: Backend, address: Address, side: int, along: Tensor, counts: list[int]
) -> list[int]:
    """Return the numbers of the signs that lie closest along each direction, the closest first.

    along: (count, directions); counts: how many are wanted of each
    """
    signs = backend.signs(address, Span(side, len(along)), pairs=POOL).cpu()
    parts = (signs[first : first + AT_ONCE] for first in range(0, POOL, AT_ONCE))
    along = along.float()
    found = torch.cat([part.float() @ along for part in parts]).abs()
    order = torch.argsort(found, dim=0, descending=True, stable=True)
    return [number for i, count in enumerate(counts) for number in order[:count, i].tolist()]
