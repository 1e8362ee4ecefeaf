"""The schema goes up and down with data in it; one that is not ours is refused untouched."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from streams.errors import SchemaError
from streams.settings import StreamsSettings
from streams.store import schema
from streams.store.store import Store, open_store
from streams.store.tables import RecipeRow, Row
from tests.files import digest


@pytest.fixture(scope="module", autouse=True)
def _in_full(migrate_in_full: Callable[..., None]) -> Iterator[None]:
    """Run every migration here: no store begins as a copy of a migrated one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "migrate", migrate_in_full)
        yield


def revisions() -> list[str]:
    """Every revision, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in scripts][::-1]


@pytest.fixture
def keeps_schema() -> bool:
    """No: each test has a database of its own."""
    return False


def recipe_row(version: str) -> RecipeRow:
    return RecipeRow(
        version=version, parent="base", line="main", number=1, record={"a": [1]}, created_ms=2**41
    )


def names(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    """A table or column that changed without a migration fails here."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def filled(table: type[Row]) -> dict[str, Any]:
    """Return a row of any table with something in every column, NULL where it may be."""
    values: dict[Any, Any] = {
        int: 2**31 - 1, float: 0.5, bool: True, str: "words", bytes: b"bytes", dict: {"a": [1]},
        list: [1],
    }  # fmt: skip
    columns = SQLModel.metadata.tables[str(table.__tablename__)].columns
    row: dict[str, Any] = {}
    for name, nullable in ((column.name, column.nullable) for column in columns):
        kind = table.model_fields[name].annotation
        if int in get_args(kind):  # a key that the database makes: int | None
            kind = int
        if get_origin(kind) is Literal:  # a state
            kind = str
        row[name] = None if nullable else values[get_origin(kind) or kind]
    return row


def rows_of(store: Store) -> dict[str, Any]:
    """Read every table that is there, column by column."""
    with store.engine.connect() as connection:
        return {
            name: dict(connection.execute(text(f"SELECT * FROM {name}")).mappings().one())
            for name in sorted(names(store) - {schema.VERSION_TABLE, "sqlite_sequence"})
        }


def test_the_schema_goes_down_and_up_again_with_data_in_it(store: Store) -> None:
    """With a row in every table: what a lower revision knows, too, comes back as it was."""
    tables = {str(table.__tablename__): table for table in Row.__subclasses__()}
    with store.transaction() as session:
        for table in tables.values():
            session.add(table(**filled(table)))
    before = rows_of(store)
    assert set(before) == set(tables)
    kept = before
    for revision in revisions()[:-1][::-1]:
        schema.migrate(store.engine, revision=revision)
        lower = rows_of(store)
        kept = {name: {c: kept[name][c] for c in row} for name, row in lower.items()}
        assert lower == kept
    schema.migrate(store.engine)
    with store.engine.connect() as connection:
        for name, row in kept.items():
            found = connection.execute(text(f"SELECT * FROM {name}")).mappings().one()
            assert {column: found[column] for column in row} == row
    schema.migrate(store.engine, revision="base")
    assert names(store) <= {schema.VERSION_TABLE, "sqlite_sequence"}
    schema.migrate(store.engine)
    assert {row.__tablename__ for row in Row.__subclasses__()} <= names(store)


def insert(store: Store, table: str, **values: Any) -> None:
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f":{name}" for name in values)
    with store.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), values)


def select_all(store: Store, table: str, *columns: str) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in columns)
    with store.engine.connect() as connection:
        return sorted(
            tuple(row) for row in connection.execute(text(f"SELECT {names} FROM {table}"))
        )


@pytest.mark.parametrize("lines", [["main", "other"], []])
def test_a_line_goes_on_where_the_group_of_an_older_build_stood(
    store: Store, lines: list[str]
) -> None:
    """Every learner read for one group; its place, its ids and its outbox become the line's."""
    schema.migrate(store.engine, revision="0006")
    for line in lines:
        insert(store, "leases", name=f"learner/{line}", holder="h", epoch=3, expires_ms=1)
    for topic, end in (("turns", 5), ("recipes", 2)):
        insert(store, "offsets", group="learner", topic=topic, partition=0, next_offset=end)
        insert(store, "seen", group="learner", id=f"{topic}/a", time_ms=7)
    insert(store, "outbox", topic="recipes", key="other", id="r", value=b"x")
    insert(
        store, "forgotten", id="f", principal="ann", reason="", who="op", num_turns=1,
        num_judgements=0, influenced="[]", created_ms=4,
    )  # fmt: skip
    old = {name: select_all(store, name, *columns) for name, columns in MOVED.items()}
    schema.migrate(store.engine)
    mine = lines or ["main"]
    assert select_all(store, "offsets", *MOVED["offsets"]) == sorted(
        (f"learner/{line}", *rest) for line in mine for _, *rest in old["offsets"]
    )
    assert select_all(store, "seen", *MOVED["seen"]) == sorted(
        (f"learner/{line}", *rest) for line in mine for _, *rest in old["seen"]
    )
    assert select_all(store, "forgotten", "id", "line") == [("f", line) for line in mine]
    [(owner, _)] = select_all(store, "outbox", "line", "id")
    assert owner == ("other" if "other" in mine else "main")
    schema.migrate(store.engine, revision="0006")
    assert {name: select_all(store, name, *columns) for name, columns in MOVED.items()} == old


