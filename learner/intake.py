"""Turns entries of the log into rows: each turn linked, judged and accounted for exactly once.

What is given is used in one transaction, with the offsets that say so: a crash repeats nothing and
loses nothing. A record that was used before changes nothing here, and one that
cannot be used goes to the dead letters with the cause, without stopping those behind it. Passed
over are turns, feedback and rollouts of other lines, which their own learners use, and what was
said by a principal who is forgotten.

Several lines may share a store. Rows of a line are written under its lease alone; recipes and
masks, which every line may stand on, are the same whoever writes them first.

Knows nothing of generations, weights or the wall clock: times are the records' own.
"""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import DataError, IntegrityError
from sqlmodel import Session, col, exists, func, select, update

from learner.errors import FAULTS
from learner.forget import store as forget
from learner.judges.judge import SURE
from learner.lessons import notes
from learner.lessons.unlearned import unlearned
from learner.link import chores, clients, conversation, follow, rows
from learner.link.conversation import Following, Link
from learner.rollout import claims
from learner.settings import group_of
from learner.verdicts import (
    Rules,
    drop_verdicts,
    judge,
    judge_early_feedback,
    judge_unseen,
    revive_rated,
    says_something,
    take_feedback,
    turn_of,
    would_say,
)
from streams.errors import LedgerError, RecordError
from streams.keeping import forgotten
from streams.keeping.forgotten import Moments
from streams.line import ledger
from streams.line.masks import keep_mask
from streams.log import dead_letters
from streams.log.contract import Entry, Topic
from streams.records import (
    Candidate,
    Deletion,
    Feedback,
    Forgotten,
    LearnOrder,
    Mask,
    Note,
    Recipe,
    Record,
    Rollout,
    Turn,
    decode,
    speaker,
)
from streams.store import offsets, outbox
from streams.store.states import (
    ASKED_AGAIN,
    CHORE,
    CLOSED,
    IDLE,
    JUDGED,
    LINKED,
    NO_COMPANY,
    OPEN,
    UNTRAINED,
)
from streams.store.tables import JudgementRow, TurnRow

TOPICS: Final[tuple[Topic, ...]] = (
    "turns", "feedback", "rollouts", "recipes", "forgotten", "notes",
)  # fmt: skip
# What only the learner of its own line uses: what it makes of it is written under its lease.
OF_ONE_LINE: Final[tuple[Topic, ...]] = ("turns", "feedback", "rollouts", "notes")
LAST_MS: Final = 2**63 - 1  # that a column holds; a turn that is not stored may be of any moment
_BELONGS: Final[dict[Topic, tuple[type[Record], ...]]] = {
    "turns": (Turn,),
    "feedback": (Feedback, Deletion),
    "rollouts": (Rollout, LearnOrder),
    "recipes": (Recipe, Mask, Candidate),
    "forgotten": (Forgotten,),
    "notes": (Note,),
}


def take(session: Session, entries: Sequence[Entry], rules: Rules) -> bool:
    """Use entries, and move the group past them.

    returns: whether somebody asked the line for a reply, which a candidate's beside it is not
    raises: ConflictError when another reader has used them: roll back and subscribe again
    """
    newest_ms, asked, group = 0, False, group_of(rules.line)
    repeated: dict[str, tuple[Note, Entry]] = {}  # by note, where its last record was used before
    moments = forget.moments(session)
    for entry in entries:
        if _is_forgotten(entry, moments) or _is_of_another_line(entry, rules.line):
            continue  # not even as a dead letter
        try:
            record = decode(entry.value)
            used = _use_whole(session, record, entry, rules)
        except (RecordError, LedgerError, IntegrityError, DataError, *FAULTS) as cause:
            _to_dead_letters(session, entry, cause, rules)
            continue
        if isinstance(record, Turn):
            newest_ms = max(newest_ms, min(record.created_ms, LAST_MS))
            asked |= record.beside is None
        elif isinstance(record, Forgotten):
            moments = forget.moments(session)
        elif isinstance(record, Note):
            repeated.pop(record.note, None)
            if not used:
                repeated[record.note] = (record, entry)
    for note, entry in repeated.values():
        notes.tell_again(session, note, f"{entry.partition.number}@{entry.offset}")
    _close_idle(session, rules.line, newest_ms - rules.idle_close_ms)
    offsets.advance(session, group, entries)
    return asked


