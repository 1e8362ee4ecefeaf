"""Works out again what has become of the lessons of a line, from its turns and versions.

Only lessons are looked at of which something has changed: a verdict of their person, a version that
learned them, the version that serves, a wish that contradicts theirs. Of whoever says no more a
look reads next to nothing. What comes of it is written into their rows; nothing enters that is not
in the store already, so it may be done at any time, and comes to the same when a line is run again.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

from sqlalchemy import Text, cast
from sqlmodel import Session, and_, col, func, or_, select, update

from learner.form.directions import Direction, opposes
from learner.lessons.course import Course, Heard, Kind, Terms, course
from learner.lessons.notes import note_id
from learner.lessons.opposed import OPPOSITE, SAME_PERSON, Wish, Wishes
from learner.settings import LearnerSettings
from streams.store.lesson_tables import ACTIVE, SET_ASIDE, LessonRow
from streams.store.states import FORGOTTEN, UNTRAINED
from streams.store.store import pieces
from streams.store.tables import RecipeRow, TurnRow

# Verdicts of one person that are looked at, the newest: bounds have long decided by then. Where no
# complaint of a lesson is among them, so many from its last one on are looked at as well.
LOOKED_AT: Final = 256
# Wishes of a line that are held against each other, the newest.
HELD_AGAINST: Final = 1000
# What older builds wrote into a reason: the wish of somebody else.
_QUOTED: Final = re.compile(rf"(?<={OPPOSITE}) \(.*\)(?=: )", re.DOTALL)

# What a turn is that says something of lessons.
_JUDGED: Final[tuple[Any, ...]] = (
    col(TurnRow.score).is_not(None),
    col(TurnRow.state).not_in((FORGOTTEN, UNTRAINED)),
    col(TurnRow.member).is_(None),
)

# Lessons that a version learned, and of which more may be learned.
_LEARNED: Final[tuple[Any, ...]] = (
    LessonRow.state == ACTIVE,
    cast(col(LessonRow.versions), Text) != "[]",
)


def is_due(session: Session, line: str) -> bool:
    """Return whether something has changed since the last look."""
    changed = select(LessonRow.id).where(*usable(line), col(LessonRow.changed))
    return session.exec(changed.limit(1)).first() is not None


def learned_so_far(session: Session, line: str) -> list[str]:
    """Return the lessons that versions learned, and of which more may be learned."""
    query = select(LessonRow.id).where(*usable(line), *_LEARNED).order_by(LessonRow.id)
    return list(session.exec(query))


def served_anew(session: Session, line: str, serving: str) -> list[str]:
    """Return the lessons of which the version that serves has learned otherwise than at their look.

    That is what a lesson has of the version: how many on the way to it learned the lesson.
    """
    columns = LessonRow.id, LessonRow.versions, LessonRow.set_aside, LessonRow.evidence
    query: Any = select(*columns).where(*usable(line), *_LEARNED).order_by(LessonRow.id)
    rows = session.exec(query).all()
    parents = _parents(session, rows)
    way, version = set(), serving
    while version in parents:
        way.add(version)
        version = parents[version]
    return [row.id for row in rows if len(_learned(row) & way) != row.evidence.get("versions")]


def less_said(session: Session, line: str, principal: str) -> None:
    """Let the lessons of somebody that versions learned be looked at again: words are gone."""
    own = *usable(line), *_LEARNED, LessonRow.principal == principal
    again = update(LessonRow).where(*own).values(changed=True)
    session.execute(again, execution_options={"synchronize_session": False})


def set_free(session: Session, line: str, gone: Iterable[Wish]) -> None:
    """Let the lessons be looked at again that wishes kept from being learned which are gone.

    Their reasons go at once, and from the others' goes what older builds quoted of anybody's words.
    """
    wishes = list(gone)
    things = {each.wished for each in wishes}
    for principal in sorted({each.principal for each in wishes}):
        own = col(LessonRow.principal) == principal  # their last word may be another now
        session.execute(update(LessonRow).where(*usable(line), own).values(changed=True))
    outvoted = LessonRow.state == SET_ASIDE, col(LessonRow.reason).contains(OPPOSITE)
    for row in session.exec(select(LessonRow).where(*usable(line), *outvoted)):
        mine = wish_of(row).wished
        if any(opposes(mine, each) for each in things):
            row.reason, row.changed = "", True
        else:
            row.reason = _QUOTED.sub("", row.reason)
        session.add(row)
    session.flush()


def review(
    session: Session,
    line: str,
    settings: LearnerSettings,
    *,
    serving: str,
    besides: Collection[str] = (),
) -> None:
    """Write into the lessons of a line what has become of them; the caller commits.

    serving: the version that serves
    besides: lessons that are looked at though no word was said (served_anew), some hundred
    """
    said = cache(partial(_said, session, line))
    wordless = cache(partial(_wordless, session, line))
    known, wishes, rows = _concerned(session, line, besides)
    overtaken = _overtaken(session, known, wishes, rows, said)
    # what nobody wishes any more by what is known now outvotes nobody now
    meant = Wishes(
        wish_of(row)
        for row in known
        if not overtaken.get(row.id, row.reason.startswith(SAME_PERSON))
    )
    standing = _standing(session, line)
    rows += _counted_anew(known, wishes, rows, meant, standing)
    rows += _beyond(session, {row.id for row in (*known, *rows)}, meant, standing)
    parents = _parents(session, rows)
    with session.no_autoflush:  # each row is written once, with the others
        for row in rows:
            turns = said(row.principal)
            row.num_complaints, heard = _heard(session, row, turns)
            found = _course(row, heard, parents, serving, settings, wordless(row.principal))
            why = overtaken.get(row.id) or meant.outvoted(wish_of(row))
            _write(row, turns, found, why)
            session.add(row)
    session.flush()


def _concerned(
    session: Session, line: str, besides: Collection[str]
) -> tuple[Sequence[LessonRow], Wishes, list[LessonRow]]:
    """Read the newest wishes of a line; and those that changed, with what contradicts them.

    Whoever has said a word may have meant any of their lessons that versions learned.
    """
    newest = col(LessonRow.created_ms).desc(), col(LessonRow.id)
    query = select(LessonRow).where(*usable(line)).order_by(*newest)
    known = session.exec(query.limit(HELD_AGAINST)).all()
    changed = col(LessonRow.changed)
    spoke = select(LessonRow.principal).where(*usable(line), changed)
    theirs = and_(*_LEARNED, col(LessonRow.principal).in_(spoke))
    concerned = or_(changed, theirs, col(LessonRow.id).in_(besides))
    rows = {row.id: row for row in session.exec(query.where(concerned))}
    wishes, by_id = Wishes(wish_of(row) for row in known), {row.id: row for row in known}
    for row in list(rows.values()):
        for rival in wishes.against(wish_of(row)):
            rows.setdefault(rival.id, by_id[rival.id])
    return known, wishes, list(rows.values())


def _overtaken(
    session: Session,
    known: Iterable[LessonRow],
    wishes: Wishes,
    rows: Sequence[LessonRow],
    said: Callable[[str], Sequence[Any]],
) -> dict[str, str]:
    """Return why lessons are not learned for what their own people wish besides; empty: they may.

    said: the newest verdicts of somebody
    """
    own: dict[str, set[str]] = {}
    for row in (*known, *rows):
        own.setdefault(row.principal, set()).add(row.id)
    names = {row.principal for row in rows}
    complained = {name: _complained(session, said(name), own[name]) for name in names}
    return {row.id: wishes.overtaken(wish_of(row), complained[row.principal]) for row in rows}


def _standing(session: Session, line: str) -> list[Wish]:
    """Read what is wished that versions learned, as far as it may be contradicted."""
    query = select(LessonRow.id, LessonRow.principal, LessonRow.wished).where(
        *usable(line), *_LEARNED, cast(col(LessonRow.wished), Text) != "[]"
    )
    return [Wish(id, principal, _things(wished)) for id, principal, wished in session.exec(query)]


def _counted_anew(
    known: Iterable[LessonRow],
    wishes: Wishes,
    rows: Iterable[LessonRow],
    meant: Wishes,
    standing: Iterable[Wish],
) -> list[LessonRow]:
    """Return further lessons that more or fewer people than before wish, or wish the opposite of.

    Those who wish the same as somebody who changed their mind are concerned by it as well, and what
    versions learned at every look: a wish may be gone, or older than what is held against others.
    """
    seen, by_id = {row.id for row in rows}, {row.id: row for row in known}
    different = {wish.wished: wish for wish in standing}
    for wish in list(different.values()):
        different |= {rival.wished: rival for rival in wishes.against(wish)}
    different |= {wish.wished: wish for wish in map(wish_of, rows)}
    rivals = {each.id for wish in different.values() for each in wishes.against(wish)}
    return [
        by_id[id]
        for id in sorted(rivals - seen)
        if not by_id[id].reason.startswith(SAME_PERSON)
        and meant.outvoted(wish_of(by_id[id])) != _told(by_id[id])
    ]


def _beyond(
    session: Session, known: Collection[str], meant: Wishes, standing: Iterable[Wish]
) -> list[LessonRow]:
    """Return what versions learned that more people wish the opposite of, and that is not known."""
    outvoted = [each.id for each in standing if each.id not in known and meant.outvoted(each)]
    found: list[LessonRow] = []
    for some in pieces(outvoted):
        found += session.exec(select(LessonRow).where(col(LessonRow.id).in_(some)))
    return found


def _told(row: LessonRow) -> str:
    """Return why a lesson was not learned at the last look, for what other people wish."""
    return row.reason if OPPOSITE in row.reason else ""


def usable(line: str) -> tuple[Any, ...]:
    """Say which lessons of a line are worked out: neither forgotten ones nor refused words."""
    return (
        LessonRow.line == line,
        LessonRow.state != "forgotten",
        col(LessonRow.refused).is_(None),
    )


def wish_of(row: LessonRow) -> Wish:
    """Return a lesson as others may contradict it."""
    return Wish(row.id, row.principal, _things(row.wished))


def _things(wished: Iterable[Any]) -> tuple[Direction, ...]:
    return tuple(Direction(*each) for each in wished)


def terms_of(settings: LearnerSettings) -> Terms:
    """Return when a lesson is satisfied or set aside, by the settings."""
    return Terms(
        patience=settings.lesson_patience,
        versions=settings.lesson_versions,
        pleased=settings.lesson_pleased,
        rare=settings.lesson_rare,
        alpha=settings.lesson_alpha,
    )


def _write(row: LessonRow, turns: Sequence[Any], found: Course, why: str) -> None:
    row.num_pleased = sum(turn.score > 0 for turn in turns if turn.created_ms >= row.created_ms)
    row.num_reopened, row.evidence = found.reopened, found.evidence or row.evidence
    row.waits, row.due, row.changed = found.waits, found.due, False
    if why:
        row.state, row.reason, row.waits, row.due = SET_ASIDE, why, False, False
        return
    contradicted = row.reason.startswith(SAME_PERSON) or OPPOSITE in row.reason
    if contradicted or found.state != SET_ASIDE or row.state != SET_ASIDE:
        row.reason = found.reason
    row.state = found.state


def _learned(row: Any) -> frozenset[str]:
    """Name the versions that learned a lesson since it was last set aside."""
    tries = len(row.set_aside)
    return frozenset(name for name, before in row.versions if before == tries)


def _course(
    row: LessonRow,
    turns: Sequence[Any],
    parents: Mapping[str, str],
    serving: str,
    settings: LearnerSettings,
    unsaid: Collection[str],
) -> Course:
    learned, note = _learned(row), note_id(row.id)
    heard = [
        Heard(
            _kind(turn, row.id, unsaid),
            depth(turn.version, learned, parents),
            noted=note in (turn.notes or ()),
        )
        for turn in turns
    ]
    return course(
        heard,
        depth=depth(serving, learned, parents),
        set_aside=row.set_aside,
        terms=terms_of(settings),
        complaints=row.num_complaints,
    )


def _kind(turn: Any, lesson: str, unsaid: Collection[str]) -> Kind:
    if turn.lesson == lesson:
        return "same"
    if turn.lesson is not None or turn.score < 0:
        return "unsaid" if turn.lesson in unsaid else "other"
    return "pleased" if turn.score > 0 else "nothing"


def depth(version: str, learned: frozenset[str], parents: Mapping[str, str]) -> int:
    """Count the versions that learned something, from the base up to one.

    >>> depth("c", frozenset({"a", "c"}), {"c": "b", "b": "a", "a": "base"})
    2
    """
    count = 0
    while learned and version in parents:
        count += version in learned
        version = parents[version]
    return count


def _parents(session: Session, rows: Iterable[Any]) -> dict[str, str]:
    """Read the parents of all versions from the first on that learned one of the lessons."""
    named = {name for row in rows for name, _ in row.versions}
    first = select(func.min(RecipeRow.number))
    numbers = [
        session.exec(first.where(col(RecipeRow.version).in_(some))).one()
        for some in pieces(sorted(named))
    ]
    number = min((each for each in numbers if each is not None), default=None)
    if number is None:
        return {}
    made = select(RecipeRow.version, RecipeRow.parent).where(RecipeRow.number >= number)
    return dict(session.exec(made).all())


def _heard(session: Session, row: LessonRow, said: Sequence[Any]) -> tuple[int, Sequence[Any]]:
    """Return how many complaints of a lesson there were, and the verdicts that decide its course.

    Whatever is said of other things afterwards, a complaint is not forgotten.

    said: the newest of its person
    """
    num_newest = sum(turn.lesson == row.id for turn in said)
    if len(said) < LOOKED_AT:
        return num_newest, said
    own = select(func.count(), func.max(TurnRow.created_ms)).where(TurnRow.lesson == row.id)
    number, last_ms = session.exec(own.where(*_JUDGED)).one()
    if num_newest or not number:
        return number, said
    since = TurnRow.created_ms >= last_ms, TurnRow.created_ms <= said[0].created_ms
    oldest = col(TurnRow.created_ms), col(TurnRow.id)
    query = _verdicts(row.line, row.principal).where(*since).order_by(*oldest)
    known = {turn.id for turn in said}
    older = [turn for turn in session.exec(query.limit(LOOKED_AT)) if turn.id not in known]
    return number, [*older, *said]


def _wordless(session: Session, line: str, principal: str) -> frozenset[str]:
    """Read which lessons of somebody are complaints that do not say of what."""
    theirs = LessonRow.principal == principal, LessonRow.instruction == ""
    return frozenset(session.exec(select(LessonRow.id).where(*usable(line), *theirs)))


def _complained(session: Session, said: Sequence[Any], lessons: Collection[str]) -> list[str]:
    """Return the lessons of somebody's newest complaints, oldest first.

    said: the newest verdicts; lessons: theirs, which are asked for where those are not all
    """
    if len(said) < LOOKED_AT:
        return [turn.lesson for turn in said if turn.lesson]
    newest = col(TurnRow.created_ms).desc(), col(TurnRow.id).desc()
    query = select(TurnRow.lesson).where(col(TurnRow.lesson).in_(lessons), *_JUDGED)
    found = session.exec(query.order_by(*newest).limit(LOOKED_AT)).all()
    return [str(id) for id in reversed(found)]


def _said(session: Session, line: str, principal: str) -> Sequence[Any]:
    """Read the newest judged turns of somebody, oldest first."""
    newest = col(TurnRow.created_ms).desc(), col(TurnRow.id).desc()
    query = _verdicts(line, principal).order_by(*newest).limit(LOOKED_AT)
    return list(reversed(session.exec(query).all()))


def _verdicts(line: str, principal: str) -> Any:
    """Select what somebody's judged turns say of lessons."""
    columns = (
        TurnRow.id, TurnRow.version, TurnRow.created_ms, TurnRow.score, TurnRow.lesson,
        TurnRow.notes,
    )  # fmt: skip
    theirs = TurnRow.line == line, TurnRow.principal == principal
    return select(*columns).where(*theirs, *_JUDGED)  # type: ignore[call-overload]
