"""quickset forget: take back what a principal said, and say which versions it moved."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.commands.line.cells import plain, printed
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.operate import forget as forgetting
from deploy.operate.forget import Report
from deploy.operate.history import existing_log, existing_store
from deploy.settings.load import InForce
from streams.line import ledger
from streams.line.offer import decided
from streams.open import KAFKA_SCHEME
from streams.settings import StreamsSettings


@with_settings("home")
def forget(
    in_force: InForce,
    principal: Annotated[
        str, typer.Option("--principal", help="Whose: 16 hex digits of the key's SHA-256.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Kept in the audit.")] = "asked for",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be forgotten.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forget what a principal said so far, and list the versions that it moved.

    Turns, judgements, hints, rewrites, dead letters, spooled records and kept replies go; what is
    read again is not counted again. Ids, times, counts and the versions stay: `quickset replay
    --without` builds a version that this principal never moved.
    """
    name = forgetting.principal_named(principal)
    settings, line = in_force.settings.streams, in_force.settings.learner.line
    with existing_store(settings) as store:
        with existing_log(settings) as log:
            if dry_run:
                report = forgetting.survey(store, log, settings, name)
            else:
                report = forgetting.forget(
                    store, log, settings, name, line=line, who=who(), reason=reason
                )
            now = decided(log, line)
        with store.reading() as session:
            chain = ledger.chain(session, now.version) if now else []
    standing = forgetting.versions_standing_on(report.influenced, [r.version for r in chain])
    if as_json:
        typer.echo(printed(report.as_json() | {"serving_stands_on": standing}))
        return
    for sentence in _told(report, settings):
        typer.echo(plain(sentence))
    _show(report, standing, exact=forgetting.needs_exact(report.influenced, chain))


def _told(report: Report, settings: StreamsSettings) -> list[str]:
    verb = "would be" if report.dry_run else "were"
    counts = ", ".join(f"{count} of {topic}" for topic, count in report.log.items() if count)
    said = [f"{report.turns} turns and {report.judgements} judgements {verb} forgotten"]
    if counts:
        said.append(f"out of the log: {counts}")
    if report.spools:
        said.append(f"{report.spools} records were taken out of spools that nobody uses")
    if report.still is not None:
        said.append(
            f"{report.still}, and may quote them still: an agent of this home takes it out when it"
            " reads the record; run this again to see it done, or delete the file, which is made"
            " again from the log"
        )
    if report.left is not None:
        said.append(
            f"{report.left}, and may quote them still: run this again as the user whose it is, or"
            " delete it when no `quickset replay` runs"
        )
    if report.before is not None:
        when = datetime.fromtimestamp(report.before["created_ms"] / 1000)
        said.append(f"forgotten before, {when:%Y-%m-%d %H:%M}, by {report.before['who']}")
    if not report.dry_run and not report.taken:
        said.append(
            "the learner that runs has not read the record yet: it will, and the turns count no"
            " more from then on; run this again to see it done"
        )
    if settings.log.startswith(KAFKA_SCHEME):
        said.append(
            f"Kafka keeps its segments until they are {settings.retention_days} days old; nothing"
            " in them is counted again"
        )
    return said


def _show(report: Report, standing: list[str], *, exact: bool) -> None:
    if not report.influenced:
        typer.echo("no version was made with their turns")
        return
    table = Table("generation", "version", "their turns", "share", box=None, pad_edge=False)
    for each in report.influenced:
        turns = f"{each.turns} of {each.of_turns}"
        table.add_row(str(each.generation), each.version, turns, f"{each.share:.0%}")
    Console().print(table)
    if standing:
        typer.echo(
            f"the serving version {standing[-1]} and {len(standing) - 1} before it stand on them:"
            f" quickset replay --without {report.principal}{' --exact' if exact else ''}"
        )
