"""Says which version serves a line by the store, and claims its next place for a child.

The topic `rollouts` decides: of several records that claim the same place in the line (seq), the
first in the log wins, for everybody. The table `rollouts` is its projection; so a promotion that
lost against an operator's rollback never enters it, and its generation is marked as held. So is
one that was interrupted, and finds a place free only because what came first took the one before.
"""

from collections.abc import Iterable

from sqlmodel import Session, col, func, or_, select, update

from streams.line import ledger, verbs
from streams.line.line import Line
from streams.line.policy import LEARNER
from streams.line.verbs import Audit
from streams.records import Rollout
from streams.settings import RolloutSettings
from streams.store.states import CLOSED, HELD, JUDGED, RELEASED, WITHDRAWN
from streams.store.store import pieces
from streams.store.tables import GenerationRow, RolloutRow, TurnRow
from streams.wire import id_of


def line_now(session: Session, known: Line) -> Line:
    """Fold the projected rollouts into what serves a line.

    known: the line as it was last seen; before the first rollout it holds the base alone
    """
    newer = select(RolloutRow).where(RolloutRow.line == known.name, RolloutRow.seq > known.seq)
    for row in session.exec(newer.order_by(col(RolloutRow.seq))):
        known = known.take(Rollout.model_validate(row.model_dump()))
    return known


def entry(
    line: Line,
    version: str,
    settings: RolloutSettings,
    *,
    generation: str,
    reason: str,
    created_ms: int,
) -> Rollout:
    """Make the record by which a generation's child enters service, as the policy says.

    One record claims one place: a start beside the end of the trial that it replaces would count
    also where somebody's change came before that end, and undo it. So the end goes first, and the
    start is due when it has come back from the log (`due`).

    generation: its id; the record's own follows from it, so that a repeated one is the same record
    returns: a promotion, the start of a trial, or the end of the one that is to be replaced
    raises: VerbRefusedError while a candidate is on trial that is not to be replaced
    """

    def audit(why: str) -> Audit:
        return Audit(LEARNER, why, created_ms, _id_of(generation, line.seq + 1))

    if settings.policy == "direct":
        return verbs.promote(line, version, audit(reason))
    if line.trial is not None and settings.replaces:
        why = f"{version} is newer and takes its place (rollout.pile_up)"
        return verbs.abort(line, audit(why))
    share = settings.shares[0] if settings.policy in ("staged", "shadow") else None
    return verbs.start(line, version, audit(reason), share=share)


def due(session: Session, line: Line, settings: RolloutSettings) -> Rollout | None:
    """Return the entry of a child that has just ended the trial before it, if one has.

    Made of what is stored alone, so that a restart makes the same record again.
    """
    if line.verb != "abort":
        return None
    claiming = select(GenerationRow).where(
        GenerationRow.line == line.name,
        GenerationRow.seq == line.seq + 1,
        GenerationRow.state == RELEASED,
    )
    for row in session.exec(claiming):
        if row.child is not None and line.change == _id_of(row.id, line.seq):
            return entry(
                line, row.child, settings,
                generation=row.id, reason=row.reason, created_ms=line.since_ms,
            )  # fmt: skip
    return None


def _id_of(generation: str, seq: int) -> str:
    """Name the record by which a generation claims a place in its line."""
    return id_of("promotion", generation, seq)


def claimed(session: Session, line: Line, parent: str, settings: RolloutSettings) -> Line:
    """Return the line whose next place a generation claims: as it was when it was planned.

    Where a trial that is to be replaced went on meanwhile, that has taken this place; then it is
    the line of now, as long as the parent still serves, and nobody has stopped learning.
    """
    now = line_now(session, line)
    went_on = settings.replaces and now.version == parent and now.learning
    return now if went_on else line


def project(session: Session, rollout: Rollout) -> bool:
    """Note a rollout that the log has decided; False when it came too late and counts for nothing.

    A rollback or reset also closes the turns that the versions taken back were learned from:
    what was withdrawn is not tried again, unless somebody judges those turns anew.
    """
    newest = session.exec(
        select(RolloutRow)
        .where(RolloutRow.line == rollout.line)
        .order_by(col(RolloutRow.seq).desc())
    ).first()
    if rollout.seq != (newest.seq if newest else 0) + 1:
        return False
    session.add(RolloutRow(**rollout.model_dump()))
    _mark_beaten(session, rollout)
    if rollout.verb in ("rollback", "reset"):
        _close_withdrawn(session, rollout)
    session.flush()
    return True


def hold_if_late(session: Session, generation: GenerationRow) -> bool:
    """Hold a generation whose place or parent somebody took while it was under way."""
    taken = select(RolloutRow).where(
        RolloutRow.line == generation.line, RolloutRow.seq == generation.seq
    )
    winner = session.exec(taken).first() or _broke_off(session, generation)
    if winner is None or generation.child in (winner.version, winner.candidate):
        return False
    _hold(generation, winner)
    return True


def _broke_off(session: Session, generation: GenerationRow) -> RolloutRow | None:
    """Return the first change since a generation was planned that it cannot follow; None: none.

    A reset stops what is under way, also where its parent is the base, and where somebody lets the
    line learn again before it ends. Where its parent did not serve all the while, its turns may
    have been learned from, and taken back. What happens to a trial beside the parent is no matter.
    """
    planned = generation.horizon.get("seq")
    if planned is None:  # an older build's: nobody knows what it knew
        return None
    later = select(RolloutRow).where(
        RolloutRow.line == generation.line,
        RolloutRow.seq > planned,
        or_(RolloutRow.verb == "reset", RolloutRow.version != generation.parent),
    )
    return session.exec(later.order_by(col(RolloutRow.seq))).first()


def awaited(session: Session, line: str) -> int:
    """Return the highest seq that this line's generations have claimed; 0 for none."""
    claimed = select(func.max(GenerationRow.seq)).where(
        GenerationRow.line == line, col(GenerationRow.state).in_((RELEASED, WITHDRAWN))
    )
    return session.exec(claimed).one() or 0


def _mark_beaten(session: Session, winner: Rollout) -> None:
    """Hold the generation that claimed this place; one that has ended a trial claims the next."""
    rivals = select(GenerationRow).where(
        GenerationRow.line == winner.line,
        GenerationRow.seq == winner.seq,
        GenerationRow.state == RELEASED,
        col(GenerationRow.child).not_in((winner.version, winner.candidate or winner.version)),
    )
    for row in session.exec(rivals):
        if winner.id == _id_of(row.id, winner.seq):
            row.seq = winner.seq + 1
        else:
            _hold(row, winner)
        session.add(row)


def _hold(row: GenerationRow, winner: Rollout | RolloutRow) -> None:
    row.state = HELD
    row.reason = f"{winner.verb} by {winner.who} came first: {winner.reason}"


def _close_withdrawn(session: Session, rollout: Rollout) -> None:
    kept = {recipe.version for recipe in ledger.chain(session, rollout.version)}
    left = [r.version for r in ledger.chain(session, rollout.previous) if r.version not in kept]
    for some in pieces(left):
        learned_from = select(GenerationRow.turn_ids).where(col(GenerationRow.child).in_(some))
        _close(session, {id for turn_ids in session.exec(learned_from) for id in turn_ids})


def _close(session: Session, turn_ids: Iterable[str]) -> None:
    for some in pieces(sorted(turn_ids)):
        judged = update(TurnRow).where(col(TurnRow.id).in_(some), col(TurnRow.state) == JUDGED)
        session.execute(judged.values(state=CLOSED))
