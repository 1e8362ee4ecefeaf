"""Turns the body of a feedback request into a Rating, and the record kept of it into the answer.

Knows nothing of HTTP, nor of whose the reply was.
"""

from typing import Literal, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from agent.http.form import Form, read_form, refuse
from agent.turn.recorder import Rating
from streams.records import Feedback


class FeedbackRequest(Form):
    """The body of PUT /v1/feedback/{response_id}: a score or a thumb, and what it rests on."""

    score: int | None = Field(None, ge=-1, le=1)
    thumb: Literal["up", "down"] | None = None
    hint: str | None = Field(None, max_length=4000)
    comment: str | None = Field(None, max_length=4000)

    @model_validator(mode="after")
    def _score_or_thumb(self) -> Self:
        if (self.score is None) == (self.thumb is None):
            refuse('score: give either score (-1, 0 or 1) or thumb ("up" or "down")')
        return self

    def rating(self) -> Rating:
        """What is said of the reply; a thumb is worth one."""
        score = self.score if self.score is not None else 1 if self.thumb == "up" else -1
        return Rating(0 if score == 0 else 1 if score > 0 else -1, self.hint, self.comment)


def read_feedback(body: bytes) -> Rating:
    """Check the body of a feedback request. Raises: InvalidError, which names the parameter."""
    return read_form(FeedbackRequest, body).rating()


class KeptFeedback(TypedDict):
    """Feedback that is on disk."""

    id: str
    object: Literal["feedback"]
    response_id: str
    score: int
    hint: str | None
    comment: str | None
    created: int


def kept(record: Feedback) -> KeptFeedback:
    """The answer to feedback that is on disk."""
    return {
        "id": record.id,
        "object": "feedback",
        "response_id": record.turn_id,
        "score": record.score,
        "hint": record.hint,
        "comment": record.comment,
        "created": record.created_ms // 1000,
    }
