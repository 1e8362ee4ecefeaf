"""The table of normal deviates: the same for ever, and as near to N(0, 1) as it says."""

import hashlib
import json
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from kernels import normal

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden/normal_v1.json").read_text()
)
UNIT = 2.0**-normal.FRACTION_LOG2
SIZE = 2**normal.BITS


def test_the_table_is_the_golden_one() -> None:
    """A version that was made with it can be built for ever."""
    assert GOLDEN["bits"] == normal.BITS
    assert GOLDEN["fraction_log2"] == normal.FRACTION_LOG2
    assert GOLDEN["largest"] == normal.LARGEST
    assert list(normal.COUNTS) == GOLDEN["counts"]
    assert hashlib.sha256(normal.deviates().tobytes()).hexdigest() == GOLDEN["table_sha256"]


def test_the_table_is_the_inverse_distribution_rounded() -> None:
    """Entry i is Φ⁻¹((i + ½) / 8192) in whole units; none is near enough a half to be doubtful."""
    exact = [NormalDist().inv_cdf((i + 0.5) / SIZE) / UNIT for i in range(SIZE)]
    assert normal.deviates().tolist() == [round(value) for value in exact]
    assert min(abs(value % 1 - 0.5) for value in exact) > 1e-4
    assert normal.deviates().max() == -normal.deviates().min() == normal.LARGEST


def test_the_distance_to_a_normal_distribution_is_as_stated() -> None:
    """Moments, and how far the distribution function is from Φ, at its steps and between them."""
    drawn = normal.deviates() * UNIT
    assert drawn.mean() == 0
    assert abs((drawn**2).mean() - 1) < 4e-5
    assert abs((drawn**4).mean() - 2.996) < 5e-4
    assert abs((drawn**6).mean() - 14.88) < 5e-3
    steps, counts = np.unique(normal.deviates(), return_counts=True)
    below = np.cumsum(counts) / SIZE
    at, between = (
        np.array([NormalDist().cdf((step + place) * UNIT) for step in steps]) for place in (0, 0.5)
    )
    distance = max(np.abs(below - at).max(), np.abs(below - counts / SIZE - at).max())
    assert 0.0062 < distance < 0.0063
    assert np.abs(below - between).max() < 6.2e-5
