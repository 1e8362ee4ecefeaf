"""How far versions are from the base, and what is watched of them for ever.

Revision ID: 0013
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op


revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("apart", sa.Float(), nullable=True))
    op.create_table(
        "watched",
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("line", "version"),
    )


def downgrade() -> None:
    op.drop_table("watched")
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.drop_column("apart")
