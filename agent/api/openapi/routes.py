"""The routes of the document, and of the page that shows it; they ask for no key."""

import asyncio
from collections.abc import Callable
from functools import cache
from pathlib import Path

from aiohttp import web

from agent.http import pages
from streams.records import Json

_FOLDER = Path(__file__).parent / "static"


def routes(make: Callable[[], Json]) -> list[web.RouteDef]:
    """The routes `/openapi.json`, `/docs` and the files that it loads, `/docs/…`.

    make: makes the document, when it is first asked for, on a thread: it takes a fifth of a second
    """
    made = cache(make)

    async def show(_: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(made))

    return [
        web.get("/openapi.json", show),
        pages.page("/docs", _FOLDER / "index.html"),
        *pages.files("/docs", _FOLDER),
    ]
