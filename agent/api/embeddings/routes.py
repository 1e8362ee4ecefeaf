"""The endpoint of Embeddings."""

from aiohttp import web

from agent.api.embeddings.reply import EmbeddingList, embedding_list
from agent.api.embeddings.request import EmbeddingRequest, read_embedding
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit, models_of
from agent.errors import InvalidError
from agent.http import edge


async def embed(request: web.Request) -> web.Response:
    """Embed texts, where the agent has what embeds."""
    service, _ = request.app[SERVICE], admit(request)
    call = read_embedding(await edge.read_body(request))
    if service.embedding is None:
        raise InvalidError(
            "model: this server embeds nothing: it needs the extra embedder",
            param="model",
            code="embedder_missing",
        )
    if call.model != service.embedding.name:
        models_of(service).choose(call.model)
    vectors, num_tokens = await service.embed(call.input)
    if call.dimensions not in (None, len(vectors[0])):
        raise InvalidError(
            f"dimensions: this embedder's vectors have {len(vectors[0])}: leave it out",
            param="dimensions",
            code="invalid_value",
        )
    return web.json_response(embedding_list(call, vectors, num_tokens))


OPERATIONS = (
    Operation(
        "POST",
        "/embeddings",
        embed,
        "Embed texts, where the extra embedder is installed",
        "Embeddings",
        answer=EmbeddingList,
        error=ErrorBody,
        body=EmbeddingRequest,
    ),
)
