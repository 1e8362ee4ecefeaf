"""Any course of events in the life of a spool's file: what was promised comes out, in order.

The machine appends, drains, forgets, kills, fills and breaks the disk and cuts its power as it
likes; beside it stands a list. Records that were not promised may come out as well (they were being
written), but none that is forgotten, none in front of an earlier one of its key, and none twice but
after a kill, which may have come between the log and the note that it was drained.
"""

import random
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.log.contract import Outgoing
from streams.spool.file import Batch, SpoolFile, open_free
from tests.files import on_disk
from tests.sqlite_disk import Disk


class SpoolLife(RuleBasedStateMachine):
    """A spool that drops what comes when it is full, so that nothing promised may ever go."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(mkdtemp(prefix="quickset-spool-"))
        self.lives = self.number = 0
        self.promised: list[str] = []  # not drained yet, in order
        self.out: list[str] = []  # drained, by this life or an earlier one
        self.out_now: set[str] = set()  # drained in this life
        self.forgotten: set[str] = set()
        self.batch: Batch | None = None  # on its way to the log
        self.unbounded = False
        self.disk = Disk()
        self.ends = ExitStack()
        self.ends.enter_context(self.disk.installed())

    @property
    def folder(self) -> Path:
        return self.home / str(self.lives)

    @initialize(max_bytes=st.sampled_from([2**16, 2**18, 2**22]))
    def open_first(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.file = self.open()

    def open(self) -> SpoolFile:
        opened = open_free(self.folder, max_bytes=self.max_bytes, drop_oldest=False)
        assert opened is not None
        return opened

    @rule(count=st.integers(1, 6), size=st.integers(0, 9_000), who=st.sampled_from("ab"))
    def append(self, count: int, size: int, who: str) -> None:
        records = []
        for _ in range(count):
            id, self.number = f"{who}{self.number}", self.number + 1
            records.append(Outgoing("turns", who, id, f"said by {who}".encode() + bytes(size)))
        before = self.file.dropped
        kept = self.file.append(records)
        assert self.file.dropped - before == kept.count(False)
        self.promised += [record.id for record, safe in zip(records, kept, strict=True) if safe]

    @precondition(lambda self: self.batch is None)
    @rule(most=st.integers(1, 9), max_bytes=st.integers(0, 30_000))
    def take(self, most: int, max_bytes: int) -> None:
        self.batch = self.file.peek(max_records=most, max_bytes=max_bytes)
        if self.batch is None:
            assert self.promised == []
            return
        ids = [record.id for record in self.batch.records]
        assert not self.forgotten.intersection(ids)
        assert not self.out_now.intersection(ids)
        waiting = [id for id in ids if id in self.promised]
        assert waiting == self.promised[: len(waiting)]

    @precondition(lambda self: self.batch is not None)
    @rule(drained=st.booleans())
    def settle(self, drained: bool) -> None:
        batch, self.batch = self.batch, None
        assert batch is not None
        self.file.release(batch, drained=drained)
        if drained:
            ids = [record.id for record in batch.records]
            self.promised = [id for id in self.promised if id not in ids]
            self.out += ids
            self.out_now.update(ids)

    @precondition(lambda self: self.batch is None)
    @rule(who=st.sampled_from("ab"))
    def forget(self, who: str) -> None:
        self.unbounded = True
        theirs = [id for id in self.promised if id.startswith(who)]
        before = self.file.num_records
        try:
            self.file.forget(lambda record: record.key == who)
        except OSError:  # either all of theirs is gone, or everything is as it was
            if self.file.num_records == before:
                return
        else:
            assert f"said by {who}".encode() not in on_disk(self.folder)
        self.promised = [id for id in self.promised if id not in theirs]
        self.forgotten |= {f"{who}{n}" for n in range(self.number)}

    @rule(room=st.none() | st.integers(0, 30_000), broken=st.booleans())
    def change_the_disk(self, room: int | None, broken: bool) -> None:
        self.disk.room, self.disk.broken = room, broken
        self.unbounded |= room is not None or broken

    @rule(kept=st.sampled_from([0.0, 0.5, 1.0]), seed=st.integers(0, 2**32))
    def die(self, kept: float, seed: int) -> None:
        """Kill the process, or cut the power: then blocks that were not synced may be missing."""
        file, before = self.file, self.folder
        self.lives += 1
        self.disk.cut_power(self.folder, random.Random(seed), kept=kept)
        shutil.copy(before / "dropped", self.folder / "dropped")
        file.close()
        self.disk.room, self.disk.broken = None, False
        self.disk.begin_with(self.folder)
        self.batch, self.out_now, self.unbounded = None, set(), False
        self.file = self.open()

    @invariant()
    def counts_what_waits(self) -> None:
        if hasattr(self, "file"):
            assert self.file.num_records >= len(self.promised)

    @invariant()
    def keeps_to_its_bound(self) -> None:
        """Beside one append, and but for a moment of forgetting, or where syncs fail."""
        if hasattr(self, "file") and not self.unbounded:
            sizes = [(self.folder / f"waiting.db{each}").stat().st_size for each in ("", "-wal")]
            assert sum(sizes) <= self.max_bytes + 6 * 9_000 * 1.2

    def teardown(self) -> None:
        try:
            if hasattr(self, "file"):
                self.end()
        finally:
            if hasattr(self, "file"):
                self.file.close()
            self.ends.close()
            shutil.rmtree(self.home)

    def end(self) -> None:
        """Drain to the end on a good disk."""
        self.disk.room, self.disk.broken = None, False
        if self.batch is not None:
            self.settle(drained=False)
        self.take(most=100, max_bytes=2**20)
        while self.batch is not None:
            self.settle(drained=True)
            self.take(most=100, max_bytes=2**20)
        assert self.promised == []
        assert self.file.num_records == 0
        for who in "ab":
            numbers = [int(id[1:]) for id in dict.fromkeys(self.out) if id[0] == who]
            assert numbers == sorted(numbers)


TestSpoolLife = pytest.mark.fault("power cut")(SpoolLife.TestCase)
TestSpoolLife.settings = examples(max_examples=30, stateful_step_count=40, deadline=None)
