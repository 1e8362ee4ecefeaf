"""Finds notes that the weights have made needless: without them the lesson is as likely as with.

For each active note, its lesson's newest accepted rewrites are scored by the serving version behind
the plain prompt and behind the prompt with the note. Where the mean without it is no lower, but for
a gap of the settings, the note only costs tokens.

Forward passes; writes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sqlmodel import Session, col, exists, select

from kernels.contract import Backend
from learner.batch import hints
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.errors import TemplateRefusedError
from streams.notes import with_notes
from streams.records import Turn
from streams.store.given import given
from streams.store.lesson_tables import NoteRow
from streams.store.tables import TurnRow

# Rewrites that a note is measured on, and notes that one version is measured for.
REWRITES: Final = 4
NOTES: Final = 32
# Turns of a lesson that are looked at for them: not every rewrite is accepted.
LOOKED_AT: Final = 64


@dataclass(frozen=True, slots=True)
class Measured:
    """A note, with the passages that it is measured on: plain ones, then noted ones."""

    note: str
    plain: tuple[Passage, ...]
    noted: tuple[Passage, ...]


def to_measure(
    session: Session, line: str, serving: Serving, settings: LearnerSettings
) -> list[Measured]:
    """Read the active notes of a line that have rewrites to be measured on.

    Of many each version measures some, and the next one those behind them: none that stays, or
    whose rewrites are no lessons, keeps the others from being looked at.
    """
    rewritten = exists().where(col(TurnRow.lesson) == col(NoteRow.lesson), given(TurnRow.target))
    active = select(NoteRow.id).where(NoteRow.line == line, NoteRow.state == "active", rewritten)
    ids = session.exec(active.order_by(col(NoteRow.created_ms), NoteRow.id)).all()
    first = len(serving.chain) * NOTES % max(1, len(ids)) if len(ids) > NOTES else 0
    found = []
    for id in [*ids[first:], *ids[:first]][:NOTES]:
        note = session.get_one(NoteRow, id)
        newest = (
            select(TurnRow)
            .where(TurnRow.lesson == note.lesson, given(TurnRow.target))
            .order_by(col(TurnRow.created_ms).desc(), TurnRow.id)
            .limit(LOOKED_AT)
        )
        passages = (_passages(row, note.text, serving, settings) for row in session.exec(newest))
        pairs = list(islice((pair for pair in passages if pair is not None), REWRITES))
        if pairs:
            plain, noted = zip(*pairs, strict=True)
            found.append(Measured(note.id, plain, noted))
    return found


def needless(
    measured: list[Measured],
    serving: Serving,
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Callable[[], None],
) -> list[str]:
    """Return the ids of the notes without which the serving version does as well."""
    found = []
    for each in measured:
        passages = [*each.plain, *each.noted]
        scores = logprobs(serving.decoder, passages, backend=backend, pause=pause)
        means = [float(tokens.double().mean()) for (tokens,) in scores]
        half = len(each.plain)
        gap = (sum(means[half:]) - sum(means[:half])) / half
        if gap <= settings.note_gap_nats:
            found.append(each.note)
    return found


def _passages(
    row: TurnRow, text: str, serving: Serving, settings: LearnerSettings
) -> tuple[Passage, Passage] | None:
    """Return a turn's rewrite behind its prompt, and behind its prompt with a note."""
    target = tuple((row.target or {}).get("token_ids") or ())
    if not target or not row.record:
        return None
    turn = Turn.model_validate(row.record)
    prompts = []
    for texts in ((), (text,)):
        try:
            prompt = serving.base.render(
                with_notes(turn.messages, texts), turn.tools, continues=turn.continues
            )
        except TemplateRefusedError:
            return None
        prompts.append(hints.cut_left(prompt, settings.max_prompt_tokens))
    plain, noted = prompts
    return Passage(plain, (target,)), Passage(noted, (target,))
