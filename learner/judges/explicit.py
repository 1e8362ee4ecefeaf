"""Turns what somebody said outright about a reply (thumbs, the feedback API) into a judgement.

The last feedback on a turn counts, in the log's order, and it may take back all before it. Only the
principal who asked for the reply may judge it: a stranger's feedback is kept, with no confidence,
and changes nothing. A hint beside a thumb up is a wish for replies to come, and the reply pleased
all the same; what only praises ("great answer") is no hint.
"""

import re
from typing import Final

from learner.form.directions import directions_of
from learner.judges.acts.message import hear
from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source
from learner.judges.reading.reading import read_text
from learner.settings import LearnerSettings
from streams.records import Feedback, Judgement, Turn

# Behind these a praise goes on with what pleased.
_GOES_ON: Final = re.compile(
    r"[:：;；–—]"
    r"|\b(?:when|whenever|if|that you|wenn|dass du|quand|lorsque|si|que tu|cuando|quando)\b",
    re.IGNORECASE,
)
_ANOTHERS: Final = "feedback of another principal: not counted"


class ExplicitJudge:
    """Takes feedback for the verdict that it is."""

    source: Source = "explicit"
    reads: KindOfEvidence = Feedback

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return the judgement that a feedback is."""
        if not isinstance(evidence, Feedback):
            return None
        own = evidence.principal == turn.principal
        hint = (evidence.hint or "").strip() if own else ""
        praises = evidence.score > 0 and _praises(hint)
        return Judgement(
            id=evidence.id,
            turn_id=turn.id,
            line=turn.line,
            version=turn.version,
            principal=evidence.principal,
            source=self.source,
            score=evidence.score if own else 0,
            confidence=1.0 if own else 0.0,
            hint=None if praises else hint or None,
            evidence=_told(evidence, praises=praises) if own else _ANOTHERS,
            created_ms=evidence.created_ms,
        )


def _praises(words: str) -> bool:
    """Tell whether words only praise: behind a colon, or a "when", is what is wanted again."""
    if _GOES_ON.search(words) or directions_of(words):
        return False
    return hear(read_text("", "", words)).score > 0


def _told(feedback: Feedback, *, praises: bool) -> str:
    if praises:
        return "feedback; hint refused: it is praise"
    return "feedback was taken back" if feedback.withdrawn else "feedback"


def open_judge(_: LearnerSettings) -> Judge:
    """Open it; it has no settings."""
    return ExplicitJudge()
