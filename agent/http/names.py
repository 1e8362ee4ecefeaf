"""Names each request, so that a client's report and the server's log speak of the same one.

A client or a proxy that names its request in X-Request-Id keeps its name; any other gets one. The
response carries it.

Knows nothing of what the routes do.
"""

import re
import secrets

from aiohttp import web

HEADER = "X-Request-Id"
_NAME = web.RequestKey("name", str)
_PLAIN = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)  # safe in a log, a header and a shell


def name_of(request: web.Request) -> str:
    """The name of a request: its client's own, or one that is drawn at the first question."""
    name = request.get(_NAME)
    if name is None:
        given = request.headers.get(HEADER, "")
        name = given if _PLAIN.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        request[_NAME] = name
    return name


async def tell_name(request: web.Request, response: web.StreamResponse) -> None:
    """Put the name into the response, under both APIs' names; for on_response_prepare."""
    response.headers[HEADER] = response.headers["Request-Id"] = name_of(request)
