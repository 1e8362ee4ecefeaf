"""Proves that a log is the one that a reader's stored place was taken from.

A log that was made anew, or an older copy that others went on with, gives its offsets a second
time. Where it is shorter than what was read, its next records would never be read; where it has
grown past that place, those before it. The record before the place tells one log from the other.

What retention, erasure or compaction removed proves nothing, and is no fault: a log made anew has
no holes.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from streams.errors import LogUnavailableError
from streams.log.contract import SILENCE_S, Entry, Log, Partition

# How soon what a poll gave, and where it came to, are looked at.
_STEP_S = 0.25


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a reader has come in a partition, and what it read last."""

    next_offset: int
    last_id: str | None  # of the record before it; None: noted by an older build, which kept none


def other_log(log: Log, marks: Mapping[Partition, Mark]) -> str | None:
    """Say how a log differs from the one that was read; None: nothing speaks against it.

    raises: LogUnavailableError
    """
    ends: dict[Partition, int] = {}
    for topic in dict.fromkeys(partition.topic for partition in marks):
        ends |= log.end_offsets(topic)
    for partition, mark in marks.items():
        end = ends.get(partition, 0)
        if mark.next_offset > end:
            read = f"{_named(partition)} was read up to {mark.next_offset}"
            return f"{read}, and the log ends at {end}"
    wanted = {
        partition: mark.next_offset - 1
        for partition, mark in marks.items()
        if mark.last_id is not None and mark.next_offset > 0
    }
    for partition, entry in _entries_at(log, wanted, ends).items():
        if entry.id != marks[partition].last_id:
            return (
                f"{_named(partition)} had {marks[partition].last_id} at {entry.offset}, and the log"
                f" has {entry.id} there"
            )
    return None


def _named(partition: Partition) -> str:
    return f"{partition.topic}/{partition.number}"


def _entries_at(
    log: Log, wanted: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[Partition, Entry]:
    """Read the entry at one offset of each partition; those that are gone are left out."""
    if not wanted:
        return {}
    topics = dict.fromkeys(partition.topic for partition in wanted)
    subscription = log.subscribe(topics, group=None, positions=lambda _: {**ends, **wanted})
    found: dict[Partition, Entry] = {}
    deadline = time.monotonic() + SILENCE_S
    try:
        while not _passed(subscription.reached(), wanted):
            if time.monotonic() > deadline:
                raise LogUnavailableError(f"the log gave nothing for {SILENCE_S:g} s")
            for entry in subscription.poll(wait_s=_STEP_S, max_records=len(wanted)):
                found.setdefault(entry.partition, entry)
    finally:
        subscription.close()
    return {at: entry for at, entry in found.items() if entry.offset == wanted.get(at)}


def _passed(reached: Mapping[Partition, int], wanted: Mapping[Partition, int]) -> bool:
    return all(reached.get(partition, 0) > offset for partition, offset in wanted.items())
