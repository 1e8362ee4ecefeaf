"""Turns the body with which Open WebUI keeps a thumb into a Rating, and finds whose message it is.

Open WebUI sends thumbs to its own backend alone (POST /api/v1/evaluations/feedback), never to the
connection that replied; a proxy in front of it can repeat that request to us. The message's name is
its own, which it sends along with requests for replies where ENABLE_FORWARD_USER_INFO_HEADERS is
set (agent.turn.named). Whatever else the body has, the whole chat among it, is passed over.

Knows nothing of HTTP.
"""

from typing import Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from agent.http.form import Form, read_form
from agent.turn.recorder import Rating

MAX_CHARS: Final = 4000


class ThumbData(Form):
    """What is thought of the message: 1 or −1, and why."""

    rating: int | None = Field(None, ge=-1, le=1)
    reason: str | None = Field(None, max_length=MAX_CHARS, description="one of a list of its own")
    comment: str | None = Field(None, max_length=MAX_CHARS)


class ThumbMeta(Form):
    """Which message."""

    message_id: str = Field(min_length=1, max_length=128)
    chat_id: str | None = None


class ThumbRequest(Form):
    """The body of POST /api/v1/evaluations/feedback."""

    type: str = "rating"
    data: ThumbData
    meta: ThumbMeta

    def rating(self) -> Rating:
        """What is said of the reply; without a thumb nothing is, any more."""
        score = self.data.rating or 0
        said = [each for each in (self.data.reason, self.data.comment) if each and each.strip()]
        if score == 0 and not said:
            return Rating(withdrawn=True)
        comment = ": ".join(said)[:MAX_CHARS] or None
        return Rating(0 if score == 0 else 1 if score > 0 else -1, comment=comment)


class KeptThumb(TypedDict):
    """What is on disk, as Open WebUI spells it."""

    id: str
    type: str
    data: dict[str, Any]
    meta: dict[str, Any]
    created_at: int
    updated_at: int


def read_thumb(body: bytes) -> ThumbRequest:
    """Check the body of a thumb. Raises: InvalidError, which names the parameter."""
    return read_form(ThumbRequest, body)
