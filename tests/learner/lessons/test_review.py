"""What has become of lessons is worked out of all that their people have said, however long ago."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import Session, select, update

from learner.form.directions import directions_of
from learner.lessons.lessons import PIECE, Lessons
from learner.lessons.review import HELD_AGAINST, LOOKED_AT, review, served_anew
from learner.link.rows import row_of
from learner.settings import LearnerSettings
from streams.line import line as lines
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.lesson_tables import LessonRow
from streams.store.store import Store, open_store
from streams.store.tables import RecipeRow, TurnRow
from tests.learner.turns import said, turn

SHORT, LONG = "Shorter, please.", "Answer in more detail."
AS_MANY = "as many people wish the opposite of this line: neither is learned"


@dataclass
class Line:
    """The lessons of a line, and what is said of them, in order."""

    store: Store
    now_ms: int = 0

    def wishes(self, lesson: str, principal: str = "ann", words: str = "Use German.") -> None:
        """Let somebody begin a lesson by a complaint; without words it does not say of what."""
        wished = [[each.kind, each.value] for each in directions_of(words)]
        with self.store.transaction() as session:
            session.add(
                LessonRow(
                    id=lesson, line="main", principal=principal, turn_id=lesson, instruction=words,
                    wished=wished, created_ms=self.now_ms,
                )
            )  # fmt: skip
        self.complains(lesson, principal)

    def complains(self, lesson: str, principal: str = "ann", *, times: int = 1) -> None:
        """Let somebody say it again."""
        self._say(principal, -1, lesson, times)

    def pleased(self, principal: str = "ann", *, times: int = 1) -> None:
        """Let somebody be pleased with replies."""
        self._say(principal, 1, None, times)

    def look(self) -> dict[str, LessonRow]:
        """Look at what has changed, and return all."""
        with self.store.transaction() as session:
            review(session, "main", LearnerSettings(), serving="base")
        with self.store.reading() as session:
            return {row.id: row for row in session.exec(select(LessonRow))}

    def _say(self, principal: str, score: int, lesson: str | None, times: int) -> None:
        with self.store.transaction() as session:
            for _ in range(times):
                self.now_ms += 1
                id, at_ms = f"t{self.now_ms}", self.now_ms
                made = turn(said(id), "x", id=id, principal=principal, created_ms=at_ms)
                row = row_of(made, sequence=at_ms, taken_ms=at_ms)
                row.state, row.score, row.strength, row.lesson = "judged", score, 1.0, lesson
                session.add(row)
            theirs = LessonRow.principal == principal
            session.execute(update(LessonRow).where(theirs).values(changed=True))  # type: ignore[arg-type]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A line of which nothing is wished yet."""
    store = open_store(StreamsSettings(home=tmp_path))
    yield Line(store)
    store.close()


def test_a_satisfied_lesson_stays_so_however_much_is_said_later(line: Line) -> None:
    """Its complaints are counted, and what came of the last one is read, wherever they stand."""
    line.wishes("l")
    line.complains("l", times=5)
    line.pleased(times=3)
    before = line.look()["l"]
    assert (before.state, before.reason, before.num_complaints) == (
        "satisfied",
        "3 pleased on end",
        6,
    )
    line.pleased(times=2 * LOOKED_AT)
    after = line.look()["l"]
    assert (after.state, after.reason, after.num_complaints) == ("satisfied", "3 pleased on end", 6)
    line.complains("l")
    assert (line.look()["l"].state, line.look()["l"].num_complaints) == ("active", 7)


def test_a_lesson_of_many_complaints_is_reopened_by_twice_as_many(line: Line) -> None:
    """Also where more are needed than are looked at at once."""
    line.wishes("l")
    line.complains("l", times=LOOKED_AT - 1)
    with line.store.transaction() as session:
        session.get_one(LessonRow, "l").set_aside = [LOOKED_AT]
    assert line.look()["l"].state == "set aside"
    line.complains("l", times=LOOKED_AT - 1)
    assert line.look()["l"].state == "set aside"
    line.complains("l")
    assert (line.look()["l"].state, line.look()["l"].num_complaints) == ("active", 2 * LOOKED_AT)


