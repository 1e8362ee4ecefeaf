"""Mean and spread of every unit, in a compiled loop over a tile of tokens at a time.

Knows nothing of torch: NumPy arrays in, NumPy arrays out.
"""

import numpy as np

from kernels.cpu.compiled import Array, compiled

TOKENS = 32  # activations of a tile are read twice, the second time from cache


@compiled
def unit_moments(start: int, stop: int, x: Array, mean: Array, squares: Array) -> None:
    """Add up the moments of units start..stop-1 over all tokens, a tile of tokens at a time.

    (Chan, Golub & LeVeque 1979, eq. 2.1.)

    x: (tokens, units) float32; mean, squares: (units,) float64, zeros on entry
    """
    width = stop - start
    tile_mean, tile_squares = np.empty(width), np.empty(width)
    means, sums = mean[start:stop], squares[start:stop]
    for begin in range(0, x.shape[0], TOKENS):
        end = min(begin + TOKENS, x.shape[0])
        tile_mean[:] = 0.0
        tile_squares[:] = 0.0
        for token in range(begin, end):
            row = x[token, start:stop]
            for unit in range(width):
                tile_mean[unit] += row[unit] / (end - begin)
        for token in range(begin, end):
            row = x[token, start:stop]
            for unit in range(width):
                tile_squares[unit] += (row[unit] - tile_mean[unit]) ** 2
        for unit in range(width):
            delta = tile_mean[unit] - means[unit]
            sums[unit] += tile_squares[unit] + delta * delta * begin * (end - begin) / end
            means[unit] += delta * (end - begin) / end
