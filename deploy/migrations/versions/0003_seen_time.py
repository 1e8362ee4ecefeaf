"""When an id was first used, so that old ones can go.

Revision ID: 0003
Revises: 0002
"""

import time

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Ids that are here already are kept for a whole retention from now on.
    now_ms = int(time.time() * 1000)
    with op.batch_alter_table("seen", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("time_ms", sa.BigInteger(), nullable=False, server_default=str(now_ms))
        )
    with op.batch_alter_table("seen", schema=None) as batch_op:
        batch_op.alter_column("time_ms", existing_type=sa.BigInteger(), server_default=None)
        batch_op.create_index(batch_op.f("ix_seen_time_ms"), ["time_ms"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("seen", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_seen_time_ms"))
        batch_op.drop_column("time_ms")
