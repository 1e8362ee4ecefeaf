"""The endpoint of feedback."""

from aiohttp import web

from agent.api.feedback.request import FeedbackRequest, KeptFeedback, kept, read_feedback
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit
from agent.http import edge


async def take_feedback(request: web.Request) -> web.Response:
    """Keep what somebody says of a reply; only its principal may."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    rating = read_feedback(await edge.read_body(request))
    session = service.ids.session(response_id, principal=principal)
    record = await service.recorder.feedback(
        response_id, rating, principal=principal, session=session
    )
    return web.json_response(kept(record))


OPERATIONS = (
    Operation(
        "PUT",
        "/feedback/{response_id}",
        take_feedback,
        "Say what is thought of a reply",
        "Feedback",
        answer=KeptFeedback,
        error=ErrorBody,
        body=FeedbackRequest,
    ),
)
