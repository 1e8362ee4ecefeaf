"""A turn as its row, with the hashes by which it is found; and what came in before its time.

Hashes are worked out once, when a turn is taken. Rows of builds that had none get them a little at
a time (`complete`), and are found by their exact chain until then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

from sqlmodel import Session, col, select

from learner.link.lookup import LOOKED_AT, Lookup
from learner.link.pieces import goes_on_unseen, name_key, pieces_of
from streams.records import Turn
from streams.store.states import (
    CHORE,
    CUT,
    OPEN,
    OPTED_OUT,
    SIDE,
    SPEAKING,
    UNSEEN,
    UNTRAINED,
    Reason,
)
from streams.store.tables import TurnRow

# Rows in one go: some ten milliseconds of a transaction.
BATCH: Final = 100


def row_of(turn: Turn, *, sequence: int, taken_ms: int) -> TurnRow:
    """Return the row of a turn that is new to the store.

    taken_ms: when the log took it
    """
    reason, found = why_untrained(turn), asdict(pieces_of(turn))
    row = TurnRow(
        id=turn.id,
        line=turn.line,
        version=turn.version,
        member=turn.member,
        principal=turn.principal,
        session=turn.session,
        key=f"{turn.follows} {turn.key}" if goes_on_unseen(turn) else turn.key,
        prefix_key=turn.prefix_key,
        state=UNTRAINED if reason else OPEN,
        reason=reason,
        sequence=sequence,
        record=turn.model_dump(mode="json"),
        notes=turn.notes or None,
        created_ms=turn.created_ms,
        taken_ms=taken_ms,
        **found,
    )
    if turn.beside is not None:
        _hide(row, found)
    return row


def _hide(row: TurnRow, pieces: Iterable[str]) -> None:
    """Let no request find a reply that nobody has seen: by no hash of what it says, nor session."""
    for name in pieces:
        setattr(row, name, None)
    hidden = f"unseen {row.id}"
    row.session = row.key = row.prefix_key = row.talk_key = hidden


def why_untrained(turn: Turn) -> Reason | None:
    """Return why a turn must not be learned from; None when it may be.

    A reply that was cancelled is nobody's answer, and its words end where nobody ended them.
    """
    if turn.beside is not None:
        return UNSEEN
    if not turn.learn:
        return OPTED_OUT
    if turn.purpose != "main":
        return CHORE if turn.purpose == "chore" else SIDE
    return CUT if turn.finish_reason == "cancelled" else None


def later(session: Session, turn: Turn, reply_key: str | None) -> Sequence[TurnRow]:
    """Return the requests that came in before a turn and may follow it: it may have come late.

    reply_key: of the turn; requests are found by the reply that they end with, by the turn that
        they name, by their session, or by the turn that they were linked to as the newest
    """
    ours = select(TurnRow).where(
        TurnRow.principal == turn.principal,
        TurnRow.line == turn.line,
        TurnRow.created_ms >= turn.created_ms,
        TurnRow.id != turn.id,
        col(TurnRow.state).in_(SPEAKING),
    )
    if session.exec(ours.with_only_columns(TurnRow.id).limit(1)).first() is None:  # type: ignore[call-overload]
        return []
    oldest = ours.order_by(col(TurnRow.created_ms), TurnRow.id).limit(LOOKED_AT)
    alike = [TurnRow.session == turn.session, TurnRow.before_key == name_key(turn.id)]
    if reply_key is not None:
        alike.append(TurnRow.echo_key == reply_key)
    found = {row.id: row for each in alike for row in session.exec(oldest.where(each))}
    for id in _by_few_words(session, turn):
        row = session.get(TurnRow, id)
        if row is not None and row.created_ms >= turn.created_ms and row.state in SPEAKING:
            found[id] = row
    return sorted(found.values(), key=lambda row: (row.created_ms, row.id))


def _by_few_words(session: Session, turn: Turn) -> list[str]:
    """Return requests that were linked to the newest turn, and perhaps would not be with this one.

    Between such a turn and its request none stands, so that it is among those just before this one;
    and none said the same, so that it is among the first behind this one, which shows the words.
    """
    lookup, shown = Lookup(session, turn), pieces_of(turn).echo_key
    linked = [*lookup.newest(), *(lookup.replied_since(shown) if shown is not None else [])]
    return [each.next_turn for each in linked if each.next_layer == "alone" and each.next_turn]


def complete(session: Session, line: str, *, most: int = BATCH) -> int:
    """Give some rows of older builds their hashes, the newest first; return how many got them."""
    bare = (
        select(TurnRow)
        .where(
            TurnRow.line == line,
            col(TurnRow.talk_key).is_(None),
            col(TurnRow.before_key).is_(None),
            col(TurnRow.state).in_(SPEAKING),
        )
        # Adding nothing keeps SQLite from their order, in which it would read every other row.
        .order_by((col(TurnRow.sequence) + 0).desc())
        .limit(most)
    )
    rows = session.exec(bare).all()
    for row in rows:
        turn = Turn.model_validate(row.record)
        for name, value in asdict(pieces_of(turn)).items():
            setattr(row, name, value)
        if row.state == UNTRAINED:
            row.reason = why_untrained(turn)
        session.add(row)
    return len(rows)
