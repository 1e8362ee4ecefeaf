"""quickset rollouts: what is on trial, why it isn't promoted yet, every change, and the verbs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deploy.commands.line.cells import moment, plain, printed
from deploy.commands.line.watch import Json, Limit, Watch, tell
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.operate.history import store_session
from deploy.operate.trial import Look, changes, look, steer
from deploy.settings.load import InForce
from streams.line.offer import operable
from streams.line.said import TRIALS_END, did
from streams.records import Verb

rollouts = typer.Typer(
    no_args_is_help=True,
    help="What is on trial: look, start, pause, resume, skip a step, promote, abort; learn on.",
)

Reason = Annotated[str, typer.Option("--reason", help="Kept in the audit.")]
Seq = Annotated[
    int | None, typer.Option("--seq", min=0, help="Refuse if the line has changed since this one.")
]


@rollouts.command("show")
@with_settings("home")
def show(in_force: InForce, as_json: Json = False, watch: Watch = False) -> None:
    """Print what serves, what is on trial with which share, and why it isn't promoted yet."""
    settings = in_force.settings

    def read() -> Look:
        with store_session(settings.streams) as session:
            return look(settings.streams, session, settings.agent.line)

    def card(found: Look) -> RenderableType:
        return _card(found, settings.learner.mode)

    tell(read, card, as_json=as_json, watch=watch, as_body=_as_json)


@rollouts.command("list")
@with_settings("home")
def list_changes(
    in_force: InForce, limit: Limit = 20, as_json: Json = False, watch: Watch = False
) -> None:
    """Print the last changes of the line, newest first: who, what, when, why."""
    settings = in_force.settings

    def read() -> list[dict[str, Any]]:
        found = changes(settings.streams, settings.agent.line, limit)
        return [change.model_dump(mode="json") for change in found]

    tell(read, _changes, as_json=as_json, watch=watch)


VERBS: dict[str, tuple[Verb, str]] = {
    "start": ("start", "Give a pending candidate its first share of the sessions."),
    "pause": ("pause", "Keep the trial at its share until it is resumed."),
    "resume": ("resume", "Let a trial that is paused or held go on."),
    "skip-step": ("skip-step", "Take the next step now, without waiting for evidence."),
    "promote": ("promote-full", "Let the candidate serve everybody now."),
    "abort": ("abort", "End the trial: what serves, serves everybody again."),
    "learn": ("learn", "Learn again, after a reset."),
}


def _command(verb: Verb) -> Callable[..., None]:
    def use(
        in_force: InForce,
        reason: Reason = "operator's wish",
        seq: Seq = None,
        as_json: Json = False,
    ) -> None:
        _use(in_force, verb, reason, seq, as_json=as_json)

    return with_settings("home")(use)


for _name, (_verb, _summary) in VERBS.items():
    rollouts.command(_name, help=_summary)(_command(_verb))


def _use(in_force: InForce, verb: Verb, reason: str, seq: int | None, *, as_json: bool) -> None:
    settings = in_force.settings
    change = steer(
        settings.streams,
        settings.rollout,
        settings.agent.line,
        verb,
        who=who(),
        reason=reason,
        expected_seq=seq,
    )
    if as_json:
        typer.echo(printed(change.model_dump(mode="json")))
        return
    if change.candidate is None:
        typer.echo(f"change {change.seq} of {change.line}: {change.verb}, {change.version} serves")
        return
    share = f", {change.share:.0%} of the sessions" if change.state == "running" else ""
    typer.echo(f"change {change.seq} of {change.line}: {change.candidate} is {change.state}{share}")


def _card(found: Look, mode: str) -> RenderableType:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in (*_told(found), *_learning(found, mode)):
        table.add_row(name, Text(plain(value)))
    return table


def _changes(rows: Sequence[dict[str, Any]]) -> RenderableType:
    if not rows:
        return "the line has never changed: its base serves"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("seq", "when", "who", "what", "version", "why"):
        table.add_column(name, no_wrap=name in ("seq", "when", "version"))
    for row in rows:
        back = row["verb"] in ("rollback", "reset")
        version = (row["version"] if back else row["candidate"] or row["version"])[:16]
        what = did(row["verb"], row["state"], row["share"]) + (", to" if back else "")
        cells = (row["who"], what, version, row["reason"])
        table.add_row(
            str(row["seq"]), moment(row["created_ms"]), *(Text(plain(cell)) for cell in cells)
        )
    return table


def _as_json(found: Look) -> dict[str, Any]:
    line, trial = found.line, found.line.trial
    return {
        "line": line.name,
        "seq": line.seq,
        "version": line.version or None,
        "previous": line.previous,
        "learning": line.learning,
        "candidate": trial.version if trial else None,
        "state": trial.state if trial else None,
        "step": trial.step if trial else None,
        "share": trial.share if trial else None,
        "started_by": trial.started_by if trial else None,
        "valid": list(operable(line)),
        "seen": found.seen.body if found.seen else None,
        "seen_ms": found.seen.updated_ms if found.seen else None,
        "waits_for": found.waits.waits_for if found.waits else None,
        "measuring": found.waits.measuring or None if found.waits else None,
    }


def _learning(found: Look, mode: str) -> Iterator[tuple[str, str]]:
    waits = f"waits for {found.waits.waits_for}" if found.waits else "has said nothing yet"
    if found.line.trial is None and found.waits and found.waits.waits_for.startswith(TRIALS_END):
        waits = "has not looked at the line since the trial ended"
    if found.line.learning:
        yield "learning", f"{mode}; {waits}"
    if found.waits and found.waits.measuring:
        yield "learner", found.waits.measuring


def _told(found: Look) -> Iterator[tuple[str, str]]:
    line, trial = found.line, found.line.trial
    by = f"by change {line.seq} of the line {line.name}"
    fresh = f"the base: the line {line.name} has never changed"
    yield "serves", f"{line.version}, {by}" if line.version else fresh
    if not line.learning:
        yield "learning", "off since the reset; `quickset rollouts learn` goes on"
    if trial is None:
        yield "on trial", "nothing"
        return
    share = "seen by nobody" if trial.unseen else f"{trial.share:.0%}"
    yield "on trial", f"{trial.version}: {trial.state}, step {trial.step + 1}, {share}"
    yield "possible", ", ".join(operable(line))
    if found.seen is None:
        yield "seen", "not yet: the learner looks at it every few seconds while it runs"
        return
    body = found.seen.body
    yield "because", body["why"]
    yield "judged", _between(body["judged"])
    for rail in body["guardrails"]:
        most = "at least" if rail.get("falls") else "at most"
        yield rail["name"], f"{_between(rail)}; {most} {rail['limit']:+g}"
    yield "sessions", f"{body['touched']} answered since the trial began"
    if body.get("unseen"):
        yield "unseen", f"{body['unseen']} replies, made beside those that were shown"
    yield "seen", moment(found.seen.updated_ms)


def _between(found: dict[str, Any]) -> str:
    voices = f"{found['candidate']} principals against {found['stable']}"
    return f"{found['estimate']:+.2f} ({found['low']:+.2f} to {found['high']:+.2f}), {voices}"
