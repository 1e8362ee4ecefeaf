"""Which tensors of a model move, in which order, and at what scale.

Turns layers and modules into tensors by their Hugging Face names: layer-major, then modules in
the order given. The order is part of a recipe (its scales follow it).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.errors import ExplodedError, UnsupportedModelError
from kernels.model.model import Model

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One weight that moves.

    name: Hugging Face parameter name; shape: (out, in)
    """

    name: str
    layer: int
    module: str
    shape: tuple[int, int]


def parameter_name(layer: int, module: str) -> str:
    """Name a linear layer's weight as Llama-family models do.

    raises: ValueError for a module that no block has

    >>> parameter_name(22, "up_proj")
    'model.layers.22.mlp.up_proj.weight'
    """
    if module in ATTENTION:
        return f"model.layers.{layer}.self_attn.{module}.weight"
    if module in MLP:
        return f"model.layers.{layer}.mlp.{module}.weight"
    raise ValueError(f"unknown module {module!r}: choose from {', '.join(ATTENTION + MLP)}")


def layout(model: Model, layers: Sequence[int], modules: Sequence[str]) -> tuple[TensorSpec, ...]:
    """List the tensors that move, layer-major.

    raises: ValueError for a repeated layer or module, UnsupportedModelError when the model has
        no such parameter
    """
    if len(set(layers)) != len(layers) or len(set(modules)) != len(modules):
        raise ValueError("a layer or a module is named twice")
    specs = []
    for layer in layers:
        for module in modules:
            name = parameter_name(layer, module)
            try:
                shape = model.layer(name).shape
            except ValueError as missing:
                raise UnsupportedModelError(
                    f"the model has no matrix {name}: wrong layer, or not of the Llama family"
                ) from missing
            specs.append(TensorSpec(name, layer, module, shape))
    return tuple(specs)


def scale_log2(weight: Tensor) -> int:
    """Return round(log2(RMS)) of a base tensor, the same integer on every device.

    RMS ≥ 2^(k−½) is mean square ≥ 2^(2k−1). A float64 sum of n squares errs by less than
    n · 2⁻⁵² of itself in any order of summation; nearer than that to a threshold, the squares
    (exact in float64) are summed exactly instead.

    raises: ExplodedError for weights that are not finite, ValueError for all zeros

    >>> scale_log2(torch.full((4, 4), 0.02))
    -6
    """
    wide = weight.detach().to("cpu", torch.float64).ravel()
    mean_square = float(wide.square().sum()) / max(wide.numel(), 1)
    if not math.isfinite(mean_square):
        raise ExplodedError("the base has weights that are not finite")
    if mean_square == 0:
        raise ValueError("the base tensor is all zeros and has no scale")
    octaves = math.log2(mean_square) + 1
    if abs(octaves - 2 * round(octaves / 2)) < wide.numel() * 2.0**-50:
        mean_square = math.fsum(wide.square().tolist()) / wide.numel()
    _, exponent = math.frexp(mean_square)  # 2^(exponent−1) ≤ mean square < 2^exponent
    return exponent // 2
