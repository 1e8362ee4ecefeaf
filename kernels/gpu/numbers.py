# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
"""Weights in and out of registers, rounded by the same steps on every device.

bfloat16 travels as its bits (int16) and is rounded to nearest even by integer instructions:
drivers, architectures and Triton's interpreter convert differently at the edges, integers do
not. Knows nothing of what the weights mean.
"""

import triton
import triton.language as tl


@triton.jit
def load_weights(pointers, inside):
    """Load float32, float16, or bfloat16 as int16 bits, as exact float32; 0 outside."""
    raw = tl.load(pointers, mask=inside, other=0)
    if raw.dtype == tl.int16:
        wide = (raw.to(tl.uint16, bitcast=True).to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    else:
        wide = raw.to(tl.float32)
    return wide


@triton.jit
def store_weights(pointers, weights, inside):
    """Round float32 once more to the dtype and store; return its bits without the sign.

    Not a finite weight where these reach `infinity(pointers)`.
    """
    bits = weights.to(tl.uint32, bitcast=True)
    if pointers.dtype.element_ty == tl.int16:
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        tl.store(pointers, rounded.to(tl.uint16).to(tl.int16, bitcast=True), mask=inside)
    else:
        tl.store(pointers, weights.to(pointers.dtype.element_ty), mask=inside)
    return (bits & 0x7FFFFFFF).to(tl.int32, bitcast=True)


@triton.jit
def infinity(pointers):
    """Return the least float32 magnitude, as bits, that the dtype rounds to infinity."""
    if pointers.dtype.element_ty == tl.int16:
        least = 0x7F7F8000  # half a step above bfloat16's largest; its tie goes up, to even
    elif pointers.dtype.element_ty == tl.float16:
        least = 0x477FF000  # 65520, likewise above 65504
    else:
        least = 0x7F800000
    return least


@triton.jit
def highest(values, SIZE: tl.constexpr):
    """Return the largest of a block of bits, as unsigned: 0 if and only if all are 0."""
    flat = tl.reshape(values, (SIZE,)).to(tl.uint32, bitcast=True)
    return tl.max(flat, 0).to(tl.int32, bitcast=True)
