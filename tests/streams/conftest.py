"""Every implementation of the log and of the store, real ones, for the contract suites."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from streams.log.contract import Log
from streams.open import init_streams, open_log
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from tests.kafka_broker import KafkaBroker, kafka_home
from tests.postgres_server import (
    PostgresServer,
    drop_database,
    empty_database,
    fresh_database,
    postgres_programs,
)

LOGS = ["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)]
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def kafka_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One broker for the whole test session."""
    if kafka_home() is None:
        pytest.skip("no Kafka: set KAFKA_HOME to the folder of an Apache Kafka 4")
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker.url
    broker.stop()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """One PostgreSQL server for the whole test session."""
    if named := os.environ.get("DATABASE_URL"):
        yield named
        return
    if postgres_programs() is None:
        pytest.skip("no PostgreSQL: install it, or set DATABASE_URL to a server's")
    with TemporaryDirectory(prefix="quickset-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.start()
        yield server.url
        server.stop()


@pytest.fixture(params=LOGS)
def log_settings(request: pytest.FixtureRequest, tmp_path: Path) -> StreamsSettings:
    """Settings of an empty log with two partitions, of each kind."""
    settings = StreamsSettings(home=tmp_path, partitions=2, max_record_bytes=2**20)
    if request.param == "kafka":
        url = request.getfixturevalue("kafka_url")
        prefix = f"{uuid4().hex[:8]}."
        settings = settings.model_copy(update={"log": url, "topic_prefix": prefix})
    init_streams(settings)
    return settings


@pytest.fixture
def open_another(log_settings: StreamsSettings) -> Iterator[Callable[[], Log]]:
    """Opens the same log again, as another process would."""
    opened: list[Log] = []

    def another() -> Log:
        opened.append(open_log(log_settings))
        return opened[-1]

    yield another
    for log in opened:
        log.close()


@pytest.fixture
def log(open_another: Callable[[], Log]) -> Log:
    """An empty log, of each kind."""
    return open_another()


@pytest.fixture(scope="session")
def migrated(postgres_url: str) -> Iterator[str]:
    """A database on PostgreSQL that tests of a store have in turn: to migrate takes a while."""
    url = fresh_database(postgres_url)
    yield url
    drop_database(url, postgres_url)


@pytest.fixture
def keeps_schema() -> bool:
    """Whether a test leaves the schema of its store as it was, so that the next can have it."""
    return True


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest, tmp_path: Path, keeps_schema: bool) -> Iterator[str]:
    """The URL of an empty database, of each kind; where a store is asked for, the store's."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    if keeps_schema and "store" in request.fixturenames:
        url = request.getfixturevalue("migrated")
        yield url
        empty_database(url)
        return
    server = request.getfixturevalue("postgres_url")
    url = fresh_database(server)
    yield url
    drop_database(url, server)


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store at the newest schema, of each kind."""
    opened = open_store(StreamsSettings(home=tmp_path, store=database))
    yield opened
    opened.close()
