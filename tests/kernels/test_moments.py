"""Moments merge exactly as if everything had come at once."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.open import open_backend
from kernels.reference.moments import Moments


@given(cuts=st.lists(st.integers(0, 60), max_size=4), mean=st.sampled_from([0.0, 1e6]))
def test_any_cut_of_the_tokens_gives_the_same_variance(cuts: list[int], mean: float) -> None:
    """Pieces in any number, empty ones too, give torch's variance of the whole."""
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)) + mean
    backend = open_backend("reference")
    moments = Moments(5, backend=backend)
    edges = [0, *sorted(cuts), 60]
    for start, stop in pairwise(edges):
        piece = Moments(5, backend=backend)
        piece.add(x[start:stop])
        moments.merge(piece)
    torch.testing.assert_close(moments.mean, x.double().mean(dim=0))
    torch.testing.assert_close(moments.variance(), x.double().var(dim=0))
    assert moments.count == 60


def test_one_token_has_no_variance() -> None:
    """A variance of nothing is an error, not a zero that would rank a unit last."""
    moments = Moments(3, backend=open_backend("cpu"))
    moments.add(torch.ones(1, 3))
    with pytest.raises(ValueError, match="two"):
        moments.variance()
