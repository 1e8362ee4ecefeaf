"""What every store promises, on SQLite and on a real PostgreSQL."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, insert, text
from sqlalchemy.exc import IntegrityError, InternalError, OperationalError
from sqlmodel import AutoString, col, select

from streams.errors import StoreUnavailableError
from streams.settings import StreamsSettings
from streams.store.any_text import restored, stored
from streams.store.lease import Lease
from streams.store.store import Store, open_store, store_url
from streams.store.tables import ArtefactRow, OffsetRow, Row, SeenRow


def artefact(digest: str) -> ArtefactRow:
    return ArtefactRow(digest=digest, kind="test", body={"ß": [1, 2.5, None]}, created_ms=2**40)


@pytest.mark.parametrize("name", ["50%25", "100%", "a?b", "C#", "a b", "ü&uri=true"])
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The store lies in it, and nowhere else, and is found again."""
    home = tmp_path / name
    for digest in ("a", "b"):
        store = open_store(StreamsSettings(home=home))
        with store.transaction() as session:
            session.add(artefact(digest))
        assert digests(store) == ["a", "b"][: "ab".index(digest) + 1]
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (home / "store.db").stat().st_size > 0


def digests(store: Store) -> list[str]:
    with store.reading() as session:
        return sorted(session.exec(select(ArtefactRow.digest)).all())


def test_what_a_transaction_wrote_is_there_when_it_ends(store: Store) -> None:
    """Rows come back as they were written, JSON and large integers included."""
    with store.transaction() as session:
        session.add(artefact("a"))
    with store.reading() as session:
        row = session.get_one(ArtefactRow, "a")
    assert (row.body, row.created_ms) == ({"ß": [1, 2.5, None]}, 2**40)


def test_what_a_store_refuses_is_not_quoted(store: Store) -> None:
    """Its error goes to the log of the process, which nobody takes a person's words out of."""
    twice = {"digest": "a", "kind": "test", "body": {"said": "the blue heron"}, "created_ms": 0}
    with pytest.raises(IntegrityError) as told, store.transaction() as session:
        session.execute(insert(ArtefactRow).values([twice, twice]))
    assert "heron" not in str(told.value)


ANY_TEXT = [
    "a\0b", "\0", "\ud800", "x\udfff\ud800y", "\x10", "\x100000", "\x10\x10d8000", "", "ß🙂\x1b",
]  # fmt: skip


@pytest.mark.parametrize("text", ANY_TEXT)
def test_any_text_comes_back_unchanged(store: Store, text: str) -> None:
    """NUL and half surrogate pairs, which databases refuse: as key, as value, in JSON, sought."""
    with store.transaction() as session:
        row = artefact(f"digest {text}")
        row.kind, row.body = text, {"said": text, text: [text]}
        session.add(row)
        session.add(SeenRow(group=text, id=text, time_ms=0))
    with store.reading() as session:
        assert session.get_one(SeenRow, (text, text)).id == text
    with store.reading() as session:
        row = session.exec(select(ArtefactRow).where(ArtefactRow.kind == text)).one()
        sought = select(ArtefactRow.digest).where(col(ArtefactRow.kind).in_([text]))
        assert session.exec(sought).one() == row.digest == f"digest {text}"
    assert (row.kind, row.body) == (text, {"said": text, text: [text]})


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_stored_without_what_databases_refuse(text: str) -> None:
    """It can be encoded, holds no NUL, and is the text again."""
    kept = stored(text)
    assert b"\0" not in kept.encode()
    assert restored(kept) == text


