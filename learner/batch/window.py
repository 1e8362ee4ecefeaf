"""The judged turns that may still score a generation, as rows: read, counted, and let go of.

A turn leaves the window for good, with the reason, when a plan is made: it has scored all the
generations that it may, its version is too far behind, or fresher and stronger evidence of the same
principal takes all the places that it could have. One whose lesson is at rest stays, and is passed
over meanwhile. Only then, and by what the rows say, so that a
learner that is started again, or a line that is run again, lets go of the same.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement
from sqlmodel import Session, and_, case, col, exists, func, not_, or_, select, update

from learner.batch.choose import JudgedTurn
from learner.batch.standing import wish_of
from learner.judges.judge import SURE, Verdict, combine
from learner.judges.rows import judgements_of
from learner.settings import LearnerSettings
from learner.trust import backing
from streams.line.line import Line
from streams.store.lesson_tables import ACTIVE, LessonRow
from streams.store.states import CROWDED_OUT, JUDGED, STALE, USED_UP, Reason
from streams.store.tables import GenerationRow, RecipeRow, TurnRow

# Judged turns that are looked at for a batch: far more than one holds, and few enough to be looked
# at every second. No principal offers more than a batch holds, so a flood hides nobody.
LOOKED_AT: Final = 1024
# So many generations are looked back on for what one has learned from a turn, the newest first: one
# that was used before all of them is hardly within max_staleness.
LOOKED_BACK: Final = 64
# The key of a generation's horizon that says that nothing was scored, since its parent had been
# taken back by then: no turn of it was used.
UNTRIED: Final = "untried"

_STRONG: Final[Any] = col(TurnRow.strength) >= SURE
# What asks for something else; of rows of older builds that is not known.
_ASKS: Final[Any] = case(
    (
        or_(
            col(TurnRow.score) < 0,
            col(TurnRow.lesson).is_not(None),
            col(TurnRow.score).is_(None),
        ),
        1,
    ),
    else_=0,
)
# The best evidence first, as learner.batch.choose orders it.
_ORDER: Final[tuple[Any, ...]] = (
    _STRONG.desc(), _ASKS.desc(), col(TurnRow.uses), col(TurnRow.judged_ms).desc(), col(TurnRow.id)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """What is in the window."""

    fresh: int  # strong verdicts that no generation has learned from yet
    used: int  # strong verdicts that have
    weak: int
    people: int  # principals with a strong verdict
    asking: bool = True  # whether a strong verdict asks for something else
    fresh_asking: bool = True  # whether a fresh one does
    waiting: int = 0  # lessons that wait for a word on their last versions


def judged_turns(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    base: str,
    *,
    agree: int = 1,
    since_ms: int = 0,
    renews: bool = True,
) -> list[JudgedTurn]:
    """Read the turns that a generation may use, the best evidence of each principal.

    agree: principals who must wish the same; a wish that is alone takes no place of one that is not
    since_ms: from when on people are asked for what they wished
    renews: whether a used turn is fresh again when it is judged otherwise
    """
    within = _within(session, line, settings, base)
    agreed: list[str] = []
    if agree > 1:
        agreed = backing.agreed(session, line.name, within, since_ms=since_ms, agree=agree)
    order = (*backing.first(agreed), *_ORDER)
    offered = _placed(within, order).subquery()
    query = (
        select(TurnRow)
        .join(offered, col(TurnRow.id) == offered.c.id)
        .where(offered.c.place <= settings.turns_per_generation)
        .order_by(offered.c.place, *order)
        .limit(LOOKED_AT)
    )
    rows = session.exec(query).all()
    found = _judged(session, rows)
    if agree > 1:
        wishes = {turn.wish for turn in found}
        behind = backing.of_wishes(session, line.name, within, wishes, since_ms=since_ms)
        found = [replace(turn, backing=behind.get(turn.wish, frozenset())) for turn in found]
    return _renewed(session, line.name, found) if renews else found


def _judged(session: Session, rows: Sequence[TurnRow]) -> list[JudgedTurn]:
    """Read what is said of turns, as far as anything is."""
    judgements = judgements_of(session, rows)
    found = []
    for row in rows:
        verdict = combine(judgements[row.id])
        if verdict is not None:
            if row.lesson is None and verdict.score >= 0:
                verdict = replace(verdict, hint=None)  # no instruction: praise asks for nothing
            judged_ms = max(given.created_ms for given in judgements[row.id])
            wish = wish_of(row, verdict)
            found.append(
                JudgedTurn(
                    row.id, row.principal, row.created_ms, row.uses, judged_ms, verdict, row.lesson,
                    wish,
                )
            )  # fmt: skip
    return found


def _renewed(session: Session, line: str, turns: Sequence[JudgedTurn]) -> list[JudgedTurn]:
    """Mark the turns that are judged otherwise than the last generation with them learned."""
    used = {turn.turn_id: turn for turn in turns if turn.uses and turn.asks}
    if not used:
        return list(turns)
    newest = select(GenerationRow.batch, GenerationRow.horizon).where(GenerationRow.line == line)
    newest = newest.order_by(col(GenerationRow.number).desc()).limit(LOOKED_BACK)
    renewed: set[str] = set()
    for batch, horizon in session.exec(newest):
        for item in () if UNTRIED in horizon else batch:
            turn = used.pop(item["turn_id"], None)
            if turn is not None and not _is_as_judged(item, turn.verdict):
                renewed.add(turn.turn_id)
        if not used:
            break
    return [replace(turn, renewed=turn.turn_id in renewed) for turn in turns]


def _is_as_judged(item: Mapping[str, Any], verdict: Verdict) -> bool:
    return (item["score"], item["hint"]) == (verdict.score, verdict.hint)


def counts(
    session: Session,
    line: Line,
    settings: LearnerSettings,
    base: str,
    *,
    renewed: Collection[str] = (),
) -> Counts:
    """Count the turns that a generation may use.

    renewed: ids of used ones that are fresh again (learner.batch.choose)
    """
    within = _within(session, line, settings, base)
    is_fresh: Any = or_(col(TurnRow.uses) == 0, col(TurnRow.id).in_(renewed))
    strong, fresh = _STRONG.label("is_strong"), is_fresh.label("is_fresh")
    kinds: Any = select(strong, fresh, _ASKS.label("does_ask"), func.count()).where(*within)
    # grouped by name: PostgreSQL does not see that two parameters of one value are the same
    grouped = session.execute(kinds.group_by("is_strong", "is_fresh", "does_ask"))
    number: Counter[tuple[bool, bool]] = Counter()
    asking: set[tuple[bool, bool]] = set()
    for is_strong, is_fresh, does_ask, count in grouped:
        number[bool(is_strong), bool(is_fresh)] += count
        asking |= {(bool(is_strong), bool(is_fresh))} if does_ask else set()
    people = select(func.count(func.distinct(TurnRow.principal))).where(*within, _STRONG)
    waiting = select(func.count()).where(
        LessonRow.line == line.name, LessonRow.state == ACTIVE, col(LessonRow.waits)
    )
    return Counts(
        fresh=number[True, True],
        used=number[True, False],
        weak=number[False, True] + number[False, False],
        people=session.exec(people).one(),
        asking=bool(asking & {(True, True), (True, False)}),
        fresh_asking=(True, True) in asking,
        waiting=session.exec(waiting).one(),
    )


def let_go(session: Session, line: Line, settings: LearnerSettings, base: str) -> None:
    """Give every turn that will score nothing any more the reason; the caller commits."""
    waiting = _waiting(line.name)
    _leave(session, USED_UP, *waiting, TurnRow.uses >= settings.uses)
    recent = _is_recent(session, line, settings.max_staleness, base)
    _leave(session, STALE, *waiting, not_(recent))
    # As many as one principal alone could have in the generations that a turn lives for.
    most = settings.turns_per_generation * settings.uses
    placed = _placed(waiting).subquery()
    crowd = select(placed.c.id).where(placed.c.place > most)
    _leave(session, CROWDED_OUT, *waiting, col(TurnRow.id).in_(crowd))


def _leave(session: Session, reason: Reason, *conditions: Any) -> None:
    leaving = update(TurnRow).where(*conditions).values(reason=reason)
    session.execute(leaving, execution_options={"synchronize_session": False})


def _waiting(line: str) -> tuple[Any, ...]:
    return TurnRow.line == line, TurnRow.state == JUDGED, col(TurnRow.reason).is_(None)


def _within(
    session: Session, line: Line, settings: LearnerSettings, base: str
) -> Sequence[ColumnElement[bool]]:
    return (
        *_waiting(line.name),
        and_(col(TurnRow.strength) > 0),
        col(TurnRow.uses) < settings.uses,
        _is_recent(session, line, settings.max_staleness, base),
        _learned(line.name),
    )


def _learned(line: str) -> ColumnElement[bool]:
    """What complains of nothing that is at rest: satisfied, set aside, or waiting for a word."""
    active = select(LessonRow.id).where(
        LessonRow.line == line, LessonRow.state == ACTIVE, col(LessonRow.waits).is_(False)
    )
    return or_(col(TurnRow.lesson).is_(None), col(TurnRow.lesson).in_(active))


def _placed(conditions: Sequence[Any], order: Sequence[Any] = _ORDER) -> Any:
    """Select ids with the place that each has among those of its principal, from 1."""
    place = func.row_number().over(partition_by=col(TurnRow.principal), order_by=order)
    return select(TurnRow.id, place.label("place")).where(*conditions)


def _is_recent(session: Session, line: Line, max_staleness: int, base: str) -> ColumnElement[bool]:
    """Say which turns are of versions at most so many recipes behind the one that serves.

    Those of side branches, too. After a reset that may be every version there ever was, so each
    turn is asked for its own, and none is named.
    """
    serving = session.get(RecipeRow, line.version)
    number = serving.number if serving else 0
    newer: Any = exists().where(
        col(RecipeRow.version) == col(TurnRow.version),
        col(RecipeRow.number) >= number - max_staleness,
    )
    newer = newer.correlate(TurnRow)
    return or_(newer, col(TurnRow.version) == base) if number <= max_staleness else newer
