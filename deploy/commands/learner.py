"""quickset learner: learning alone, beside agents that share its log."""

from deploy.commands.agent import WithParent
from deploy.commands.options import with_settings
from deploy.settings.load import InForce
from deploy.up.home import require_home, require_named_files
from deploy.up.logs import begin_logging
from deploy.up.model import require_model
from deploy.up.parent import stop_with_parent


@with_settings("home", "model")
def learner(in_force: InForce, with_parent: WithParent = False) -> None:
    """Judge what the agents' users say, and turn it into new versions; serve nothing here."""
    if with_parent:
        stop_with_parent()
    begin_logging()
    settings = in_force.settings
    require_home(settings.streams)
    require_named_files(settings, learns=True)
    require_model(settings.model)
    from learner.run import run  # torch takes seconds to import

    run(
        model=settings.model,
        streams=settings.streams,
        settings=settings.learner,
        rollout=settings.rollout,
        otel=settings.otel,
    )