def _use_whole(session: Session, record: Record, entry: Entry, rules: Rules) -> bool:
    """Use a record; one that cannot be used leaves nothing behind, and may be sent again.

    Where another learner wrote the same row meanwhile, the row is found at the second try.

    returns: False when it was used before
    """
    try:
        return _use_once(session, record, entry, rules)
    except IntegrityError:
        return _use_once(session, record, entry, rules)


def _use_once(session: Session, record: Record, entry: Entry, rules: Rules) -> bool:
    with session.begin_nested():
        new = offsets.first_time(session, group_of(rules.line), entry)
        if new:
            _use(session, record, entry, rules)
    return new


def _use(session: Session, record: Record, entry: Entry, rules: Rules) -> None:
    if not isinstance(record, _BELONGS[entry.partition.topic]):
        raise ValueError(f"a {record.KIND} does not belong on {entry.partition.topic}")
    match record:
        case Turn():
            _take_turn(session, record, rules, taken_ms=entry.time_ms)
        case Feedback():
            take_feedback(session, record, rules)
        case Deletion() if record.line == rules.line:
            forget.delete_turn(session, record, taken_ms=entry.time_ms)
        case Rollout():
            _take_rollout(session, record, rules)
        case Recipe():
            ledger.append(session, record, created_ms=entry.time_ms)
        case Mask():
            keep_mask(session, record, created_ms=entry.time_ms)
        case Forgotten():
            forget.apply(session, record, rules.line)
        case Note() if record.state == "removed":
            notes.removed(session, record)
        case _:
            pass  # of another line: its own learner's; a candidate: what agents build ahead


def _take_rollout(session: Session, rollout: Rollout, rules: Rules) -> None:
    """Note a change of the line, and what it takes back of notes."""
    if claims.project(session, rollout) and rules.notes is not None:
        unlearned(session, rollout, rules.notes)


def _is_forgotten(entry: Entry, moments: Moments) -> bool:
    """Return whether a forgotten principal said this before the moment."""
    if not moments or entry.partition.topic not in forgotten.SAID:
        return False
    spoken = speaker(entry.value)
    return spoken is not None and forgotten.covers(moments, *spoken, entry.time_ms)


