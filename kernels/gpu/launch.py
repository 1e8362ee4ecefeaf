"""What every launch needs: addresses, masks and weights as kernels take them, and the grid.

Knows nothing of what a kernel does with them.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from triton import cdiv

from kernels.change import Address, Frozen
from kernels.reference.noise import key_words

TILE = {"HEIGHT": 64, "WIDTH": 64}  # 32 elements a thread; sizes of layers are multiples of 64
EXACT = {"enable_fp_fusion": False, "num_warps": 4}  # a fused a·b + c would round once less


def on(device: torch.device) -> AbstractContextManager[object]:
    """Let kernels be launched on a device: Triton takes the one that the thread has chosen."""
    return nullcontext() if device.type == "cpu" else torch.cuda.device(device)


def words_of(address: Address) -> tuple[int, int, int]:
    """Return the tensor's and the key's words as signed 32-bit, so that kernels have one type.

    Triton takes a number over 2³¹ as 64-bit and would compile again for it.
    """
    low, high = key_words(address.key)
    return _signed(address.tensor), _signed(low), _signed(high)


def bits(weights: Tensor) -> Tensor:
    """Return bfloat16 weights as their bits, others as they are (kernels.gpu.numbers)."""
    return weights.view(torch.int16) if weights.dtype == torch.bfloat16 else weights


def moving(frozen: Frozen, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the masks of rows and columns on the tensor's device; what is None is never read."""
    masks = (frozen.rows, frozen.columns)
    rows, columns = (like if mask is None else mask.to(like.device) for mask in masks)
    return rows, columns


def masked(frozen: Frozen) -> dict[str, Any]:
    """Say which masks there are, as compile-time constants."""
    return {"MASK_ROWS": frozen.rows is not None, "MASK_COLUMNS": frozen.columns is not None}


def tiles(tensor: Tensor) -> tuple[int, int]:
    """Return the grid of TILEs over a matrix."""
    return cdiv(tensor.shape[0], TILE["HEIGHT"]), cdiv(tensor.shape[1], TILE["WIDTH"])


def _signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word
