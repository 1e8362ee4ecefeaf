"""The status tells what waits where, without disturbing anybody."""

from collections.abc import Iterable
from pathlib import Path

from streams.errors import LogUnavailableError
from streams.keeping.leap import DAY_MS
from streams.log import dead_letters
from streams.log.contract import Entry, Log, Outgoing, Partition, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Mask
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from streams.status import read_status
from streams.store import outbox
from streams.store.lease import Clocks, Lease
from streams.store.offsets import advance
from streams.store.store import Store
from streams.store.tables import SeenRow


def made(number: int) -> Outgoing:
    return Outgoing(topic="turns", key="k", id=f"id-{number}", value=b"v")


def test_the_status_of_new_streams_is_all_zero(log: Log, store: Store, tmp_path: Path) -> None:
    """Every partition is listed, nobody reads, nothing waits."""
    status = read_status(store, log, spools=tmp_path / "none")
    assert {(each.end, each.group, each.lag) for each in status.lags} == {(0, None, 0)}
    assert (status.leases, status.spools, status.outbox, status.dead_letters) == ((), (), 0, 0)


def test_the_status_counts_what_waits(store: Store, tmp_path: Path) -> None:
    """Lag of each group, the lease, the outbox, the open dead letters."""
    log = SqliteLog(tmp_path / "log.db")
    log.append([made(number) for number in range(10)])
    read = Entry(Partition("turns", 0), 6, key="k", id="id-6", value=b"", time_ms=0)
    letter = dead_letters.of_entry(read, "broken", max_bytes=2**20, now_ms=0)
    log.append([outgoing(dead_letters.TOPIC, letter.id, letter)])
    with store.transaction() as session:
        advance(session, "learner/main", [read])
        outbox.put(session, "recipes", "main", Mask(base="b", neurons={}, groups={}), line="main")
    clocks = Clocks(wall=lambda: 100.0)
    assert Lease(store, "learner/main", holder="me", duration_s=5, clocks=clocks).acquire()
    status = read_status(store, log, spools=tmp_path)
    [turns] = [each for each in status.lags if each.topic == "turns"]
    assert (turns.group, turns.read, turns.end, turns.lag) == ("learner/main", 7, 10, 3)
    [lease] = status.leases
    assert (lease.name, lease.holder, lease.epoch) == ("learner/main", "me", 1)
    assert lease.expires_ms == 105_000
    assert (status.outbox, status.dead_letters) == (1, 1)
    log.close()


def test_the_status_says_why_nothing_is_pruned(log: Log, store: Store, tmp_path: Path) -> None:
    """Records lie further ahead than anything is kept; with the next week's it is silent."""

    def told(day: int) -> str | None:
        now_ms = day * DAY_MS
        with store.transaction() as session:
            session.add(SeenRow(group="learner/main", id=str(day), time_ms=now_ms))
        return read_status(
            store, log, spools=tmp_path, keep_days=90, now_ms=now_ms
        ).not_pruned  # fmt: skip

    assert told(1_000) is None
    assert "further ahead than the 90 days" in str(told(1_100))
    assert told(1_107) is None


def test_a_spool_is_seen_from_outside(store: Store, tmp_path: Path) -> None:
    """What an agent has on disk and what it ever dropped, over restarts, without its lock."""

    class AwayLog(SqliteLog):
        def append(self, records: Iterable[Outgoing], *, busy_s: float = 0) -> None:  # noqa: ARG002
            raise LogUnavailableError(f"{len(list(records))} records cannot be appended")

    settings = StreamsSettings(home=tmp_path, spool_bytes=2**16, spool_when_full="drop-newest")
    log = SqliteLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", AwayLog(tmp_path / "log.db"), settings)
    large = Outgoing(topic="turns", key="k", id="large", value=bytes(2**17))
    assert spool.put([made(1), made(2)]).result(30)
    assert not spool.put([large]).result(30)
    [seen] = read_status(store, log, spools=tmp_path / "spool").spools
    assert (seen.folder, seen.records, seen.dropped) == ("0", 2, 1)
    spool.close(drain_s=0)
    spool = Spool(tmp_path / "spool", log, settings)
    assert spool.wait_drained(30)
    assert spool.depth().dropped == 1
    spool.close()
    [seen] = read_status(store, log, spools=tmp_path / "spool").spools
    assert (seen.records, seen.dropped) == (0, 1)
    log.close()
