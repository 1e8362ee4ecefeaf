"""What this agent says of itself, from memory."""

import dataclasses

from agent.console.ports import Service
from streams.records import Json

EVENTS = 100


def serving(service: Service) -> Json:
    """Line → what serves it."""
    return service.status().serving()


def spool(service: Service) -> Json:
    """What is on disk and not in the log yet."""
    return service.status().spooled()


def events(service: Service) -> list[Json]:
    """What happened lately, newest first."""
    return [dataclasses.asdict(event) for event in service.events][-EVENTS:][::-1]
