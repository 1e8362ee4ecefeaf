"""quickset agent: serving alone, where the learner runs elsewhere or not at all."""

from typing import Annotated

import typer

from deploy.commands.options import with_settings
from deploy.settings.load import InForce
from deploy.up.home import require_home, require_named_files, require_secret
from deploy.up.logs import begin_logging
from deploy.up.model import require_model
from deploy.up.parent import stop_with_parent
from deploy.up.ports import claim

WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]


@with_settings("home", "model", "port", "console_port")
def agent(in_force: InForce, with_parent: WithParent = False) -> None:
    """Serve the API, the chat page and the console; learn nothing here."""
    if with_parent:
        stop_with_parent()
    begin_logging()
    settings = in_force.settings
    ports = claim(settings.agent)
    require_home(settings.streams)
    require_secret(settings)
    require_named_files(settings, learns=False)
    require_model(settings.model)
    from agent.run import run  # torch takes seconds to import: after what can fail at once

    run(
        model=settings.model,
        streams=settings.streams,
        settings=ports,
        rollout=settings.rollout,
        otel=settings.otel,
    )
