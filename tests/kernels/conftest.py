"""Backends under the one contract, and strategies for the addresses they are asked."""

from functools import cache

import pytest

from kernels.backend import Backend, BackendName, open_backend

opened = cache(open_backend)  # compiling once is enough for all tests


@pytest.fixture(params=["reference", "cpu"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every implementation in turn."""
    name: BackendName = request.param
    return opened(name)


@pytest.fixture
def reference() -> Backend:
    """The yardstick."""
    return opened("reference")
