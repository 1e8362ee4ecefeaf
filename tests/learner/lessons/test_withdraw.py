"""Who takes back what a lesson that helped nobody has taught: by the policy."""

from pathlib import Path

import pytest

from learner.lessons.withdraw import withdrawal
from learner.settings import LearnerSettings
from streams.line.line import Line
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.lesson_tables import LessonRow
from streams.store.store import open_store
from streams.store.tables import GenerationRow


@pytest.mark.parametrize(
    ("policy", "goes_back"),
    [("direct", True), ("staged", True), ("shadow", True), ("approve", False),
     ("two-person", False)],
)  # fmt: skip
def test_the_line_goes_back_unless_an_operator_is_asked(
    tmp_path: Path, policy: str, goes_back: bool
) -> None:
    """The lesson is set aside in any case, and who may not go back names what to go back to."""
    store = open_store(StreamsSettings(home=tmp_path))
    rollout = RolloutSettings.model_validate({"policy": policy})
    with store.transaction() as session:
        session.add(
            LessonRow(
                id="l", line="main", principal="ann", turn_id="t", instruction="Be kind.",
                wished=[], due=True, reason="judged worse", created_ms=1,
            )
        )  # fmt: skip
        session.add(
            GenerationRow(
                id="g", line="main", number=1, parent="base", child="v1", key="0" * 16,
                state="released", turn_ids=["t"], planned_ms=1,
                batch=[{"turn_id": "t", "score": -1, "weight": 1.0, "lesson": "l"}],
            )
        )  # fmt: skip
        line = Line("main", ("base", "v1"), 1)
        found = withdrawal(session, line, LearnerSettings(), rollout, now_ms=9)
        assert found is not None
        assert session.get_one(LessonRow, "l").state == "set aside"
        assert (found.change is not None) == goes_back
        assert ("an operator may go back to base" in found.generation.reason) != goes_back
    store.close()
