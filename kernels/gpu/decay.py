# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""The decay of the integers on the GPU: each program draws a block of them towards zero."""

import triton
import triton.language as tl
from torch import Tensor

from kernels.change import DECAY_LOG2

SHIFT = tl.constexpr(DECAY_LOG2)
BLOCK = 1024  # elements a program: eight a thread of four warps


@triton.jit(do_not_specialize=["share"])
def decay_kernel(master, count, share, BLOCK: tl.constexpr):
    """Take |K| · share >> 16 off the size of every element (kernels.contract.Backend.decay).

    master: (count,) int32
    """
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = place < count
    k = tl.load(master + place, mask=inside, other=0).to(tl.int64)
    size = tl.where(k < 0, -k, k)
    less = size - ((size * share) >> SHIFT)
    tl.store(master + place, tl.where(k < 0, -less, less).to(tl.int32), mask=inside)


def draw_in(master: Tensor, share: int) -> None:
    """Draw every integer of a contiguous master towards zero.

    share: of 2¹⁶
    """
    programs = triton.cdiv(master.numel(), BLOCK)
    if programs:
        decay_kernel[programs,](master, master.numel(), share, BLOCK=BLOCK, num_warps=4)
