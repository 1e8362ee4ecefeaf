"""Frozen units, as rows and columns of each tensor.

Turns "neuron 17 and KV group 2 of this layer are frozen" into masks of the tensors that these
units own: a neuron is a row of gate and up and a column of down; a group is head_dim rows of k
and v, the rows of q of the heads that share it, and the same columns of o.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from kernels.change import Frozen
from kernels.version.layout import TensorSpec


class UnitMap(Protocol):
    """Frozen units by layer (streams.records.Mask has them)."""

    @property
    def neurons(self) -> Mapping[int, Collection[int]]:
        """Layer → frozen neurons."""

    @property
    def groups(self) -> Mapping[int, Collection[int]]:
        """Layer → frozen KV groups."""


class Heads(Protocol):
    """The sizes of attention (kernels.model.forward.Decoder has them)."""

    heads: int
    kv_heads: int
    head_dim: int


def frozen_by_name(sizes: Heads, units: UnitMap, specs: Iterable[TensorSpec]) -> dict[str, Frozen]:
    """Map the frozen units of a whole model to rows and columns of its tensors.

    returns: by Hugging Face name
    raises: ValueError for a unit that a tensor does not have
    """
    return {spec.name: _frozen_in(spec, sizes, units) for spec in specs}


def _frozen_in(spec: TensorSpec, sizes: Heads, units: UnitMap) -> Frozen:
    (rows, columns), query_width = spec.shape, sizes.heads // sizes.kv_heads * sizes.head_dim
    neurons, groups = units.neurons.get(spec.layer, ()), units.groups.get(spec.layer, ())
    match spec.module:
        case "gate_proj" | "up_proj":
            return Frozen(rows=_mask(rows, neurons, width=1))
        case "down_proj":
            return Frozen(columns=_mask(columns, neurons, width=1))
        case "k_proj" | "v_proj":
            return Frozen(rows=_mask(rows, groups, width=sizes.head_dim))
        case "q_proj":
            return Frozen(rows=_mask(rows, groups, width=query_width))
        case "o_proj":
            return Frozen(columns=_mask(columns, groups, width=query_width))
    raise ValueError(f"no units are known in module {spec.module!r}")


def _mask(size: int, units: Collection[int], *, width: int) -> Tensor | None:
    """Return `size` ones with zeros at each unit's `width` places; None when nothing is frozen."""
    if not units:
        return None
    if min(units) < 0 or (max(units) + 1) * width > size:
        raise ValueError(f"units {min(units)}..{max(units)} of width {width} leave 0..{size - 1}")
    mask = torch.ones(size, dtype=torch.int8)
    for unit in units:
        mask[unit * width : (unit + 1) * width] = 0
    return mask