def test_a_wish_that_was_given_up_long_ago_is_nobodys(line: Line) -> None:
    """Whoever wishes the opposite since, and has much to say of other things, outvotes nobody."""
    line.wishes("short", words=SHORT)
    line.wishes("long", words=LONG)
    line.look()
    line.pleased(times=LOOKED_AT)
    line.look()
    line.wishes("bob's", "bob", LONG)
    found = line.look()
    assert found["short"].reason == "the same person wishes the opposite since"
    assert (found["bob's"].state, found["bob's"].reason) == ("active", "")


def test_what_is_emptied_or_not_learned_from_is_no_complaint(line: Line) -> None:
    """However long ago it was said: a lesson without complaints is not satisfied."""
    line.wishes("l")
    line.pleased(times=LOOKED_AT)
    assert line.look()["l"].num_complaints == 1
    with line.store.transaction() as session:
        session.get_one(TurnRow, "t1").state = "untrained"
        session.get_one(LessonRow, "l").changed = True
    found = line.look()["l"]
    assert (found.state, found.num_complaints) == ("active", 0)


def test_a_complaint_without_a_word_may_be_of_any_lesson(line: Line) -> None:
    """However many lessons there are, and however many of its person have no words."""
    line.wishes("first", words="")
    line.wishes("l")
    with line.store.transaction() as session:
        for number in range(HELD_AGAINST):
            session.add(
                LessonRow(
                    id=f"other{number}", line="main", principal="bob", turn_id="x",
                    instruction="Go on.", wished=[], changed=False, created_ms=10_000 + number,
                )
            )  # fmt: skip
    line.wishes("second", words="")
    for lesson in ("first", "second"):
        line.complains(lesson, times=20)
        assert line.look()["l"].state == "active"


def test_whoever_changes_their_mind_outvotes_nobody_from_then_on(line: Line) -> None:
    """At the same look: the other need not speak again."""
    line.wishes("ann's", words=SHORT)
    line.wishes("bob's", "bob", LONG)
    found = line.look()
    assert {found[id].reason for id in ("ann's", "bob's")} == {AS_MANY}
    line.wishes("ann's now", words=LONG)
    found = line.look()
    assert found["ann's"].reason == "the same person wishes the opposite since"
    assert {found[id].state for id in ("ann's now", "bob's")} == {"active"}


def test_who_wishes_the_same_is_counted_at_every_look(line: Line) -> None:
    """Whoever was outvoted is not, once enough others wish the same, and the other way round."""
    for name in ("ann", "bob"):
        line.wishes(name, name, SHORT)
    line.wishes("cid", "cid", LONG)
    assert "more people" in line.look()["cid"].reason
    line.wishes("dan", "dan", LONG)
    assert {row.reason for row in line.look().values()} == {AS_MANY}
    line.wishes("eve", "eve", LONG)
    found = line.look()
    assert {id for id, row in found.items() if row.state == "active"} == {"cid", "dan", "eve"}
    again = {id: (row.state, row.reason) for id, row in found.items()}
    line.pleased("cid")
    assert {id: (row.state, row.reason) for id, row in line.look().items()} == again


def test_a_reason_that_holds_no_more_is_not_kept(line: Line) -> None:
    """Of a lesson that is set aside besides, for how often it was complained of."""
    line.wishes("ann's", words=SHORT)
    line.wishes("bob's", "bob", LONG)
    with line.store.transaction() as session:
        session.get_one(LessonRow, "ann's").set_aside = [1]
    assert line.look()["ann's"].reason == AS_MANY
    line.wishes("bob's now", "bob", SHORT)
    found = line.look()
    assert (found["ann's"].state, found["ann's"].reason) == ("set aside", "")


def learned(line: Line, lesson: str, *versions: str) -> None:
    """Let versions have learned a lesson."""
    with line.store.transaction() as session:
        row = session.get_one(LessonRow, lesson)
        row.versions = [[name, 0] for name in versions]


