"""The endpoints that Langfuse's clients send scores to.

They send a pair of keys (HTTP Basic); the secret one is the key of ours.
"""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from agent.api.langfuse.request import (
    Event,
    EventKept,
    EventRefused,
    Ingested,
    Ingestion,
    Score,
    ScoreError,
    ScoreKept,
    ScoresAccepted,
    ScoresDivided,
    rating_of,
    read_scores,
)
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit
from agent.errors import ApiError
from agent.http import edge
from agent.http.form import check, read_form
from agent.service import AgentService

_SOME_REFUSED = HTTPStatus.MULTI_STATUS  # as Langfuse answers it


async def take_scores(request: web.Request) -> web.Response:
    """Keep one score, or each of a list that can be read."""
    service, principal = request.app[SERVICE], admit(request)
    given = read_scores(await edge.read_body(request))
    if isinstance(given, Score):
        return web.json_response(ScoreKept(id=await _keep(service, given, principal)))
    errors: list[ScoreError] = []
    for each in given:
        try:
            await _keep(service, check(Score, each), principal)
        except ApiError as error:
            errors.append({"message": error.message})
    if not errors:
        return web.json_response(ScoresAccepted(message="Accepted"))
    told = ScoresDivided(accepted=len(given) - len(errors), rejected=len(errors), errors=errors)
    return web.json_response(told, status=_SOME_REFUSED)


async def take_events(request: web.Request) -> web.Response:
    """Keep the scores among the events of an older client, and pass over the rest."""
    service, principal = request.app[SERVICE], admit(request)
    told = Ingested(successes=[], errors=[])
    for each in read_form(Ingestion, await edge.read_body(request)).batch:
        name = each.get("id") if isinstance(each, dict) else None
        try:
            event = check(Event, each)
            if event.type == "score-create":
                await _keep(service, check(Score, event.body), principal)
            told["successes"].append(EventKept(id=event.id, status=201))
        except ApiError as error:
            known = name if isinstance(name, str) else ""
            refused = EventRefused(id=known, status=error.status, message=error.message)
            told["errors"].append(refused)
    return web.json_response(told, status=_SOME_REFUSED)


async def _keep(service: AgentService, score: Score, principal: str) -> str:
    rating = rating_of(score, service.settings.score_names)
    record = await service.rate(
        score.response_id, rating, principal=principal, way="langfuse", adds=True
    )
    return score.id or record.id


_SCORED: Any = ScoreKept | ScoresAccepted | ScoresDivided
OPERATIONS = (
    Operation(
        "POST",
        "/api/public/scores",
        take_scores,
        "Langfuse's scores, one or a list, as feedback",
        "Feedback",
        answer=_SCORED,
        error=ErrorBody,
        succeeds=(HTTPStatus.OK, _SOME_REFUSED),
        body=Score,
        versioned=False,
    ),
    Operation(
        "POST",
        "/api/public/ingestion",
        take_events,
        "The scores among the events of Langfuse's older clients, as feedback",
        "Feedback",
        answer=Ingested,
        error=ErrorBody,
        succeeds=(_SOME_REFUSED,),
        body=Ingestion,
        versioned=False,
    ),
)
