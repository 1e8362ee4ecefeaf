"""The chat page: static files at `/`, a client of the agent's own OpenAI-compatible API.

For others: this module.

Knows nothing of the model, of sessions or of keys: whoever may see the page may not thereby chat.
"""

from pathlib import Path

from aiohttp import web

from agent.http import pages

_FOLDER = Path(__file__).parent / "static"


def routes() -> list[web.RouteDef]:
    """The routes of the page and of the files that it loads: `/`, `/chat/…`, `/static/…`."""
    return [
        pages.page("/", _FOLDER / "index.html"),
        *pages.files("/chat", _FOLDER),
        *pages.shared_files(),
    ]
