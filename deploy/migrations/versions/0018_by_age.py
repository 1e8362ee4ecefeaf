"""What is asked at every step is found by an index, however much a line has been told before.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op


revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

WINDOW = (
    "line", "state", "reason", "strength", "principal", "uses", "score", "lesson", "judged_ms",
    "version", "wish", "id",
)  # fmt: skip


def upgrade() -> None:
    op.create_index("ix_seen_group_time", "seen", ["group", "time_ms"])
    op.create_index("ix_turns_age", "turns", ["line", "state", "sequence", "taken_ms"])
    op.create_index("ix_turns_trial", "turns", ["line", "version", "taken_ms"])
    op.drop_index("ix_turns_taken_ms", "turns")
    op.drop_index("ix_turns_version", "turns")
    op.drop_index("ix_turns_window", "turns")
    _partly("ix_turns_window", "turns", *WINDOW, where="state = 'judged' AND reason IS NULL")
    op.drop_index("ix_turns_wish", "turns")
    _partly(
        "ix_turns_wish", "turns", "line", "wish", "principal", "state", "strength", "created_ms", "lesson",
        where="wish IS NOT NULL",
    )
    _partly("ix_turns_judged", "turns", "line", "state", "created_ms", "principal", where="state = 'judged'")
    _partly("ix_turns_scored", "turns", "principal", "line", "created_ms", "id", where="score IS NOT NULL")
    _partly(
        "ix_turns_bare", "turns", "line", "talk_key", "before_key", "state", "sequence",
        where="talk_key IS NULL AND before_key IS NULL",
    )
    _partly("ix_judgements_waiting", "judgements", "created_ms", "id", where="evidence = 'waits for its judge'")


def downgrade() -> None:
    op.drop_index("ix_judgements_waiting", "judgements")
    for name in ("bare", "scored", "judged", "wish", "window", "trial", "age"):
        op.drop_index(f"ix_turns_{name}", "turns")
    op.create_index("ix_turns_window", "turns", ["line", "state", "reason", "principal", "strength", "uses"])
    op.create_index("ix_turns_wish", "turns", ["line", "wish", "principal"])
    op.create_index("ix_turns_version", "turns", ["version"])
    op.create_index("ix_turns_taken_ms", "turns", ["taken_ms"])
    op.drop_index("ix_seen_group_time", "seen")


def _partly(name: str, table: str, *columns: str, where: str) -> None:
    op.create_index(name, table, list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
