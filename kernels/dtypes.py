"""Which weights the arithmetic takes, and the check that they stayed numbers."""

import torch
from torch import Tensor

from kernels.errors import ExplodedError

SUPPORTED = (torch.float32, torch.bfloat16, torch.float16)


def check_dtype(weights: Tensor) -> None:
    """Refuse weights of a dtype that the last rounding is not defined for.

    raises: ValueError
    """
    if weights.dtype not in SUPPORTED:
        raise ValueError(f"weights of {weights.dtype}: float32, bfloat16 and float16 are supported")


def require_finite(weights: Tensor) -> Tensor:
    """Give the weights back when every one is finite.

    raises: ExplodedError
    """
    if not bool(torch.isfinite(weights).all()):
        raise ExplodedError("a weight is not finite after the update")
    return weights
