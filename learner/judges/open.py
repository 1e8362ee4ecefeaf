"""Opens the judges that the settings name; a further judge is one file beside this and its name."""

import logging
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from learner.judges.judge import Judge
from learner.settings import LearnerSettings, chosen
from streams.errors import ExtraMissingError

JUDGES: Final = ("explicit", "lexical", "embedding")
_log = logging.getLogger(__name__)


def open_judges(settings: LearnerSettings) -> tuple[Judge, ...]:
    """Open the judges of the settings, in their order there.

    One that is there by default, and whose package is not installed, is left out with a warning;
    one that somebody named is not.

    raises: UnknownNameError naming those that are known; ExtraMissingError naming the extra
    """
    return tuple(_opened(settings))


def _opened(settings: LearnerSettings) -> Iterator[Judge]:
    named = "judges" in settings.model_fields_set
    for name in chosen("learner.judges", settings.judges, JUDGES):
        try:
            judge: Judge = import_module(f"learner.judges.{name}").open_judge(settings)
        except ExtraMissingError as missing:
            if named:
                raise
            _log.warning("Judging without %s: %s", name, missing)
            continue
        yield judge
