"""Sets lessons aside that helped nobody, and takes back what was learned of them alone.

That is a generation of its own, in which nothing is learned: it has a number, notes what was known
when it was decided, and is decided again at the same moment when a line is run again.

The line goes back along the newest versions whose complaints are all of lessons that are set aside,
to the one before them, which is no worse: it never learned them. A version that learned anything
else stays, and so does all below it. With an operator's approval wanted (`rollout.policy`) nothing
is taken back here: the reason says so.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from learner.batch.plan import next_row
from learner.settings import LearnerSettings
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store.lesson_tables import SET_ASIDE, LessonRow
from streams.store.states import WITHDRAWN
from streams.store.tables import GenerationRow
from streams.wire import id_of


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is decided: the generation that says so, and the change of the line, if one is due."""

    generation: GenerationRow
    change: Rollout | None


def withdrawal(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    rollout: RolloutSettings,
    *,
    now_ms: int,
) -> Withdrawal | None:
    """Set aside the lessons of a line that are due; None when none is. The caller commits.

    line: what serves now, with nothing on trial
    """
    due = session.exec(
        select(LessonRow)
        .where(LessonRow.line == line.name, col(LessonRow.due), LessonRow.state != SET_ASIDE)
        .order_by(col(LessonRow.created_ms), col(LessonRow.id))
    ).all()
    if not due:
        return None
    row = next_row(session, line, settings, now_ms=now_ms)
    for lesson in due:
        lesson.set_aside = [*lesson.set_aside, lesson.num_complaints]
        lesson.state, lesson.due, lesson.waits, lesson.changed = SET_ASIDE, False, False, True
        session.add(lesson)
    session.flush()
    back = _no_worse(session, line)
    row.state, row.done_ms = WITHDRAWN, now_ms
    row.reason = "; ".join(f"lesson {lesson.id} is set aside: {lesson.reason}" for lesson in due)
    change = None
    if back != line.version and not rollout.asks_operator:
        id = id_of("withdrawal", row.id)
        change = verbs.rollback(line, Audit(LEARNER, row.reason, now_ms, id), to=back)
        row.seq = change.seq
    elif back != line.version:
        row.reason += f"; an operator may go back to {back}, the last version that never learned it"
    row.withdraws = {"lessons": [lesson.id for lesson in due], "to": back}
    return Withdrawal(row, change)


def _no_worse(session: Session, line: Line) -> str:
    """Return the last version that served and learned none of what is set aside, or a part of."""
    version = line.version
    for before in reversed(line.served[:-1]):
        made = ledger.made(session, version)
        if made is None or made.parent != before or not _is_set_aside(session, made):
            return version
        version = before
    return version


def _is_set_aside(session: Session, made: GenerationRow) -> bool:
    """Return whether a generation learned from complaints that are set aside, and from no other."""
    asking = [item for item in made.batch if item["score"] < 0 or item.get("lesson")]
    lessons = {item.get("lesson") for item in asking}
    if not lessons or None in lessons:
        return False
    rows = select(LessonRow.state).where(col(LessonRow.id).in_(lessons))
    states = list(session.exec(rows))
    return len(states) == len(lessons) and set(states) == {SET_ASIDE}
