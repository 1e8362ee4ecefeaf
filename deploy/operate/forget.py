"""Forgets a principal: the record that says so, then store, log and what agents of the home keep.

The record on the topic `forgotten` comes first and decides; everything after it can be done again.
The store is changed line by line, by whoever holds the line's lease: a learner that runs does it
when it reads the record, and where none runs the lease is taken for a moment. Then it is said which
versions they moved.

Knows nothing of how a version is built without somebody (learner.rerun.refit, learner.rerun.rerun).
"""

import os
import re
import secrets
import socket
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlmodel import select

from agent.errors import DamagedError
from agent.stored.projection import FILE, Projection
from deploy.errors import ForgetError
from learner.forget import store as stored
from learner.forget.store import Influence
from learner.rerun import own_home
from learner.settings import SEARCHED, group_of
from streams.keeping import erase, forgotten
from streams.log.contract import Log, entries_now, outgoing
from streams.open import KAFKA_SCHEME
from streams.records import Forgotten, Recipe
from streams.settings import StreamsSettings
from streams.spool.folder import forget_left
from streams.status import spooled
from streams.store.lease import Lease
from streams.store.store import Store
from streams.store.tables import ForgottenRow, TurnRow

# A learner listens once a second, also in the middle of a generation; a slow pass may take longer.
LEARNER_S: Final = 60.0
LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Report:
    """What was forgotten, or would be."""

    principal: str
    dry_run: bool
    taken: bool  # False: a learner holds its line's lease and has not read the record yet
    turns: int
    judgements: int
    log: dict[str, int] = field(default_factory=dict)  # topic → records taken out
    spools: int = 0  # records in spools that no process holds
    still: str | None = None  # why the replies that agents keep may quote them still
    left: str | None = None  # why what killed exact runs left may quote them still
    before: dict[str, Any] | None = None  # the last time's Forgotten record
    influenced: list[Influence] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""
        return asdict(self)


def principal_named(text: str) -> str:
    """Read a principal: 16 hex digits, a key's whole SHA-256, or anonymous.

    raises: ForgetError

    >>> principal_named("00112233445566778899aabbccddeeff" * 2)
    '0011223344556677'
    """
    name = text.strip().lower()
    if name == "anonymous" or re.fullmatch("[0-9a-f]{16}", name):
        return name
    if re.fullmatch("[0-9a-f]{64}", name):
        return name[:16]
    raise ForgetError(
        f"{text!r} is no principal: give the first 16 hex digits of the SHA-256 of the API key, as"
        " `quickset turns --json` shows them, or anonymous"
    )


