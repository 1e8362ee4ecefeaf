"""What a judged turn wishes, by name, and which lessons wait for others who wish the same.

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op


revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wish", sa.String(), nullable=True))
        batch_op.create_index("ix_turns_wish", ["line", "wish", "principal"])
    with op.batch_alter_table("planners", schema=None) as batch_op:
        batch_op.add_column(sa.Column("num_alone", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("alone", sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
    with op.batch_alter_table("planners", schema=None) as batch_op:
        batch_op.alter_column("num_alone", existing_type=sa.Integer(), server_default=None)
        batch_op.alter_column("alone", existing_type=sa.JSON(), server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("planners", schema=None) as batch_op:
        batch_op.drop_column("alone")
        batch_op.drop_column("num_alone")
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.drop_index("ix_turns_wish")
        batch_op.drop_column("wish")
