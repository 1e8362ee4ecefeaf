"""quickset learn: a generation now, whatever the learner's mode waits for."""

import time
from typing import Annotated

import typer

from deploy.commands.line.cells import printed
from deploy.commands.options import with_settings
from deploy.commands.who import who
from deploy.operate.history import existing_log
from deploy.settings.load import InForce
from streams.line.offer import order_learning
from streams.line.verbs import Audit


@with_settings("home")
def learn(
    in_force: InForce,
    reason: Annotated[str, typer.Option("--reason", help="Kept in the log.")] = "operator's wish",
    as_json: Annotated[bool, typer.Option("--json", help="Print the order as JSON.")] = False,
) -> None:
    """Order one generation now, with what is judged; in any mode (`learner.mode`).

    It is planned as soon as something is judged and nothing is on trial; a learner that is away
    finds the order when it comes.
    """
    settings = in_force.settings
    with existing_log(settings.streams) as log:
        audit = Audit.new(who(), reason, int(time.time() * 1000))
        order = order_learning(log, settings.learner.line, audit)
    if as_json:
        typer.echo(printed(order.model_dump(mode="json")))
        return
    typer.echo(f"the learner of {order.line} is to make one generation (order {order.id[:8]})")
