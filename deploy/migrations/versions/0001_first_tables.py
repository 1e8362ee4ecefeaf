"""The first tables.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "artefacts",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "generations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("child", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("turn_ids", sa.JSON(), nullable=False),
        sa.Column("batch", sa.JSON(), nullable=False),
        sa.Column("fitness", sa.JSON(), nullable=False),
        sa.Column("coefficients", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("reward", sa.Float(), nullable=True),
        sa.Column("fitness_mean", sa.Float(), nullable=True),
        sa.Column("fitness_spread", sa.Float(), nullable=True),
        sa.Column("kl", sa.Float(), nullable=True),
        sa.Column("gate", sa.JSON(), nullable=False),
        sa.Column("planned_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line", "number", name="generations_line_number"),
    )
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_generations_line"), ["line"], unique=False)
        batch_op.create_index(batch_op.f("ix_generations_state"), ["state"], unique=False)

    op.create_table(
        "judgements",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("turn_id", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("hint", sa.String(), nullable=True),
        sa.Column("votes", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("judgements", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_judgements_principal"), ["principal"], unique=False)
        batch_op.create_index(batch_op.f("ix_judgements_turn_id"), ["turn_id"], unique=False)

    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "offsets",
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("group", "topic", "partition"),
    )
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "recipes",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    with op.batch_alter_table("recipes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recipes_line"), ["line"], unique=False)
        batch_op.create_index(batch_op.f("ix_recipes_parent"), ["parent"], unique=False)

    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("line", "seq", name="rollouts_line_seq"),
    )
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollouts_line"), ["line"], unique=False)

    op.create_table(
        "seen",
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("group", "id"),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("prefix_key", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("next_state", sa.JSON(), nullable=True),
        sa.Column("next_kind", sa.String(), nullable=True),
        sa.Column("next_ms", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.JSON(), nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_turns_created_ms"), ["created_ms"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_key"), ["key"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_line"), ["line"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_prefix_key"), ["prefix_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_principal"), ["principal"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_sequence"), ["sequence"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_session"), ["session"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_turns_version"), ["version"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("turns", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_turns_version"))
        batch_op.drop_index(batch_op.f("ix_turns_state"))
        batch_op.drop_index(batch_op.f("ix_turns_session"))
        batch_op.drop_index(batch_op.f("ix_turns_sequence"))
        batch_op.drop_index(batch_op.f("ix_turns_principal"))
        batch_op.drop_index(batch_op.f("ix_turns_prefix_key"))
        batch_op.drop_index(batch_op.f("ix_turns_line"))
        batch_op.drop_index(batch_op.f("ix_turns_key"))
        batch_op.drop_index(batch_op.f("ix_turns_created_ms"))

    op.drop_table("turns")
    op.drop_table("seen")
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rollouts_line"))

    op.drop_table("rollouts")
    with op.batch_alter_table("recipes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recipes_parent"))
        batch_op.drop_index(batch_op.f("ix_recipes_line"))

    op.drop_table("recipes")
    op.drop_table("outbox")
    op.drop_table("offsets")
    op.drop_table("leases")
    with op.batch_alter_table("judgements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_judgements_turn_id"))
        batch_op.drop_index(batch_op.f("ix_judgements_principal"))

    op.drop_table("judgements")
    with op.batch_alter_table("generations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_generations_state"))
        batch_op.drop_index(batch_op.f("ix_generations_line"))

    op.drop_table("generations")
    op.drop_table("artefacts")
