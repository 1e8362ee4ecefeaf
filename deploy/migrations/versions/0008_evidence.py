"""Turns get what links them by evidence, and what the planner orders them by; clients, planners.

Turns that are there already keep their place in the planner's window: their strength is that of the
surest judgement on them. What links them by evidence is worked out by the learner (learner.link).

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# What is long comes last: SQLite would read all of it to come to a column behind it.
SHORT = (
    "id", "line", "version", "member", "principal", "session", "key", "prefix_key", "state",
    "sequence", "next_kind", "next_ms", "uses", "created_ms", "taken_ms",
)
LONG = ("record", "next_state", "target")
COLUMNS = (
    ("reason", sa.String()), ("talk_key", sa.String()), ("reply_key", sa.String()),
    ("asked_key", sa.String()), ("before_key", sa.String()), ("echo_key", sa.String()),
    ("unlinked", sa.String()), ("strength", sa.Float()), ("judged_ms", sa.BigInteger()),
    ("next_turn", sa.String()), ("next_layer", sa.String()), ("next_confidence", sa.Float()),
)
KEYS = ("key", "prefix_key", "session")
NEW_KEYS = ("talk_key", "reply_key", "asked_key", "before_key", "echo_key")
OTHERS = {
    "ix_turns_said": ["principal", "line", "created_ms"],
    "ix_turns_line_state": ["line", "state", "reason", "created_ms"],
    "ix_turns_window": ["line", "state", "reason", "principal", "strength", "uses"],
    "ix_turns_unlinked": ["line", "unlinked", "sequence"],
}


def upgrade() -> None:
    with op.batch_alter_table("turns") as batch_op:
        for name in KEYS:
            batch_op.drop_index(f"ix_turns_said_{name}")
        batch_op.drop_index("ix_turns_line_state")
    in_order = op.get_bind().dialect.name == "sqlite"  # elsewhere long values lie apart
    with op.batch_alter_table(
        "turns",
        recreate="always" if in_order else "auto",
        partial_reordering=[(*SHORT, *(name for name, _ in COLUMNS), *LONG)] if in_order else (),
    ) as batch_op:
        for name, kind in COLUMNS:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
    with op.batch_alter_table("turns") as batch_op:
        for name in (*KEYS, *NEW_KEYS):
            batch_op.create_index(
                f"ix_turns_said_{name}", ["principal", "line", name, "created_ms"]
            )
        for name, columns in OTHERS.items():
            batch_op.create_index(name, columns)
    _judge_again()
    op.create_table(
        "clients",
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("num_turns", sa.Integer(), nullable=False),
        sa.Column("num_opted_out", sa.Integer(), nullable=False),
        sa.Column("newest_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("line", "client"),
    )
    op.create_table(
        "planners",
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("waits_for", sa.String(), nullable=False),
        sa.Column("num_fresh", sa.Integer(), nullable=False),
        sa.Column("num_used", sa.Integer(), nullable=False),
        sa.Column("num_weak", sa.Integer(), nullable=False),
        sa.Column("num_people", sa.Integer(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("line"),
    )


def downgrade() -> None:
    op.drop_table("planners")
    op.drop_table("clients")
    with op.batch_alter_table("turns") as batch_op:
        for name in (*KEYS, *NEW_KEYS):
            batch_op.drop_index(f"ix_turns_said_{name}")
        for name in OTHERS:
            batch_op.drop_index(name)
    with op.batch_alter_table("turns") as batch_op:
        for name, _ in COLUMNS:
            batch_op.drop_column(name)
    with op.batch_alter_table("turns") as batch_op:
        for name in KEYS:
            batch_op.create_index(f"ix_turns_said_{name}", ["principal", "line", name])
        batch_op.create_index("ix_turns_line_state", ["line", "state"])


def _judge_again() -> None:
    """Order the judged turns as well as their judgements allow; the planner reads those itself."""
    teaching = (
        "SELECT max(confidence) FROM judgements WHERE turn_id = turns.id AND confidence > 0"
        " AND (score <> 0 OR hint IS NOT NULL)"
    )
    newest = "SELECT max(created_ms) FROM judgements WHERE turn_id = turns.id"
    op.execute(
        f"UPDATE turns SET strength = coalesce(({teaching}), 0), judged_ms = ({newest})"
        " WHERE state = 'judged'"
    )
    op.execute(
        "UPDATE turns SET reason = 'teaches nothing' WHERE state = 'judged' AND strength = 0"
    )
    op.execute("UPDATE turns SET reason = 'nobody went on' WHERE state = 'closed'")
