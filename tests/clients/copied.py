"""Texts of the page /connect, taken from it as a browser would copy them, and run as they stand."""

import asyncio
import html
import re
from urllib.request import urlopen

import pytest

from tests.clients.live import Live

HELLO = "Hello, world!"  # what the scripted engine answers


def shown(api: Live) -> dict[str, str]:
    """The texts on the page, by their ids, as a browser would copy them."""
    with urlopen(f"{api.address}/connect") as response:
        page = response.read().decode()
    found = re.findall(r'<code id="([\w-]+)">(.*?)</code>', page, re.DOTALL)
    return {name: html.unescape(text) for name, text in found}


def printed(api: Live, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a text of Python prints. Each is a program of its own, so it has its own loop."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    capsys.readouterr()
    try:
        exec(compile(shown(api)[name], name, "exec"), {"__name__": "__main__"})
    finally:
        asyncio.get_event_loop().close()
        asyncio.set_event_loop(None)
    return capsys.readouterr().out.strip()
