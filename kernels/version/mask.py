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
    """Map the frozen units of a whole model to its tensors, by their Hugging Face names."""
    return {
        spec.name: frozen_units(
            spec,
            neurons=units.neurons.get(spec.layer, []),
            groups=units.groups.get(spec.layer, []),
            heads=sizes.heads,
            kv_heads=sizes.kv_heads,
            head_dim=sizes.head_dim,
        )
        for spec in specs
    }


def frozen_units(
    spec: TensorSpec,
    *,
    neurons: Collection[int],
    groups: Collection[int],
    heads: int,
    kv_heads: int,
    head_dim: int,
) -> Frozen:
    """Map the frozen units of a layer to rows and columns of one of its tensors.

    neurons, groups: frozen MLP neurons and KV groups of that layer
    raises: ValueError for a unit that the tensor does not have
    """
    rows, columns = spec.shape
    query_width = heads // kv_heads * head_dim
    match spec.module:
        case "gate_proj" | "up_proj":
            return Frozen(_mask(rows, neurons, width=1), None)
        case "down_proj":
            return Frozen(None, _mask(columns, neurons, width=1))
        case "k_proj" | "v_proj":
            return Frozen(_mask(rows, groups, width=head_dim), None)
        case "q_proj":
            return Frozen(_mask(rows, groups, width=query_width), None)
        case "o_proj":
            return Frozen(None, _mask(columns, groups, width=query_width))
    raise ValueError(f"no units are known in module {spec.module!r}")


def _mask(size: int, units: Collection[int], *, width: int) -> Tensor | None:
    """Give `size` ones with zeros at each unit's `width` places; None when nothing is frozen."""
    if not units:
        return None
    if min(units) < 0 or (max(units) + 1) * width > size:
        raise ValueError(f"units {min(units)}..{max(units)} of width {width} leave 0..{size - 1}")
    mask = torch.ones(size, dtype=torch.int8)
    for unit in units:
        mask[unit * width : (unit + 1) * width] = 0
    return mask
