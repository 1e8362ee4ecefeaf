"""How this process uses memory and threads: chosen at its start, before torch is loaded.

Knows nothing of settings: it is the same for every command.
"""

import ctypes
import os
from typing import Final

ENVIRON: Final = {
    # OpenMP's threads wait for one another by spinning; where agent and learner share the cores,
    # they then take ten times as long as sleeping ones (EXPERIMENTS).
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN, and what torch has before it, keep a product's code for every number of rows that was
    # ever met, half a megabyte each and 1,024 of them. These are the products of a dozen numbers of
    # rows; to make the code of one anew takes no longer than a product (BENCHMARKS, memory).
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
    "LRU_CACHE_CAPACITY": "64",
}
# Freed memory is kept for what a piece of work needs next: every page that is asked for anew costs
# a fault and its zeroing, which took longer than the arithmetic of an update (BENCHMARKS, kernels).
# Blocks up to the largest that glibc allows, as it does by itself after a while; up to a gibibyte,
# and between two pieces of work it is given back (kernels.memory). In one arena for all threads:
# what is free in another is of no use to them, and of some not even given back.
# glibc's environment variable: the parameter of its mallopt, and the value
KEPT: Final = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**30),
    "MALLOC_ARENA_MAX": (-8, 1),
}


def prepare() -> None:
    """Set what is not set from outside; where the C library has no such settings, they are not."""
    for name, text in ENVIRON.items():
        os.environ.setdefault(name, text)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, (number, value) in KEPT.items():
        if mallopt is not None and name not in os.environ:
            mallopt(number, value)


def environ() -> dict[str, str]:
    """Return the environment of a program that is started with the same choices."""
    return ENVIRON | {name: str(value) for name, (_, value) in KEPT.items()} | os.environ
