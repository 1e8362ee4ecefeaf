"""Freed memory, given back to the system.

A process that computes keeps what it frees (deploy.up.process): to fault pages in again takes
longer than the arithmetic on them (EXPERIMENTS, "Update"). Between two pieces of work, a version
built or a generation done, that costs a few milliseconds a hundred megabytes and no more.
"""

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Return what is free to the system, where the C library knows how (glibc)."""
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
