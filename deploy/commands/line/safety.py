"""quickset safety map: which units of the model refuse, which are of use, and which never move."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.files import expanded, output, picture_kind
from deploy.commands.line.cells import printed
from deploy.commands.options import with_settings
from deploy.operate import unit_picture
from deploy.settings.load import InForce, Settings
from deploy.up.progress import stages

if TYPE_CHECKING:
    from deploy.operate.unit_map import Drawn

safety = typer.Typer(no_args_is_help=True, help="What keeps the model's refusals: map its units.")


@safety.callback()
def _group() -> None:
    """Keep `map` a command of its own while it is the only one."""


@safety.command("map")
@with_settings("home", "model")
def map_(
    in_force: InForce,
    picture: Annotated[
        Path | None,
        typer.Option(help="Where to draw it (PNG); without it beside the artefact."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the artefact.")] = False,
) -> None:
    """Score every unit of the base on refusals and on useful replies, and map what each does.

    Forward passes only, once a base and home. The artefact is written into the home, under its
    digest, and, where a store is, into that, so that the console's page Safety draws it. A line
    that has versions keeps the frozen units that it began with. `--set learner.freeze=…` shows what
    another policy would freeze; it sets nothing for a learner.
    """
    if picture is not None:
        unit_picture.prove_drawable()
        picture = expanded(picture_kind(picture))
        picture.parent.mkdir(parents=True, exist_ok=True)
        output(picture)
    drawn = _measured(in_force.settings)
    if picture is None and unit_picture.can_draw():
        picture = drawn.file.with_suffix(".png")
    if picture is not None:
        unit_picture.draw(drawn.body, picture)
    if as_json:
        typer.echo(printed({"digest": drawn.digest} | drawn.body, indent=None))
        return
    _tell(drawn, picture, in_force.settings.learner.line, in_force.origin("learner.freeze"))


def _measured(settings: Settings) -> "Drawn":
    from deploy.operate.unit_map import map_units  # torch takes seconds to import

    learner = settings.learner
    if learner.freeze == "top-complex" and learner.frozen_share == 0:
        # what freezes nothing measures nothing, and there would be no map
        share = type(learner).model_fields["frozen_share"].default
        learner = learner.model_copy(update={"frozen_share": share})
    with stages("mapping the units") as progress:
        return map_units(settings.streams, settings.model, learner, progress)


def _tell(drawn: "Drawn", picture: Path | None, line: str, origin: str) -> None:
    body, console = drawn.body, Console(markup=False, emoji=False)  # paths stay what they are
    console.print(
        f"policy    {body['policy']} (from {origin})", f"mask      {body['mask']}", sep="\n"
    )
    console.print(f"in force  {_in_force(drawn, line)}", "", sep="\n", soft_wrap=True)
    console.print(_classes(body))
    console.print("agree: mean Jaccard index of the class by one set, or one seed, alone")
    console.print(f"artefact  {drawn.digest}", f"          {drawn.file}", sep="\n", soft_wrap=True)
    console.print(
        f"picture   {picture or 'none: it needs matplotlib, the extra dev'}", soft_wrap=True
    )


def _in_force(drawn: "Drawn", line: str) -> str:
    """Say what follows from the policy: the command itself measures, and sets nothing."""
    if not drawn.kept:
        return "not yet: the home has no store, and the learner writes the map into it at its start"
    if drawn.in_force is None:
        return f"as soon as a learner of the line {line} that has this policy makes a version"
    if drawn.in_force == drawn.body["mask"]:
        return f"yes: the line {line} began with this mask, and keeps it"
    return (
        f"no: the line {line} keeps the mask that it began with, {drawn.in_force[:16]}…; this one "
        "is for new lines"
    )


def _classes(body: dict[str, Any]) -> Table:
    agreed = body["stability"]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("class", "parameters", "share", "sets agree", "seeds agree"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, count in body["parameters"].items():
        indices = [agreed.get(over, {}).get(name) for over in ("sets", "seeds")]
        told = ("–" if index is None else f"{index:.2f}" for index in indices)
        table.add_row(name, f"{count:,}", f"{body['shares'][name]:.1%}", *told)
    return table
