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
    """Round float32 once more to the dtype and store; give 1 where the stored is not finite."""
    if pointers.dtype.element_ty == tl.int16:
        bits = weights.to(tl.uint32, bitcast=True)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        tl.store(pointers, rounded.to(tl.uint16).to(tl.int16, bitcast=True), mask=inside)
        # a NaN may wrap to a number when rounded so: look before as well as after
        stored = tl.maximum(bits & 0x7FFFFFFF, (rounded & 0x7FFF) << 16)
    else:
        narrow = weights.to(pointers.dtype.element_ty)
        tl.store(pointers, narrow, mask=inside)
        stored = narrow.to(tl.float32).to(tl.uint32, bitcast=True) & 0x7FFFFFFF
    return (inside & (stored >= 0x7F800000)).to(tl.int32)
