"""Asks judges that take their time, beside the log: nothing that is read waits for them.

What a judge is asked about stands in the store as a judgement without confidence, which counts for
nothing (WAITING), in the transaction that read the evidence: nothing is lost by a crash, and what
is forgotten, deleted or linked anew takes its question along. A few threads ask; a judge that fails
is asked again, and after TRIES its question becomes a dead letter with the cause, as one does whose
words are gone before it was asked. A line's judges are asked about its own turns alone.

Knows nothing of what any judge asks, nor of the log.
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, and_, col, exists, or_, select

from learner.judges.judge import Comparer, Evidence, Judge, judgement_id
from learner.link.conversation import Kind, Link
from streams.records import Judgement, Message, Turn
from streams.store.states import SPEAKING, WAITING
from streams.store.tables import JudgementRow, TurnRow

TRIES: Final = 3
RETRY_S: Final = 30.0  # times the tries so far
THREADS: Final = 2
# Questions of which none has been begun; the store holds all others. So many rows are looked at in
# one go.
HELD: Final = 32
_DUE: Final = (0, -math.inf)  # of what has not failed
# Why a question is given up that no judge was asked.
GONE: Final = "what it asks about is gone: deleted, or too old to be kept"


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked, and the row that waits for the answer."""

    id: str
    source: str
    turn: Turn
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question: a judgement, nothing to say, or why it was given up."""

    question: Question
    judgement: Judgement | None
    given_up: str | None = None


class Later:
    """The judges of a line that take their time. Its methods are for one thread."""

    def __init__(
        self, judges: Sequence[Judge], line: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the judges. clock: seconds since any moment."""
        self.judges: dict[str, Judge] = {judge.source: judge for judge in judges}
        self._line, self._clock = line, clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="judge")
        self._asked: dict[str, tuple[Question, Future[Judgement | None]]] = {}
        self._failed: dict[str, tuple[int, float]] = {}  # tries, and when the next one is due
        self._looked_at: tuple[int, str] | None = None  # the last row; None: begin with the oldest

    def collect(self) -> list[Answer]:
        """Return what has been answered or given up since the last call."""
        answers = []
        for id, (question, future) in list(self._asked.items()):
            if not future.done():
                continue
            del self._asked[id]
            cause = future.exception()
            if cause is None:
                self._failed.pop(id, None)
                answers.append(Answer(question, future.result()))
                continue
            tries = self._failed.pop(id, (0, 0.0))[0] + 1
            if tries < TRIES:
                self._failed[id] = tries, self._clock() + RETRY_S * tries
            else:
                answers.append(Answer(question, None, f"{type(cause).__name__}: {cause}"))
        return answers

    def ask(self, session: Session) -> list[str]:
        """Begin to ask what waits in the store, as far as there is room, a few rows a call.

        What cannot be asked yet is passed over, and looked at again after all others.

        returns: rows that wait for nothing, as what they ask about is gone; they must be taken out
        """
        room, gone = HELD - len(self._asked), list[str]()
        rows = self._waiting(session) if room > 0 else ()
        for row in rows:
            if room == 0:
                return gone
            self._looked_at = row.created_ms, row.id
            if row.id in self._asked or self._failed.get(row.id, _DUE)[1] > self._clock():
                continue
            judge = self.judges[row.source]
            question = question_of(session, row, judge)
            if question is not None:
                self._asked[row.id] = question, self._threads.submit(_judged, judge, question)
                room -= 1
            elif _is_gone(session, row):
                gone.append(row.id)
        if room > 0 and len(rows) < HELD:
            self._looked_at = None
        return gone

    def _waiting(self, session: Session) -> Sequence[JudgementRow]:
        """Read the line's next rows, oldest first, behind the one that was looked at last."""
        ours = exists().where(
            col(TurnRow.id) == col(JudgementRow.turn_id), col(TurnRow.line) == self._line
        )
        query = select(JudgementRow).where(
            col(JudgementRow.source).in_(list(self.judges)), JudgementRow.evidence == WAITING, ours
        )
        order = col(JudgementRow.created_ms), col(JudgementRow.id)
        if self._looked_at is not None:
            at_ms, id = self._looked_at
            query = query.where(or_(order[0] > at_ms, and_(order[0] == at_ms, order[1] > id)))
        return session.exec(query.order_by(*order).limit(HELD)).all()

    def close(self) -> None:
        """Ask nothing more; what is under way ends by its own limit and is asked again."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def waiting_row(row: TurnRow, judge: Judge, evidence: Evidence) -> JudgementRow:
    """Return the row that waits for a judge's verdict on a turn."""
    return JudgementRow(
        id=judgement_id(row.id, judge.source, WAITING.encode()),
        turn_id=row.id,
        principal=row.principal,
        source=judge.source,
        score=0,
        confidence=0.0,
        evidence=WAITING,
        created_ms=evidence.created_ms,
    )


def question_of(session: Session, row: JudgementRow, judge: Judge) -> Question | None:
    """Return what a waiting row asks; None where nothing is there that could be asked about."""
    turn_row = session.get(TurnRow, row.turn_id)
    if turn_row is None or turn_row.state not in SPEAKING:
        return None
    turn = Turn.model_validate(turn_row.record)
    if turn.beside is not None and isinstance(judge, Comparer):
        shown = session.get(TurnRow, turn.beside)
        if shown is None or shown.state not in SPEAKING:
            return None
        return Question(row.id, row.source, turn, Turn.model_validate(shown.record))
    evidence = turn if judge.reads is Turn else link_of(turn_row)
    return None if evidence is None else Question(row.id, row.source, turn, evidence)


def _is_gone(session: Session, row: JudgementRow) -> bool:
    """Whether what a row asks about will never be there again, or what that is compared with."""
    turn = session.get(TurnRow, row.turn_id)
    if turn is None or turn.state not in SPEAKING:
        return True
    shown = session.get(TurnRow, turn.record.get("beside") or "")
    return shown is not None and shown.state not in SPEAKING


def _judged(judge: Judge, question: Question) -> Judgement | None:
    shown = question.evidence
    if isinstance(judge, Comparer) and isinstance(shown, Turn):
        return judge.compare(question.turn, shown)
    return judge.judge(question.turn, shown)


def link_of(row: TurnRow) -> Link | None:
    """Return what followed a turn, as its row has it."""
    kinds: dict[str, Kind] = {"reply": "reply", "branch": "branch"}
    if row.next_kind not in kinds or row.next_ms is None:
        return None
    messages = tuple(Message.model_validate(each) for each in row.next_state or [])
    return Link(row.id, kinds[row.next_kind], messages, row.next_ms, request_id=row.next_turn or "")
