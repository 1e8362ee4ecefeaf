"""Of two writers that bring the same row one succeeds, and neither fails."""

import threading

from sqlmodel import select

from streams.store.insert import insert_new
from streams.store.store import Store
from streams.store.tables import ArtefactRow, RolloutRow


def artefact(digest: str, *, created_ms: int = 1) -> ArtefactRow:
    return ArtefactRow(digest=digest, kind="test", body={"ß": [None, 2.5]}, created_ms=created_ms)


def rollout(id: str, seq: int) -> RolloutRow:
    return RolloutRow(
        id=id, line="main", seq=seq, version="v", previous="b", state="completed", verb="promote",
        reason="a\0b", who="x", created_ms=1,
    )  # fmt: skip


def test_a_row_is_inserted_once(store: Store) -> None:
    """The first one stays as it was, and whoever brings it again is told so."""
    with store.transaction() as session:
        assert insert_new(session, artefact("d"))
        assert not insert_new(session, artefact("d", created_ms=2))
    with store.transaction() as session:
        assert not insert_new(session, artefact("d", created_ms=3))
        assert insert_new(session, artefact("e"))
    with store.reading() as session:
        rows = session.exec(select(ArtefactRow).order_by(ArtefactRow.digest)).all()
    assert [row.model_dump() for row in rows] == [
        artefact("d").model_dump(), artefact("e").model_dump(),
    ]  # fmt: skip


def test_every_key_of_a_table_counts(store: Store) -> None:
    """Another name for a place that is taken is refused, too; odd text is kept."""
    with store.transaction() as session:
        assert insert_new(session, rollout("a", 1))
        assert not insert_new(session, rollout("b", 1))
        assert insert_new(session, rollout("b", 2))
    with store.reading() as session:
        assert [row.reason for row in session.exec(select(RolloutRow))] == ["a\0b"] * 2


def test_writers_at_once_bring_it_once(store: Store) -> None:
    """A transaction that comes while another has it, not yet committed, waits for that one."""
    began, inserted = threading.Barrier(2), list[bool]()

    def bring() -> None:
        began.wait()
        for number in range(50):
            with store.transaction() as session:
                inserted.append(insert_new(session, artefact(str(number))))

    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(inserted) == [False] * 50 + [True] * 50
