"""Which weights the arithmetic takes and how it may, and the check that they stayed numbers."""

import torch
from torch import Tensor

from kernels.errors import NOT_FINITE, ExplodedError

SUPPORTED = (torch.float32, torch.bfloat16, torch.float16)


def check_dtype(weights: Tensor) -> None:
    """Refuse weights of a dtype that the last rounding is not defined for.

    raises: ValueError
    """
    if weights.dtype not in SUPPORTED:
        raise ValueError(f"weights of {weights.dtype}: float32, bfloat16 and float16 are supported")


def require_finite(weights: Tensor) -> Tensor:
    """Return the weights when every one is finite.

    raises: ExplodedError
    """
    if not bool(torch.isfinite(weights).all()):
        raise ExplodedError(NOT_FINITE)
    return weights


def is_for_processor(device: torch.device, dtype: torch.dtype) -> bool:
    """Tell whether what this processor does fastest takes such weights: packed products, loops."""
    return device.type == "cpu" and dtype == torch.float32
