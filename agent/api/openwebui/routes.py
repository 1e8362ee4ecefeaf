"""The endpoints that take Open WebUI's thumbs: a new one, and one that is changed."""

from aiohttp import web

from agent.api.openai import ErrorBody
from agent.api.openwebui.request import KeptThumb, ThumbRequest, read_thumb
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit
from agent.errors import NotFoundError
from agent.http import edge


async def take_thumb(request: web.Request) -> web.Response:
    """Keep a thumb; the message that it names tells which reply it is about."""
    service, principal = request.app[SERVICE], admit(request)
    thumb = read_thumb(await edge.read_body(request))
    response_id = service.named.find(principal, thumb.meta.message_id)
    if response_id is None:
        raise NotFoundError(
            "meta.message_id: no reply was asked for under this name here: set"
            " ENABLE_FORWARD_USER_INFO_HEADERS in Open WebUI; names are known until a restart",
            param="meta.message_id",
            code="message_not_found",
        )
    record = await service.rate(response_id, thumb.rating(), principal=principal, way="openwebui")
    created = record.created_ms // 1000
    told: KeptThumb = {
        "id": record.id,
        "type": thumb.type,
        "data": {"rating": record.score, "comment": record.comment},
        "meta": {"message_id": thumb.meta.message_id, "response_id": response_id},
        "created_at": created,
        "updated_at": created,
    }
    return web.json_response(told)


OPERATIONS = tuple(
    Operation(
        "POST",
        f"/api/v1/evaluations/feedback{behind}",
        take_thumb,
        summary,
        "Feedback",
        answer=KeptThumb,
        error=ErrorBody,
        body=ThumbRequest,
        versioned=False,
    )
    for behind, summary in (
        ("", "A thumb of Open WebUI, as feedback"),
        ("/{id}", "A thumb of Open WebUI that is changed: what it names decides, not the id"),
    )
)
