"""What a request is asked with in tests: models of a line that has served two versions."""

from dataclasses import replace

from agent.api.caller import Caller
from agent.api.models.models import Models
from agent.settings import AgentSettings
from streams.line.line import Line
from tests.agent.fakes import BASE

VERSION = "1f2e3d4c5b6a7988"


def models(**changes: object) -> Models:
    """What can be asked for of a line on its first version."""
    made = Models(
        line=Line("main", (BASE, VERSION)),
        base=BASE,
        aliases={},
        knows={BASE, VERSION}.__contains__,
        recipe=lambda _: None,
        context_tokens=64,
        since_s=1_700_000_000,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def caller(**settings: object) -> Caller:
    """Somebody who asks without any header."""
    given = {"context_tokens": 64} | settings
    return Caller("ann", {}, AgentSettings.model_validate(given), models())
