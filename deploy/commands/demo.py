"""quickset demo: a scripted user teaches a running service; the result is printed and drawn."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.files import expanded, output, picture_kind
from deploy.commands.options import with_settings
from deploy.settings.load import InForce


@with_settings("model")
def demo(
    in_force: InForce,
    minutes: Annotated[float, typer.Option(min=0, help="How long to teach.")] = 16.0,
    picture: Annotated[Path, typer.Option(help="Where to draw the result (PNG).")] = Path(
        "docs/demo.png"
    ),
    figures: Annotated[
        Path | None, typer.Option(help="Where to write what was measured (JSON).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Keep logs and stores here, anew; none: a temporary folder.")
    ] = None,
) -> None:
    """Teach a running service to answer briefly, beside one that does not learn.

    Prints, for unseen prompts, how many replies please and how long they are, over versions.
    """
    picture = output(picture_kind(picture))
    figures = output(figures) if figures is not None else None
    folder = expanded(folder) if folder is not None else None
    from deploy.demo import run  # aiohttp and drawing: not for every command to import

    run(in_force, minutes=minutes, picture=picture, figures=figures, folder=folder)
