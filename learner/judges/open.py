"""Opens the judges that the settings name; a further judge is one file beside this and its name."""

import logging
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from learner.judges.judge import Judge
from learner.settings import LearnerSettings, chosen
from streams.errors import ExtraMissingError

JUDGES: Final = ("explicit", "lexical", "embedding", "verifier", "tool", "program", "model")
# These ask something outside of this process, and are not waited for (learner.judges.slow.later).
SLOW: Final = ("program", "model")
# Where a judge has a folder for what it needs; the others are files beside this.
_FOLDERS: Final = {
    "verifier": "verifying.", "tool": "verifying.", "program": "slow.", "model": "slow.",
}  # fmt: skip
_log = logging.getLogger(__name__)


def open_judges(settings: LearnerSettings) -> tuple[Judge, ...]:
    """Open the judges of the settings that answer at once, in their order there.

    One that is there by default, and whose package is not installed, is left out with a warning;
    one that somebody named is not.

    raises: UnknownNameError naming those that are known; ExtraMissingError naming the extra
    """
    return tuple(_opened(settings, slow=False))


def open_slow_judges(settings: LearnerSettings) -> tuple[Judge, ...]:
    """Open the judges of the settings that take their time. Raises: as `open_judges`."""
    return tuple(_opened(settings, slow=True))


def _opened(settings: LearnerSettings, *, slow: bool) -> Iterator[Judge]:
    named = "judges" in settings.model_fields_set
    for name in chosen("learner.judges", settings.judges, JUDGES):
        if (name in SLOW) is not slow:
            continue
        try:
            judge: Judge = import_module(
                f"learner.judges.{_FOLDERS.get(name, '')}{name}"
            ).open_judge(settings)
        except ExtraMissingError as missing:
            if named:
                raise
            _log.warning("Judging without %s: %s", name, missing)
            continue
        yield judge
