"""Rests are noted with what was known, once for as long as nothing new is, and over restarts."""

from pathlib import Path

from kernels.contract import Backend
from streams.model.open import BaseModel
from streams.records import Mask
from streams.store.rest_tables import RestRow
from tests.learner.test_loop import School, open_school


def rests(school: School) -> list[tuple[int, int, int, int, int, int]]:
    """Read what is noted: where it stands, what was known of turns and line, and when."""
    rows = sorted(school.rows(RestRow), key=lambda row: (row.number, row.place))
    return [
        (
            row.number, row.place, row.horizon.get("turns/0", 0), row.horizon["seq"],
            row.rested_ms, row.until_ms,
        )
        for row in rows
    ]  # fmt: skip


def idle(school: School, now_s: float) -> None:
    """Let the learner find nothing to do at a moment."""
    school.clock.now_s = now_s
    assert not school.step()


def test_each_rest_is_noted_with_what_was_known(
    tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend
) -> None:
    """Whether a plan follows or not; the last moment of one is kept when something comes of it."""
    school = open_school(tmp_path, tiny_base, tiny_mask, backend)
    for now_s in (1_000, 1_001, 1_002):
        idle(school, now_s)
    assert rests(school) == [(0, 1, 0, 0, 1_000_000, 1_000_000)]
    school.corrected("a")
    idle(school, 1_003)  # of one correction nothing is learned yet
    idle(school, 1_004)
    school.corrected("b")
    school.clock.now_s = 1_005
    assert school.step()
    before = [(0, 1, 0, 0, 1_000_000, 1_002_000), (0, 2, 2, 0, 1_003_000, 1_004_000)]
    assert rests(school) == before
    while school.step():
        pass
    made = len(school.generations())
    assert rests(school) == [*before, (made, 1, 4, made, 1_005_000, 1_005_000)]
    school.learner.close()
    again = open_school(tmp_path, tiny_base, tiny_mask, backend, start=2)
    idle(again, 2_001)
    assert len(rests(again)) == 3
    again.corrected("c")
    idle(again, 2_002)
    assert rests(again)[2:] == [
        (made, 1, 4, made, 1_005_000, 2_001_000),
        (made, 2, 6, made, 2_002_000, 2_002_000),
    ]
