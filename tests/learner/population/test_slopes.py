"""The leading directions of a slope: those of its decomposition, and none of what has exploded."""

import pytest
import torch

from kernels.change import Address
from kernels.contract import Backend
from learner.population.slopes import leading


def test_leading_directions_are_those_of_the_decomposition(backend: Backend) -> None:
    """The iteration finds the singular vectors, up to their sign, and their sizes."""
    draw = torch.Generator().manual_seed(1)
    falling = torch.diag(2.0 ** -torch.arange(20.0))
    total = torch.randn(30, 20, generator=draw) @ falling @ torch.randn(20, 25, generator=draw)
    found = leading(total, backend, Address(1, 2), most=4)
    left, sizes, right = torch.linalg.svd(total.double(), full_matrices=False)
    torch.testing.assert_close(found.sizes, sizes[:4], rtol=1e-4, atol=0)
    for i in range(2):
        assert abs(float(found.left[:, i] @ left[:, i])) == pytest.approx(1, abs=1e-3)
        assert abs(float(found.right[:, i] @ right[i])) == pytest.approx(1, abs=1e-3)


def test_what_is_not_finite_has_no_directions(backend: Backend) -> None:
    """A model that has exploded is told so by its fitness, not by a failing search."""
    assert not leading(torch.full((6, 5), torch.nan), backend, Address(1, 2), most=4).sizes.any()
