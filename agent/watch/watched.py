"""What is watched of a line for ever, for Prometheus: its newest measured version beside the base.

Knows nothing of how it is measured, or when.
"""

from sqlmodel import Session, col, select

from agent.watch.metrics import Family
from streams.store.tables import WatchedRow


def families(session: Session, line: str) -> list[Family]:
    """Read the newest measures of a line and those of its base; empty where there are none."""
    ours = select(WatchedRow).where(WatchedRow.line == line)
    # by time: where a line went back, higher numbers are of what was taken back
    by_time = ours.order_by(col(WatchedRow.created_ms).desc(), col(WatchedRow.number).desc())
    newest = session.exec(by_time.limit(1)).first()
    base = session.exec(ours.where(WatchedRow.number == 0).limit(1)).first()
    rows = [
        ((name, of), float(value))
        for row, of in ((newest, "newest"), (base, "base"))
        if row is not None
        for name, value in sorted(row.measured.items())
    ]
    if not rows:
        return []
    text = "What no lesson is about: shares right of small tasks, nats of plain text and refusals"
    return [Family("watched", text, ("measure", "version"), tuple(rows))]
