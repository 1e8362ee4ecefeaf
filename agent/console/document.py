"""The OpenAPI document of the console's port, made from its routes: GET /openapi.json, and /docs.

Every route below /api and /operator is in it. What changes something describes itself; what only
reads may leave it at its address, and answers a JSON object.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, cast

from agent.api.openai import ErrorBody
from agent.api.openapi.document import About, document
from agent.api.openapi.routes import routes as describe
from agent.api.operation import Method, Operation
from agent.console.access.admit import READS
from agent.console.access.roles import Route, for_role
from streams.records import Json

PROGRAMS: Final = ("/api/", "/operator/")  # what is below these is for programs; else pages
_ABOUT: Final = About(
    info={
        "title": "Quickset: operators",
        "version": "1",
        "summary": "What operators see and change: the same as the console's pages.",
        "description": (
            "A program sends an operator key as bearer. A browser's session needs, for what "
            "changes something, X-CSRF-Token (GET /operator/session) and a page of this origin, "
            "and for what is grave the key once more, as X-Step-Up. Without keys the port is this "
            "machine's alone."
        ),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    },
    keys={
        "bearer": {"type": "http", "scheme": "bearer"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "quickset_operator_8322",
            "description": "Named by the port of the console's address.",
        },
    },
    meaning={
        401: "No operator key was given, or one that is not known here.",
        403: "The role is not enough, the policy leaves this to somebody else, the key must be "
        "given again (code step_up), or the request comes from another page.",
        404: "There is no such line, version or path.",
        409: "Somebody changed the line first, or its state does not allow this now.",
        429: "Too many wrong keys; Retry-After says when to try again. Or the queue is full.",
    },
)


def described(routes: Sequence[Route]) -> list[Route]:
    """The routes of the document of these routes, and of the page that shows it.

    raises: ValueError for one that changes something and does not say what it takes
    """
    return for_role("viewer", describe(partial(document, _operations(routes), _ABOUT)))


def made_of(routes: Sequence[Route]) -> Json:
    """The document of these routes."""
    return document(_operations(routes), _ABOUT)


def _operations(routes: Sequence[Route]) -> list[Operation]:
    return [_operation(route) for route in routes if _is_for_programs(route)]


def _is_for_programs(route: Route) -> bool:
    return route.route.path.startswith(PROGRAMS)


def _operation(route: Route) -> Operation:
    """What a route says of itself, or what can be said of any that reads.

    raises: ValueError for one that changes something and does not say what it takes
    """
    if route.told is not None:
        return route.told
    method, path = route.place
    if method not in READS:
        raise ValueError(f"{method} {path} changes something, and describes nothing of it")
    return Operation(
        cast(Method, method), route.route.path, route.route.handler, f"Read {path}", "Views",
        answer=dict[str, Any], error=ErrorBody, versioned=False, keyed=True,
    )  # fmt: skip
