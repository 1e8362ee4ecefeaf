"""What a finished generation leaves in its lessons, whatever became of them meanwhile."""

from pathlib import Path

from learner.lessons.learned import learned
from learner.lessons.review import is_due, review
from learner.settings import LearnerSettings
from streams.records import Deletion, Feedback
from streams.settings import StreamsSettings
from streams.store.lesson_tables import LessonRow
from streams.store.store import open_store
from streams.store.tables import GenerationRow, TurnRow
from tests.learner.test_intake import Feed
from tests.learner.turns import said, turn


def test_a_lesson_that_is_deleted_while_it_is_learned_is_looked_at_no_more(tmp_path: Path) -> None:
    """Nothing of it can be worked out, so it would be due for ever."""
    store = open_store(StreamsSettings(home=tmp_path))
    feed = Feed(store)
    feed(turn(said("what is 1?"), "It is one.", id="t1"))
    theirs = {"turn_id": "t1", "line": "main", "principal": "alice", "session": "s"}
    hint = "Answer like a pirate, please."
    given = theirs | {"id": "f", "score": -1, "hint": hint, "created_ms": 2_000}
    feed(Feedback.model_validate(given), topic="feedback")
    with store.transaction() as session:
        lesson = session.get_one(TurnRow, "t1").lesson
        item = {"turn_id": "t1", "weight": 1.0, "score": -1, "hint": hint, "lesson": lesson}
        planned = GenerationRow(
            id="g", line="main", number=1, parent="base", key="0" * 16, state="planned",
            turn_ids=["t1"], batch=[item], planned_ms=1,
        )  # fmt: skip
        session.add(planned)
        review(session, "main", LearnerSettings(), serving="base")
    gone = theirs | {"id": "d", "created_ms": 3_000}
    feed(Deletion.model_validate(gone), topic="feedback")
    with store.transaction() as session:
        learned(session, session.get_one(GenerationRow, "g"), {})
    with store.reading() as session:
        assert session.get_one(LessonRow, lesson).state == "forgotten"
        assert not is_due(session, "main")
    store.close()
