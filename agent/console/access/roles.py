"""Which role each route of the console asks for, and that every one says so.

A viewer looks. An operator also changes what serves. An admin also switches the learned weights
off. A route that states no role is answered to nobody, so that a new one is not open by oversight.

Knows nothing of keys or sessions (agent.console.access.access).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from aiohttp import web

from agent.api.operation import Operation, canonical
from agent.settings import Role

RANKS: Final[Mapping[Role, int]] = {role: rank for rank, role in enumerate(get_args(Role))}


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the console.

    role: the least that may use it; None: everybody, without a key
    step_up: the key must be proved again, in the request itself
    told: what /openapi.json says of it; None: nothing (a page, a file)
    """

    route: web.RouteDef
    role: Role | None
    step_up: bool = False
    told: Operation | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Its method and its path, as aiohttp names it: without patterns."""
        return self.route.method, canonical(self.route.path)


def for_role(role: Role | None, routes: Iterable[web.RouteDef]) -> list[Route]:
    """Routes of pages and files, for a role and all above it; None: for everybody."""
    return [Route(route, role) for route in routes]


def operations(role: Role | None, told: Operation, *, step_up: bool = False) -> list[Route]:
    """The routes of a described endpoint, for a role and all above it."""
    return [Route(route, role, step_up, told) for route in told.routes()]


def may(role: Role, needed: Role) -> bool:
    """Whether a role is enough.

    >>> may("admin", "operator"), may("viewer", "operator")
    (True, False)
    """
    return RANKS[role] >= RANKS[needed]