def _is_of_another_line(entry: Entry, line: str) -> bool:
    """Return whether another learner uses a record, also one that this build cannot decode."""
    if entry.partition.topic not in OF_ONE_LINE:
        return False
    try:
        named = json.loads(entry.value)["line"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False  # of no known line: every learner sends it to the dead letters, as one letter
    return isinstance(named, str) and named != line


def _take_turn(session: Session, turn: Turn, rules: Rules, *, taken_ms: int) -> None:
    """Store a turn, and link it both ways: what it follows, and what already follows it."""
    latest, known, rated = _before(session, turn.id)
    if known or forget.goes_with(session, turn):
        return
    row = rows.row_of(turn, sequence=(latest or 0) + 1, taken_ms=taken_ms)
    session.add(row)
    if turn.beside is not None:
        session.flush()
        judge_unseen(session, row, turn, rules)
        return
    clients.count(session, turn)
    session.flush()
    _tell_chores(session, turn, row)
    if rated:
        revive_rated(session, row)
    _link(session, turn, row, rules)
    for later in rows.later(session, turn, row.reply_key):
        _link(session, turn_of(later), later, rules, again=True)
    if rated:
        judge_early_feedback(session, row, turn, rules)
    if row.state != UNTRAINED:
        judge(session, row, turn, rules)


def _before(session: Session, id: str) -> tuple[int | None, bool, bool]:
    """Return what is there before a turn: the newest's sequence, the turn itself, words on it."""
    newest = select(func.max(TurnRow.sequence)).scalar_subquery()
    itself = exists().where(col(TurnRow.id) == id)
    words = exists().where(col(JudgementRow.turn_id) == id)
    latest, known, rated = session.execute(select(newest, itself, words)).one()
    return latest, known, rated


def _tell_chores(session: Session, turn: Turn, row: TurnRow) -> None:
    """Mark the chores that only what stands beside them gives away: this turn, or others by it."""
    if row.state == OPEN and chores.beside(session, turn):
        row.state, row.reason = UNTRAINED, CHORE
        session.add(row)
    elif row.state == OPEN:
        for id in chores.beside_it(session, turn):
            other = session.get_one(TurnRow, id)
            other.state, other.reason = UNTRAINED, CHORE
            session.add(other)


def _link(
    session: Session, request: Turn, row: TurnRow, rules: Rules, *, again: bool = False
) -> None:
    """Link a request to the turns that it follows."""
    found = follow.followed(session, request, again=again)
    for id in found.no_longer:
        _unlink(session, session.get_one(TurnRow, id), rules)
    for link in found.links:
        _follow(session, link, request, rules)
    row.unlinked = found.unlinked if conversation.speaks(request) else None
    session.add(row)


def _follow(session: Session, link: Link, request: Turn, rules: Rules) -> None:
    """Give a turn its next state, unless it has one that outweighs it, and judge it."""
    row = session.get_one(TurnRow, link.turn_id)
    if row.state != UNTRAINED and not conversation.speaks(request):
        return  # a chore, or what must not be learned from, says nothing of what may be
    if not _counts(session, row, link, request, rules):
        return
    followed_before = row.next_kind is not None
    row.next_state = [message.model_dump(mode="json") for message in link.messages]
    row.next_kind, row.next_ms, row.next_turn = link.kind, link.created_ms, link.request_id
    row.next_layer, row.next_confidence = link.layer, link.confidence
    if row.reason == CHORE and chores.goes_on(row, link, request):
        row.state, row.reason = OPEN, None  # somebody goes on with it: it was no chore
    if row.state in (OPEN, CLOSED):
        retried = link.kind == "retry"
        row.state, row.reason = (CLOSED, ASKED_AGAIN) if retried else (LINKED, None)
    session.add(row)
    if row.state != UNTRAINED:
        if followed_before:
            drop_verdicts(session, row, rules)
        if link.kind != "retry":  # that a reply did not arrive says nothing of its worth
            judge(session, row, link, rules)


def _counts(session: Session, row: TurnRow, link: Link, request: Turn, rules: Rules) -> bool:
    """Return whether a link replaces what a turn has: of two that are alike the one that judges.

    A client's order that is not known as a chore, or a question that was put otherwise then, says
    nothing of the reply that it goes on from; what somebody says to the same reply next, does.
    """
    old = _following(row)
    if not conversation.contests(link, old, by=row.next_turn, said=request.messages[-1:]):
        return conversation.outweighs(link, old)
    if says_something(session, row, rules):
        return conversation.outweighs(link, old) and would_say(row, link, rules)
    return conversation.outweighs(link, old) or would_say(row, link, rules)


def _unlink(session: Session, row: TurnRow, rules: Rules) -> None:
    """Take back a link whose request turned out to follow another turn."""
    row.next_state = row.next_kind = row.next_ms = row.next_turn = None
    row.next_layer = row.next_confidence = None
    if row.state == LINKED:
        row.state = OPEN
    session.add(row)
    if row.state != UNTRAINED:
        drop_verdicts(session, row, rules)


def _following(row: TurnRow) -> Following:
    return Following(row.next_kind, row.next_ms, row.next_confidence)


def _close_idle(session: Session, line: str, before_ms: int) -> None:
    """Close conversations without a next request, and let weak verdicts go that found no company.

    A late request still counts for their turns, and so does a later verdict.
    """
    if before_ms <= 0:
        return
    ours = update(TurnRow).where(col(TurnRow.line) == line)
    ours = ours.execution_options(synchronize_session=False)  # nothing of them is used after this
    old = col(TurnRow.reason).is_(None), col(TurnRow.created_ms) < before_ms
    idle = col(TurnRow.state) == OPEN
    session.exec(ours.where(idle, *old).values(state=CLOSED, reason=IDLE))
    # Found by how weak they are: strong ones may wait for long, and be many. Adding nothing keeps
    # SQLite from the index on their times, which would read those, too.
    weak = col(TurnRow.strength) < SURE, col(TurnRow.judged_ms) < before_ms
    alone = old[0], col(TurnRow.created_ms) + 0 < before_ms, *weak
    session.exec(ours.where(col(TurnRow.state) == JUDGED, *alone).values(reason=NO_COMPANY))


def _to_dead_letters(session: Session, entry: Entry, cause: Exception, rules: Rules) -> None:
    letter = dead_letters.of_entry(
        entry,
        f"{type(cause).__name__}: {cause}",
        max_bytes=rules.max_record_bytes,
        now_ms=entry.time_ms,
    )
    outbox.put(session, dead_letters.TOPIC, letter.id, letter, line=rules.line)
