"""What people wish of a line and what became of it, and the notes that act at once.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lessons",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("turn_id", sa.String(), nullable=False),
        sa.Column("instruction", sa.String(), nullable=False),
        sa.Column("wished", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("refused", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("rejected", sa.String(), nullable=True),
        sa.Column("num_complaints", sa.Integer(), nullable=False),
        sa.Column("num_pleased", sa.Integer(), nullable=False),
        sa.Column("num_reopened", sa.Integer(), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("set_aside", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_lessons_said", "lessons", ["line", "principal", "created_ms"])
    op.create_index("ix_lessons_line_state", "lessons", ["line", "state", "waits"])
    op.create_table(
        "lesson_counts",
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("num", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("line", "outcome", "reason"),
    )
    op.create_table(
        "notes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("lesson", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notes_said", "notes", ["line", "principal", "state"])
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.add_column(sa.Column("score", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("lesson", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("notes", sa.JSON(), nullable=True))
        batch_op.create_index("ix_turns_lesson", ["lesson", "created_ms"], unique=False)
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("withdraws", sa.JSON(), nullable=True))
    op.execute("UPDATE generations SET withdraws = '{}'")
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.alter_column("withdraws", existing_type=sa.JSON(), nullable=False)


def downgrade() -> None:
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.drop_column("withdraws")
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.drop_index("ix_turns_lesson")
        batch_op.drop_column("notes")
        batch_op.drop_column("lesson")
        batch_op.drop_column("score")
    op.drop_table("notes")
    op.drop_table("lesson_counts")
    op.drop_table("lessons")
