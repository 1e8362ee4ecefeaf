"""Reads how often principals were right about replies of which it is known what they are worth.

Gold items are the questions whose answer or schema stands in `learner.verifiers`: there a program
knows, without anybody's word. Praise of a wrong reply is a miss; praise of a right one, and a
complaint about a wrong one, are hits. A complaint about a right reply may be about its manner, and
says nothing. Calls that break a tool's schema are no gold items: a person seldom sees them.

Each person's are counted by themselves, and of those only what may be a hit or a miss: nobody's
record is moved by how much somebody asks.

Knows nothing of what follows for a voice (learner.trust.crowd).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from learner.judges.judge import combine
from learner.judges.rows import judgements_of
from learner.trust.crowd import Record
from streams.records import Judgement
from streams.store.tables import JudgementRow, TurnRow

# Of each person, the newest are looked at; to older builds, of all people together.
_MOST_ITEMS: Final = 1000
# A verifier is as sure as this of answers and schemas that the settings know, and of nothing else.
_KNOWN: Final = 1.0
# By what people say something of a reply themselves.
_THEIRS: Final = ("explicit", "lexical", "embedding")
_COLUMNS: Final = load_only(TurnRow.id, TurnRow.line, TurnRow.version, TurnRow.principal)  # type: ignore[arg-type]


def records_of(
    session: Session, line: str, principals: Collection[str], *, since_ms: int, own: bool = True
) -> dict[str, Record]:
    """Read the hits and misses of some principals; those without any are left out.

    own: False to count as builds did that looked at the newest gold items of all people together
    """
    names = sorted(set(principals))
    if not own:
        return _counted(session, _of_all(session, line, names, since_ms))
    found: dict[str, Record] = {}
    for name in names:
        found |= _counted(session, _spoken_of(session, line, name, since_ms))
    return found


def _spoken_of(session: Session, line: str, name: str, since_ms: int) -> Sequence[TurnRow]:
    """Read the newest gold items of a principal that may be hits or misses by what they said."""
    of_turn, score = col(JudgementRow.turn_id) == TurnRow.id, col(JudgementRow.score)
    theirs = of_turn, col(JudgementRow.source).in_(_THEIRS)
    right = exists().where(of_turn, col(JudgementRow.source) == "verifier", score > 0)
    praised, said = exists().where(*theirs, score > 0), exists().where(*theirs, score != 0)
    return session.exec(
        select(TurnRow)
        .options(_COLUMNS)
        .where(TurnRow.principal == name, TurnRow.line == line, col(TurnRow.created_ms) >= since_ms)
        .where(exists().where(of_turn, *_is_known()), said, or_(praised, ~right))
        .order_by(col(TurnRow.created_ms).desc(), TurnRow.id)
        .limit(_MOST_ITEMS)
    ).all()


def _of_all(
    session: Session, line: str, names: Collection[str], since_ms: int
) -> Sequence[TurnRow]:
    """Read the newest gold items of some principals together, as older builds did."""
    known = select(JudgementRow.turn_id).where(*_is_known())
    return session.exec(
        select(TurnRow)
        .options(_COLUMNS)
        .where(TurnRow.line == line, col(TurnRow.principal).in_(names))
        .where(col(TurnRow.created_ms) >= since_ms, col(TurnRow.id).in_(known))
        .order_by(col(TurnRow.created_ms).desc(), TurnRow.id)
        .limit(_MOST_ITEMS)
    ).all()


def _is_known() -> tuple[ColumnElement[bool], ...]:
    return col(JudgementRow.source) == "verifier", col(JudgementRow.confidence) >= _KNOWN


def _counted(session: Session, rows: Sequence[TurnRow]) -> dict[str, Record]:
    given = judgements_of(session, rows)
    hits, misses = Counter[str](), Counter[str]()
    for row in rows:
        said, is_right = _said(given[row.id]), _is_right(given[row.id])
        hits[row.principal] += said == (1 if is_right else -1)
        misses[row.principal] += said > 0 and not is_right
    return {
        name: Record(hits[name], misses[name])
        for name in sorted(hits.keys() | misses.keys())
        if hits[name] + misses[name]
    }


def _is_right(given: Sequence[Judgement]) -> bool:
    return any(each.source == "verifier" and each.score > 0 for each in given)


def _said(given: Sequence[Judgement]) -> int:
    """Return what the person said of a reply: 1 praise, −1 a complaint, 0 nothing."""
    verdict = combine(each for each in given if each.source in _THEIRS)
    return verdict.score if verdict is not None else 0
