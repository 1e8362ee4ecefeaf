"""What the learner's tests share."""

import pytest

from kernels.contract import Backend
from kernels.open import open_backend
from learner.serving import Serving
from learner.settings import MODULES
from streams.model.open import BaseModel
from streams.records import Mask
from tests.streams.conftest import database, keeps_schema, migrated, postgres_url

__all__ = [
    "database",
    "keeps_schema",
    "migrated",
    "postgres_url",
]  # fixtures: every kind of database


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The backend that the product uses."""
    return open_backend("cpu")


@pytest.fixture
def tiny_mask(tiny_base: BaseModel) -> Mask:
    """A few frozen units of the tiny model's last layers."""
    return Mask(base=tiny_base.name, neurons={2: [0, 5], 3: [7]}, groups={3: [1]})


@pytest.fixture
def serving(tiny_base: BaseModel, backend: Backend, tiny_mask: Mask) -> Serving:
    """The tiny base, of which the last two layers may move."""
    return Serving(tiny_base, backend, tiny_mask, layers=[2, 3], modules=MODULES)
