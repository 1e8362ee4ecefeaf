"""When generations may be planned: at any time, at an order, or while nobody needs the machine.

The mode is a setting (`learner.mode`). An order (`quickset learn`) lets one generation be planned
at once, in every mode, as soon as there is something to learn from; it is a record of the log, and
the generation that fulfils it says so, so that a restart neither loses nor repeats it. One that was
given up untried, as its parent had been taken back, fulfils nothing; nor does one that became void
while it was computed, as a turn of it was forgotten.

Times of the day are this process's local ones, by the clock as it is set now: a machine may have
started before its clock was right.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from learner.batch.window import UNTRIED
from learner.settings import LearnerSettings, minutes
from streams.errors import RecordError
from streams.log.contract import Entry, Log, records_now
from streams.records import LearnOrder, Record, decode
from streams.store.states import PLANNED
from streams.store.tables import GenerationRow

# The key of a generation's horizon for the order that it fulfils, or puts an end to.
ORDER: Final = "order"


class Orders:
    """The newest order of a line. Not shared between threads."""

    def __init__(self, line: str) -> None:
        """Know none."""
        self._line = line
        self._newest: LearnOrder | None = None
        self._fulfilled: set[str] = set()  # by the generations up to this one
        self._looked_at = 0

    def read_all(self, log: Log) -> None:
        """Read what the log has. Raises: LogUnavailableError."""
        self._take(records_now(log, "rollouts"))

    def see(self, entries: Iterable[Entry]) -> None:
        """Take those that are among entries of the log."""
        self._take(_decoded(each for each in entries if each.partition.topic == "rollouts"))

    def open(self, session: Session) -> LearnOrder | None:
        """Return the newest order, unless a generation, however old, has fulfilled it."""
        if self._newest is None or self._newest.id in self._fulfilled:
            return None
        taken: set[str] = set()
        for row in session.exec(_later(self._line, self._looked_at)):
            if ORDER in row.horizon and _takes(row):
                taken.add(row.horizon[ORDER])
            if row.state == PLANNED:  # whether it is tried shows at its end
                break
            self._looked_at = row.number
            self._fulfilled |= taken
        return None if self._newest.id in self._fulfilled | taken else self._newest

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            if isinstance(record, LearnOrder) and record.line == self._line:
                self._newest = record


def _takes(row: Any) -> bool:
    """Whether a generation fulfils its order, or may yet."""
    # what is void and was never done lost its turns while it was computed (learner.forget.plans)
    is_lost = row.state != PLANNED and row.done_ms is None
    return not is_lost and UNTRIED not in row.horizon


def _later(line: str, number: int) -> Any:
    """Select of a line's generations after one what tells of orders, the oldest first."""
    columns: Any = (
        GenerationRow.number, GenerationRow.state, GenerationRow.horizon, GenerationRow.done_ms
    )  # fmt: skip
    later = GenerationRow.line == line, GenerationRow.number > number
    return select(*columns).where(*later).order_by(col(GenerationRow.number))


def _decoded(entries: Iterable[Entry]) -> Iterable[Record]:
    for entry in entries:
        try:
            yield decode(entry.value)
        except RecordError:
            continue  # the intake says so


def obstacle(settings: LearnerSettings, *, now_s: float, quiet_s: float) -> str | None:
    """Return what a generation waits for by the mode, in words; None: it may be planned now.

    now_s: Unix seconds, by the clock as it is set now
    quiet_s: for how long nobody has asked, seconds
    """
    if settings.mode == "manual":
        return "an order (Learn now, or quickset learn): learner.mode is manual"
    if settings.mode == "auto":
        return None
    if not inside(settings.windows, datetime.fromtimestamp(now_s)):
        return f"its learning windows ({', '.join(settings.windows)})"
    if quiet_s < settings.idle_s:
        return f"{settings.idle_s:g} s without a request: learner.mode is idle"
    return None


def inside(windows: Sequence[str], now: datetime) -> bool:
    """Return whether a moment lies in one of the windows; without any it always does.

    >>> [inside(["22:00-06:00"], datetime(2026, 1, 1, hour)) for hour in (21, 22, 23, 5, 6)]
    [False, True, True, True, False]
    """
    minute = now.hour * 60 + now.minute
    return not windows or any(_holds(*minutes(window), minute) for window in windows)


def _holds(begins: int, ends: int, minute: int) -> bool:
    if begins <= ends:
        return begins <= minute < ends
    return minute >= begins or minute < ends
