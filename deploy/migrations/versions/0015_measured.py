"""How far a learner has measured its base.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op


revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("planners", schema=None) as batch_op:
        for name in ("num_measured", "num_to_measure"):
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("planners", schema=None) as batch_op:
        for name in ("num_measured", "num_to_measure"):
            batch_op.alter_column(name, existing_type=sa.Integer(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("planners", schema=None) as batch_op:
        batch_op.drop_column("num_to_measure")
        batch_op.drop_column("num_measured")
