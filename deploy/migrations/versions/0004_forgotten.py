"""What is forgotten, and what a generation must remember to be worked out again without it.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# An older generation knows none of these: it reads as empty.
ADDED = {"horizon": "{}", "settings": "{}", "scored_ids": "[]"}


def upgrade() -> None:
    op.create_table(
        "forgotten",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("num_turns", sa.Integer(), nullable=False),
        sa.Column("num_judgements", sa.Integer(), nullable=False),
        sa.Column("influenced", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("forgotten", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_forgotten_principal"), ["principal"], unique=False)

    with op.batch_alter_table("generations", schema=None) as batch_op:
        for name, empty in ADDED.items():
            batch_op.add_column(
                sa.Column(name, sa.JSON(), nullable=False, server_default=sa.text(f"'{empty}'"))
            )
    with op.batch_alter_table("generations", schema=None) as batch_op:
        for name in ADDED:
            batch_op.alter_column(name, existing_type=sa.JSON(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("generations", schema=None) as batch_op:
        for name in ADDED:
            batch_op.drop_column(name)

    with op.batch_alter_table("forgotten", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_forgotten_principal"))

    op.drop_table("forgotten")
