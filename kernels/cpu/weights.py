"""Weights of any dtype, as the float32 pieces that compiled loops work on.

float32 weights are read and written in place; others are widened (exact) and rounded back by
torch (to nearest even), a piece at a time, so that no second copy of a tensor exists.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from kernels.cpu.compiled import Array
from kernels.cpu.threads import Threads
from kernels.cpu.written import BLOCK

# torch converts pieces up to this size on the calling thread, which is one of ours already.
PIECE_ELEMENTS = 2**15

# target and source float32, index of their first element; says whether all went well
Write = Callable[[Array, Array, int], bool]


def rewrite(threads: Threads, out: Tensor, base: Tensor, write: Write) -> bool:
    """Call write on pieces of a whole tensor that begin at multiples of BLOCK.

    out, base: contiguous, of one dtype
    returns: whether every call said so
    """
    target, source = out.view(-1), base.view(-1)
    size = source.numel()

    def loop(start: int, stop: int) -> bool:
        return write_range(target, source, start * BLOCK, min(stop * BLOCK, size), write)

    return all(threads.over(-(-size // BLOCK), loop, items=BLOCK))


def write_range(target: Tensor, source: Tensor, begin: int, end: int, write: Write) -> bool:
    """Call write on pieces of elements begin..end-1, on this thread.

    target, source: flat, of one dtype
    """
    if source.dtype == torch.float32:
        return write(target[begin:end].numpy(), source[begin:end].numpy(), begin)
    good = True
    for first, last in _pieces(begin, end):
        wide = source[first:last].float()
        written = torch.empty_like(wide)
        good &= write(written.numpy(), wide.numpy(), first)
        target[first:last] = written
    return good


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    for first in range(begin, end, PIECE_ELEMENTS):
        yield first, min(first + PIECE_ELEMENTS, end)
