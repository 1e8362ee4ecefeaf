"""Takes a version of the ledger into service: its recipes and the promotion go to the log.

For versions that no learner promotes: one that was built without somebody (learner.rerun), or one
that was taken back. The gate must have let it through. As with every change of a line the log
decides: of two changes at once the first one counts, and the other is told so.
"""

import time
import uuid
from collections.abc import Sequence

from sqlmodel import Session

from deploy.errors import DeployError
from deploy.operate.history import decided, find_version
from streams.line import ledger
from streams.line.line import Line
from streams.line.masks import mask_of
from streams.log.contract import Log, outgoing, records_now
from streams.records import Mask, Recipe, Record, Rollout, record_id

# What the gate has let through: by the learner, or after it was built again.
PASSED = ("released", "passed")


def append_promotion(
    session: Session, log: Log, line: str, start: str, *, who: str, reason: str
) -> Rollout:
    """Append what makes a version serve, and give its rollout.

    start: how the version's name begins
    raises: DeployError when the gate did not let it through, it serves already, or somebody
        changed the line meanwhile; LogUnavailableError
    """
    found = find_version(session, start)
    version, made = found.recipe.version, found.generation
    if made is None or made.state not in PASSED:
        why = f"{made.state}: {made.reason}" if made else "no generation of it is known"
        raise DeployError(f"{version} may not be promoted, the gate has not let it through ({why})")
    if found.recipe.line != line:
        raise DeployError(f"{version} is a version of {found.recipe.line}, not of {line}")
    chain = ledger.chain(session, version)
    now = decided(log, line) or Line(line, (chain[0].parent,))
    if now.version == version:
        raise DeployError(f"{version} serves the line {line} already")
    promotion = Rollout(
        id=uuid.uuid4().hex,
        line=line,
        seq=now.seq + 1,
        version=version,
        previous=now.version,
        state="completed",
        verb="promote",
        reason=reason,
        who=who,
        created_ms=int(time.time() * 1000),
    )
    missing = _missing(log, mask_of(session, chain), chain)
    log.append(outgoing("recipes", line, each) for each in missing)
    log.append([outgoing("rollouts", line, promotion)])
    then = decided(log, line)
    if then is None or (then.seq, then.version) != (promotion.seq, version):
        raise DeployError(f"somebody else changed the line {line} first: look, then try again")
    return promotion


def _missing(log: Log, mask: Mask, chain: Sequence[Recipe]) -> list[Record]:
    """Give what the log lacks of a version: agents read its recipes there, and nowhere else."""
    known = {record_id(record) for record in records_now(log, "recipes")}
    records: list[Record] = [mask, *chain]
    return [record for record in records if record_id(record) not in known]
