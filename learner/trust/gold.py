"""Reads how often principals were right about replies of which it is known what they are worth.

Gold items are the questions whose answer or schema stands in `learner.verifiers`: there a program
knows, without anybody's word. Praise of a wrong reply is a miss; praise of a right one, and a
complaint about a wrong one, are hits. A complaint about a right reply may be about its manner, and
says nothing. Calls that break a tool's schema are no gold items: a person seldom sees them.

Knows nothing of what follows for a voice (learner.trust.crowd).
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy.orm import load_only
from sqlmodel import Session, col, select

from learner.judges.judge import combine
from learner.judges.rows import judgements_of
from learner.trust.crowd import Record
from streams.records import Judgement
from streams.store.tables import JudgementRow, TurnRow

# Of all people together, the newest are looked at.
_MOST_ITEMS: Final = 1000
# A verifier is as sure as this of answers and schemas that the settings know, and of nothing else.
_KNOWN: Final = 1.0
# By what people say something of a reply themselves.
_THEIRS: Final = ("explicit", "lexical", "embedding")


def records_of(
    session: Session, line: str, principals: Collection[str], *, since_ms: int
) -> dict[str, Record]:
    """Read the hits and misses of some principals; those without any are left out."""
    known = select(JudgementRow.turn_id).where(
        JudgementRow.source == "verifier", JudgementRow.confidence >= _KNOWN
    )
    rows = session.exec(
        select(TurnRow)
        .options(load_only(TurnRow.id, TurnRow.line, TurnRow.version, TurnRow.principal))  # type: ignore[arg-type]
        .where(TurnRow.line == line, col(TurnRow.principal).in_(set(principals)))
        .where(col(TurnRow.created_ms) >= since_ms, col(TurnRow.id).in_(known))
        .order_by(col(TurnRow.created_ms).desc(), TurnRow.id)
        .limit(_MOST_ITEMS)
    ).all()
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
