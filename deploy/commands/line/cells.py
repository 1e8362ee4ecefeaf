"""Cells of the tables that commands print: times, figures, names and what people say."""

import json
from datetime import datetime
from typing import Any, Final

from rich.console import Console

from agent.watch.events import ORDERS

NARROW: Final = 100  # columns of a terminal; below, a table's reasons need the room of its figures
SHORT_NAME: Final = 8  # digits that name a version wherever one is asked for


def plain(text: str) -> str:
    r"""Return a text of somebody else's that only shows: whoever chats must not steer a terminal.

    >>> plain("a \x1b[2J b").encode("ascii", "backslashreplace")
    b'a \\ufffd[2J b'
    """
    return ORDERS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def escaped(body: str) -> str:
    r"""Return JSON of the same value in which nothing steers a terminal.

    >>> print(escaped('"a \x9b31m b"'))
    "a \u009b31m b"
    """
    return ORDERS.sub(lambda order: f"\\u{ord(order[0]):04x}", body)


def printed(value: Any, *, indent: int | None = 2) -> str:
    r"""Return what is known as JSON for a terminal or a program: legible, and nothing steers.

    >>> print(printed(["für \x9b31m b"], indent=None))
    ["für \u009b31m b"]
    """
    return escaped(json.dumps(value, ensure_ascii=False, indent=indent))


def moment(unix_ms: int) -> str:
    """Return a time of this machine, without the year."""
    return datetime.fromtimestamp(unix_ms / 1000).strftime("%m-%d %H:%M:%S")


def signed(value: object) -> str:
    """Return a figure with its sign, or a dash where there is none."""
    return f"{value:+.3g}" if isinstance(value, float) else "–"


def is_narrow() -> bool:
    """Return whether the terminal has no room for every figure beside a reason."""
    return Console().width < NARROW


def name(version: str | None) -> str:
    """Return a version's name as it fits the terminal: commands take how it begins."""
    return (version or "–")[: SHORT_NAME if is_narrow() else None]
