"""The routes of the document, and of the page that shows it; they ask for no key."""

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from agent.api.openapi.document import document
from agent.api.operation import Operation
from agent.http import pages

_FOLDER = Path(__file__).parent / "static"


def routes(operations: Sequence[Operation]) -> list[web.RouteDef]:
    """The routes `/openapi.json`, `/docs` and the files that it loads, `/docs/…`."""
    made = document(operations)

    async def show(_: web.Request) -> web.Response:
        return web.json_response(made)

    return [
        web.get("/openapi.json", show),
        pages.page("/docs", _FOLDER / "index.html"),
        *pages.files("/docs", _FOLDER),
    ]
