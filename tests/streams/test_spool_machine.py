"""Any course of events in the life of a spool's files: what was promised comes out, in order.

The machine appends, drains, forgets, restarts, fills and breaks the disk as it likes; beside it
stands a list. Records that were not promised may come out as well (they were being written), but
none twice, none that is forgotten, and never in front of an earlier one of their key.
"""

import errno
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streams.log.contract import Outgoing
from streams.spool_files import Batch, SpoolFiles


class SpoolLife(RuleBasedStateMachine):
    """A spool that drops what comes when it is full, so that nothing promised may ever go."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="quickset-spool-"))
        self.number = 0
        self.promised: list[str] = []  # not drained yet, in order
        self.out: list[str] = []  # drained
        self.forgotten: set[str] = set()
        self.room: int | None = None  # bytes that the disk still takes
        self.broken = False
        self.batch: Batch | None = None  # on its way to the log

    @initialize(max_bytes=st.sampled_from([16 * 64, 16 * 400, 16 * 4000]))
    def open_first(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.open()

    def open(self) -> None:
        self.files = SpoolFiles(
            self.folder,
            max_bytes=self.max_bytes,
            drop_oldest=False,
            write=self.write,
            sync=self.sync,
        )

    def write(self, file: int, data: bytes) -> int:
        if self.room is None:
            return os.write(file, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "no space left on device")
        written = os.write(file, data[: self.room])
        self.room -= written
        return written

    def sync(self, file: int) -> None:  # noqa: ARG002
        if self.broken:
            raise OSError(errno.EIO, "the disk failed")

    @rule(count=st.integers(1, 6), size=st.integers(0, 300), who=st.sampled_from("ab"))
    def append(self, count: int, size: int, who: str) -> None:
        records = []
        for _ in range(count):
            id, self.number = f"{who}{self.number}", self.number + 1
            records.append(Outgoing("turns", who, id, b"v" * size))
        before = self.files.dropped
        kept = self.files.append(records)
        assert self.files.dropped - before == kept.count(False)
        self.promised += [record.id for record, safe in zip(records, kept, strict=True) if safe]

    @precondition(lambda self: self.batch is None)
    @rule(most=st.integers(1, 9), max_bytes=st.integers(0, 3000))
    def take(self, most: int, max_bytes: int) -> None:
        self.batch = self.files.peek(max_records=most, max_bytes=max_bytes)
        if self.batch is None:
            assert self.promised == []
            return
        ids = [record.id for record in self.batch.records]
        assert not self.forgotten.intersection(ids)
        assert not set(self.out).intersection(ids)
        waiting = [id for id in ids if id in self.promised]
        assert waiting == self.promised[: len(waiting)]

    @precondition(lambda self: self.batch is not None)
    @rule(drained=st.booleans())
    def settle(self, drained: bool) -> None:
        batch, self.batch = self.batch, None
        assert batch is not None
        self.files.release(batch, drained=drained)
        if drained:
            ids = [record.id for record in batch.records]
            self.promised = [id for id in self.promised if id not in ids]
            self.out += ids

    @precondition(lambda self: self.batch is None)
    @rule(who=st.sampled_from("ab"))
    def forget(self, who: str) -> None:
        try:
            self.files.forget(lambda record: record.key == who)
        except OSError:
            return
        self.promised = [id for id in self.promised if not id.startswith(who)]
        self.forgotten |= {f"{who}{n}" for n in range(self.number)}

    @rule(room=st.none() | st.integers(0, 3000), broken=st.booleans())
    def change_the_disk(self, room: int | None, broken: bool) -> None:
        self.room, self.broken = room, broken

    @rule()
    def restart(self) -> None:
        self.files.close()  # writes nothing, so this is what a kill leaves, too
        self.batch = None
        self.open()

    @invariant()
    def counts_what_waits(self) -> None:
        if hasattr(self, "files"):
            assert self.files.num_records >= len(self.promised)

    def teardown(self) -> None:
        self.room, self.broken = None, False
        if hasattr(self, "files"):
            if self.batch is not None:
                self.settle(drained=False)
            self.take(most=100, max_bytes=2**20)
            while self.batch is not None:
                self.settle(drained=True)
                self.take(most=100, max_bytes=2**20)
            assert self.promised == []
            assert self.files.num_records == 0
            for who in "ab":
                numbers = [int(id[1:]) for id in self.out if id[0] == who]
                assert numbers == sorted(set(numbers))
            self.files.close()
        shutil.rmtree(self.folder)


TestSpoolLife = SpoolLife.TestCase
TestSpoolLife.settings = examples(max_examples=150, stateful_step_count=40, deadline=None)
