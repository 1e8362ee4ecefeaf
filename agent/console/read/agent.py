"""What this agent says of itself, from memory."""

import dataclasses

from agent.console.ports import Service
from streams.records import Json

EVENTS = 100


def serving(service: Service) -> Json:
    """Line → what serves it."""
    return service.status().serving()


def decided(service: Service) -> list[Json]:
    """The last changes of the line, newest first, before the learner has written them down."""
    return [change.model_dump(mode="json") for change in service.status().changes]


def spool(service: Service) -> Json:
    """What is on disk and not in the log yet."""
    return service.status().spooled()


def tools(service: Service) -> Json:
    """Each MCP server whose tools the agent calls itself: how it is, and what calls came to."""
    return service.status().tools


def events(service: Service) -> list[Json]:
    """What happened lately, newest first."""
    return [dataclasses.asdict(event) for event in service.events][-EVENTS:][::-1]
