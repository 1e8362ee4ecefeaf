"""Runs Alembic's migrations on the connection that streams.store.schema hands over.

For developers: `alembic -c deploy/migrations/alembic.ini -x url=sqlite:///scratch.db …`.
"""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

from streams.store import lesson_tables, rest_tables  # noqa: F401  (fill the metadata)
from streams.store.schema import VERSION_TABLE


def run(connection: Connection) -> None:
    """Run on one connection, in its transaction: all of it, or nothing."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        version_table=VERSION_TABLE,
        compare_type=True,
        render_as_batch=True,  # SQLite changes a column by copying the table
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as opened:
        run(opened)
