"""Taking a version back while no agent runs: the rollback is appended to the log."""

import time
import uuid

from deploy.errors import DeployError
from deploy.operate.history import decided
from streams.log.contract import Log, outgoing
from streams.open import open_log
from streams.records import Rollout
from streams.settings import StreamsSettings


def append_rollback(settings: StreamsSettings, line: str, *, who: str, reason: str) -> Rollout:
    """Append the rollback of a line's serving version and give it.

    raises: DeployError when there is nothing to go back to, or somebody changed the line meanwhile;
        LogUnavailableError
    """
    log = open_log(settings)
    try:
        return _append(log, line, who=who, reason=reason)
    finally:
        log.close()


def _append(log: Log, line: str, *, who: str, reason: str) -> Rollout:
    now = decided(log, line)
    if now is None or now.previous is None:
        raise DeployError(f"the line {line} is at its base: there is nothing to go back to")
    back = Rollout(
        id=uuid.uuid4().hex,
        line=line,
        seq=now.seq + 1,
        version=now.previous,
        previous=now.version,
        state="aborted",
        verb="rollback",
        reason=reason,
        who=who,
        created_ms=int(time.time() * 1000),
    )
    log.append([outgoing("rollouts", line, back)])
    then = decided(log, line)
    if then is None or (then.seq, then.since_ms) != (back.seq, back.created_ms):
        raise DeployError(f"somebody else changed the line {line} first: look, then try again")
    return back
