"""The last generations, newest first, without the fitness of single members."""

from sqlmodel import Session, col, select

from agent.console.read.view import View
from streams.records import Json
from streams.store.tables import GenerationRow

LIMIT = 400
_NAMES = (
    "id", "line", "number", "parent", "child", "state", "reason", "turn_ids", "coefficients",
    "step", "reward", "fitness_mean", "fitness_spread", "gain", "kl", "planned_ms", "done_ms",
)  # fmt: skip


def read(session: Session, view: View) -> list[Json]:
    """Read the generations of these lines; of turns and pairs only how many."""
    rows = session.execute(
        select(*(getattr(GenerationRow, name) for name in _NAMES))
        .where(col(GenerationRow.line).in_(view.lines))
        .order_by(col(GenerationRow.number).desc())
        .limit(LIMIT)
    ).all()
    shown = []
    for row in rows:
        value = row._asdict()
        value["num_turns"] = len(value.pop("turn_ids"))
        value["num_pairs"] = len(value.pop("coefficients"))
        shown.append(value)
    return shown
