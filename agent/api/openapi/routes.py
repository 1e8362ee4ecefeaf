"""The routes of the document, and of the page that shows it; they ask for no key."""

from pathlib import Path

from aiohttp import web

from agent.http import pages
from streams.records import Json

_FOLDER = Path(__file__).parent / "static"


def routes(made: Json) -> list[web.RouteDef]:
    """The routes `/openapi.json`, `/docs` and the files that it loads, `/docs/…`.

    made: the document
    """

    async def show(_: web.Request) -> web.Response:
        return web.json_response(made)

    return [
        web.get("/openapi.json", show),
        pages.page("/docs", _FOLDER / "index.html"),
        *pages.files("/docs", _FOLDER),
    ]
