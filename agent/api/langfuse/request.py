"""Turns Langfuse's scores into Ratings, where they say plainly what a person thinks of a reply.

A score is about the response whose id is its observationId, or else its traceId. Scores of every
kind look alike there ("toxicity" 1 is no praise), so only names of the settings are read, and of
numbers only those that cannot be mistaken: 1 is good, −1 is bad, and 0 is bad, as Langfuse's own
thumbs send it. A correction becomes a hint, a text a comment. Each is a score of its own there, so
that it replaces its like alone.

Knows nothing of HTTP.
"""

import re
from collections.abc import Collection
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import TypedDict

from agent.errors import InvalidError
from agent.http.form import Form, read_form, refuse, words
from agent.turn.recorder import Rating

MAX_SCORES: Final = 500  # of one request; Langfuse's clients send 15 together unless told otherwise
MAX_CHARS: Final = 4000
_WORDS: Final[dict[str, Literal[-1, 1]]] = {
    "up": 1, "positive": 1, "good": 1, "like": 1, "correct": 1, "true": 1, "yes": 1, "👍": 1,
    "down": -1, "negative": -1, "bad": -1, "dislike": -1, "incorrect": -1, "false": -1, "no": -1,
    "👎": -1,
}  # fmt: skip
# The same as others say it, without what spellings differ in.
_ALSO: Final[dict[str, Literal[-1, 1]]] = {
    "thumbsup": 1, "thumbup": 1, "liked": 1, "helpful": 1, "right": 1,
    "thumbsdown": -1, "thumbdown": -1, "disliked": -1, "unhelpful": -1, "nothelpful": -1,
    "wrong": -1,
}  # fmt: skip
_NUMBERS: Final[dict[str, Literal[-1, 1]]] = {"1": 1, "+1": 1, "0": -1, "-1": -1}


class Score(Form):
    """One score."""

    id: str | None = Field(None, max_length=256)
    name: str
    value: bool | float | str
    traceId: str | None = None  # noqa: N815  # as Langfuse spells it
    observationId: str | None = None  # noqa: N815
    dataType: Literal["NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"] | None = None  # noqa: N815
    comment: str | None = Field(None, max_length=MAX_CHARS)

    @model_validator(mode="after")
    def _is_of_a_response(self) -> Self:
        if not (self.observationId or self.traceId):
            refuse("traceId: give the response's id as traceId or observationId")
        return self

    @property
    def response_id(self) -> str:
        """The response that it is about."""
        return self.observationId or self.traceId or ""


class Scores(Form):
    """Several scores, which Langfuse's newer clients send as a list; each is checked by itself."""

    batch: list[Any] = Field(min_length=1, max_length=MAX_SCORES)


class Event(Form):
    """One event of Langfuse's older clients; those that are no scores are passed over."""

    id: str
    type: str
    body: dict[str, Any] = Field({})


class Ingestion(Form):
    """The body of POST /api/public/ingestion: events, each checked by itself."""

    batch: list[Any] = Field(
        max_length=MAX_SCORES, description='{"id", "type", "body"}; scores are "score-create"'
    )


class ScoreKept(TypedDict):
    """A score that is on disk as feedback."""

    id: str


class ScoresAccepted(TypedDict):
    """All scores of a list are on disk."""

    message: Literal["Accepted"]


class ScoreError(TypedDict):
    """Why one score was not taken."""

    message: str


class ScoresDivided(TypedDict):
    """Some scores of a list were not taken."""

    accepted: int
    rejected: int
    errors: list[ScoreError]


class EventKept(TypedDict):
    """An event that was used, or passed over."""

    id: str
    status: int


class EventRefused(TypedDict):
    """An event that was not taken."""

    id: str
    status: int
    message: str


class Ingested(TypedDict):
    """What became of each event."""

    successes: list[EventKept]
    errors: list[EventRefused]


def read_scores(body: bytes) -> Score | list[Any]:
    """Check the body of POST /api/public/scores: one score, or a list of them, unchecked.

    raises: InvalidError, which names the parameter
    """
    if body.lstrip()[:1] == b"[":
        return read_form(Scores, b'{"batch":' + body + b"}").batch
    return read_form(Score, body)


def rating_of(score: Score, names: Collection[str]) -> Rating:
    """Return what a score says. names: those that are taken for a person's verdict on a reply.

    raises: InvalidError where it says nothing plain, naming what is read
    """
    if score.dataType == "CORRECTION":
        return Rating(hint=_text(score), comment=score.comment)
    if _plain(score.name) not in {_plain(name) for name in names}:
        raise InvalidError(
            f"name: {score.name[:100]!r} is not taken for feedback: agent.score_names has"
            f" {', '.join(names)}",
            param="name",
            code="score_not_read",
        )
    if score.dataType == "TEXT":
        return Rating(comment=_text(score))
    return Rating(_sign(score), comment=score.comment)


def _text(score: Score) -> str:
    said = words(score.value) if isinstance(score.value, str) else None
    if said is None or len(said) > MAX_CHARS:
        raise InvalidError(f"value: a text of at most {MAX_CHARS} characters", param="value")
    return said


def _sign(score: Score) -> Literal[-1, 1]:
    found: Literal[-1, 1] | None = None
    if isinstance(score.value, str):
        said = score.value.strip().lower()
        joined = re.sub(r"[\s_-]+", "", said)
        found = _NUMBERS.get(said) or _WORDS.get(said) or _ALSO.get(joined)
    elif score.value in (-1, 0, 1):
        found = 1 if score.value == 1 else -1
    if found is None:
        raise InvalidError(
            "value: 1 is good, 0 and -1 are bad, or one of " + ", ".join(_WORDS)
            + "; what lies between is no verdict",
            param="value",
            code="score_not_read",
        )  # fmt: skip
    return found


def _plain(name: str) -> str:
    """Return a name without what its spellings differ in.

    >>> _plain("User-Feedback") == _plain("user_feedback")
    True
    """
    return re.sub(r"[\W_]+", "", name).lower()
