"""The body of a request for embeddings, checked: an error names the parameter at fault.

What would change a vector, and other servers take, is refused by its name: a query is no passage
of an index, and a vector of bytes none of floats. A value that asks for what is done here anyway
passes, and so does a name that is known of no server.

Knows nothing of HTTP, nor of what embeds.

Sources: OpenAI's reference, "Create embeddings"; vLLM's vllm/entrypoints/pooling; what TEI, NIM,
Cohere, Voyage, Jina, Mistral, Gemini, llama.cpp and Ollama take beside.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from agent.http.form import Form, read_form, refuse

MAX_TEXTS: Final = 2048  # OpenAI's own limit
# What would change a vector → values beside null that ask for what is done here.
CHANGES: Final[dict[str, tuple[Any, ...]]] = {
    # what a text is for, or what stands before it
    "input_type": ("query",), "prompt_type": ("query",), "task": (), "task_type": (),
    "prompt_name": (), "prompt": (), "prompt_template": (), "instruction": (), "title": (),
    # what is embedded, where it is no list of texts
    "texts": (), "inputs": (), "content": (), "messages": (), "images": ([],), "prompts": (),
    "modality": ("text",), "late_chunking": (False,),
    # how much of a text is read: its first tokens, as many as the embedder reads
    "truncate": (True, "END", "end"), "truncation": (True,), "truncation_direction": ("Right",),
    "truncate_prompt_tokens": (-1,), "add_special_tokens": (True,), "options": ({},),
    # which vector is told, and as what numbers
    "normalize": (True,), "normalized": (True,), "embd_normalize": (2,), "use_activation": (True,),
    "pooling": ("mean",), "pooling_type": ("mean",), "return_multivector": (False,),
    "output_dimension": (), "output_dimensionality": (), "embedding_type": ("float",),
    "embedding_types": ([], ["float"]), "output_dtype": ("float",), "embed_dtype": ("float32",),
    "endianness": ("native", "little"), "extra_body": ({},),
}  # fmt: skip


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and not all(isinstance(each, str) for each in value):
        refuse("only texts can be embedded, not token ids: their tokens are another model's")
    return value


def _is(value: Any, harmless: Any) -> bool:
    """Whether two values of JSON are one: to Python 1 is true, too."""
    return type(value) is type(harmless) and bool(value == harmless)


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

    @model_validator(mode="before")
    @classmethod
    def _nothing_else(cls, body: Any) -> Any:
        if isinstance(body, dict):
            for name in body.keys() & CHANGES.keys():
                if not any(_is(body[name], harmless) for harmless in (None, *CHANGES[name])):
                    refuse("{name}: vectors are made in one way here: leave it out", name=name)
        return body


def read_embedding(body: bytes) -> EmbeddingRequest:
    """Check the body of a request for embeddings. Raises: InvalidError, naming the parameter."""
    return read_form(EmbeddingRequest, body)
