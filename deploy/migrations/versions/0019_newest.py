"""The newest turns of a line, and the generation that made a version, are found by an index.

Revision ID: 0019
Revises: 0018
"""

from alembic import op


revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_turns_line_sequence", "turns", ["line", "sequence"])
    op.create_index("ix_generations_child", "generations", ["child"])


def downgrade() -> None:
    op.drop_index("ix_generations_child", "generations")
    op.drop_index("ix_turns_line_sequence", "turns")
