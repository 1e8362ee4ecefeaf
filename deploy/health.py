"""How the streams are: how far each group has read, who holds each lease, what waits.

Reads the log and the store only; what an agent's spool holds is in that agent's metrics.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, func, select

from deploy.history import store_session
from streams import dead_letters
from streams.log import TOPICS, Log
from streams.open import open_log
from streams.settings import StreamsSettings
from streams.tables import LeaseRow, OffsetRow, OutboxRow

NOBODY = "–"  # the group of a partition that no group reads by stored offsets


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group has read a partition."""

    topic: str
    partition: int
    end: int  # the offset that the next record will get
    group: str
    read: int | None  # the next offset that the group will read

    @property
    def lag(self) -> int:
        """Records that wait for the group; 0 where no group reads."""
        return self.end - self.read if self.read is not None else 0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease."""

    name: str
    holder: str
    epoch: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Health:
    """The state of log and store at one moment."""

    lags: list[Lag]
    leases: list[Holder]
    outbox: int
    dead_letters: int  # open ones

    def as_json(self) -> dict[str, Any]:
        """Give everything as plain values, lags counted."""
        body = asdict(self)
        body["lags"] = [asdict(each) | {"lag": each.lag} for each in self.lags]
        return body


def status(settings: StreamsSettings) -> Health:
    """Read the state of log and store.

    raises: DeployError when there is no store yet; LogUnavailableError, StoreUnavailableError
    """
    log: Log | None = None
    try:
        with store_session(settings) as session:
            log = open_log(settings)
            leases = session.exec(select(LeaseRow)).all()
            return Health(
                lags=_lags(session, log),
                leases=[Holder(row.name, row.holder, row.epoch, row.expires_ms) for row in leases],
                outbox=session.exec(select(func.count()).select_from(OutboxRow)).one(),
                dead_letters=sum(each.closed is None for each in dead_letters.read_all(log)),
            )
    finally:
        if log is not None:
            log.close()


def _lags(session: Session, log: Log) -> list[Lag]:
    read: dict[tuple[str, int], list[OffsetRow]] = {}
    for row in session.exec(select(OffsetRow)):
        read.setdefault((row.topic, row.partition), []).append(row)
    lags: list[Lag] = []
    for topic in TOPICS:
        for partition, end in sorted(
            log.end_offsets(topic).items(), key=lambda each: each[0].number
        ):
            rows = read.get((topic, partition.number), [])
            lags += [Lag(topic, partition.number, end, row.group, row.next_offset) for row in rows]
            if not rows:
                lags.append(Lag(topic, partition.number, end, NOBODY, None))
    return lags
