"""Taking a version back while no agent runs: the rollback is appended to the log."""

import time

from deploy.errors import DeployError
from deploy.operate.history import existing_log
from streams.line import verbs
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import StreamsSettings


def append_rollback(settings: StreamsSettings, line: str, *, who: str, reason: str) -> Rollout:
    """Append the rollback of a line's serving version and return it.

    raises: DeployError when the line has never changed; ConflictError when somebody changed it
        meanwhile; VerbRefusedError when there is nothing to go back to; as `existing_log`
    """
    with existing_log(settings) as log:
        now = decided(log, line)
        if now is None:
            raise DeployError(f"the line {line} has never changed: there is nothing to go back to")
        back = verbs.rollback(now, Audit.new(who, reason, int(time.time() * 1000)))
        offer(log, back)
        return back
