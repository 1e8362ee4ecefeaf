"""A running API for clients that are driven unmodified, scripted or on a tiny real model.

A client that is not installed is skipped by name: they come with the extra `clients`, those of npm
with CLIENTS_NPM=1, which installs them into a folder of its own.
"""

import gc
import importlib.metadata
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.model.open import BaseModel
from tests.agent.scripted import HELLO
from tests.clients.live import Live, live

# What clients and the libraries below them warn of is theirs.
THEIRS = pytest.mark.filterwarnings("ignore")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what drives a package that is not installed, and leave its warnings alone."""
    folder = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(folder):
            continue
        item.add_marker(THEIRS)
        for mark in item.iter_markers("client"):
            if not mark.kwargs.get("apart") and version_of(mark.args[0]) is None:
                why = f"{mark.args[0]} is not installed: pip install -e '.[clients]'"
                item.add_marker(pytest.mark.skip(reason=why))


def version_of(package: str) -> str | None:
    """The version of a Python package that is installed; None when it is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@pytest.fixture(scope="module", autouse=True)
def _settled() -> Iterator[None]:
    """Leave what other tests have loaded out of collections: it would be searched after each."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collect what a client left open, lest its warning is told of a test of ours."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture(scope="module")
def _scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def api(_scripted: Live) -> Live:
    """An API whose engine plays scripts; "Hello, world!" until a test says otherwise."""
    _scripted.play(HELLO)
    return _scripted


@pytest.fixture(scope="module")
def _noise(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    small: dict[str, Any] = {"default_max_tokens": 16, "prefill_chunk_tokens": 8}
    with live(tmp_path_factory.mktemp("real"), base=tiny_base, **small) as running:
        yield running


@pytest.fixture
def real(_noise: Live, monkeypatch: pytest.MonkeyPatch) -> Live:
    """An API on a tiny real model, whose replies are noise: the same in every run of a test.

    A request that names no seed gets one of a fixed row. By chance a model of noise says little
    that is allowed over and over until its tokens end, and most clients take that as a failure.
    """
    row = random.Random(1)
    monkeypatch.setattr("agent.api.caller.secrets", SimpleNamespace(randbelow=row.randrange))
    return _noise
