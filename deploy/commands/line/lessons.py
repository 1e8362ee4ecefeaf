"""quickset lessons: what complaints became, and which versions learned it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import moment, plain, printed
from deploy.commands.line.watch import Json, Limit, Watch, tell
from deploy.commands.options import with_settings
from deploy.operate.history import store_session
from deploy.operate.lessons import Lesson, find_lesson
from deploy.operate.lessons import lessons as read_lessons
from deploy.settings.load import InForce

lessons = typer.Typer(no_args_is_help=True, help="What complaints became: list them, show one.")


@lessons.command("list")
@with_settings("home")
def list_lessons(
    in_force: InForce, limit: Limit = 20, as_json: Json = False, watch: Watch = False
) -> None:
    """Print the newest lessons: the wish, the rewrite that is learned, or why none, or no wish."""
    settings = in_force.settings

    def read() -> list[Lesson]:
        with store_session(settings.streams) as session:
            return read_lessons(session, settings.learner.line, limit)

    tell(read, _table, as_json=as_json, watch=watch, as_body=_bodies)


@lessons.command()
@with_settings("home")
def show(
    in_force: InForce,
    turn: Annotated[str, typer.Argument(help="Id of its turn, or how it begins.")],
    as_json: Json = False,
) -> None:
    """Print one lesson: question, reply, wish, rewrite with its proof, and who learned it."""
    settings = in_force.settings
    with store_session(settings.streams) as session:
        found = find_lesson(session, settings.learner.line, turn)
    if as_json:
        typer.echo(printed(asdict(found)))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _told(found):
        table.add_row(name, Text(plain(value)))
    Console().print(table)


def _bodies(found: Sequence[Lesson]) -> list[dict[str, Any]]:
    return [asdict(each) for each in found]


def _table(found: Sequence[Lesson]) -> RenderableType:
    if not found:
        return "no lessons yet: a complaint with a wish becomes one in the next generation"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("when", "turn", "wish", "learned", "versions", "is"):
        # what is long gives way, so that an id can be read, and is cut, too
        table.add_column(name, no_wrap=name not in ("wish", "learned"))
    for each in found:
        learned = each.text or f"– {each.reason or each.refused}"
        state = each.course["state"] if each.course else "–"
        cells = (each.turn[:16], each.hint or "", learned, str(len(each.versions)), state)
        # Text, not markup: what people and models write is shown as it is, each on one line
        told = (
            Text(plain(" ".join(cell.split())), no_wrap=True, overflow="ellipsis") for cell in cells
        )
        table.add_row(moment(each.created_ms), *told)
    return table


def _told(found: Lesson) -> Iterator[tuple[str, str]]:
    yield "turn", f"{found.turn}, {moment(found.created_ms)}, used {found.uses} times"
    yield "asked", found.asked
    yield "answered", found.answered
    yield "judged", f"{found.score:+d}"
    yield "wish", found.hint or "–"
    if found.refused:
        yield "refused", found.refused
    yield "learned", found.text or f"nothing of a rewrite: {found.reason or 'there is none'}"
    if found.made:
        yield "made", found.made
    for name, value in (found.proof or {}).items():
        yield name, f"{value:+.3f}" if isinstance(value, float) else str(value)
    yield "versions", ", ".join(found.versions) or "none so far"
    if found.course is not None:
        yield "is", ": ".join(filter(None, (found.course["state"], found.course["reason"])))
        yield "note", found.course["note"] or "none"
