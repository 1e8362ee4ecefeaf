"""Turns what somebody said outright about a reply (thumbs, the feedback API) into a judgement.

The last feedback on a turn counts, in the log's order, and it may take back all before it. Only the
principal who asked for the reply may judge it: a stranger's feedback is kept, with no confidence,
and changes nothing.
"""

from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source
from learner.settings import LearnerSettings
from streams.records import Feedback, Judgement, Turn


class ExplicitJudge:
    """Takes feedback for the verdict that it is."""

    source: Source = "explicit"
    reads: KindOfEvidence = Feedback

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return the judgement that a feedback is."""
        if not isinstance(evidence, Feedback):
            return None
        own = evidence.principal == turn.principal
        return Judgement(
            id=evidence.id,
            turn_id=turn.id,
            line=turn.line,
            version=turn.version,
            principal=evidence.principal,
            source=self.source,
            score=evidence.score if own else 0,
            confidence=1.0 if own else 0.0,
            hint=(evidence.hint or "").strip() or None if own else None,
            evidence=_told(evidence) if own else "feedback of another principal: not counted",
            created_ms=evidence.created_ms,
        )


def _told(feedback: Feedback) -> str:
    return "feedback was taken back" if feedback.withdrawn else "feedback"


def open_judge(_: LearnerSettings) -> Judge:
    """Open it; it has no settings."""
    return ExplicitJudge()
