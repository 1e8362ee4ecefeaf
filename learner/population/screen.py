"""Searches the signs whose rank-1 moves change the fitness most, from forward quantities alone.

The last block's MLP stands right under the final norm and the head, so that what a move of its
weights does to the fitness is known in closed form, with no backward pass through layers: δ = the
slope of the fitness in a layer's output, x = the layer's input, S = Σ δ xᵀ over the positions that
predict a scored token. A member W ± σ a bᵀ then gains ± σ aᵀ S b, to first order. Of POOL row signs
a and as many column signs b of each tensor those are chosen that lie closest along the leading
singular directions of S; a random move lies along them hardly at all.

The screen only proposes. Members are still measured by forward passes, and their fitness decides.
Where sums round otherwise, on another machine, a screen may choose otherwise; so what it chose is
in the recipe, and a version is built from that. On one machine the same parent, lessons and key
give the same choice.

Knows nothing of rewards: it is told the slope of the fitness in each state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor

from kernels.change import COLUMNS, NOTHING_FROZEN, Address, Span
from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.model.model import NORM
from kernels.version.layout import MLP, TensorSpec
from learner.population.closest import Side, closest, together
from learner.population.members import Trunk
from learner.population.noise import Addresses, Perturbation
from learner.population.spared import Spared

# Singular directions of a tensor that pairs are spent on: of six turns the first four hold nearly
# all that S has, and each is found by a few products more.
DIRECTIONS: Final = 4
SPARE: Final = 4  # carried along, so that the wanted ones converge (Halko et al. 2011, sec. 4.3)
ROUNDS: Final = 6
LEAST_REACH: Final = 0.2  # a step is lengthened by five times at most

# A tensor's place, and the signs of a move.
_Move: TypeAlias = tuple[int, Side, Side]


@dataclass(frozen=True, slots=True)
class Directions:
    """The leading singular directions of one tensor's S.

    left: (out, k); sizes: (k,), falling, times the tensor's σ; right: (in, k); all float64
    spared: what is dear in the tensor, of which right is kept clear; None: nothing
    """

    left: Tensor
    sizes: Tensor
    right: Tensor
    spared: Spared | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """Where some texts pull the parent.

    states: (scored, width), the slope of the fitness in each normed state that predicts a token
    """

    trunk: Trunk
    states: Tensor


@dataclass(frozen=True, slots=True)
class Found:
    """Where the pairs of a generation lie, and what else lies along the same directions.

    A member is one rank-1 move, and what it measures holds for its like, too: a step that is shared
    out among many moves of one direction has less in it that is by chance.

    measured: one a pair; of_all: the same number of each pair, itself first
    signs: of all, ±1: whether a move goes the way of its pair, or the opposite one
    reach: how fast all rise together, as a share of what they would if each rose as its pair does
    """

    measured: Addresses
    of_all: Addresses
    signs: tuple[int, ...]
    reach: float = 1.0

    def spread(self, coefficients: Sequence[int]) -> tuple[int, ...]:
        """Share each pair's coefficient out among the moves that it stands for."""
        each = len(self.signs) // len(coefficients)
        return tuple(
            sign * round(coefficients[place // each] / each)
            for place, sign in enumerate(self.signs)
        )


@torch.inference_mode()
def screen(
    decoder: Decoder,
    pulls: Sequence[Pull],
    perturbation: Perturbation,
    *,
    pause: Callable[[], None],
    each: int = 1,
    spared: Mapping[str, Spared] | None = None,
) -> Found:
    """Choose the tensor and the signs of each pair.

    decoder: the parent; pulls: the slopes of the fitness on the texts that it is made of
    perturbation: what is perturbed; its addresses, which this finds, are not read
    pause: called between pieces of work
    each: how many moves a pair stands for: of one row and so many columns
    spared: by the weight's name what is to be left alone; None: nothing
    returns: as many as there are pairs; those of plain rank-1 noise where nothing has a slope
    raises: ValueError when none of what moves is in the last block's MLP
    """
    sums = slopes_of_weights(decoder, pulls[0], perturbation)
    for pull in pulls[1:]:
        pause()
        for name, total in slopes_of_weights(decoder, pull, perturbation).items():
            sums[name] += total
    pause()
    named = {spec.name: place for place, spec in enumerate(perturbation.specs)}
    found = {}
    for name, total in sums.items():
        address = Address.of(perturbation.key, name)
        sigma = 2.0 ** perturbation.sigma_of[name]
        dear = spared.get(name) if spared is not None else None
        found[named[name]] = leading(total * sigma, perturbation.backend, address, dear)
        pause()
    shares = _shares(found, perturbation.pairs)
    if not shares:
        numbers = tuple(range(perturbation.pairs))
        places = tuple(list(found)[p % len(found)] for p in numbers)
        plain = Addresses(places, numbers, numbers)
        return Found(plain, plain, (1,) * len(numbers))
    moves: list[_Move] = []
    for place, directions in found.items():
        counts = [shares.get((place, i), 0) for i in range(len(directions.sizes))]
        address = Address.of(perturbation.key, perturbation.specs[place].name)
        backend = perturbation.backend
        rows = closest(backend, address, directions.left, counts)
        pause()
        columns = together(
            backend, address, directions.right, counts, each=each, spared=directions.spared
        )
        pause()
        for place_rows, place_columns in zip(rows, columns, strict=True):
            for row, group in zip(place_rows, place_columns, strict=True):
                moves += [(place, row, column) for column in group]
    return _reaching(_found(moves, each), sums, perturbation)


def _found(moves: Sequence[_Move], each: int) -> Found:
    """moves: each pair's after one another, the pair's own first"""
    ways = [row[1] * column[1] for _, row, column in moves]
    signs = tuple(way * ways[place - place % each] for place, way in enumerate(ways))
    of_all = Addresses(
        tuple(place for place, _, _ in moves),
        tuple(row[0] for _, row, _ in moves),
        tuple(column[0] for _, _, column in moves),
    )
    measured = Addresses(of_all.tensors[::each], of_all.rows[::each], of_all.columns[::each])
    return Found(measured, of_all, signs)


def _reaching(found: Found, sums: Mapping[str, Tensor], perturbation: Perturbation) -> Found:
    """Say by the closed form how far the moves that pairs stand for reach.

    sums: S by the weight's name
    """
    each = len(found.signs) // len(found.measured.rows)
    if each == 1:
        return found
    slopes = np.zeros(len(found.signs))
    for place, spec in enumerate(perturbation.specs):
        own = [move for move, tensor in enumerate(found.of_all.tensors) if tensor == place]
        if own:
            rows, columns = perturbation.backend.chosen_factors(
                Address.of(perturbation.key, spec.name),
                spec.shape,
                found.of_all.of(own),
                frozen=perturbation.frozen.get(spec.name, NOTHING_FROZEN),
            )
            along = (rows.to(sums[spec.name].dtype) @ sums[spec.name] * columns).sum(-1)
            slopes[own] = along.cpu().numpy() * 2.0 ** perturbation.sigma_of[spec.name]
    together = (slopes * found.signs).reshape(-1, each).sum(axis=1)
    alone = each * np.abs(slopes[::each]).sum()
    reach = float(np.abs(together).sum() / alone) if alone else 1.0
    return replace(found, reach=min(1.0, max(LEAST_REACH, reach)))


def slopes_of_weights(
    decoder: Decoder, pull: Pull, perturbation: Perturbation
) -> dict[str, Tensor]:
    """Return S, the slope of the fitness in each weight of the last block's MLP that moves.

    returns: by the weight's name, (out, in) float32, zeros where frozen
    raises: as screen
    """
    last = decoder.num_layers - 1
    ours = {s.module: s for s in perturbation.specs if s.layer == last and s.module in MLP}
    if not ours:
        raise ValueError("screened noise moves the last block's MLP, and none of it is to move")
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str, layer: Layer, x: Tensor) -> Tensor:
        y = layer.apply(x)
        seen[name] = x[0].clone(), y[0].clone()  # later steps write over them
        return y

    mlp, trunk = f"model.layers.{last}.mlp", pull.trunk
    hidden = decoder.run(
        trunk.hidden, rope=trunk.rope, attend=trunk.scored.packed.attend, layers=trunk.layers,
        linear=watch, wanted=trunk.scored.wanted,
    )[0]  # fmt: skip
    pulled = torch.zeros_like(hidden).index_add_(0, trunk.scored.sources, pull.states)
    delta = _through_norm(decoder, hidden, pulled)
    x, gate = seen[f"{mlp}.gate_proj.weight"]
    up = seen[f"{mlp}.up_proj.weight"][1]
    inner = delta @ decoder.model.layer(f"{mlp}.down_proj.weight").plain()
    sigmoid = gate.sigmoid()
    both = {
        "gate_proj": (inner * up * sigmoid * (1 + gate * (1 - sigmoid)), x),
        "up_proj": (inner * gate * sigmoid, x),
        "down_proj": (delta, seen[f"{mlp}.down_proj.weight"][0]),
    }
    return {spec.name: _masked(both[m], spec, perturbation) for m, spec in ours.items()}


def _through_norm(decoder: Decoder, hidden: Tensor, pulled: Tensor) -> Tensor:
    """Take slopes in normed states back to states before the norm (RMSNorm's derivative).

    hidden, pulled: (n, width)
    """
    root = hidden.square().mean(-1, keepdim=True).add(decoder.model.sizes.norm_epsilon).rsqrt()
    pulled = pulled * decoder.model.vectors[NORM]
    return pulled * root - hidden * root.pow(3) * (pulled * hidden).mean(-1, keepdim=True)


def _masked(both: tuple[Tensor, Tensor], spec: TensorSpec, perturbation: Perturbation) -> Tensor:
    """Return Σ δ xᵀ with zeros in what is frozen, which no member moves."""
    delta, x = both
    frozen = perturbation.frozen.get(spec.name, NOTHING_FROZEN)
    rows, columns = frozen.zeroed(delta, x)
    return rows.T @ columns


def leading(
    total: Tensor, backend: Backend, address: Address, spared: Spared | None = None
) -> Directions:
    """Return the leading singular directions, by subspace iteration (Halko et al. 2011, alg. 4.4).

    It begins with signs of the tensor's own noise, so that nothing is random beside the key.

    total: (out, in); where it is not finite, it has no directions
    spared: what is dear, with M: directions are those of S M^(-1/2), taken to S M⁻¹, along which a
        move gains most for what it changes of the rest; None: nothing
    """
    height, width = total.shape
    kept = min(DIRECTIONS + SPARE, height, width)
    wide = total.to("cpu", torch.float64)
    if not bool(wide.isfinite().all()):
        wide = torch.zeros_like(wide)
    if spared is not None:
        wide = spared.cheapened(wide)
    right = backend.signs(address, Span(COLUMNS, width), pairs=kept).to("cpu", torch.float64).T
    for _ in range(ROUNDS):
        right = torch.linalg.qr(wide.T @ torch.linalg.qr(wide @ right).Q).Q
    left, sizes, turned = torch.linalg.svd(wide @ right, full_matrices=False)
    few = slice(0, min(DIRECTIONS, kept))
    along = (right @ turned.T)[:, few]
    if spared is not None:
        along = spared.cheapened(along.T).T
    return Directions(left[:, few], sizes[few], along, spared)


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
