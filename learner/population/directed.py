"""Finds the directions in which the fitness rises most, and writes them in small integers.

The slope S of the fitness in the weights of the last block's MLP is known in closed form
(learner.population.slopes). Where a screen looks for signs near its singular directions, of which a
tenth of each lies along them, this rounds the directions themselves, to five bits and a sign. So
next to nothing of a move is by chance, and one that is to leave plain prose alone
(learner.population.spared) does; a recipe is longer for it, a character a unit and pair.

It only proposes, too: members are measured by forward passes, and what they gain weighs the pairs.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from kernels.change import FACTOR_LOG2, LARGEST_FACTOR, Address
from kernels.model.forward import Decoder
from kernels.version import digits
from learner.population.noise import Lines, Perturbation
from learner.population.slopes import Pull, leading, summed_slopes
from learner.population.spared import Spared

_UNIT = 2**FACTOR_LOG2


@torch.inference_mode()
def direct(
    decoder: Decoder,
    pulls: Sequence[Pull],
    perturbation: Perturbation,
    *,
    pause: Callable[[], None],
    spared: Mapping[str, Spared] | None = None,
) -> Lines:
    """Choose the tensor and the factors of each pair: the largest singular directions of all.

    decoder: the parent; pulls: the slopes of the fitness on the texts that it is made of
    perturbation: what is perturbed; where its pairs lie, which this finds, is not read
    pause: called between pieces of work
    spared: by the weight's name what is to be left alone; None: nothing
    returns: as many as there are pairs, the largest first
    raises: ValueError when none of what moves is in the last block's MLP
    """
    sums = summed_slopes(decoder, pulls, perturbation, pause=pause)
    named = {spec.name: place for place, spec in enumerate(perturbation.specs)}
    found: list[tuple[float, int, Tensor, Tensor]] = []
    for name, total in sums.items():
        address = Address.of(perturbation.key, name)
        dear = spared.get(name) if spared is not None else None
        slope = total * 2.0 ** perturbation.sigma_of[name]
        some = leading(slope, perturbation.backend, address, dear, most=perturbation.pairs)
        for i, size in enumerate(some.sizes.tolist()):
            found.append((size, named[name], some.left[:, i], some.right[:, i]))
        pause()
    found.sort(key=lambda each: -each[0])
    chosen = [found[i % len(found)] for i in range(perturbation.pairs)]
    return Lines(
        tuple(place for _, place, _, _ in chosen),
        tuple(digits.write(torch.stack([rounded(left)]))[0] for _, _, left, _ in chosen),
        tuple(digits.write(torch.stack([rounded(right)]))[0] for _, _, _, right in chosen),
    )


def rounded(direction: Tensor) -> Tensor:
    """Round a direction to small integers, of the root mean square of a sign at its full length.

    direction: (units,), of length 1 or, where it was made shorter to spare something, less
    returns: (units,) int8, in units of 2⁻³
    """
    wide = direction * (math.sqrt(len(direction)) * _UNIT)
    return wide.round().clamp(-LARGEST_FACTOR, LARGEST_FACTOR).to(torch.int8)
