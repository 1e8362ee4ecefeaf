"""The pages for people: the chat at `/`, and at `/connect` what other programs need to be told.

Static files, which are a client of the agent's own OpenAI-compatible API.

For others: this module.

Knows nothing of the model, of sessions or of keys: whoever may see the page may not thereby chat.
"""

from pathlib import Path

from aiohttp import web

from agent.chat import connect
from agent.http import pages

_FOLDER = Path(__file__).parent / "static"


def routes(*, asks_key: bool = False, public_url: str | None = None) -> list[web.RouteDef]:
    """The routes of the pages and of the files that they load.

    asks_key: whether the API asks for a key, which `/connect` then names
    public_url: the address that it names; None: as it was asked for
    """
    return [
        pages.page("/", _FOLDER / "index.html"),
        connect.route(asks_key=asks_key, public_url=public_url),
        *pages.files("/chat", _FOLDER),
        *pages.shared_files(),
    ]
