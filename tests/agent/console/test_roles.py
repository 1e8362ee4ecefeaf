"""Each route of the console and the role that it asks for, tried with every role."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from agent.console.access.roles import RANKS
from agent.console.site import VIEWS, api_path
from agent.settings import AgentSettings, OperatorKey, Role
from tests.agent.console.rows import FakeService

Client = TestClient[web.Request, web.Application]
ROLES: tuple[Role, ...] = get_args(Role)

# The least role that each route is for; None: everybody. A new route is entered here, too.
LEAST: dict[tuple[str, str], Role | None] = {
    **{("GET", each.path): "viewer" for each in VIEWS},
    **{("GET", api_path(each)): "viewer" for each in VIEWS},
    ("GET", "/versions/{version}/change"): "viewer",
    ("GET", "/api/versions/{version}/change"): "viewer",
    ("GET", "/live"): "viewer",
    ("POST", "/operator/dead-letters/{letter}/redrive"): "operator",
    ("POST", "/operator/dead-letters/{letter}/drop"): "operator",
    ("GET", "/login"): None,
    ("GET", "/openapi.json"): "viewer",
    ("GET", "/docs"): "viewer",
    ("GET", "/operator/session"): "viewer",
    ("POST", "/operator/session"): None,
    ("DELETE", "/operator/session"): "viewer",
    ("GET", "/operator/state"): "viewer",
    ("GET", "/operator/events"): "viewer",
    ("GET", "/operator/versions/{version}/digest"): "viewer",
    ("GET", "/operator/{section}"): "viewer",
    ("POST", "/operator/lines/{line}/rollback"): "operator",
    ("POST", "/operator/lines/{line}/reset"): "admin",
    ("POST", "/operator/lines/{line}/learn"): "operator",
    ("POST", "/operator/lines/{line}/generations"): "operator",
    ("POST", "/operator/lines/{line}/trial/{verb}"): "operator",
    ("POST", "/api/versions/compare"): "operator",
    ("POST", "/operator/lines/{line}/trial/promote-full"): "operator",
}
FILES = ("/static/", "/console/", "/docs/")


def settings() -> AgentSettings:
    """One key of each role, which is the role's name."""
    keys = {
        role: OperatorKey(hash=hashlib.sha256(role.encode()).hexdigest(), role=role)
        for role in ROLES
    }
    return AgentSettings(operator_keys=keys)


def routes() -> list[tuple[str, str]]:
    """Every route of the console, but for files, by method and path."""
    app = build_console(FakeService(settings=settings()), None)
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    return sorted(each for each in found if not each[1].startswith(FILES))


def test_every_route_states_its_role() -> None:
    """The table above is the console's routes, so that a new one is decided on."""
    assert sorted(LEAST) == routes()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A console with a key of each role."""
    service = FakeService(settings=settings(), version="b", previous="a")
    client: Client = TestClient(TestServer(build_console(service, None, interval_s=0)))
    await client.start_server()
    yield client
    await client.close()


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_each_role_has_its_routes_and_no_others(client: Client, role: Role | None) -> None:
    """Whoever has no key is asked for one; whose role is not enough is told so."""
    headers = {"Authorization": f"Bearer {role}"} if role else {}
    for method, path in routes():
        least = LEAST[method, path]
        names = {"line": "main", "version": "b", "verb": "pause", "section": "turns"}
        place = path.format(**names, turn="t", letter="l")
        async with client.request(
            method, place, headers=headers, json={"reason": "why"} if method != "GET" else None,
            allow_redirects=False,
        ) as response:  # fmt: skip
            status = response.status
        if least is None:
            assert status not in (403, 303), (method, path)
        elif role is None:
            assert status == (303 if path == "/" else 401), (method, path)
        elif RANKS[role] < RANKS[least]:
            assert status == 403, (method, path)
        else:
            assert status not in (401, 403, 500), (method, path)


async def test_a_route_without_a_role_is_for_nobody() -> None:
    """What states no role is a fault, and answered to nobody, not even an admin."""
    app = build_console(FakeService(settings=settings()), None)

    async def leak(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    app.router.add_get("/operator/forgotten-role", leak)
    client: Client = TestClient(TestServer(app))
    async with client:
        answer = await client.get(
            "/operator/forgotten-role", headers={"Authorization": "Bearer admin"}
        )
        assert answer.status == 500
        assert "no role is stated" in await answer.text()


async def test_every_page_of_the_console_has_the_strict_policy(client: Client) -> None:
    """No page loads, runs or is framed by anything from elsewhere."""
    for method, path in routes():
        if method != "GET" or "{" in path or path in ("/operator/events", "/live"):
            continue
        answer = await client.get(path, headers={"Authorization": "Bearer viewer"})
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_page_has_what_the_policy_forbids() -> None:
    """No inline script, style or handler, and nothing from another address, on any page we ship."""
    pages = [*Path("agent").rglob("*.html")]
    assert len(pages) > 3
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), page
        assert not re.search(r"<style|\son\w+=|\sstyle=", text), page
        assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text), page
