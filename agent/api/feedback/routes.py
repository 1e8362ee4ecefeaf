"""The endpoints of feedback."""

import time

from aiohttp import web

from agent.api.feedback.page import PATH
from agent.api.feedback.request import (
    FeedbackLink,
    FeedbackRequest,
    KeptFeedback,
    LinkRequest,
    WithdrawnFeedback,
    kept,
    link_of,
    read_feedback,
    read_link,
    withdrawn,
)
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit
from agent.http import edge
from agent.http.address import address_of
from agent.http.links import Link
from agent.turn.recorder import Rating


async def take_feedback(request: web.Request) -> web.Response:
    """Keep what somebody says of a reply, in place of what they said before."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    rating = read_feedback(await edge.read_body(request))
    record = await service.rate(response_id, rating, principal=principal, way="api")
    return web.json_response(kept(record))


async def show_feedback(request: web.Request) -> web.Response:
    """Tell what is kept of a reply."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    return web.json_response(kept(await service.stored.feedback(response_id, principal)))


async def withdraw_feedback(request: web.Request) -> web.Response:
    """Take back what was said of a reply; taking it back again is no fault."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    taken_back = Rating(withdrawn=True)
    record = await service.rate(response_id, taken_back, principal=principal, way="api")
    return web.json_response(withdrawn(record))


async def make_link(request: web.Request) -> web.Response:
    """Sign a link to the page on which a reply can be rated without a key."""
    service, response_id = request.app[SERVICE], request.match_info["response_id"]
    principal = admit(request)
    asked = read_link(await edge.read_body(request))
    base = address_of(request, service.settings.public_url)
    service.ids.session(response_id, principal=principal)
    await service.stored.prove_not_deleted(response_id)
    link = Link(response_id, principal, int(time.time()) + asked.expires_in_s)
    url = base + PATH.format(link=service.links.sign(link))
    return web.json_response(link_of(link, url))


_ONE = "/feedback/{response_id}"
OPERATIONS = (
    Operation(
        "PUT",
        _ONE,
        take_feedback,
        "Say what is thought of a reply",
        "Feedback",
        answer=KeptFeedback,
        error=ErrorBody,
        body=FeedbackRequest,
    ),
    Operation(
        "GET",
        _ONE,
        show_feedback,
        "Show what was said of a reply last",
        "Feedback",
        answer=KeptFeedback,
        error=ErrorBody,
    ),
    Operation(
        "DELETE",
        _ONE,
        withdraw_feedback,
        "Take back what was said of a reply",
        "Feedback",
        answer=WithdrawnFeedback,
        error=ErrorBody,
    ),
    Operation(
        "POST",
        f"{_ONE}/link",
        make_link,
        "Sign a link by which a reply can be rated without a key, for browsers and mails",
        "Feedback",
        answer=FeedbackLink,
        error=ErrorBody,
        body=LinkRequest,
    ),
)
