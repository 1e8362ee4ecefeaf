"""A model's linear layers, their weights laid out for this processor's matrix product.

oneDNN reads weights that were packed once two to three times faster than torch's default product
reads them as they lie (BENCHMARKS), at one token as at many. And a row of its result does not
depend, to the bit, on how many rows stand beside it: what lets a seeded reply be the same in any
batch. Costs the memory of the weights once more.

A parameter is packed once in a process and its copy lives as long as it does: versions share what
did not move, and so do all who work with them. A parameter must not be changed in place.
"""

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from kernels.cpu.rows import MOST_ROWS, PackedRows, packed_rows
from kernels.dtypes import is_for_processor
from kernels.model.forward import Linear, plain

# Packed for this many rows: oneDNN's layout for a single row is another one, whose sums differ in
# the last bit; from 8 rows on there is one layout for all (measured, and tested).
ROWS = 32


def packable(model: Any) -> bool:
    """Say whether this model's weights can be packed here: float32 on a CPU with oneDNN."""
    # what torch.backends.mkldnn.is_available says, typed
    return is_for_processor(model.lm_head.weight) and bool(torch._C._has_mkldnn)


def fast_linear(model: Any) -> Linear:
    """Give the fastest way to apply this model's linear layers here: packed, or plain.

    Any thread may call it. Packing takes a tenth of a millisecond a megabyte, the first time.
    """
    return PackedLinear(model) if packable(model) else plain


@dataclass(frozen=True, slots=True)
class _Packed:
    """oneDNN's copy of a parameter, and the faster product for a few rows, if there is one."""

    weight: Tensor
    rows: PackedRows | None


_KNOWN: Final[dict[int, _Packed]] = {}  # by the identity of the parameter, while it lives
_PACKING: Final = threading.Lock()


class PackedLinear:
    """A `kernels.model.forward.Linear` over packed copies of one model's weights."""

    def __init__(self, model: Any) -> None:
        """Pack the linear layers that no one has packed before."""
        # resolved once: looking an operator up by name costs as much as a small product
        self._apply = cast(Callable[..., Tensor], torch.ops.mkldnn._linear_pointwise.default)
        self._packed = {
            f"{name}.weight": _packed(layer.weight)
            for name, layer in model.named_modules()
            if isinstance(layer, nn.Linear)
        }

    def __call__(self, name: str, layer: nn.Linear, x: Tensor) -> Tensor:
        """Apply the packed layer of this name."""
        packed = self._packed[name]
        if packed.rows is not None and x.numel() <= MOST_ROWS * x.shape[-1]:
            out = packed.rows.apply(x)
            return out if layer.bias is None else out.add_(layer.bias)
        if x.numel() == x.shape[-1]:
            # oneDNN sums one row in another order than several, when it has over 512 inputs
            pair = x.reshape(1, -1).expand(2, -1).contiguous()
            out = self._apply(pair, packed.weight, layer.bias, "none", [], "")
            return out[0].view(*x.shape[:-1], -1)
        return self._apply(x, packed.weight, layer.bias, "none", [], "")


def _packed(parameter: Tensor) -> _Packed:
    key = id(parameter)
    with _PACKING:
        if key not in _KNOWN:
            weight = torch.ops.mkldnn._reorder_linear_weight(parameter.detach(), ROWS)
            _KNOWN[key] = _Packed(weight, packed_rows(weight, *parameter.shape))
            weakref.finalize(parameter, _KNOWN.pop, key)
        return _KNOWN[key]
