"""Vectors as OpenAI's list of embeddings.

Knows the API's JSON; nothing of sockets.
"""

import base64
from typing import Literal

from typing_extensions import TypedDict

from agent.api.embeddings.request import EmbeddingRequest
from streams.model.embedding.embed import Vectors


class Embedding(TypedDict):
    """The vector of one text: numbers, or the bytes of float32s in base64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(TypedDict):
    """Tokens read, as the chat model would count them."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(TypedDict):
    """The vectors, in the order of the texts."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: EmbeddingUsage


def embedding_list(call: EmbeddingRequest, vectors: Vectors, num_tokens: int) -> EmbeddingList:
    """Shape the vectors of a request's texts."""
    return {
        "object": "list",
        "model": call.model,
        "data": [
            {"object": "embedding", "index": number, "embedding": _encoded(call, vector)}
            for number, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens},
    }


def _encoded(call: EmbeddingRequest, vector: Vectors) -> list[float] | str:
    if call.encoding_format != "base64":
        numbers: list[float] = vector.tolist()
        return numbers
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
