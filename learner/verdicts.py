"""Keeps what judges say of turns: asked at once or later, given outright, taken back, replaced.

Each change leaves the turn's row as all its judgements together have it, and what is kept is
published in the same transaction.

Knows nothing of the log's entries, nor of what a judge reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, delete, select

from learner.batch import standing
from learner.judges.judge import Comparer, Evidence, Judge, Verdict, combine
from learner.judges.rows import judgements_of, keep
from learner.judges.slow.later import GONE, Answer, Later, link_of, waiting_row
from learner.lessons import notes
from learner.lessons.assign import assign, drop_refused, let_go
from learner.lessons.notes import NoteRules
from learner.link.conversation import Link
from streams.log import dead_letters
from streams.log.contract import outgoing
from streams.model.embedding.embed import Embedder
from streams.records import Feedback, Judgement, Turn
from streams.store import outbox
from streams.store.lease import Writing
from streams.store.states import CHORE, EARLY, OPEN, RATED_TOO_LATE, SPEAKING, UNTRAINED
from streams.store.store import Store
from streams.store.tables import JudgementRow, TurnRow


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays the same from poll to poll."""

    line: str
    judges: tuple[Judge, ...]
    idle_close_ms: int
    max_record_bytes: int
    slow: tuple[Judge, ...] = ()  # asked beside the log (learner.judges.slow.later)
    embedder: Embedder | None = None  # tells wishes in other words; None: words alone do
    notes: NoteRules | None = None  # None: no wish acts as a note


def judge(session: Session, row: TurnRow, evidence: Evidence, rules: Rules) -> None:
    """Ask every judge that reads this kind of evidence, or note that it is to be asked."""
    for slow in rules.slow:
        if isinstance(evidence, slow.reads):
            session.merge(waiting_row(row, slow, evidence))
    turn = turn_of(row)
    asked = [each for each in rules.judges if isinstance(evidence, each.reads)]
    given = [judgement for each in asked if (judgement := each.judge(turn, evidence)) is not None]
    if given:
        _note(session, row, given, rules, anew=True)


def judge_unseen(session: Session, row: TurnRow, turn: Turn, rules: Rules) -> None:
    """Ask the judges that need nobody's words about a reply that nobody has seen.

    Programs verify it as any other; a model compares it with the reply that was shown.
    """
    judge(session, row, turn, rules)
    for slow in rules.slow:
        if isinstance(slow, Comparer):
            session.merge(waiting_row(row, slow, turn))


def says_something(session: Session, row: TurnRow, rules: Rules) -> bool:
    """Return whether what follows a turn has been judged as praise or complaint."""
    sources = {judge.source for judge in rules.judges if judge.reads is Link}
    given = judgements_of(session, [row])[row.id]
    return _is_signed(combine([each for each in given if each.source in sources]))


def would_say(row: TurnRow, link: Link, rules: Rules) -> bool:
    """Return whether what another request says would be; only the judges that answer at once are
    asked."""
    asked = [each.judge(turn_of(row), link) for each in rules.judges if each.reads is Link]
    return _is_signed(combine([each for each in asked if each is not None]))


