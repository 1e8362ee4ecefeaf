"""What the tests of trials share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import StreamsSettings
from streams.store.store import Store, open_store


@pytest.fixture(scope="session")
def trials_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all: each test and example has a line of its own."""
    store = open_store(StreamsSettings(home=Path(tmp_path_factory.mktemp("trials"))))
    yield store
    store.close()
