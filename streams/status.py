"""How the streams are: how far each group has read, which process writes, what waits, what failed.

For the command line and the console alike. Reads only; what it reads of the log, the store and the
spools is of almost, not exactly, the same moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, func, select

from streams.keeping.leap import leap_of, newest
from streams.log import dead_letters
from streams.log.contract import TOPICS, Log, Topic
from streams.spool.file import look
from streams.store.store import Store
from streams.store.tables import LeaseRow, OffsetRow, OutboxRow


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group has read a partition."""

    topic: Topic
    partition: int
    end: int  # the offset that the next record will get
    group: str | None  # None: nobody reads it by stored offsets
    read: int | None  # the next offset that the group will read

    @property
    def lag(self) -> int:
        """Records that wait for the group; an upper bound, since offsets may have holes."""
        return max(0, self.end - self.read) if self.read is not None else 0


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lease."""

    name: str
    holder: str
    epoch: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """What one agent process has on disk and not yet in the log."""

    folder: str
    records: int
    num_bytes: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the streams at about one moment."""

    lags: tuple[Lag, ...]
    leases: tuple[Holder, ...]
    spools: tuple[Spooled, ...]
    outbox: int  # records that committed and are not in the log yet
    dead_letters: int  # open ones
    not_pruned: str | None = None  # why the retention lets no more go; None: it does


def read_status(
    store: Store, log: Log, *, spools: Path, keep_days: int | None = None, now_ms: int = 0
) -> Status:
    """Read the state of store, log and spools.

    spools: the folder that agents' spools share (home/spool); may be missing
    keep_days, now_ms: how long records are kept, until when (Unix milliseconds); None: not known
    raises: LogUnavailableError, StoreUnavailableError
    """
    with store.reading() as session:
        leap = None
        if keep_days is not None:
            leap = leap_of(session, keep_days, newest(session, now_ms=now_ms))
        return Status(
            lags=tuple(lags(session, log)),
            leases=tuple(holders(session)),
            spools=tuple(spooled(spools)),
            outbox=session.exec(select(func.count()).select_from(OutboxRow)).one(),
            dead_letters=sum(each.closed is None for each in dead_letters.read_all(log)),
            not_pruned=None if leap is None else str(leap),
        )


def lags(session: Session, log: Log) -> list[Lag]:
    """Return how far each group has read each partition; of one that none reads, no group."""
    stored: dict[tuple[str, int], list[OffsetRow]] = {}
    for row in session.exec(select(OffsetRow).order_by(OffsetRow.group)):
        stored.setdefault((row.topic, row.partition), []).append(row)
    found: list[Lag] = []
    for topic in TOPICS:
        ends = sorted(log.end_offsets(topic).items(), key=lambda each: each[0].number)
        for partition, end in ends:
            rows = stored.get((topic, partition.number), [])
            found += [Lag(topic, partition.number, end, r.group, r.next_offset) for r in rows]
            if not rows:
                found.append(Lag(topic, partition.number, end, None, None))
    return found


def holders(session: Session) -> list[Holder]:
    """Return every lease with its holder and epoch, expired ones too."""
    rows = session.exec(select(LeaseRow).order_by(LeaseRow.name)).all()
    return [Holder(row.name, row.holder, row.epoch, row.expires_ms) for row in rows]


def spooled(folder: Path) -> list[Spooled]:
    """Return what is in each spool below a folder; of a spool in use, about what is in it now."""
    return [Spooled(each.name, *look(each)) for each in _folders(folder)]


def _folders(folder: Path) -> Iterable[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else ()
