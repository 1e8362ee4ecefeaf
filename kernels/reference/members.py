"""A linear layer that many perturbed copies share. The plain NumPy version.

Turns base weights and noise into members. A rank-1 member is never written: its layer is the
base's product plus two thin ones, so that all members share a batch. A full-rank member is
written from the resident base, which is only read; nothing is ever restored by subtraction.

Invariant: a frozen unit has zeros in its factor, so it moves in no member.
Knows nothing of keys: noise comes as an argument.
"""

import numpy as np
import numpy.typing as npt

from kernels.reference.noise import Deviates, Signs

Floats = npt.NDArray[np.float32]


def full_member(base: Floats, noise: Deviates, *, plus: bool, unit_log2: int) -> Floats:
    """Write one full-rank member W ± 2^s·E: one float32 addition an element.

    Where the noise is 0 (frozen, or by chance) the base's own bits stay: −0.0 + 0.0 would be +0.0.

    base: (out, in) float32; noise: (out, in) int8, zeros where frozen; plus: the pair's + member;
        unit_log2: log2 of what an integer 1 moves
    returns: (out, in) float32

    >>> full_member(np.float32([[1.0, 2.0]]), np.int8([[1, -1]]), plus=False, unit_log2=-1)
    array([[0.5, 2.5]], dtype=float32)
    """
    scale = np.float32(2.0**unit_log2 if plus else -(2.0**unit_log2))
    return np.where(noise == 0, base, base + scale * noise.astype(np.float32))


def member_linear(
    x: Floats, weight: Floats, bias: Floats | None, rows: Signs, columns: Signs, *, sigma_log2: int
) -> Floats:
    """Apply many rank-1 members of one layer: y_m = x_m Wᵀ + 2^s · (x_m · b_m) a_mᵀ.

    (EGGROLL, Sarkar et al. 2025, sec. 4.) Computed in float64 and rounded once: the yardstick
    for the fast versions.

    x: (members or 1, tokens, in), 1 when the input is still common to all; weight: (out, in);
        rows: (members, out) a_m, its ± in it; columns: (members, in) b_m
    returns: (members, tokens, out) float32
    """
    wide = x.astype(np.float64)
    projected = wide @ columns[:, :, None].astype(np.float64)
    shared = wide @ weight.astype(np.float64).T + (0.0 if bias is None else bias)
    return (shared + 2.0**sigma_log2 * projected * rows[:, None, :]).astype(np.float32)
