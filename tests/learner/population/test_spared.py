"""What prose uses is dear to move, on either side of a layer: the algebra, and moves by it."""

import pytest
import torch
from torch import Tensor

from kernels.change import Address
from kernels.contract import Backend
from learner.population.slopes import leading
from learner.population.spared import Side, Spared


def vectors(units: int, seed: int) -> Tensor:
    """Return many vectors that have a direction in common: (90, units)."""
    draw = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, units, generator=draw)
    return torch.randn(90, units, generator=draw) + 4 * torch.randn(90, 1, generator=draw) * shared


def dearness(vectors: Tensor, spare: float) -> Tensor:
    """Return M as it is written: 1 + spare · C / (mean eigenvalue of C)."""
    wide, units = vectors.double(), vectors.shape[1]
    shared = wide.T @ wide / len(wide)
    return torch.eye(units, dtype=torch.float64) + spare * shared / (shared.trace() / units)


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("units", [20, 120])
def test_dearness_is_what_is_written(units: int, pieces: int) -> None:
    """The two halves are M⁻¹, in however many pieces the vectors come, few or many as they are."""
    given = vectors(units, 3)
    side = Side.of((given.chunk(pieces), 10.0))
    columns = torch.randn(units, 7, generator=torch.Generator().manual_seed(4))
    twice = side.cheapened(side.whitened(columns))
    wanted = torch.linalg.solve(dearness(given, 10.0), columns.double())
    torch.testing.assert_close(twice, wanted, rtol=1e-4, atol=1e-5)


def test_vectors_of_zeros_make_nothing_dear() -> None:
    """A layer that prose does not use at all is free to move."""
    columns = torch.eye(5, dtype=torch.float64)
    assert torch.equal(Side.of(([torch.zeros(9, 5)], 10.0)).cheapened(columns), columns)


def test_leading_moves_gain_most_for_what_they_change(backend: Backend) -> None:
    """They lie along L⁻¹ S R⁻¹, and are clear of what prose has in common on both sides."""
    given, taken = vectors(30, 5), vectors(20, 3)
    common = [torch.linalg.eigh(dearness(v, 10.0))[1][:, -1] for v in (given, taken)]
    draw = torch.Generator().manual_seed(8)
    own = [torch.randn(len(side), generator=draw).double() for side in common]
    total = torch.outer(common[0] + own[0], common[1] + own[1]).float()
    spared = Spared(Side.of(([given], 10.0)), Side.of(([taken], 10.0)))
    plain, sparing = (
        leading(total, backend, Address(1, 2), each, most=2) for each in (None, spared)
    )
    wanted = torch.linalg.solve(dearness(given, 10.0), total.double())
    wanted = torch.linalg.solve(dearness(taken, 10.0), wanted.T).T
    found = sparing.sizes[0] * torch.outer(sparing.left[:, 0], sparing.right[:, 0])
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    for side in ("left", "right"):
        shared = common[side == "right"]
        with_common = [
            abs(float(getattr(d, side)[:, 0] @ shared / getattr(d, side)[:, 0].norm()))
            for d in (plain, sparing)
        ]
        assert with_common[1] < with_common[0] / 4
