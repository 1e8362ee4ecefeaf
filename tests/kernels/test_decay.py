"""The decay of the integers under the contract, on every backend, against the reference."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.contract import Backend

# Few examples: Triton's interpreter takes a tenth of a second for each of the launches.
laws = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EDGES = (0, 1, -1, 199, 200, -200, 2**31 - 1, -(2**31), 2**24 + 1)


@laws
@given(
    rows=st.integers(1, 70), columns=st.integers(1, 70), share=st.integers(1, 2**16 - 1),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_decay_equals_the_formula(
    backend: Backend, rows: int, columns: int, share: int, seed: int
) -> None:
    """Every integer loses |K| · share >> 16 of its size, in place, edges of int32 included."""
    draw = torch.Generator().manual_seed(seed)
    master = torch.randint(-(2**31), 2**31 - 1, (rows, columns), generator=draw, dtype=torch.int32)
    master.view(-1)[: len(EDGES)] = torch.tensor(EDGES, dtype=torch.int32)[: master.numel()]
    wide = master.numpy().astype(np.int64)
    expected = wide - np.sign(wide) * (np.abs(wide) * share >> 16)
    moved = master.to(backend.device)
    backend.decay(moved, share)
    assert np.array_equal(moved.cpu().numpy(), expected)
    assert (np.sign(expected) * np.sign(wide) >= 0).all()


def test_decay_goes_on_until_the_rest_is_too_small(backend: Backend) -> None:
    """It ends where |K| · share is under 2¹⁶: there nothing more is taken, and nothing is lost."""
    master = torch.tensor([[100_000, -100_000, 199, 0]], dtype=torch.int32, device=backend.device)
    for _ in range(12):
        backend.decay(master, 6000)
    assert master.cpu().tolist() == _after(12, 6000, [100_000, -100_000, 199, 0])


def _after(times: int, share: int, integers: list[int]) -> list[list[int]]:
    for _ in range(times):
        integers = [k - (1 if k > 0 else -1) * (abs(k) * share >> 16) for k in integers]
    return [integers]


@pytest.mark.parametrize("share", [0, -1, 2**16])
def test_a_share_that_is_none_is_refused(backend: Backend, share: int) -> None:
    """Nothing, growth, and all of it are no decay."""
    with pytest.raises(ValueError, match="share"):
        backend.decay(torch.zeros(1, 1, dtype=torch.int32), share)
