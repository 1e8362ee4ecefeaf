"""The body of a request for embeddings, checked: an error names the parameter at fault.

Knows nothing of HTTP, nor of what embeds.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from agent.http.form import Form, read_form, refuse

MAX_TEXTS: Final = 2048  # OpenAI's own limit


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and not all(isinstance(each, str) for each in value):
        refuse("only texts can be embedded, not token ids: their tokens are another model's")
    return value


Text = Annotated[str, Field(min_length=1)]


class EmbeddingRequest(Form):
    """The body of POST /v1/embeddings."""

    model: str
    input: Annotated[
        list[Text],
        BeforeValidator(_texts, json_schema_input_type=Text | list[Text]),
        Field(min_length=1, max_length=MAX_TEXTS),
    ]
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="float32, as bytes"
    )
    dimensions: int | None = Field(None, ge=1, description="the embedder's own, or left out")
    user: str | None = None


def read_embedding(body: bytes) -> EmbeddingRequest:
    """Check the body of a request for embeddings. Raises: InvalidError, naming the parameter."""
    return read_form(EmbeddingRequest, body)
