"""Tells a JSON column that holds something from one that holds nothing, in a statement.

A row without a value is written with JSON's null, and one from before the column has SQL's: both
hold nothing, and a limit must not count them.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast
from sqlmodel import col


def given(column: Any) -> ColumnElement[bool]:
    """Return whether a JSON column holds a value; no database compares JSON itself."""
    return and_(col(column).is_not(None), cast(col(column), Text) != "null")
