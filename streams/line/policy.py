"""Who may use which verb: what a policy of several persons asks of those who promote.

Pure. Knows nothing of keys: whoever asks has proved a name already.
"""

from typing import Final

from streams.errors import NotAllowedError
from streams.line.line import Line
from streams.records import Verb
from streams.settings import RolloutSettings

# The name under which learners change a line; every other name is an operator's.
LEARNER: Final = "learner"

_PROMOTES: Final[frozenset[Verb]] = frozenset({"promote", "promote-full", "skip-step"})


def prove_allowed(line: Line, verb: Verb, who: str, settings: RolloutSettings) -> None:
    """Prove that somebody may use a verb on a line. Raises: NotAllowedError, with what is missing.

    Under `two-person` a version serves only after one operator has started its trial and another
    one promotes it. Taking back is everybody's, at any time.
    """
    if settings.policy != "two-person" or verb not in _PROMOTES or who == LEARNER:
        return
    started_by = line.trial.started_by if line.trial else ""
    if started_by in ("", LEARNER):
        raise NotAllowedError(
            f"cannot {verb}: two persons are asked for (rollout.policy): one starts the trial of "
            "the candidate, then another one promotes it"
        )
    if started_by == who:
        raise NotAllowedError(
            f"cannot {verb}: two persons are asked for (rollout.policy), and {who} started the "
            "trial: another operator must promote it"
        )
