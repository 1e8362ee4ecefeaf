"""When the log took a turn, which is no agent's clock to say.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.add_column(sa.Column("taken_ms", sa.BigInteger(), nullable=True))
    # Of an older turn only its agent's clock is known.
    op.execute("UPDATE turns SET taken_ms = created_ms")
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.alter_column("taken_ms", existing_type=sa.BigInteger(), nullable=False)
        batch_op.create_index(batch_op.f("ix_turns_taken_ms"), ["taken_ms"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_turns_taken_ms"))
        batch_op.drop_column("taken_ms")