def _is_signed(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.score != 0


def drop_verdicts(session: Session, row: TurnRow, rules: Rules) -> None:
    """Take away what was judged by another next state: it is no verdict any more."""
    sources = [judge.source for judge in (*rules.judges, *rules.slow) if judge.reads is Link]
    gone = delete(JudgementRow).where(
        col(JudgementRow.turn_id) == row.id, col(JudgementRow.source).in_(sources)
    )
    if session.exec(gone).rowcount:
        _settle(session, row, rules)


def _settle(
    session: Session,
    row: TurnRow,
    rules: Rules,
    *,
    given: Sequence[Judgement] | None = None,
    anew: bool = False,
) -> None:
    """Let a turn be what all its judgements come to, its lesson and the lesson's note included.

    given: all of them, where they have been read already
    anew: whether somebody has said something of it just now
    """
    before = row.lesson
    if given is None:
        given = judgements_of(session, [row])[row.id]
    verdict = standing.settle(session, row, given=given, anew=anew)
    if row.state == UNTRAINED:
        return
    if not row.strength:
        verdict = None  # a reply that was cut or lost is no lesson
    lesson = assign(session, row, verdict, embedder=rules.embedder)
    session.flush()
    if lesson is not None and lesson.id != before and rules.notes is not None:
        notes.consider(session, row, lesson, given, rules.notes)
    if before is not None and before != row.lesson:
        notes.taken_away(session, before, turn_id=row.id)
        if let_go(session, row, before):
            notes.let_go(session, before)


def take_feedback(session: Session, feedback: Feedback, rules: Rules) -> None:
    """Take feedback; it waits when it overtook its turn, no longer than a turn is kept."""
    row = session.get(TurnRow, feedback.turn_id)
    if row is not None and row.line != feedback.line:
        raise ValueError(f"the turn {row.id} is one of {row.line}, not of {feedback.line}")
    if row is not None and row.state not in SPEAKING:
        row.reason = RATED_TOO_LATE  # nothing is known of it any more that could be judged
        session.add(row)
        return
    if row is not None:
        _drop_feedback(session, feedback)
        if feedback.withdrawn:
            _withdraw(session, row, feedback, rules)
            return
        _revive(row, feedback.principal)
        judge(session, row, feedback, rules)
        return
    _drop_feedback(session, feedback)
    if feedback.withdrawn:
        return
    session.add(
        JudgementRow(
            id=feedback.id,
            turn_id=feedback.turn_id,
            principal=feedback.principal,
            source="explicit",
            score=feedback.score,
            confidence=1.0,
            hint=feedback.hint,
            evidence=EARLY,
            created_ms=feedback.created_ms,
        )
    )


def _revive(row: TurnRow, principal: str) -> None:
    """Let a chore that its own principal rates be none: somebody has read it."""
    if row.reason == CHORE and principal == row.principal:
        row.state, row.reason = OPEN, None


def revive_rated(session: Session, row: TurnRow) -> None:
    """Do so with a turn whose rating has overtaken it, before anything is linked to it."""
    waiting = select(JudgementRow.principal).where(
        JudgementRow.turn_id == row.id, JudgementRow.source == "explicit"
    )
    for principal in session.exec(waiting).all():
        _revive(row, principal)


def _drop_feedback(session: Session, feedback: Feedback) -> None:
    """Take away what its principal said of the turn before: the log's order decides, no clock."""
    said = delete(JudgementRow).where(
        col(JudgementRow.turn_id) == feedback.turn_id,
        col(JudgementRow.source) == "explicit",
        col(JudgementRow.principal) == feedback.principal,
    )
    if session.exec(said).rowcount:
        drop_refused(session, feedback.turn_id)


def _withdraw(session: Session, row: TurnRow, feedback: Feedback, rules: Rules) -> None:
    """Let a turn stand as if it had not been rated, and publish that its rating is gone."""
    _settle(session, row, rules)
    for judge in rules.judges:
        gone = judge.judge(turn_of(row), feedback) if judge.reads is Feedback else None
        if gone is not None:
            outbox.put(session, "judgements", row.session, gone, line=row.line)


def judge_early_feedback(session: Session, row: TurnRow, turn: Turn, rules: Rules) -> None:
    waiting = select(JudgementRow).where(
        JudgementRow.turn_id == turn.id, JudgementRow.source == "explicit"
    )
    for early in session.exec(waiting).all():
        feedback = Feedback.model_validate(
            {
                "id": early.id,
                "turn_id": turn.id,
                "line": turn.line,
                "principal": early.principal,
                "session": turn.session,
                "score": early.score,
                "hint": early.hint,
                "created_ms": early.created_ms,
            }
        )
        # Another line's learner may be forgetting it just now: then nothing is left to delete.
        session.exec(delete(JudgementRow).where(col(JudgementRow.id) == early.id))
        judge(session, row, feedback, rules)


def _note(
    session: Session,
    row: TurnRow,
    judgements: Sequence[Judgement],
    rules: Rules,
    *,
    anew: bool = False,
) -> None:
    """Keep judgements, let the turn be what all of them come to, and publish them.

    anew: whether they are of what somebody has said just now
    """
    given = keep(session, row, judgements)
    _settle(session, row, rules, given=given, anew=anew)
    for judgement in judgements:
        outbox.put(session, "judgements", row.session, judgement, line=row.line)


def use_answers(later: Later, store: Store, writing: Writing, rules: Rules) -> None:
    """Note what judges have said that take their time, and ask them what waits.

    writing: a transaction of the line's learner
    """
    answers = later.collect()
    if answers:
        with writing() as session:
            take_answers(session, answers, rules)
    with store.reading() as session:
        gone = later.ask(session)
    if gone:
        with writing() as session:
            give_up_gone(session, gone, rules)


def give_up_gone(session: Session, ids: Sequence[str], rules: Rules) -> None:
    """Let questions wait no longer of which nothing is left that could be asked about."""
    for id in ids:
        waiting = session.get(JudgementRow, id)
        row = session.get(TurnRow, waiting.turn_id) if waiting is not None else None
        if waiting is not None and row is not None:
            session.delete(waiting)
            _give_up(session, row, waiting, GONE, rules)


def take_answers(session: Session, answers: Sequence[Answer], rules: Rules) -> None:
    """Note what judges have said that were asked beside the log.

    An answer counts for what it was asked about: not for a turn that is gone, or that another
    request has been found to follow meanwhile, which is asked about anew.
    """
    for answer in answers:
        waiting = session.get(JudgementRow, answer.question.id)
        row = session.get(TurnRow, answer.question.turn.id)
        if waiting is None or row is None or row.state not in SPEAKING:
            continue
        linked = answer.question.evidence
        if isinstance(linked, Link) and link_of(row) != linked:
            continue
        session.delete(waiting)
        session.flush()
        if answer.judgement is not None:
            _note(session, row, [answer.judgement], rules)
        elif answer.given_up is not None:
            _give_up(session, row, waiting, answer.given_up, rules)


def _give_up(
    session: Session, row: TurnRow, waiting: JudgementRow, cause: str, rules: Rules
) -> None:
    """Send what a judge could not be asked to the dead letters, with the cause."""
    body = waiting.model_dump() | {"line": row.line, "version": row.version}
    asked = outgoing("judgements", f"{row.line}/{row.session}", Judgement.model_validate(body))
    letter = dead_letters.letter_of(
        asked, cause, max_bytes=rules.max_record_bytes, now_ms=waiting.created_ms
    )
    outbox.put(session, dead_letters.TOPIC, letter.id, letter, line=rules.line)


def turn_of(row: TurnRow) -> Turn:
    """Return the turn that a row holds."""
    return Turn.model_validate(row.record)