def survey(
    store: Store,
    log: Log,
    settings: StreamsSettings,
    principal: str,
    *,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Say what there is to forget of a principal; changes nothing.

    clock: Unix seconds
    raises: ForgetError when nothing is known of them
    """
    with store.reading() as session:
        held = stored.held(session, principal)
        influenced = stored.influence(session, principal)
    record = _record(principal, who="", reason="", clock=clock)
    logged = _count(store, log, settings, record, known=held.turns + held.tombstones > 0)
    if not (held.turns or held.judgements or held.tombstones or logged or held.forgotten):
        raise ForgetError(
            f"nothing is known of the principal {principal}, in the store or in the log:"
            " `quickset turns --json` shows whose the turns are"
        )
    said = set(Forgotten.model_fields) - {"v"}
    before = held.forgotten.model_dump(include=said) if held.forgotten else None
    return Report(
        principal=principal,
        dry_run=True,
        taken=False,
        turns=held.turns,
        judgements=held.judgements,
        log=dict(logged),
        before=before,
        influenced=influenced,
    )


def forget(
    store: Store,
    log: Log,
    settings: StreamsSettings,
    principal: str,
    *,
    line: str,
    who: str,
    reason: str,
    wait: Callable[[float], None] = time.sleep,
    patience_s: float = LEARNER_S,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Forget a principal everywhere that can be reached from here.

    line: one that is emptied in any case; others are, where the principal is known
    wait: between two looks at what a running learner has done; patience_s: how long altogether
    clock: Unix seconds
    raises: ForgetError when nothing is known of them; LogUnavailableError, StoreUnavailableError
        (do it again: what was done stays done)
    """
    found = survey(store, log, settings, principal, clock=clock)
    if found.before is not None and _is_all(found, settings):
        record = Forgotten.model_validate(found.before)  # nothing new since: no second record
    else:
        record = _record(principal, who=who, reason=reason, clock=clock)
        log.append([outgoing(forgotten.TOPIC, principal, record)])
    lines = _lines(store, principal) | {line}
    taken = _apply(store, record, lines, wait, patience_s)
    store.settle()
    gone = _erase(store, log, settings, record)
    home = settings.home.expanduser()
    return Report(
        principal=principal,
        dry_run=False,
        taken=taken,
        turns=found.turns,
        judgements=found.judgements,
        log=dict(gone),
        spools=forget_left(home / "spool", principal, record.created_ms, settings),
        still=_forget_replies(home / FILE, record, keep_days=settings.retention_days),
        left=remove_left(home),
        before=found.before,
        influenced=found.influenced,
    )


def _forget_replies(path: Path, record: Forgotten, *, keep_days: int) -> str | None:
    """Take their words out of the replies that may be asked for again; say why that failed.

    The agents that run do the same when they read the record, and one that starts, too.
    """
    if not path.exists():
        return None
    try:
        kept = Projection(path, keep_days=keep_days)
        try:
            kept.forget([record])
        finally:
            kept.close()
    except (sqlite3.Error, DamagedError, OSError) as cause:
        return f"{path} cannot be used now ({cause})"
    return None


def remove_left(home: Path) -> str | None:
    """Remove what exact runs that were killed left in a home; say why that failed."""
    try:
        own_home.remove_left(home)
    except OSError as cause:
        return f"{home / own_home.FOLDER} cannot be emptied now ({cause})"
    return None


def _is_all(found: Report, settings: StreamsSettings) -> bool:
    """Whether a survey shows that nothing was said since the last time, wherever it might lie.

    What Kafka holds is not counted, and whose the records in spools are is not looked at.
    """
    if settings.log.startswith(KAFKA_SCHEME):
        return False
    spools = spooled(settings.home.expanduser() / "spool")
    return not (found.turns or found.judgements or found.log or any(s.records for s in spools))


def _record(principal: str, *, who: str, reason: str, clock: Callable[[], float]) -> Forgotten:
    return Forgotten(
        id=uuid.uuid4().hex,
        principal=principal,
        reason=reason,
        who=who,
        created_ms=int(clock() * 1000),
    )


def _lines(store: Store, principal: str) -> set[str]:
    """Name the lines that the store knows turns of the principal in."""
    with store.reading() as session:
        theirs = select(TurnRow.line).where(TurnRow.principal == principal)
        return set(session.exec(theirs.distinct()))


def _apply(
    store: Store,
    record: Forgotten,
    lines: Iterable[str],
    wait: Callable[[float], None],
    patience_s: float,
) -> bool:
    """Change the store, or wait for the learners that may; False when one has not done it yet."""
    holder = f"forget:{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    waiting = {line: Lease(store, group_of(line), holder=holder) for line in lines}
    left_s = patience_s
    while True:
        for line, lease in list(waiting.items()):
            if _apply_to(store, record, line, lease):
                del waiting[line]
        if not waiting or left_s <= 0:
            return not waiting
        wait(LOOK_S)
        left_s -= LOOK_S


def _apply_to(store: Store, record: Forgotten, line: str, lease: Lease) -> bool:
    """Empty a line where no learner holds its lease; say whether that is done."""
    with store.reading() as session:
        if session.get(ForgottenRow, (record.id, line)) is not None:
            return True
    if not lease.acquire():
        return False
    try:
        with store.transaction() as session:
            lease.check(session)
            stored.apply(session, record, line)
        return True
    finally:
        lease.release()


def _turn_ids(store: Store, principal: str) -> list[str]:
    with store.reading() as session:
        return list(session.exec(select(TurnRow.id).where(TurnRow.principal == principal)))


def _count(
    store: Store, log: Log, settings: StreamsSettings, record: Forgotten, *, known: bool
) -> Counter[str]:
    """Count what the log would give back; on Kafka only as far as needed to know them at all."""
    if not settings.log.startswith(KAFKA_SCHEME):
        path = settings.home.expanduser() / "log.db"
        return Counter[str](erase.count(path, record, _turn_ids(store, record.principal)))
    if known:
        return Counter()
    return Counter(
        topic
        for topic in forgotten.SAID
        for entry in entries_now(log, topic)
        if forgotten.said_by(entry.value, record.principal) is not None
    )


def _erase(store: Store, log: Log, settings: StreamsSettings, record: Forgotten) -> Counter[str]:
    if settings.log.startswith(KAFKA_SCHEME):
        closed = erase.close_letters(log, record)
        return Counter({"dead-letters": closed} if closed else {})
    path = settings.home.expanduser() / "log.db"
    return Counter[str](erase.erase(path, record, _turn_ids(store, record.principal)))


def versions_standing_on(influenced: Iterable[Influence], chain: Iterable[str]) -> list[str]:
    """Return the part of a chain of versions that was made by, or stands on, what they moved.

    >>> one = Influence(1, "main", "b", 1, 2, 0.5)
    >>> versions_standing_on([one], ["a", "b", "c"])
    ['b', 'c']
    """
    moved = {each.version for each in influenced}
    names = list(chain)
    first = next((place for place, name in enumerate(names) if name in moved), len(names))
    return names[first:]


def needs_exact(influenced: Iterable[Influence], chain: Iterable[Recipe]) -> bool:
    """Return whether only an exact run leaves them out of a chain of versions.

    Where searched noise lies was chosen on all turns of a batch, so what others said in it cannot
    be told apart from theirs without scoring again (learner.rerun.refit).
    """
    searched = {recipe.version for recipe in chain if recipe.noise in SEARCHED}
    return any(each.version in searched and each.turns < each.of_turns for each in influenced)
