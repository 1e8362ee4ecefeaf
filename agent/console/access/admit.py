"""Lets an operator through to a route that their role is enough for; sends others to the log-in.

Each request is held to what its route states (agent.console.access.roles): the role, for a write
the proof that it comes from our own page or a program, and where it says so the key once more.
"""

from collections.abc import Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent.console.access.access import Access, Operator
from agent.console.access.roles import Route, may
from agent.errors import BrokenError, ForbiddenError, KeyRefusedError

OPERATOR = web.RequestKey("operator", Operator)
READS = ("GET", "HEAD", "OPTIONS")


def admit(access: Access, routes: Sequence[Route]) -> Middleware:
    """Admit whom the routes say; a handler finds the operator as request[OPERATOR]."""
    by_place = {route.place: route for route in routes}

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        found = route_of(request, by_place)
        if found is not None and found.role is None:
            return await handler(request)
        try:
            operator = access.operator_of(request)
        except KeyRefusedError:
            if request.method in READS and _wants_page(request):
                raise web.HTTPSeeOther("/login") from None
            raise
        request[OPERATOR] = operator
        if request.method not in READS:
            access.prove_write(request, operator)
        if found is not None and found.role is not None:
            if not may(operator.role, found.role):
                access.count_refusal("role")
                raise ForbiddenError(
                    f"this needs the role {found.role}, and {operator.name} is {operator.role}"
                )
            if found.step_up:
                access.prove_step_up(request, operator)
        return await handler(request)

    return admitted


def route_of(request: web.Request, by_place: Mapping[tuple[str, str], Route]) -> Route | None:
    """The route that a request asks for; None: there is none, which the handler will say.

    raises: BrokenError for a route that states no role
    """
    resource = request.match_info.route.resource
    if resource is None:
        return None
    method = "GET" if request.method == "HEAD" else request.method
    route = by_place.get((method, resource.canonical))
    if route is None:
        raise BrokenError(f"no role is stated for {method} {resource.canonical}")
    return route


def _wants_page(request: web.Request) -> bool:
    """Whether somebody opens a page, rather than a script or a program asking for data."""
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.path == "/"
