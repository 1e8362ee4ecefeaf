"""Reads complaints, wishes, praise and thanks in what a person said after a reply; no model.

Clause by clause, in eight languages: whose words these are (reading), what each clause is, and what
the whole message says of the reply (acts).
"""

from typing import Final

from learner.judges.acts.message import Heard, hear
from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source, judgement_of, said_in
from learner.judges.reading.reading import read
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Judgement, Turn

# Who edits a question may have been unhappy with it, and not with the reply.
EDITED: Final = 0.15


class LexicalJudge:
    """Rules over the next state."""

    source: Source = "lexical"
    reads: KindOfEvidence = Link

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return a verdict, 0 where the words have none; None when no person has spoken yet."""
        if not isinstance(evidence, Link) or evidence.kind == "retry":
            return None
        reading = read(turn, evidence)
        if reading is None or reading.origin == "program":
            return None
        if evidence.kind == "branch":
            edited = Heard(0, "nothing", "the request was edited", EDITED)
            return _judgement(turn, evidence, edited)
        return _judgement(turn, evidence, hear(reading))


def open_judge(_: LearnerSettings) -> Judge:
    """Open it; it has no settings."""
    return LexicalJudge()


def _judgement(turn: Turn, link: Link, heard: Heard) -> Judgement:
    return judgement_of(
        turn,
        "lexical",
        said_in(link),
        score=heard.score,
        confidence=heard.confidence,
        hint=heard.hint,
        evidence=heard.rule,
        created_ms=link.created_ms,
    )
