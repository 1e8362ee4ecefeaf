"""A consumer group, an outbox and an account of what is forgotten for each line; indices for them.

Every learner read for one group, "learner", whatever its line; now each line has a group of its own,
"learner/<line>", named as its lease is. A line goes on where the common group stood.

Revision ID: 0007
Revises: 0006
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COMMON, OWN = "learner", "learner/"

offsets = sa.table(
    "offsets", *map(sa.column, ("group", "topic", "partition", "next_offset"))
)
seen = sa.table("seen", *map(sa.column, ("group", "id", "time_ms")))
leases = sa.table("leases", sa.column("name"))
turns = sa.table("turns", sa.column("line"))
outbox = sa.table("outbox", *map(sa.column, ("line", "key")))

# What a copied table does not keep by itself: a number of the outbox is never used twice.
_NUMBERED = {"sqlite_autoincrement": True}
# One index for what is asked of a turn together: of two that hold one part each, SQLite takes any.
SINGLE = ("key", "line", "prefix_key", "principal", "session", "state")
TOGETHER = {
    "ix_turns_said_key": ["principal", "line", "key"],
    "ix_turns_said_prefix_key": ["principal", "line", "prefix_key"],
    "ix_turns_said_session": ["principal", "line", "session"],
    "ix_turns_line_state": ["line", "state"],
}


def upgrade() -> None:
    lines = _lines()
    first, *others = lines
    for table, rest in ((offsets, ("topic", "partition", "next_offset")), (seen, ("id", "time_ms"))):
        for line in others:
            _copy_group(table, rest, COMMON, OWN + line)
        _rename_group(table, COMMON, OWN + first)

    with op.batch_alter_table("outbox") as batch_op:
        batch_op.add_column(sa.Column("line", sa.String(), nullable=True))
    op.execute(outbox.update().values(line=first))
    for line in others:  # recipes and rollouts have their line as key
        op.execute(outbox.update().where(outbox.c.key == line).values(line=line))
    with op.batch_alter_table("outbox", table_kwargs=_NUMBERED) as batch_op:
        batch_op.alter_column("line", existing_type=sa.String(), nullable=False)

    rows = _read_forgotten()
    _make_forgotten(with_line=True)
    _write_forgotten([row | {"line": line} for row in rows for line in lines])

    with op.batch_alter_table("turns") as batch_op:
        for name in SINGLE:
            batch_op.drop_index(f"ix_turns_{name}")
        for name, columns in TOGETHER.items():
            batch_op.create_index(name, columns)


def downgrade() -> None:
    with op.batch_alter_table("turns") as batch_op:
        for name in TOGETHER:
            batch_op.drop_index(name)
        for name in SINGLE:
            batch_op.create_index(f"ix_turns_{name}", [name])

    groups = _groups()
    # What a line has not been emptied of is forgotten there by the next learner: it reads the topic.
    rows = {}
    done: dict[str, int] = {}
    for row in _read_forgotten():
        rows.setdefault(row["id"], {name: value for name, value in row.items() if name != "line"})
        done[row["id"]] = done.get(row["id"], 0) + 1
    _make_forgotten(with_line=False)
    _write_forgotten([row for id, row in rows.items() if done[id] >= len(groups)])

    with op.batch_alter_table("outbox", table_kwargs=_NUMBERED) as batch_op:
        batch_op.drop_column("line")

    _join_offsets(groups)
    _join_seen(groups)


def _lines() -> Sequence[str]:
    """Name the lines that a learner has written for here: each has left its lease."""
    bind = op.get_bind()
    names = bind.execute(sa.select(leases.c.name).where(leases.c.name.startswith(OWN)))
    found = sorted(name.removeprefix(OWN) for (name,) in names)
    found = found or sorted(bind.execute(sa.select(turns.c.line).distinct()).scalars())
    return found or ["main"]


def _groups() -> Sequence[str]:
    names = op.get_bind().execute(sa.select(offsets.c.group).distinct()).scalars()
    return sorted(name for name in names if name.startswith(OWN))


def _rename_group(table: Any, old: str, new: str) -> None:
    op.execute(table.update().where(table.c.group == old).values(group=new))


def _copy_group(table: Any, rest: Sequence[str], old: str, new: str) -> None:
    kept = [table.c[name] for name in rest]
    rows = sa.select(sa.literal(new, sa.String()), *kept).where(table.c.group == old)
    op.execute(table.insert().from_select(["group", *rest], rows))


def _join_offsets(groups: Sequence[str]) -> None:
    """Go on where every line has been: what one has used already is told by its id."""
    bind = op.get_bind()
    places: dict[tuple[str, int], list[int]] = {}
    for topic, partition, next_offset in bind.execute(
        sa.select(offsets.c.topic, offsets.c.partition, offsets.c.next_offset).where(
            offsets.c.group.in_(groups)
        )
    ):
        places.setdefault((topic, partition), []).append(next_offset)
    op.execute(offsets.delete().where(offsets.c.group.in_(groups)))
    rows = [
        {"group": COMMON, "topic": topic, "partition": partition, "next_offset": min(read)}
        for (topic, partition), read in places.items()
        if len(read) == len(groups)
    ]
    if rows:
        op.bulk_insert(offsets, rows)


def _join_seen(groups: Sequence[str]) -> None:
    for group in groups:
        known = sa.select(seen.c.id).where(seen.c.group == COMMON).scalar_subquery()
        op.execute(seen.delete().where(seen.c.group == group, seen.c.id.in_(known)))
        _rename_group(seen, group, COMMON)


_FORGOTTEN = (
    ("id", sa.String()), ("line", sa.String()), ("principal", sa.String()), ("reason", sa.String()),
    ("who", sa.String()), ("num_turns", sa.Integer()), ("num_judgements", sa.Integer()),
    ("influenced", sa.JSON()), ("created_ms", sa.BigInteger()),
)


def _read_forgotten() -> list[dict[str, Any]]:
    bind = op.get_bind()
    present = {column["name"] for column in sa.inspect(bind).get_columns("forgotten")}
    table = sa.table("forgotten", *(sa.column(n, kind) for n, kind in _FORGOTTEN if n in present))
    return [dict(row) for row in bind.execute(sa.select(table)).mappings()]


def _make_forgotten(*, with_line: bool) -> None:
    """Make the table anew: its primary key changes."""
    columns = [(name, kind) for name, kind in _FORGOTTEN if with_line or name != "line"]
    op.drop_table("forgotten")
    op.create_table(
        "forgotten",
        *(sa.Column(name, kind, nullable=False) for name, kind in columns),
        sa.PrimaryKeyConstraint(*(["id", "line"] if with_line else ["id"])),
    )
    with op.batch_alter_table("forgotten") as batch_op:
        batch_op.create_index("ix_forgotten_principal", ["principal"])


def _write_forgotten(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        op.bulk_insert(sa.table("forgotten", *(sa.column(n, k) for n, k in _FORGOTTEN if n in rows[0])), rows)
