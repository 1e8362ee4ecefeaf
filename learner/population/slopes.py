"""Where texts pull the weights of the last block's MLP, from forward quantities alone.

The last MLP stands right under the final norm and the head, so that what a move of its weights does
to the fitness is known in closed form, with no backward pass through layers: δ = the slope of the
fitness in a layer's output, x = the layer's input, S = Σ δ xᵀ over the positions that predict a
scored token. A member W ± σ a bᵀ then gains ± σ aᵀ S b, to first order.

Knows nothing of rewards: it is told the slope of the fitness in each state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from kernels.change import COLUMNS, NOTHING_FROZEN, Address, Span
from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.model.model import NORM
from kernels.version.layout import MLP, TensorSpec
from learner.population.members import Trunk
from learner.population.noise import Perturbation
from learner.population.spared import Spared

SPARE: Final = 4  # carried along, so that the wanted ones converge (Halko et al. 2011, sec. 4.3)
ROUNDS: Final = 6


@dataclass(frozen=True, slots=True)
class Directions:
    """The leading singular directions of one tensor's S.

    left: (out, k); sizes: (k,), falling; right: (in, k); all float64
    """

    left: Tensor
    sizes: Tensor
    right: Tensor


@dataclass(frozen=True, slots=True)
class Pull:
    """Where some texts pull the parent.

    states: (scored, width), the slope of the fitness in each normed state that predicts a token
    """

    trunk: Trunk
    states: Tensor


def summed_slopes(
    decoder: Decoder,
    pulls: Sequence[Pull],
    perturbation: Perturbation,
    *,
    pause: Callable[[], None],
) -> dict[str, Tensor]:
    """Return S over all texts, of the weights of the last block's MLP that move.

    returns: by the weight's name, (out, in) float32, zeros where frozen
    raises: ValueError when none of what moves is in the last block's MLP
    """
    sums = slopes_of_weights(decoder, pulls[0], perturbation)
    for pull in pulls[1:]:
        pause()
        for name, total in slopes_of_weights(decoder, pull, perturbation).items():
            sums[name] += total
    pause()
    return sums


def slopes_of_weights(
    decoder: Decoder, pull: Pull, perturbation: Perturbation
) -> dict[str, Tensor]:
    """Return S, the slope of the fitness in each weight of the last block's MLP that moves.

    returns, raises: as summed_slopes
    """
    last = decoder.num_layers - 1
    ours = {s.module: s for s in perturbation.specs if s.layer == last and s.module in MLP}
    if not ours:
        raise ValueError("searched noise moves the last block's MLP, and none of it is to move")
    both = slopes_of_layers(decoder, pull)
    return {spec.name: _masked(both[m], spec, perturbation) for m, spec in ours.items()}


def slopes_of_layers(decoder: Decoder, pull: Pull) -> dict[str, tuple[Tensor, Tensor]]:
    """Return the slopes in what the layers of the last block's MLP give, and what they are given.

    returns: by the module, δ (wanted rows, out) and x (wanted rows, in), float32
    """
    last = decoder.num_layers - 1
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
    slopes = slopes_in_mlp(delta, gate, up, decoder.model.layer(f"{mlp}.down_proj.weight").plain())
    inputs = {"gate_proj": x, "up_proj": x, "down_proj": seen[f"{mlp}.down_proj.weight"][0]}
    return {module: (slopes[module], inputs[module]) for module in inputs}


def slopes_in_mlp(delta: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> dict[str, Tensor]:
    """Return the slope in what each layer of a gated MLP gives, from that in what the MLP gives.

    delta: (n, width); gate, up: what these layers gave, (n, inner)
    down: the weight, (width, inner)
    returns: by the module, (n, out)
    """
    inner, sigmoid = delta @ down, gate.sigmoid()
    return {
        "gate_proj": inner * up * sigmoid * (1 + gate * (1 - sigmoid)),
        "up_proj": inner * gate * sigmoid,
        "down_proj": delta,
    }


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
    total: Tensor, backend: Backend, address: Address, spared: Spared | None = None, *, most: int
) -> Directions:
    """Return the leading singular directions, by subspace iteration (Halko et al. 2011, alg. 4.4).

    It begins with signs of the tensor's own noise, so that nothing is random beside the key.

    total: (out, in); where it is not finite, it has no directions
    spared: what is to be left alone: moves are those that gain most for what they change of it, and
        the shorter, the more they would; None: nothing
    most: how many, at least 1
    """
    height, width = total.shape
    kept = min(most + SPARE, height, width)
    wide = total.to("cpu", torch.float64)
    if not bool(wide.isfinite().all()):
        wide = torch.zeros_like(wide)
    if spared is not None:
        wide = spared.whitened(wide)
    right = backend.signs(address, Span(COLUMNS, width), pairs=kept).to("cpu", torch.float64).T
    for _ in range(ROUNDS):
        right = torch.linalg.qr(wide.T @ torch.linalg.qr(wide @ right).Q).Q
    left, sizes, turned = torch.linalg.svd(wide @ right, full_matrices=False)
    few = slice(0, min(most, kept))
    left, right = left[:, few], (right @ turned.T)[:, few]
    if spared is not None:
        left, right = spared.rows.cheapened(left), spared.columns.cheapened(right)
    return Directions(left, sizes[few], right)