def test_every_text_column_holds_any_text() -> None:
    """A table that is added later does, too."""
    for table in Row.metadata.sorted_tables:
        for column in table.columns:
            assert not isinstance(column.type, AutoString), f"{table.name}.{column.name}"


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """An exception in the block takes back all of it."""

    def write_half() -> None:
        with store.transaction() as session:
            session.add(artefact("a"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert digests(store) == []


def test_a_reader_sees_one_moment(store: Store) -> None:
    """What commits while a reader looks is not seen by it, and does not wait for it."""
    with store.reading() as session:
        assert session.exec(select(ArtefactRow)).all() == []
        with store.transaction() as writer:
            writer.add(artefact("a"))
        assert session.exec(select(ArtefactRow)).all() == []
    assert digests(store) == ["a"]


def test_writers_exclude_each_other_where_they_lock_a_row(store: Store) -> None:
    """Many threads that read a locked row and write it back lose no update."""
    with store.transaction() as session:
        session.add(OffsetRow(group="g", topic="turns", partition=0, next_offset=0))

    def count() -> None:
        for _ in range(25):
            with store.transaction() as session:
                row = session.exec(select(OffsetRow).with_for_update()).one()
                row.next_offset += 1
                session.add(row)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as session:
        assert session.exec(select(OffsetRow)).one().next_offset == 100


def test_a_writer_that_waits_too_long_says_so(tmp_path: Path) -> None:
    """A second writer of an SQLite file gives up after busy_s, with an error that means: retry."""
    open_store(StreamsSettings(home=tmp_path)).close()
    url = f"sqlite:///{tmp_path / 'store.db'}"
    first, second = Store(url), Store(url, busy_s=0.05)
    with (
        first.transaction(),
        pytest.raises(StoreUnavailableError, match="locked"),
        second.transaction(),
    ):
        pass
    with second.transaction() as session:
        session.add(artefact("a"))
    assert digests(first) == ["a"]
    first.close()
    second.close()


@pytest.mark.fault("full disk")
def test_a_full_disk_is_said_and_leaves_the_store_whole(tmp_path: Path) -> None:
    """A transaction that does not fit is taken back; what was there stays readable."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        session.add(artefact("kept"))
    with store.transaction() as session:
        connection = session.connection()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    large = artefact("large")
    large.body = {"text": "x" * 200_000}
    with pytest.raises(StoreUnavailableError, match="full"), store.transaction() as session:
        session.add(large)
    assert digests(store) == ["kept"]
    with store.transaction() as session:
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1000000")
        session.add(artefact("after"))
    assert digests(store) == ["after", "kept"]
    store.close()


def test_an_sqlite_store_is_durable_and_shared(tmp_path: Path) -> None:
    """The pragmas that the promises rest on are in force: WAL, and a sync at every commit."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        read = session.connection().exec_driver_sql
        assert read("PRAGMA journal_mode").scalar_one() == "wal"
        assert read("PRAGMA synchronous").scalar_one() == 2
    store.close()


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d"])
def test_the_usual_postgresql_urls_are_read(url: str) -> None:
    """What hosting services call a database URL names the driver that we use."""
    assert store_url(url).drivername == "postgresql+psycopg"


def test_another_database_is_refused_by_name() -> None:
    """A URL of a database that we do not support says which we do."""
    with pytest.raises(ValueError, match="mysql: choose sqlite or postgresql"):
        store_url("mysql://u@h/d")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://x", "no database is named"),
        ("postgresql://u:secret@h/", "no database is named"),
        ("postgresql://u:secret@h:many/d", "no database URL"),
        ("secret", "no database URL"),
        ("sqlite://", "no file is named"),
        ("sqlite:///:memory:", "no file is named"),
        ("sqlite://secret.db", "no file is named"),
    ],
)
def test_what_names_no_database_is_refused(url: str, said: str) -> None:
    """Before anything is opened, and without telling the password."""
    with pytest.raises(ValueError, match=said) as refused:
        store_url(url)
    assert "secret" not in str(refused.value)


def test_a_database_may_be_named_for_a_socket() -> None:
    """PostgreSQL's programs take it behind the question mark, too."""
    assert store_url("postgresql://?host=/run/postgresql&dbname=d").query["dbname"] == "d"


def test_a_database_that_is_away_is_said(tmp_path: Path) -> None:
    """A server that cannot be reached is an error that means: retry."""
    settings = StreamsSettings(home=tmp_path, store="postgresql://u@127.0.0.1:1/d")
    with pytest.raises(StoreUnavailableError, match="refused"):
        open_store(settings)


POSTGRES = [pytest.param("postgres", marks=pytest.mark.postgres)]


@contextmanager
def without_writes(url: str) -> Iterator[None]:
    """Whoever connects to a database meanwhile finds that it takes no writes."""
    engine = create_engine(store_url(url), isolation_level="AUTOCOMMIT")
    of_all = f"ALTER DATABASE {store_url(url).database}"
    with engine.connect() as connection:
        connection.execute(text(f"{of_all} SET default_transaction_read_only = on"))
        try:
            yield
        finally:
            connection.execute(text(f"{of_all} RESET default_transaction_read_only"))
    engine.dispose()


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
def test_a_server_that_takes_no_writes_now_is_asked_again(store: Store, database: str) -> None:
    """A primary that was demoted: it is read, a write means retry, until a server takes it."""
    store.close()  # who is connected already keeps what held then
    with without_writes(database):
        assert digests(store) == []
        with (
            pytest.raises(StoreUnavailableError, match="read-only"),
            store.transaction() as session,
        ):
            session.add(artefact("a"))
        with pytest.raises(StoreUnavailableError, match="read-only"):
            Lease(store, "learner/main", holder="a").acquire()
    with store.transaction() as session:
        session.add(artefact("a"))
    assert digests(store) == ["a"]


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
def test_a_write_where_only_reading_was_meant_is_a_mistake(store: Store) -> None:
    """Nothing would be better at the next try."""
    with pytest.raises(InternalError, match="read-only"), store.reading() as session:
        session.execute(insert(ArtefactRow).values(artefact("a").model_dump()))
    assert digests(store) == []


# Serialization, deadlock; no disk, memory, connection; lock; cancelled, shut down, starting; I/O.
PASSING = [
    "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01", "57P03", "58030",
]  # fmt: skip


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
def test_what_a_server_cannot_do_now_means_retry(store: Store) -> None:
    """Each by the state that the server tells."""
    for state in PASSING:
        told = text(f"DO $$ BEGIN RAISE 'not now' USING ERRCODE = '{state}'; END $$")
        with pytest.raises(StoreUnavailableError, match="not now"), store.transaction() as session:
            session.connection().execute(told)


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
def test_a_statement_of_too_many_values_is_a_mistake(store: Store) -> None:
    """No other try would be better, and the server is not away."""
    names = [str(n) for n in range(66_000)]
    sought = select(ArtefactRow.digest).where(col(ArtefactRow.digest).in_(names))
    with pytest.raises(OperationalError, match="parameters"), store.reading() as session:
        session.exec(sought).all()
