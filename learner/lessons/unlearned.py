"""Lets notes act again that a version had made needless which what serves does not stand on.

A note is retired by a version. Whatever serves next either stands on that version or has not
learned what the note says, as after a rollback or a reset, whoever made it: then its person would
have neither the note nor the weights.
"""

from sqlmodel import Session, col, select

from learner.lessons import notes
from learner.lessons.notes import NoteRules
from streams.records import Rollout
from streams.store.lesson_tables import NoteRow
from streams.store.tables import RecipeRow


def unlearned(session: Session, rollout: Rollout, rules: NoteRules) -> None:
    """Let the notes act again whose versions a change of the line leaves; the caller commits.

    Each is measured anew with what serves, and with each version that follows.

    rollout: the change, which has counted; every one before it has been through here
    """
    if rollout.version == rollout.previous:
        return
    retired = select(NoteRow).where(NoteRow.line == rollout.line, NoteRow.state == "retired")
    newest = col(NoteRow.version).desc(), col(NoteRow.created_ms).desc(), NoteRow.id
    rows = session.exec(retired.order_by(*newest)).all()
    kept = _shared(session, rollout.previous, rollout.version) if rows else 0
    for row in rows:
        if (row.version or 0) > kept:
            notes.act_again(session, row, rules, moment=rollout.id)


def _shared(session: Session, one: str, other: str) -> int:
    """Return the number of the newest version that two stand on; 0: the base, or not known."""
    first, second = _made(session, one), _made(session, other)
    while one != other and (first or second):
        behind, ahead = first[0] if first else 0, second[0] if second else 0
        if first and behind >= ahead:
            one, first = first[1], _made(session, first[1])
        if second and ahead >= behind:
            other, second = second[1], _made(session, second[1])
    return first[0] if first and one == other else 0


def _made(session: Session, version: str) -> tuple[int, str] | None:
    """Return a version's number and its parent; None: the base, or one that is not known."""
    made = select(RecipeRow.number, RecipeRow.parent).where(RecipeRow.version == version)
    found = session.exec(made).first()
    return None if found is None else (found[0], found[1])
