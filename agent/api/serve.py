"""The steps that requests of every API take: who asks, what may be asked for, how it is answered.

Knows no API.
"""

import time
from contextlib import ExitStack
from functools import partial
from typing import Any

from aiohttp import web

from agent.api.caller import Caller
from agent.api.models.models import Models
from agent.api.operation import Handler
from agent.api.send import send_stream, send_whole
from agent.api.surface import Surface
from agent.http import edge, limits
from agent.service import AgentService
from agent.turn.origin.origin import origin_of
from agent.turn.origin.sessions import prove_once

SERVICE = web.AppKey("service", AgentService)


def replies_of(surface: Surface[Any]) -> Handler:
    """The handler of an API that answers with replies."""

    async def answer(request: web.Request) -> web.StreamResponse:
        """Answer one request; it is recorded after its last byte."""
        service, began_s = request.app[SERVICE], time.perf_counter()
        principal = admit(request)
        body = await edge.read_body(request)
        call = surface.read(body)
        await service.intake.begun()
        with ExitStack() as held:
            held.enter_context(service.intake.taken())
            caller = caller_of(request, principal, body)
            asked = await surface.asks(call, caller)
            # its places first: to render it may call what somebody allowed
            places = sum(len(ask.samplings) for ask in asked)
            held.enter_context(service.limits.hold_replies(principal, places))
            asks = [await service.render(ask) for ask in asked]
            answer = service.answer(asks, prefix=surface.id_prefix, began_s=began_s)
            held.enter_context(answer)
            if asks[0].purpose == "main":
                service.named.note(request.headers, principal, answer.id)
            shape = surface.shape(answer, call)
            if not call.stream:
                return await send_whole(request, answer, shape)
            keep_alive_s = service.settings.keep_alive_s
            return await send_stream(request, answer, shape, keep_alive_s=keep_alive_s)

    return answer


def admit(request: web.Request) -> str:
    """Prove the key of a request, count it, and return its principal.

    raises: KeyRefusedError, BusyError
    """
    service = request.app[SERVICE]
    principal = service.keys.principal(request.headers)
    request[limits.PRINCIPAL] = principal
    service.limits.count_request(principal)
    return principal


def caller_of(request: web.Request, principal: str, body: bytes) -> Caller:
    """Say who asks, and what it may choose from. body: JSON that has been read.

    raises: InvalidError for a header of ours that says two things
    """
    prove_once(request.headers.items())
    service, origin = request.app[SERVICE], origin_of(request.headers, body, principal)
    return Caller(
        principal,
        request.headers,
        service.settings,
        models_of(service),
        servers=service.tools.servers if service.tools is not None else (),
        find=partial(service.stored.find, principal=principal),
        origin=origin,
    )


def models_of(service: AgentService) -> Models:
    """What can be asked for now."""
    settings = service.settings
    return Models(
        line=service.line,
        base=service.base,
        aliases=settings.aliases,
        knows=service.knows,
        recipe=service.recipe,
        context_tokens=settings.context_tokens,
        since_s=service.started_s,
    )
