"""Turns the bodies of feedback requests into Ratings, and the record kept of one into the answer.

Knows nothing of HTTP, nor of whose the reply was.
"""

from typing import Final, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from agent.http.form import Form, read_form, refuse, words
from agent.http.links import Link
from agent.turn.recorder import Rating
from streams.records import Feedback

MAX_CHARS: Final = 4000
DAY_S: Final = 24 * 60 * 60


class FeedbackRequest(Form):
    """The body of PUT /v1/feedback/{response_id}: a score or a thumb, a hint, a comment."""

    score: int | None = Field(None, ge=-1, le=1)
    thumb: Literal["up", "down"] | None = None
    hint: str | None = Field(
        None, max_length=MAX_CHARS, description="what the reply should have done"
    )
    comment: str | None = Field(None, max_length=MAX_CHARS, description="for people")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.score is not None and self.thumb is not None:
            refuse('score: give either score (-1, 0 or 1) or thumb ("up" or "down")')
        if (
            self.score is None
            and self.thumb is None
            and not (words(self.hint) or words(self.comment))
        ):
            refuse("score: give a score (-1, 0 or 1), a thumb, a hint or a comment")
        return self

    def rating(self) -> Rating:
        """What is said of the reply; a thumb is worth one, no score is 0."""
        hint, comment = words(self.hint), words(self.comment)
        if self.thumb is not None:
            return Rating(1 if self.thumb == "up" else -1, hint, comment)
        score = self.score or 0
        return Rating(0 if score == 0 else 1 if score > 0 else -1, hint, comment)


class LinkRequest(Form):
    """The body of POST /v1/feedback/{response_id}/link."""

    expires_in_s: int = Field(
        7 * DAY_S, ge=60, le=90 * DAY_S, description="how long the link holds, seconds"
    )


def read_feedback(body: bytes) -> Rating:
    """Check the body of a feedback request. Raises: InvalidError, which names the parameter."""
    return read_form(FeedbackRequest, body).rating()


def read_link(body: bytes) -> LinkRequest:
    """Check the body of a request for a link; an empty one asks for the usual."""
    return read_form(LinkRequest, body or b"{}")


class KeptFeedback(TypedDict):
    """Feedback that is on disk."""

    id: str
    object: Literal["feedback"]
    response_id: str
    score: int  # 0: none was given, or neither good nor bad
    hint: str | None
    comment: str | None
    created: int


class WithdrawnFeedback(TypedDict):
    """What was said of a response is taken back."""

    id: str
    object: Literal["feedback.deleted"]
    response_id: str
    deleted: Literal[True]


class FeedbackLink(TypedDict):
    """Where whoever holds it may rate a response, until a moment, without a key."""

    object: Literal["feedback.link"]
    response_id: str
    url: str
    expires: int


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


def withdrawn(record: Feedback) -> WithdrawnFeedback:
    """The answer when feedback has been taken back."""
    return {
        "id": record.id,
        "object": "feedback.deleted",
        "response_id": record.turn_id,
        "deleted": True,
    }


def link_of(link: Link, url: str) -> FeedbackLink:
    """The answer to a request for a link."""
    return {
        "object": "feedback.link",
        "response_id": link.response_id,
        "url": url,
        "expires": link.ends_s,
    }
