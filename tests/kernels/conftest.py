"""Backends under the one contract."""

import importlib.util
from functools import cache

import pytest

from kernels.contract import Backend, BackendName
from kernels.open import open_backend

opened = cache(open_backend)  # compiling once is enough for all tests


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
