"""Gives back the disk of rows that have become small, in the embedded store.

SQLite leaves a row that shrinks where it is, on a page of its own, and no other row ever comes
there: an emptied turn would hold as much disk as a full one. Taken out and put back at their
places, neighbours share pages, and the others are used again. PostgreSQL needs none of this.

Knows nothing of what the rows say.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text
from sqlmodel import Session, SQLModel

from streams.store.any_text import stored


def pack(session: Session, table: type[SQLModel], ids: Sequence[str]) -> None:
    """Write rows anew as they are, in the caller's transaction; they keep their order.

    ids: of rows of a table whose key is named id
    """
    session.flush()
    connection = session.connection()
    if connection.dialect.name != "sqlite" or not ids:
        return
    name = str(table.__tablename__)
    columns = ", ".join(f'"{each}"' for each in _columns(connection, name))
    ours = f"WHERE id IN ({', '.join('?' * len(ids))})"
    kept = tuple(stored(id) for id in ids)
    found = connection.exec_driver_sql(
        f"SELECT rowid, {columns} FROM {name} {ours}",  # noqa: S608  # names of our own
        kept,
    ).all()
    connection.exec_driver_sql(f"DELETE FROM {name} {ours}", kept)  # noqa: S608
    if found:
        values = ", ".join("?" * len(found[0]))
        connection.exec_driver_sql(
            f"INSERT INTO {name} (rowid, {columns}) VALUES ({values})",  # noqa: S608
            [tuple[Any, ...](row) for row in found],
        )


def _columns(connection: Connection, name: str) -> list[str]:
    """Return what the table has in the file, which may be more than this build knows."""
    found = connection.execute(text("SELECT name FROM pragma_table_info(:name)"), {"name": name})
    return list(found.scalars())
