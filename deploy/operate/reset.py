"""Back to the base: by the running agent, or by way of the log, and proved by the model's files.

Proved means: the tensors in the agent's memory and those read anew from the model's files by this
process have the same SHA-256, taken over every tensor's name, type, shape and bytes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from agent.settings import AgentSettings
from deploy.errors import RefusedError
from deploy.operate.history import existing_log
from deploy.operate.operator_api import call
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import ModelSettings, StreamsSettings

# The agent resets before it writes, and learning is switched on by what is written: its spool takes
# a moment to reach the log, longer where that is away.
WRITTEN_S: Final = 10.0
LOOK_S: Final = 0.2
NOT_YET: Final = (409, 503)  # learns already, as far as the log goes; the log is away


@dataclass(frozen=True, slots=True)
class Files:
    """The base as its files have it."""

    version: str  # its name
    sha256: str  # of its tensors


def read_files(model: ModelSettings) -> Files:
    """Read the base model anew. Raises: ModelFilesError, DeviceMissingError."""
    from streams.model.open import load_base  # torch takes seconds to import
    from streams.model.weights import weights_digest

    base = load_base(model)
    return Files(base.name, weights_digest(base.decoder.model))


def reset_agent(
    agent: AgentSettings,
    *,
    reason: str,
    keep_learning: bool,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[dict[str, Any], bool]:
    """Let the running agent go back to the base.

    wait: between two tries to learn on, in seconds
    returns: what serves the line now, with `sha256` of the tensors in memory, and whether this
        changed anything: False where the line was reset before
    raises: NotRunningError; RefusedError, also where the base serves but learning stays off
    """
    line = f"/operator/lines/{quote(agent.line, safe='')}"
    try:
        call(agent, "POST", f"{line}/reset", {"reason": reason})
        changed = True
    except RefusedError as refused:
        if refused.status != 409:  # it has been done
            raise
        changed = False
    if keep_learning:
        _learn_on(agent, f"{line}/learn", reason, wait, patience_s=WRITTEN_S if changed else 0.0)
    now = call(agent, "GET", "/operator/state")["serving"][agent.line]
    now["learning"] = now["learning"] or keep_learning  # the agent follows in a moment
    digest = call(agent, "GET", f"/operator/versions/{quote(now['version'])}/digest")
    return {**now, "sha256": digest["sha256"]}, changed


def _learn_on(
    agent: AgentSettings,
    path: str,
    reason: str,
    wait: Callable[[float], None],
    *,
    patience_s: float,
) -> None:
    """Learn again, as soon as the log has the reset before it; patience_s: 0 where it has."""
    left_s = patience_s
    while True:
        try:
            call(agent, "POST", path, {"reason": reason})
        except RefusedError as refused:
            if not patience_s or refused.status not in NOT_YET:
                raise
            if left_s <= 0:
                raise RefusedError(
                    f"the base serves; learning is off, until `quickset rollouts learn`: {refused}",
                    status=refused.status,
                ) from refused
        else:
            return
        wait(LOOK_S)
        left_s -= LOOK_S


def append_reset(
    streams: StreamsSettings, line: str, base: str, *, who: str, reason: str, keep_learning: bool
) -> list[Rollout]:
    """Append the reset of a line to the log, for agents that start later or follow from elsewhere.

    base: the version without any recipe
    returns: the records that count; none where the line was reset before
    raises: ConflictError when somebody changed the line meanwhile; as `existing_log`
    """
    made: list[Rollout] = []
    with existing_log(streams) as log:
        now = decided(log, line) or Line(line, (base,))
        audit = Audit.new(who, reason, int(time.time() * 1000))
        if now.version != base or "reset" in verbs.valid(now):
            made.append(verbs.reset(now, base, audit))
            now = now.take(made[-1])
            offer(log, made[-1])
        if keep_learning and "learn" in verbs.valid(now):
            made.append(verbs.learn(now, Audit.new(who, reason, audit.created_ms)))
            offer(log, made[-1])
    return made
