"""How a view is printed: as a table or as JSON, once, or again whenever it changes."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console, RenderableType

from deploy.commands.line.cells import printed

MOST: Final = 1_000_000  # rows; more than fits a memory is a slip of the key
WATCH_S: Final = 2.0  # a person looks; what decides anything reads the log itself

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with everything that is known.")]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Print again whenever it changes, until Ctrl-C.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="How many.")]

Found = TypeVar("Found")


def tell(
    read: Callable[[], Found],
    draw: Callable[[Found], RenderableType],
    *,
    as_json: bool,
    watch: bool,
    as_body: Callable[[Found], Any] = lambda found: found,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Print what is found; with `watch` again and again, each state once.

    draw: a table of it; as_body: the JSON of it, a line a state where it is watched
    pause: waits some seconds; may raise KeyboardInterrupt, which ends the watching
    """
    console, told = Console(markup=False, emoji=False), ""  # names stay what they are
    while True:
        found = read()
        body = printed(as_body(found), indent=None if watch else 2)
        if body != told:
            told = body
            if as_json:
                typer.echo(body)
            else:
                if watch:
                    console.clear()  # nothing where it is no terminal
                console.print(draw(found))
        if not watch:
            return
        try:
            pause(WATCH_S)
        except KeyboardInterrupt:
            return