MOVED = {
    "offsets": ("group", "topic", "partition", "next_offset"),
    "seen": ("group", "id", "time_ms"),
    "forgotten": ("id", "principal", "num_turns"),
    "outbox": ("id", "key"),
}


def test_an_older_build_repeats_what_one_line_lacks_and_skips_nothing(store: Store) -> None:
    """Going down, the common group stands where every line has been; used ids tell the rest."""
    for line, end in (("main", 9), ("other", 4)):
        group = f"learner/{line}"
        insert(store, "offsets", group=group, topic="turns", partition=0, next_offset=end)
        insert(store, "seen", group=group, id="turns/both", time_ms=1)
        insert(store, "seen", group=group, id=f"turns/{line}", time_ms=1)
        insert(store, "outbox", line=line, topic="turns", key="k", id=line, value=b"x")
    insert(store, "offsets", group="learner/main", topic="rollouts", partition=0, next_offset=2)
    for id, line in (("half", "main"), ("whole", "main"), ("whole", "other")):
        insert(
            store, "forgotten", id=id, line=line, principal="ann", reason="", who="op",
            num_turns=1, num_judgements=0, influenced="[]", created_ms=4,
        )  # fmt: skip
    schema.migrate(store.engine, revision="0006")
    assert select_all(store, "offsets", *MOVED["offsets"]) == [("learner", "turns", 0, 4)]
    assert [id for _, id, _ in select_all(store, "seen", *MOVED["seen"])] == [
        "turns/both", "turns/main", "turns/other",
    ]  # fmt: skip
    assert select_all(store, "forgotten", "id") == [("whole",)]
    assert [id for id, _ in select_all(store, "outbox", *MOVED["outbox"])] == ["main", "other"]


def test_processes_that_start_together_migrate_once(database: str, tmp_path: Path) -> None:
    """The second one waits for the lock, and finds the work done."""
    settings = StreamsSettings(home=tmp_path, store=database)
    opened: list[Store] = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_store(settings))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for store in opened:
        store.close()


def test_a_newer_schema_is_refused(store: Store, database: str, tmp_path: Path) -> None:
    """A store of a later build says so, and is left as it was."""
    with store.engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=r"9999.*upgrade quickset"):
        open_store(StreamsSettings(home=tmp_path, store=database))
    with store.engine.connect() as connection:
        found = connection.execute(text(f"SELECT version_num FROM {schema.VERSION_TABLE}"))
        assert found.scalar_one() == "9999"


def test_a_store_that_lacks_a_column_is_refused(
    store: Store, database: str, tmp_path: Path
) -> None:
    """A schema that is not what its revision promises names what is missing."""
    with store.engine.begin() as connection:
        connection.execute(text("ALTER TABLE artefacts DROP COLUMN kind"))
    with pytest.raises(SchemaError, match="artefacts lacks kind"):
        open_store(StreamsSettings(home=tmp_path, store=database))


def test_another_programs_tables_are_refused(database: str, tmp_path: Path) -> None:
    """A database with a table of our name, but not made by us, is not migrated over."""
    other = Store(database)
    with other.engine.begin() as connection:
        connection.execute(text("CREATE TABLE turns (score INTEGER)"))
    with pytest.raises(SchemaError, match="another program's"):
        open_store(StreamsSettings(home=tmp_path, store=database))
    assert names(other) == {"turns"}
    other.close()


def test_a_file_that_is_no_database_stays_untouched(tmp_path: Path) -> None:
    """Not a byte of it changes, and no file appears beside it."""
    path = tmp_path / "store.db"
    path.write_bytes(b"my novel, chapter one" * 1000)
    before = digest(path)
    with pytest.raises(SchemaError, match=r"store\.db is not a store of ours"):
        open_store(StreamsSettings(home=tmp_path))
    assert digest(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_newer_file_stays_untouched(tmp_path: Path) -> None:
    """The file of a later build keeps every byte, its journal mode included."""
    open_store(StreamsSettings(home=tmp_path)).close()
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    before = digest(path)
    with pytest.raises(SchemaError, match="9999"):
        open_store(StreamsSettings(home=tmp_path))
    assert digest(path) == before


def test_a_migration_that_fails_leaves_the_schema_as_it_was(database: str, tmp_path: Path) -> None:
    """A broken migration is taken back whole, and the next start can try again."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((schema.MIGRATIONS / "env.py").read_text())
    (folder / "versions/0001_broken.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        "revision, down_revision = '0001', None\n"
        "def upgrade():\n"
        "    op.create_table('first', sa.Column('id', sa.Integer))\n"
        "    raise RuntimeError('half-way')\n"
    )
    store = Store(database)
    with pytest.raises(RuntimeError, match="half-way"):
        schema.migrate(store.engine, folder=folder)
    assert names(store) == set()
    schema.migrate(store.engine)
    assert "turns" in names(store)
    store.close()
