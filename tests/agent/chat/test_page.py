"""The chat page's files: all there, only those, and under a policy that runs no text."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent import chat
from agent.http import pages

STATIC = Path(pages.__file__).parent / "static"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A server with the page's routes only."""
    app = web.Application()
    app.add_routes(chat.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_page_and_everything_it_names_is_served(client: Client) -> None:
    """Every file that the page or one of its modules refers to has a route and a type."""
    left, seen = ["/"], set[str]()
    while left:
        path = left.pop()
        seen.add(path)
        response = await client.get(path)
        assert response.status == 200, path
        text = await response.text()
        named = re.findall(r'(?:src|href)="(/[^"]+)"', text)
        named += ["/chat/" + name for name in re.findall(r'from "\./([^"]+)"', text)]
        left += [name for name in named if name not in seen and name not in left]
        left = [name for name in left if name != "/docs"]  # another room's page
    assert len(seen) > 20
    assert "/connect" in seen


async def test_a_strict_policy_comes_with_every_file(client: Client) -> None:
    """No inline script or style, no foreign origin, no text that becomes HTML."""
    for path in ("/", "/chat/chat.js", "/static/theme.css"):
        policy = (await client.get(path)).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy


async def test_the_page_holds_no_inline_script_or_style(client: Client) -> None:
    """What the policy forbids is not in the page either."""
    html = await (await client.get("/")).text() + await (await client.get("/connect")).text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", html)


async def test_the_page_connect_names_the_address_that_others_reach() -> None:
    """That of the settings, which its script leaves as it is; else the one that is asked."""
    for public, name in (
        ("https://chat.example.org", "https://chat.example.org"),
        (None, "http://x"),
    ):
        app = web.Application()
        app.add_routes(chat.routes(public_url=public))
        async with TestClient(TestServer(app)) as client:
            html = await (await client.get("/connect", headers={"Host": "x"})).text()
        assert f"<code>{name}/v1</code>" in html
        assert f'data-asked="{"" if public else name}"' in html


async def test_no_path_leads_out_of_the_folder(client: Client) -> None:
    """Only named files have routes, so an invented path is 404."""
    for path in ("/chat/../__init__.py", "/chat/%2e%2e/__init__.py", "/static/", "/chat/x.js"):
        assert (await client.get(path)).status == 404, path


async def test_an_unchanged_file_is_not_sent_again(client: Client) -> None:
    """The browser asks every time and is told 304."""
    first = await client.get("/chat/chat.js")
    again = await client.get("/chat/chat.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status, again.status) == (200, 304)


def test_vendored_files_are_the_published_ones() -> None:
    """The hashes in the vendor folder's README are those of its files."""
    table = (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", table, re.MULTILINE)
    vendored = {path.name for path in (STATIC / "vendor").iterdir()}
    licences = {name for name in vendored if name.endswith(".LICENSE")}
    assert {name for name, _ in rows} == vendored - {"README.md"} - licences
    assert all(f"({name})" in table for name in licences)
    for name, digest in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


def test_no_script_of_ours_makes_html_of_text() -> None:
    """No front-end file uses the ways in which text becomes markup or code."""
    ours = [
        path for path in Path(pages.__file__).parents[1].rglob("*.js") if "vendor" not in path.parts
    ]
    assert len(ours) > 10
    for path in ours:
        found = re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
            r"|createContextualFragment|DOMParser|setHTML|srcdoc",
            path.read_text(encoding="utf-8"),
        )
        assert found is None, f"{path.name}: {found and found[0]}"
