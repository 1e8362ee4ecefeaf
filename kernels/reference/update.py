"""Integers that never drift: the update, the last rounding and the digest. Plain NumPy.

Turns a generation's coefficients into a change of the integer master K, and K into weights.
K += step · Σ_p c_p E_p is exact (and where E_p is normal rounded to an integer, always to the
same), hence: any order of generations gives the same K, and taking one out again (−step) restores K
to the bit. Weights are base + 2^exponent · K, rounded once by a fixed sequence of IEEE operations.

Knows nothing of models: one tensor at a time.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.change import DECAY_LOG2, INT32_MAX
from kernels.errors import OVERFLOW, ExplodedError
from kernels.reference.members import Floats
from kernels.reference.noise import Deviates, Signs

Integers = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]

MIX_MULTIPLIER = 0xD6E8FEB86659FD93


def rank1_sum(rows: Signs, columns: Signs, coefficients: Sequence[int]) -> Wide:
    """Sum c_p a_p b_pᵀ over the pairs.

    rows: (pairs, out); columns: (pairs, in); zeros where frozen
    returns: (out, in) int64

    >>> rank1_sum(np.int8([[1, -1]]), np.int8([[1, 1, 0]]), [5]).tolist()
    [[5, 5, 0], [-5, -5, 0]]
    """
    weighted = rows.astype(np.int64) * np.asarray(coefficients, np.int64)[:, None]
    return weighted.T @ columns.astype(np.int64)


def full_sum(noise: Deviates, coefficients: Sequence[int]) -> Wide:
    """Sum c_p E_p over the pairs.

    noise: (pairs, out, in), zeros where frozen
    returns: (out, in) int64
    """
    return np.tensordot(np.asarray(coefficients, np.int64), noise.astype(np.int64), axes=1)


def rounded(total: Wide, fraction_log2: int) -> Wide:
    """Divide by 2^fraction_log2 and round, halves away from zero: of −total it is the opposite.

    >>> rounded(np.int64([-49, -48, -47, 47, 48, 49]), 5).tolist()
    [-2, -2, -1, 1, 2, 2]
    """
    half = (1 << fraction_log2) >> 1
    size: Wide = (np.abs(total) + half) >> fraction_log2
    return np.sign(total) * size


def add(master: Integers, change: Wide) -> None:
    """Add to the master, in place, or leave it as it was.

    raises: ExplodedError when an element would leave int32
    """
    moved = master.astype(np.int64) + change
    if moved.size and (moved.min() < -INT32_MAX - 1 or moved.max() > INT32_MAX):
        raise ExplodedError(OVERFLOW)
    master[...] = moved


def decay(master: Integers, share: int) -> None:
    """Take |K| · share >> 16 off the size of every element, in place.

    share: of 2¹⁶

    >>> integers = np.int32([[1000, -1000, 199, 0]])
    >>> decay(integers, 328)
    >>> integers.tolist()
    [[995, -995, 199, 0]]
    """
    wide = master.astype(np.int64)
    master[...] = wide - np.sign(wide) * (np.abs(wide) * share >> DECAY_LOG2)


def materialise(base: Floats, master: Integers, *, exponent: int) -> Floats:
    """Return base + 2^exponent · K as float32: the sum in float64, then one cast.

    2^exponent · K is exact in float64, so two roundings (sum, cast) are the whole error, and
    the same on every IEEE device. Where K = 0 the base's own bits stay: −0.0 + 0.0 is +0.0.

    base, master: (out, in)
    returns: (out, in) float32; not checked for being finite (overflow gives ±inf)

    >>> materialise(np.float32([[1.0, -0.0]]), np.int32([[3, 0]]), exponent=-1)
    array([[ 2.5, -0. ]], dtype=float32)
    """
    wide = base.astype(np.float64) + np.ldexp(master.astype(np.float64), exponent)
    with np.errstate(over="ignore"):  # reported by the caller's check for finite weights
        return np.where(master == 0, base, wide.astype(np.float32))


def mix(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64 bits so that every input bit reaches every output bit.

    A bijection of two multiplications and three folds by 32 bits, which cost a GPU one
    instruction each (degski's mixer, in Wellons' survey "Prospecting for Hash Functions", 2018).

    >>> hex(int(mix(np.uint64([1]))[0]))
    '0x4179b061e0c0e0d0'
    """
    half, odd = np.uint64(32), np.uint64(MIX_MULTIPLIER)
    word = (word ^ (word >> half)) * odd
    word = (word ^ (word >> half)) * odd
    return word ^ (word >> half)


def digest(master: Integers) -> int:
    """Sum mix(index · 2³² + (K mod 2³²)) over the elements that are not 0, modulo 2⁶⁴.

    Row-major index and value are the two words of what is mixed, so a moved, swapped or changed
    element shows; a sum, so blocks and shards may come in any order; 0 exactly when nothing moved
    (but for a chance of 2⁻⁶⁴). It finds accidents, not
    forgers: recipes that it checks are trusted already.

    returns: unsigned 64-bit integer

    >>> hex(digest(np.int32([[0, 1]])))
    '0x21cbd3c44eaa31ad'
    """
    values = master.ravel()
    index = np.arange(values.size, dtype=np.uint64) << np.uint64(32)
    mixed = mix(index | values.view(np.uint32))
    return int(np.where(values == 0, np.uint64(0), mixed).sum(dtype=np.uint64))
