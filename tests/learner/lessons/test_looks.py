"""A look at what has changed comes to what a look at all lessons would."""

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import select, update

from learner.lessons.lessons import Lessons
from learner.settings import LearnerSettings
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.lesson_tables import ACTIVE, LessonRow
from streams.store.store import open_store
from streams.store.tables import RecipeRow
from tests.learner.lessons.test_review import LONG, SHORT, Line, seen

SETTINGS = LearnerSettings(lesson_patience=2, lesson_versions=1, lesson_pleased=2)
PEOPLE = st.sampled_from(["ann", "bob", "cid"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wishes"), PEOPLE, st.sampled_from([SHORT, LONG, "Use German.", ""])),
        st.tuples(st.just("complains"), st.integers(0, 9), st.integers(1, 3)),
        st.tuples(st.just("pleased"), PEOPLE, st.integers(1, 2)),
        st.tuples(st.just("learns"), st.integers(0, 9), st.integers(0, 9)),
        st.tuples(st.just("goes back"), st.integers(0, 9)),
    ),
    min_size=6,
    max_size=24,
)


class Story:
    """What happens to a line, a step at a time, each followed by a look."""

    def __init__(self, line: Line) -> None:
        """Begin at the base."""
        self._line, self._lessons = line, Lessons(SETTINGS, RolloutSettings())
        self._wished: list[tuple[str, str]] = []
        self._served, self._made = ["base"], 0

    def take(self, step: tuple[Any, ...]) -> None:
        """Let one thing happen, and look."""
        match step:
            case ("wishes", principal, words):
                self._wished.append((f"l{len(self._wished)}", principal))
                self._line.wishes(*self._wished[-1], words)
            case ("complains", number, times) if self._wished:
                lesson, principal = self._wished[number % len(self._wished)]
                self._line.complains(lesson, principal, times=times)
            case ("pleased", principal, times):
                self._line.pleased(principal, times=times)
            case ("learns", *numbers) if self._wished:
                self._learn({self._wished[each % len(self._wished)][0] for each in numbers})
            case ("goes back", number):
                del self._served[number % len(self._served) + 1 :]
        self._look(self._lessons)

    def told(self) -> dict[str, Any]:
        """Return all lessons; what was heard of one that is at rest may be of another version."""
        with self._line.store.reading() as session:
            return {
                row.id: row.model_dump(exclude=set() if row.state == ACTIVE else {"evidence"})
                for row in session.exec(select(LessonRow))
            }

    def look_at_all(self) -> None:
        """Let a learner that knows nothing look at every lesson."""
        with self._line.store.transaction() as session:
            session.execute(update(LessonRow).values(changed=True))
        self._look(Lessons(SETTINGS, RolloutSettings()))

    def _learn(self, lessons: set[str]) -> None:
        parent = self._served[-1]
        self._made += 1
        made = f"v{self._made}"
        with self._line.store.transaction() as session:
            before = session.get(RecipeRow, parent)
            number = before.number + 1 if before is not None else 1
            session.add(
                RecipeRow(
                    version=made, parent=parent, line="main", number=number, record={}, created_ms=0
                )
            )  # fmt: skip
            for id in lessons:
                row = session.get_one(LessonRow, id)
                row.versions = [*row.versions, [made, len(row.set_aside)]]
                row.changed = True
        self._served.append(made)

    def _look(self, lessons: Lessons) -> None:
        seen(self._line, self._served[-1], lessons)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
@example(
    steps=[("wishes", "ann", "Use German."), ("learns", 0, 0), ("learns", 0, 0), ("goes back", 0)]
)
def test_a_look_at_all_changes_nothing(
    steps: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is passed over because nobody said a word would have come to what it is."""
    store = open_store(StreamsSettings(home=tmp_path_factory.mktemp("looks")))
    story = Story(Line(store))
    for step in steps:
        story.take(step)
    before = story.told()
    story.look_at_all()
    assert story.told() == before
    store.close()
