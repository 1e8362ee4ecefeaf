"""Weights of any dtype, as the float32 pieces that compiled loops work on.

float32 weights are read and written in place; others are widened (exact) and rounded back by
torch (to nearest even), a piece at a time, so that no second copy of a tensor exists.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from kernels.cpu.compiled import Array
from kernels.cpu.threads import Threads

# torch converts pieces up to this size on the calling thread, which is one of ours already.
PIECE_ELEMENTS = 2**15

# target and source float32, index of their first element; says whether all went well
Write = Callable[[Array, Array, int], bool]


def rewrite(threads: Threads, out: Tensor, base: Tensor, write: Write) -> bool:
    """Call write on pieces of a whole tensor.

    out, base: contiguous, of one dtype
    returns: whether every call said so
    """
    target, source = out.view(-1), base.view(-1)

    def loop(start: int, stop: int) -> bool:
        if source.dtype == torch.float32:
            return write(target[start:stop].numpy(), source[start:stop].numpy(), start)
        good = True
        for first in range(start, stop, PIECE_ELEMENTS):
            piece = slice(first, min(first + PIECE_ELEMENTS, stop))
            wide = source[piece].float()
            written = torch.empty_like(wide)
            good &= write(written.numpy(), wide.numpy(), first)
            target[piece] = written
        return good

    return all(threads.over(source.numel(), loop))
