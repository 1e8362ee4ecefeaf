"""How the loops of this room are compiled, and kept on disk as machine code.

numba's cache watches the file of a function, not what it calls or the constants that it takes from
elsewhere: a stale inlined Philox would be another generator. So a function is compiled, and found
again, under a name that carries a digest of all sources that loops are made of.

The loops take a range of their elements or rows each, so that threads can share them, and release
the GIL. Integers wrap as in C; floats are contracted or reordered only in loops that say so
(`vectorised`). They know nothing of torch: NumPy arrays in, NumPy arrays out.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]

KERNELS = Path(__file__).parent.parent
PAIRS = 32  # pairs that one noise word serves
CHUNK = 1024  # elements at a time: their words and sums stay in the first-level cache


def compiled(function: Function) -> Function:
    """Compile at the first call, keep the machine code on disk, run without the GIL."""
    function.__qualname__ += f"_{digest(KERNELS)}"
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def vectorised(signature: str) -> Callable[[Function], Function]:
    """Compile, and let a sum be cut into vector lanes; the cut depends on the shape only.

    signature: types of arguments and result, as numba writes them. It is compiled or found on disk
        when it is imported, before whatever calls it: a caller carries a copy that may have been
        cut otherwise, and the first of both that a process meets is the one that it uses.

    NaN and infinity keep their rules: a fault must show.
    """

    def compile_now(function: Function) -> Function:
        function.__qualname__ += f"_{digest(KERNELS)}"
        flags = {"reassoc", "contract", "arcp", "nsz"}
        made = numba.njit(signature, cache=True, nogil=True, fastmath=flags, error_model="numpy")(
            function
        )
        return cast(Function, made)

    return compile_now


def on_threads(function: Function) -> Function:
    """Compile with parallel loops (numba.prange), for where OpenMP is (kernels.loops.product)."""
    function.__qualname__ += f"_{digest(KERNELS)}"
    return cast(Function, numba.njit(cache=True, nogil=True, parallel=True)(function))


def inlined(function: Function) -> Function:
    """Copy the function into its callers before compiling them, so that their loops vectorise."""
    return cast(Function, numba.njit(inline="always")(function))


@cache
def digest(kernels: Path) -> str:
    """Return a digest of all that a loop can be made of: rooms of loops, and others' numbers."""
    rooms = ("cpu", "loops", "reference")
    files = [path for room in rooms for path in (kernels / room).glob("*.py")]
    whole = hashlib.sha256()
    for path in sorted([kernels / "normal.py", *files]):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:12]
