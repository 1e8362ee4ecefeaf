"""The store's tables of lessons and notes: what people wish of a line, and what became of it.

A principal's wish of a line is one lesson, however often it is said. What is said of it stands in
the turns, once; a lesson is worked out of them and of the generations again whenever they change.
"""

from typing import Any, Final, Literal

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import AutoString, Field

from streams.records import NoteState
from streams.store.any_text import hold_any_text
from streams.store.tables import Row

LessonState = Literal["active", "satisfied", "set aside", "forgotten"]

ACTIVE: Final = "active"
SATISFIED: Final = "satisfied"
SET_ASIDE: Final = "set aside"
FORGOTTEN: Final = "forgotten"


class LessonRow(Row, table=True):
    """What one principal wishes of a line, and what learning it has come to."""

    __tablename__ = "lessons"
    __table_args__ = (
        Index("ix_lessons_said", "line", "principal", "created_ms"),
        Index("ix_lessons_line_state", "line", "state", "waits"),
    )

    id: str = Field(primary_key=True)
    line: str
    principal: str
    turn_id: str = Field(description="of the first turn that was complained of so; has the words")
    instruction: str = Field(description="the wish; empty: a complaint without one, or forgotten")
    wished: list[Any] = Field(
        sa_type=JSON, description="what a program can check of it: kind and value"
    )
    state: LessonState = Field(default="active", sa_type=AutoString)
    waits: bool = Field(default=False, description="until somebody says a word of its versions")
    reason: str = Field(default="", description="why it is satisfied, set aside, or waits")
    refused: str | None = Field(default=None, description="why the words are no instruction")
    source: str | None = Field(
        default=None, description="how the newest accepted rewrite was made; none: none was"
    )
    rejected: str | None = Field(default=None, description="why the newest rewrite is no lesson")
    num_complaints: int = 0
    num_pleased: int = 0
    num_reopened: int = 0
    versions: list[Any] = Field(
        default_factory=list, sa_type=JSON, description="that learned it: [name, set aside before]"
    )
    set_aside: list[Any] = Field(
        default_factory=list, sa_type=JSON, description="complaints when it was, each time"
    )
    evidence: dict[str, Any] = Field(
        default_factory=dict, sa_type=JSON, description="what was heard of its versions, and before"
    )
    due: bool = Field(default=False, description="it is to be set aside at the next plan")
    changed: bool = Field(default=True, description="something of it is to be worked out again")
    created_ms: int = Field(sa_type=BigInteger)


class LessonCountRow(Row, table=True):
    """How many rewrites of a line were accepted as lessons, and rejected, by the reason."""

    __tablename__ = "lesson_counts"

    line: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True, description="accepted or rejected")
    reason: str = Field(primary_key=True, description="empty: accepted")
    num: int


class NoteRow(Row, table=True):
    """An instruction that stands in its principal's prompts, or stood there."""

    __tablename__ = "notes"
    __table_args__ = (Index("ix_notes_said", "line", "principal", "state"),)

    id: str = Field(primary_key=True)
    line: str
    principal: str
    lesson: str
    text: str = Field(description="empty once its principal is forgotten")
    state: NoteState = Field(sa_type=AutoString)
    version: int | None = Field(default=None, description="number of the version that retired it")
    created_ms: int = Field(sa_type=BigInteger)


hold_any_text(Row.metadata)
