"""What every launch needs: addresses, masks and weights as kernels take them, and the grid.

Knows nothing of what a kernel does with them.
"""

from typing import Any

import torch
from torch import Tensor
from triton import cdiv

from kernels.contract import Frozen
from kernels.reference.noise import key_words

TILE = {"HEIGHT": 64, "WIDTH": 64}  # 32 elements a thread; sizes of layers are multiples of 64
EXACT = {"enable_fp_fusion": False, "num_warps": 4}  # a fused a·b + c would round once less


def address(key: int, tensor: int) -> tuple[int, int, int]:
    """Give the tensor's and the key's words as signed 32-bit, so that kernels have one type.

    Triton takes a number over 2³¹ as 64-bit and would compile again for it.
    """
    low, high = key_words(key)
    return _signed(tensor), _signed(low), _signed(high)


def bits(weights: Tensor) -> Tensor:
    """Give bfloat16 weights as their bits, others as they are (kernels.gpu.numbers)."""
    return weights.view(torch.int16) if weights.dtype == torch.bfloat16 else weights


def moving(frozen: Frozen | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """Give the masks of rows and columns on the tensor's device; what is None is never read."""
    masks = (None, None) if frozen is None else (frozen.rows, frozen.columns)
    rows, columns = (like if mask is None else mask.to(like.device) for mask in masks)
    return rows, columns


def masked(frozen: Frozen | None) -> dict[str, Any]:
    """Say which masks there are, as compile-time constants."""
    return {
        "MASK_ROWS": frozen is not None and frozen.rows is not None,
        "MASK_COLUMNS": frozen is not None and frozen.columns is not None,
    }


def tiles(tensor: Tensor) -> tuple[int, int]:
    """Give the grid of TILEs over a matrix."""
    return cdiv(tensor.shape[0], TILE["HEIGHT"]), cdiv(tensor.shape[1], TILE["WIDTH"])


def _signed(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word
