"""What a reading of the store is asked for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from streams.log.contract import Partition
from streams.records import Json

Value = Json | list[Json]


@dataclass(frozen=True, slots=True)
class View:
    """Which lines are shown, and what is known of them besides the store."""

    lines: Collection[str]
    named: Collection[str] = ()  # versions that are shown however old they are
    ends: Mapping[Partition, int] = field(default_factory=dict)  # of the topics that groups read
    dead_letters: int | None = None  # open ones; None: not known
    now_ms: int = 0  # Unix milliseconds
    keep_days: int | None = None  # how long the log keeps what is said; None: not known
