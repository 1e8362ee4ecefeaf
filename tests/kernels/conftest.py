"""Backends under the one contract."""

import importlib.util
from functools import cache
from typing import cast

import pytest
import torch

from kernels.contract import Backend, BackendName
from kernels.open import open_backend
from tests.kernels.placed import Placed

# What takes Triton's interpreter seconds, and is told of its kernels by shorter tests, too.
LONG = (
    "test_updates_larger",
    "test_generations_commute",
    "test_each_gives_the_results_in_order",
    "test_decay_comes_before_the_step",
    "test_advancing_is_applying_and_weighing_in_one",
    "test_the_step_is_that_of_the_master",
    "test_token_logprobs_over_many_blocks",
    "test_frozen_units_are_counted",
    "test_deviates_are_normal",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the slow tests what takes Triton's interpreter many seconds."""
    for item in items:
        told = getattr(item, "callspec", None)
        if told is None or told.params.get("backend") != "triton" or torch.cuda.is_available():
            continue
        if told.params.get("pairs", 0) > 100 or item.name.startswith(LONG):
            item.add_marker(pytest.mark.slow)


@cache  # compiling once is enough for all tests
def opened(name: BackendName) -> Backend:
    """Open a backend: Triton's on a GPU where there is one, else in its interpreter."""
    if name == "triton" and torch.cuda.is_available():
        return cast(Backend, Placed(open_backend(name, "cuda")))
    return open_backend(name)


@pytest.fixture(params=["reference", "cpu", pytest.param("triton", marks=pytest.mark.triton)])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every implementation in turn."""
    name: BackendName = request.param
    if name == "triton" and importlib.util.find_spec("triton") is None:
        pytest.skip("needs triton: pip install 'quickset[triton]'")
    return opened(name)


@pytest.fixture
def reference() -> Backend:
    """The yardstick."""
    return opened("reference")
