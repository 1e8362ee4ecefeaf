"""Which record stands before a reader's place, so that another log is told from the one it read.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op


revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("offsets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_id", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("offsets", schema=None) as batch_op:
        batch_op.drop_column("last_id")
