"""Takes a version of the ledger into service: its recipes and the promotion go to the log.

For versions that no learner promotes: one that was built without somebody (learner.rerun), or one
that was taken back. The gate must have let it through. Where two persons are asked for, it goes on
trial instead, started by whoever asks, and another operator promotes it as any candidate.
"""

import time
from collections.abc import Sequence

from sqlmodel import Session

from deploy.errors import DeployError
from deploy.operate.history import find_version
from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.masks import mask_of
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.log.contract import Log, outgoing, records_now
from streams.records import Mask, Recipe, Record, Rollout, record_id
from streams.settings import DIRECT, RolloutSettings
from streams.store.states import PROMOTABLE


def append_promotion(
    session: Session,
    log: Log,
    line: str,
    start: str,
    *,
    who: str,
    reason: str,
    settings: RolloutSettings = DIRECT,
) -> Rollout:
    """Append what makes a version serve, or puts it on trial, and return its rollout.

    start: its number, how its name begins, or a word of streams.line.line
    settings: whether the policy leaves it to one person; if not, the rollout starts its trial
    raises: DeployError when the gate did not let it through; ConflictError when somebody changed
        the line meanwhile; VerbRefusedError when it serves already, or another one is on trial;
        LogUnavailableError
    """
    found = find_version(session, start, line=line, now=lambda: decided(log, line))
    version, made = found.recipe.version, found.generation
    if made is None or made.state not in PROMOTABLE:
        why = f"{made.state}: {made.reason}" if made else "no generation of it is known"
        raise DeployError(f"{version} may not be promoted, the gate has not let it through ({why})")
    if found.recipe.line != line:
        raise DeployError(f"{version} is a version of {found.recipe.line}, not of {line}")
    chain = ledger.chain(session, version)
    now = decided(log, line) or Line(line, (chain[0].parent,))
    audit = Audit.new(who, reason, int(time.time() * 1000))
    if settings.policy == "two-person":
        promotion = verbs.start(now, version, audit, share=settings.shares[0])
    else:
        promotion = verbs.promote(now, version, audit)
    missing = _missing(log, mask_of(session, chain), chain)
    log.append(outgoing("recipes", line, each) for each in missing)
    offer(log, promotion)
    return promotion


def _missing(log: Log, mask: Mask, chain: Sequence[Recipe]) -> list[Record]:
    """Return what the log lacks of a version: agents read its recipes there, and nowhere else."""
    known = {record_id(record) for record in records_now(log, "recipes")}
    records: list[Record] = [mask, *chain]
    return [record for record in records if record_id(record) not in known]
