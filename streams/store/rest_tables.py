"""The store's table of rests: when a line's planner had nothing to do, and what it knew then.

A run of the line without somebody (learner.rerun) may have had work where the first run had none.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger
from sqlmodel import Field

from streams.store.any_text import hold_any_text
from streams.store.tables import Row


class RestRow(Row, table=True):
    """Moments at which nothing was due, one after the other, with the same knowledge.

    Named by the newest generation then, and by their place after it.
    """

    __tablename__ = "rests"

    line: str = Field(primary_key=True)
    number: int = Field(
        primary_key=True, description="of the line's newest generation; 0: there was none"
    )
    place: int = Field(primary_key=True, description="among the rests after it, from 1")
    horizon: dict[str, Any] = Field(
        sa_type=JSON, description="what was known then, as in a generation"
    )
    rested_ms: int = Field(sa_type=BigInteger, description="the first of the moments")
    until_ms: int = Field(sa_type=BigInteger, description="the last of them that was noted")


hold_any_text(Row.metadata)
