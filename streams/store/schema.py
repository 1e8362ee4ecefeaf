"""The store's schema: brought up to date by Alembic, under a lock, in one transaction.

Invariants: two processes that start together migrate once; a migration that fails leaves the
schema as it was; a schema that this build does not know, or that lacks what its revision promises,
is refused before a byte of it is changed.
"""

from functools import cache
from pathlib import Path
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlmodel import SQLModel

from streams.errors import SchemaError
from streams.store import lesson_tables, rest_tables  # noqa: F401  (their tables are ours, too)
from streams.store.tables import Row

# Run from the checkout or the image, where deploy/ lies beside streams/; it is data here, never
# imported.
MIGRATIONS = Path(__file__).resolve().parents[2] / "deploy" / "migrations"
# Our own name, so that a database can be shared with another program that uses Alembic.
VERSION_TABLE = "quickset_schema"
# PostgreSQL's advisory locks are named by a number: "quickset" in ASCII.
ADVISORY_LOCK = int.from_bytes(b"quickset")


def migrate(engine: Engine, *, folder: Path = MIGRATIONS, revision: str = "head") -> None:
    """Bring the schema to a revision, up or down; does nothing when it is there.

    raises: SchemaError (nothing was changed)
    """
    config = _config(folder)
    scripts = _scripts(folder)
    _look_first(engine, scripts)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            key = text("SELECT pg_advisory_xact_lock(:key)")
            connection.execute(key, {"key": ADVISORY_LOCK})
        current = _revision(connection, scripts)
        target = scripts.get_current_head() if revision == "head" else revision
        if current == target:
            return
        config.attributes["connection"] = connection
        above = {s.revision for s in scripts.iterate_revisions(current, "base")} if current else {}
        if revision == "base" or target in above:
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


@cache
def _scripts(folder: Path) -> ScriptDirectory:
    """Return the migrations of a folder, which are compiled when they are first walked along."""
    return ScriptDirectory.from_config(_config(folder))


def _look_first(engine: Engine, scripts: ScriptDirectory) -> None:
    """Look at an SQLite file through a connection that cannot write, not even by its pragmas."""
    path = engine.url.database if engine.dialect.name == "sqlite" else None
    if not path or not Path(path).exists() or Path(path).stat().st_size == 0:
        return
    file = f"file:{quote(str(Path(path).resolve()))}"
    read_only = {"mode": "ro", "uri": "true"}
    look = create_engine(URL.create("sqlite", database=file, query=read_only))
    try:
        with look.connect() as connection:
            _revision(connection, scripts)
    except DatabaseError as cause:
        raise SchemaError(
            f"{path} is not a store of ours, or damaged: {cause.orig}; move it away, and it is "
            "made again from the log"
        ) from cause
    finally:
        look.dispose()


def _revision(connection: Connection, scripts: ScriptDirectory) -> str | None:
    """Return the database's revision, None for an empty one, after it proved to be one of ours."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    current = context.get_current_revision()
    present = set(inspect(connection).get_table_names())
    ours = {row.__tablename__ for row in Row.__subclasses__()}
    if current is None:
        if present & ours:
            raise SchemaError(
                f"the store holds {', '.join(sorted(present & ours))} but no {VERSION_TABLE}: it is"
                " damaged, or another program's; name an empty database"
            )
        return None
    if current not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaError(
            f"the store's schema is {current}, which this build does not know: upgrade quickset"
        )
    if current == scripts.get_current_head():
        _prove_complete(connection, present)
    return current


def _prove_complete(connection: Connection, present: set[str]) -> None:
    for table in SQLModel.metadata.sorted_tables:
        found = (
            {column["name"] for column in inspect(connection).get_columns(table.name)}
            if table.name in present
            else set()
        )
        missing = {column.name for column in table.columns} - found
        if missing:
            raise SchemaError(
                f"the store is damaged: table {table.name} lacks {', '.join(sorted(missing))};"
                " restore it from a backup"
            )
