"""What a judged turn is worth to the planner, kept with its row: strength, wish, why it is out.

Worked out anew from all judgements whenever one is added or taken away, so that the row says what
they say, in whatever order they came. Only a turn whose version was taken back stays closed until
somebody says something of it again.

Knows nothing of generations.
"""

from collections.abc import Sequence
from typing import Final

from sqlmodel import Session, col, select

from learner.judges.judge import Verdict, combine
from learner.judges.rows import judgements_of
from learner.trust.agreed import wish_key
from streams.records import Judgement
from streams.store.states import (
    ASKED_AGAIN,
    CLOSED,
    IDLE,
    JUDGED,
    LINKED,
    OPEN,
    STALE,
    TEACHES_NOTHING,
    UNTRAINED,
    USED_UP,
    WAITING,
)
from streams.store.tables import TurnRow

# Rows that are named at once: each has the whole of its turn.
_BATCH: Final = 200
# Whatever is said of such a turn later, it scores nothing any more.
_FINAL: Final = (USED_UP, STALE)


def settle(
    session: Session,
    row: TurnRow,
    *,
    given: Sequence[Judgement] | None = None,
    anew: bool = False,
) -> Verdict | None:
    """Set a turn's state, score, strength and reason to what its judgements come to, and return it.

    given: all of them, where they have been read already
    anew: whether somebody has said something of the turn just now
    returns: None where nobody has judged it
    """
    if given is None:
        given = judgements_of(session, [row])[row.id]
    given = [each for each in given if each.evidence != WAITING]
    verdict = combine(given)
    row.judged_ms = max((judgement.created_ms for judgement in given), default=None)
    row.strength = row.score = row.wish = None
    if verdict is not None:
        whole = _is_whole(row, verdict)
        row.strength = verdict.confidence if verdict.teaches and whole else 0.0
        row.score = verdict.score if whole else None
        row.wish = wish_of(row, verdict) if row.strength else None
    if row.state != UNTRAINED and (anew or not _is_withdrawn(row)):
        _settle_state(row, judged=bool(given))
    session.add(row)
    return verdict


def wish_of(row: TurnRow, verdict: Verdict) -> str:
    """Return the name of what a judged turn wishes."""
    return wish_key(
        verdict.hint,
        score=verdict.score,
        asked=row.asked_key,
        reply=row.reply_key,
        turn_id=row.id,
    )


def name_wishes(session: Session, line: str) -> bool:
    """Name the wishes of some rows of older builds; False when none is left. The caller commits."""
    nameless = (
        select(TurnRow)
        .where(
            TurnRow.line == line,
            TurnRow.state == JUDGED,
            col(TurnRow.wish).is_(None),
            col(TurnRow.strength) > 0,
        )
        .limit(_BATCH)
    )
    rows = session.exec(nameless).all()
    for id, given in judgements_of(session, rows).items():
        row, verdict = session.get_one(TurnRow, id), combine(given)
        row.wish = wish_of(row, verdict) if verdict is not None else row.id
    session.flush()
    session.expunge_all()
    return bool(rows)


def arrived(row: TurnRow) -> bool:
    """Whether a reply was given, and given to its end.

    One whose last bytes were handed to nobody did arrive where the conversation goes on with it.
    """
    turn = row.record
    lost = turn.get("delivered") is False and row.next_kind != "reply"
    return bool(turn.get("token_ids")) and turn.get("finish_reason") != "cancelled" and not lost


def _is_whole(row: TurnRow, verdict: Verdict) -> bool:
    """Whether a reply may teach; of one that was cut at its length a hint may alone."""
    at_length = row.record.get("finish_reason") == "length"
    return arrived(row) and (not at_length or verdict.hint is not None)


def _is_withdrawn(row: TurnRow) -> bool:
    """Whether a version that had learned from a turn was taken back since (learner.rollout.claims).

    Other closed turns have never been judged.
    """
    return row.state == CLOSED and row.reason not in (IDLE, ASKED_AGAIN)


def _settle_state(row: TurnRow, *, judged: bool) -> None:
    if judged:
        row.state = JUDGED
        if row.reason not in _FINAL:
            row.reason = None if row.strength else TEACHES_NOTHING
    elif row.state == JUDGED:  # its judgements were taken away
        row.state, row.reason = (LINKED if row.next_kind else OPEN), None
