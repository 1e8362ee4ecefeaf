"""An endpoint of the API: how it is reached, what serves it, what it takes and answers, as types.

The same value makes the route and its description in /openapi.json, so that neither can lack.

Knows no endpoint.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from agent.http.edge import expect
from agent.http.form import Form, Query

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Method = Literal["GET", "POST", "PUT", "DELETE"]
# What any request of the API may be answered with, whatever it asks for.
ANY_ERROR = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint.

    path: below /v1, and without it, too; as it is where `versioned` is False
    summary: what it does, in a few words
    body, query: the forms that check them
    answer: the type of the JSON of an answer; None: text
    events: the type of the data of a stream's events, where one can be asked for
    ends_with: what a stream ends with in the place of such data; None: nothing but data comes
    error: the type of the JSON that a failure has
    succeeds: the statuses of answers
    errors: the statuses of failures
    keyed: whether a key is asked for; None: where it is versioned
    gives: paths of other endpoints that its answer's id belongs into
    """

    method: Method
    path: str
    handler: Handler
    summary: str
    tag: str
    answer: Any
    error: Any
    body: type[Form] | None = None
    query: type[Query] | None = None
    events: Any = None
    ends_with: str | None = None
    succeeds: tuple[int, ...] = (HTTPStatus.OK,)
    errors: tuple[int, ...] = ANY_ERROR
    versioned: bool = True
    gives: tuple[str, ...] = ()
    keyed: bool | None = None

    @property
    def asks_for_key(self) -> bool:
        """Whether it asks for a key where there are keys."""
        return self.versioned if self.keyed is None else self.keyed

    def routes(self) -> list[web.RouteDef]:
        """Its routes; where GET is, HEAD is."""
        makers = {"GET": web.get, "POST": web.post, "PUT": web.put, "DELETE": web.delete}
        paths = [f"/v1{self.path}", self.path] if self.versioned else [self.path]
        make = makers[self.method]
        return [make(path, self.handler, expect_handler=expect) for path in paths]


def canonical(path: str) -> str:
    """A path without the patterns of its parameters.

    >>> canonical("/operator/lines/{line}/trial/{verb:start|pause}")
    '/operator/lines/{line}/trial/{verb}'
    """
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", path)
