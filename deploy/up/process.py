"""How this process uses memory and threads: chosen at its start, before torch is loaded.

Knows nothing of settings: it is the same for every command.
"""

import ctypes
import os
from typing import Final

# OpenMP's threads wait for one another by spinning; where agent and learner share the cores, they
# then take ten times as long as sleeping ones (EXPERIMENTS).
ENVIRON: Final = {"OMP_WAIT_POLICY": "PASSIVE"}
# Freed memory is kept for the next version's weights: every page that is asked for anew costs a
# fault and its zeroing, which took longer than the arithmetic of an update (BENCHMARKS, kernels).
# Blocks up to the largest that glibc allows, as it does by itself after a while; up to a gibibyte.
# glibc's environment variable: the parameter of its mallopt, bytes
KEPT: Final = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**30),
}


def prepare() -> None:
    """Set what is not set from outside; where the C library has no such settings, they are not."""
    for name, value in ENVIRON.items():
        os.environ.setdefault(name, value)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, (number, num_bytes) in KEPT.items():
        if mallopt is not None and name not in os.environ:
            mallopt(number, num_bytes)


def environ() -> dict[str, str]:
    """Give the environment of a program that is started with the same choices."""
    return ENVIRON | {name: str(value) for name, (_, value) in KEPT.items()} | os.environ
