"""A real Chromium, pages that may not complain, and the two sites served to them."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, async_playwright, expect

from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from tests.browser.fake_agent import FakeAgent
from tests.browser.saying import ready

# No sandbox: tests also run as root in containers, and load nothing but our own pages.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP quickset.test 127.0.0.1",  # a name that is no secure context
]

expect.set_options(timeout=20_000)  # ms; a busy machine is slow, and waiting costs only failures
Serve = Callable[[web.Application], Awaitable[str]]
# What a browser, and htmx, log for an answer that is no 2xx, for a server that is away, and for a
# header that means nothing without https; tests that provoke one expect it.
EXPECTED = (
    "Failed to load resource", "htmx:afterRequest", "htmx:sendError", "Response Status Error Code",
    "Cross-Origin-Opener-Policy header has been ignored",
)  # fmt: skip


def chromium_program() -> str | None:
    """Find the browser."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser, started once."""
    program = chromium_program()
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A fresh page; a script error or a breach of the content policy fails the test."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and not any(each in message.text for each in EXPECTED)
            else None
        ),
    )
    page.set_default_timeout(40_000)
    yield page
    await context.close()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """Serves applications on free ports of this machine and gives their addresses."""
    servers: list[TestServer] = []

    async def start(app: web.Application) -> str:
        server = TestServer(app)
        await server.start_server()
        servers.append(server)
        return str(server.make_url("/")).rstrip("/")

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
def agent() -> FakeAgent:
    """An agent without scripts."""
    return FakeAgent()


@pytest_asyncio.fixture(loop_scope="session")
async def chat_page(page: Page, agent: FakeAgent, serve: Serve) -> Page:
    """The chat page, open."""
    await page.goto(await serve(agent.app()))
    await ready(page)
    return page


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store of the newest schema."""
    store = open_store(StreamsSettings(home=tmp_path))
    yield store
    store.close()
