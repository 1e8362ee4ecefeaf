"""Rollouts have a candidate, a step and a share; turns the member that answered.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("candidate", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("step", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("share", sa.Float(), nullable=True))
    # Every older change took a version into service at once, for everybody.
    op.execute("UPDATE rollouts SET step = 0, share = 1.0")
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.alter_column("step", existing_type=sa.Integer(), nullable=False)
        batch_op.alter_column("share", existing_type=sa.Float(), nullable=False)
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.add_column(sa.Column("member", sa.Integer(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.drop_column("member")
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.drop_column("share")
        batch_op.drop_column("step")
        batch_op.drop_column("candidate")
