"""The schema goes up and down with data in it; one that is not ours is refused untouched."""

import hashlib
import sqlite3
import threading
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


def revisions() -> list[str]:
    """Every revision, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in scripts][::-1]


def recipe_row(version: str) -> RecipeRow:
    return RecipeRow(
        version=version, parent="base", line="main", number=1, record={"a": [1]}, created_ms=2**41
    )


def names(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    """A table or column that changed without a migration fails here."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def filled(table: type[Row]) -> dict[str, Any]:
    """Give a row of any table with something in every column, NULL where it may be."""
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
