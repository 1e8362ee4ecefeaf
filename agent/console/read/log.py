"""What the console shows of the log: how far it goes, and what in it nobody could use."""

from collections.abc import Mapping

from streams.errors import StreamsError
from streams.log import dead_letters
from streams.log.contract import Log, Partition, Topic

TOPICS: tuple[Topic, ...] = ("turns", "feedback", "rollouts")  # those that groups read

Figures = tuple[Mapping[Partition, int], int | None]  # end offsets; open dead letters, if known


class LogFigures:
    """Reads the figures of a log; dead letters anew only when some came or were settled."""

    def __init__(self, log: Log | None) -> None:
        self._log = log
        self._letters: tuple[Mapping[Partition, int], int] = ({}, 0)

    def read(self) -> Figures:
        """Read the figures; none of a log that is away."""
        if self._log is None:
            return {}, None
        ends: dict[Partition, int] = {}
        try:
            for topic in TOPICS:
                ends |= self._log.end_offsets(topic)
            return ends, self._num_dead_letters(self._log)
        except StreamsError:
            return {}, None

    def _num_dead_letters(self, log: Log) -> int:
        ends = log.end_offsets(dead_letters.TOPIC)
        if ends != self._letters[0]:
            letters = dead_letters.read_all(log) if any(ends.values()) else []
            self._letters = ends, sum(each.closed is None for each in letters)
        return self._letters[1]
