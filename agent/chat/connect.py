"""The page /connect: what other programs need to be told to talk with this agent, to be copied.

The texts stand in snippets.toml. The page is made of them for each request, as it names the address
under which it was asked for, and needs no script to be read.
"""

import tomllib
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from agent.http import pages
from agent.http.address import address_of

KEY: Final = "your-key"  # what stands in a text where somebody puts an API key
NO_KEY: Final = "none"  # where no key is asked for, as most clients will not do without one
_FOLDER = Path(__file__).parent


class Client(BaseModel):
    """One text to be copied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    group: str
    text: str
    install: str = ""
    file: str = ""
    note: str = ""

    def filled_in(self, base: str, key: str) -> str:
        """Return the text with an address and a key in their places."""
        return self.text.strip("\n").replace("{base}", base).replace("{key}", key)


def clients() -> list[Client]:
    """Every client, in the page's order."""
    told = tomllib.loads((_FOLDER / "snippets.toml").read_text(encoding="utf-8"))
    return [Client.model_validate(each) for each in told["client"]]


def route(*, asks_key: bool, public_url: str | None = None) -> web.RouteDef:
    """The route of the page.

    asks_key: whether this server asks for API keys
    public_url: the address to be told; None: the one under which the page is asked for
    """
    found, key = clients(), KEY if asks_key else NO_KEY
    around = (_FOLDER / "static" / "connect.html").read_text(encoding="utf-8")
    before, after = around.split("<!-- clients -->")

    async def show(request: web.Request) -> web.Response:
        base = address_of(request, public_url)
        shown = "".join(_groups(found, base, key))
        asked = before.replace("{asked}", escape("" if public_url else base))
        page = asked.replace("{base}", escape(base)) + shown + after
        return web.Response(text=page, content_type="text/html", headers=pages.HEADERS)

    return web.get("/connect", show)


def _groups(found: list[Client], base: str, key: str) -> Iterator[str]:
    for group, members in groupby(found, key=lambda client: client.group):
        yield f"<h2>{escape(group)}</h2>\n"
        yield from (_section(client, base, key) for client in members)


def _section(client: Client, base: str, key: str) -> str:
    title = f"{client.id}-title"
    file = f" <code>{escape(client.file)}</code>" if client.file else ""
    install = _copied(f"{client.id}-install", client.install) if client.install else ""
    note = f'<p class="muted">{escape(client.note)}</p>\n' if client.note else ""
    return (
        f'<section class="client" aria-labelledby="{title}">\n'
        f'<h3 id="{title}">{escape(client.name)}{file}</h3>\n'
        f"{install}{_copied(client.id, client.filled_in(base, key))}{note}</section>\n"
    )


def _copied(name: str, text: str) -> str:
    """A text with a button that copies it, once a script is there to do so."""
    return (
        f'<div class="code"><button class="button copy-code" type="button" hidden>Copy</button>'
        f'<pre tabindex="0"><code id="{name}">{escape(text)}</code></pre></div>\n'
    )
