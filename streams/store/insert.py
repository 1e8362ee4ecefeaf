"""Inserts a row unless its key is there: of two writers that bring the same one, one succeeds.

What several processes derive from the same records (a recipe, a mask, a used id) is written so:
looking first and inserting then would fail whenever another process came between the two.
"""

from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from streams.store.tables import Row


def insert_new(session: Session, row: Row) -> bool:
    """Insert a row; False when one of its key is there, or another writer brings it first.

    On PostgreSQL it waits for a transaction that is bringing the same key.
    """
    session.flush()  # rows that were added before keep their place before this one
    table = type(row)
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(row.model_dump()).on_conflict_do_nothing()
    key = inspect(table).primary_key[0]
    return session.execute(statement.returning(key)).first() is not None
