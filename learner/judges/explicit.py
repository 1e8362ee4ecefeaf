"""Turns what somebody said outright about a reply (thumbs, the feedback API) into a judgement.

The last feedback on a turn counts, so a thumb can be taken back. Only who asked for the reply may
judge it: a stranger's feedback is kept, with no confidence, and changes nothing.
"""

from streams.records import Feedback, Judgement, Turn


def judge_feedback(feedback: Feedback, turn: Turn) -> Judgement:
    """Give the judgement that a feedback is."""
    own = feedback.principal == turn.principal
    return Judgement(
        id=feedback.id,
        turn_id=turn.id,
        line=turn.line,
        version=turn.version,
        principal=feedback.principal,
        source="explicit",
        score=feedback.score if own else 0,
        confidence=1.0 if own else 0.0,
        hint=(feedback.hint or "").strip() or None if own else None,
        evidence="feedback" if own else "feedback of another principal: not counted",
        created_ms=feedback.created_ms,
    )
