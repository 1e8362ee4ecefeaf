"""Opens the judges that the settings name; a further judge is one file beside this and its name."""

from importlib import import_module
from typing import Final

from learner.judges.judge import Judge
from learner.settings import LearnerSettings, chosen

JUDGES: Final = ("explicit", "lexical")


def open_judges(settings: LearnerSettings) -> tuple[Judge, ...]:
    """Open the judges of the settings, in their order there.

    raises: UnknownNameError naming those that are known
    """
    names = chosen("learner.judges", settings.judges, JUDGES)
    return tuple(import_module(f"learner.judges.{name}").open_judge(settings) for name in names)