def made(line: Line, *versions: str) -> None:
    """Let each of some versions be made from the one before, the first from the base."""
    with line.store.transaction() as session:
        for number, (parent, name) in enumerate(pairwise(("base", *versions)), start=1):
            session.add(
                RecipeRow(
                    version=name, parent=parent, line="main", number=number, record={}, created_ms=0
                )
            )  # fmt: skip


def seen(line: Line, serving: str, lessons: Lessons | None = None) -> int:
    """Let the learner look while a version serves; return how many transactions that takes."""
    begun = []

    @contextmanager
    def writing() -> Iterator[Session]:
        with line.store.transaction() as session:
            begun.append(1)
            yield session

    lessons = lessons or Lessons(LearnerSettings(), RolloutSettings())
    served = lines.Line("main", tuple(dict.fromkeys(("base", serving))))
    lessons.review(line.store, writing, served, now_ms=line.now_ms, pause=lambda: None)
    return len(begun)


def marked(line: Line) -> set[str]:
    """Return the lessons that were not written since they were marked."""
    with line.store.reading() as session:
        rows = session.exec(select(LessonRow).where(LessonRow.num_reopened == 99)).all()
        return {row.id for row in rows}


def mark(line: Line) -> None:
    with line.store.transaction() as session:
        session.execute(update(LessonRow).values(num_reopened=99))


def test_a_word_reads_no_lesson_of_whoever_says_no_more(line: Line) -> None:
    """Its person's lessons that versions learned are looked at, however old, and nobody else's."""
    made(line, "a", "b")
    lessons = Lessons(LearnerSettings(), RolloutSettings())
    for id, who in (("ann's", "ann"), ("ann's too", "ann"), ("bob's", "bob")):
        line.wishes(id, who)
        learned(line, id, "a")
    seen(line, "a", lessons)
    mark(line)
    line.pleased("ann")
    with line.store.transaction() as session:
        session.get_one(LessonRow, "ann's").changed = False  # too many came since
    assert seen(line, "a", lessons) == 1
    assert marked(line) == {"bob's"}
    assert seen(line, "a", lessons) == 0


def test_a_version_concerns_the_lessons_that_it_learned_otherwise(line: Line) -> None:
    """Those alone are looked at, some at a time."""
    made(line, "a", "b")
    lessons = Lessons(LearnerSettings(), RolloutSettings())
    for number in range(PIECE + 1):
        line.wishes(f"l{number}", f"person {number}")
        learned(line, f"l{number}", "a", "b")
    line.wishes("older")
    learned(line, "older", "a")
    assert seen(line, "a", lessons) == 2
    mark(line)
    assert seen(line, "a", lessons) == 0
    assert len(marked(line)) == PIECE + 2
    with line.store.reading() as session:
        assert len(served_anew(session, "main", "b")) == PIECE + 1
    assert seen(line, "b", lessons) == 2
    assert marked(line) == {"older"}
    with line.store.reading() as session:
        assert {row.evidence["versions"] for row in session.exec(select(LessonRow))} == {1, 2}


def test_a_learner_that_begins_looks_at_all_that_was_learned(line: Line) -> None:
    """Settings are others since: nobody need say a word for a lesson to wait no more."""
    made(line, "a")
    line.wishes("l")
    learned(line, "l", "a")
    impatient = LearnerSettings(lesson_patience=1)
    waits = []
    for settings in (impatient, LearnerSettings(), impatient):
        seen(line, "a", Lessons(settings, RolloutSettings()))
        with line.store.reading() as session:
            waits.append(session.get_one(LessonRow, "l").waits)
    assert waits == [True, False, True]


def test_what_was_learned_is_counted_anew_when_a_wish_of_its_kind_is_gone(line: Line) -> None:
    """Also where nobody's lesson changed by it: at the next look, whoever's word it is for."""
    made(line, "a")
    for name, words in (("ann", SHORT), ("bob", SHORT), ("cid", LONG), ("eve", "Use German.")):
        line.wishes(name, name, words)
    learned(line, "ann", "a")
    seen(line, "a")
    with line.store.transaction() as session:
        session.delete(session.get_one(LessonRow, "bob"))
    line.pleased("eve")
    found = line.look()
    assert {found[name].reason for name in ("ann", "cid")} == {AS_MANY}
