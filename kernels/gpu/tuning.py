# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Tile shapes that the tensor-core kernels may choose from: few, so that tuning ends soon.

Turns a list of shapes into a kernel that times each once per problem size and keeps the best.
The passes over weights are not tuned: they are bound by memory and give equal bits at any tile,
one shape each (measured statically by tests/bench/gpu_static.py).
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import triton

INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"


def _shape(rows: int, height: int, width: int, *, warps: int, stages: int) -> triton.Config:
    """Name one tile: rows of x, outputs and inputs of the weight."""
    shape = {"ROWS": rows, "HEIGHT": height, "WIDTH": width}
    return triton.Config(shape, num_warps=warps, num_stages=stages)


# From one decode step (16 rows, the least a tensor core takes) to a scored batch.
LINEAR = [
    _shape(64, 64, 32, warps=4, stages=3),
    _shape(16, 64, 128, warps=4, stages=4),
    _shape(64, 128, 64, warps=4, stages=4),
    _shape(128, 128, 64, warps=8, stages=3),
]

# Rows are tokens, height is vocabulary: wide, because each block of logits ends in a reduction.
LOGPROB = [
    _shape(32, 128, 32, warps=4, stages=3),
    _shape(64, 128, 64, warps=8, stages=3),
    _shape(128, 64, 64, warps=8, stages=3),
]


def tuned(configs: Sequence[triton.Config], key: list[str]) -> Callable[[Any], Any]:
    """Choose among configs at the first call of each key; the interpreter takes the first."""
    choice = list(configs[:1] if INTERPRETED else configs)
    return cast(Callable[[Any], Any], triton.autotune(configs=choice, key=key))
