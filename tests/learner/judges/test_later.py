"""Judges that take their time: nothing waits for them, nothing they were asked is lost."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlmodel import select

from learner.errors import NoVerdictError
from learner.intake import take
from learner.judges.judge import Evidence, KindOfEvidence, Source, judgement_id
from learner.judges.lexical import open_judge
from learner.judges.slow.later import HELD, RETRY_S, TRIES, Later
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from learner.verdicts import Rules, take_answers, use_answers
from streams.log.contract import Entry, Partition
from streams.records import DeadLetter, Judgement, Message, Turn, decode, encode
from streams.settings import StreamsSettings
from streams.store.states import WAITING, Reason
from streams.store.store import open_store
from streams.store.tables import JudgementRow, OutboxRow, TurnRow
from tests.learner.turns import said, turn

FIRST = turn(said("hi"), "a long story", id="first", created_ms=1_000)
AFTER = [*FIRST.messages, FIRST.reply, Message(role="user", content="too long")]
SECOND = turn(AFTER, "ok", id="second", created_ms=2_000)


class Slow:
    """A judge that answers when it is let, or fails."""

    source: Source = "model"
    reads: KindOfEvidence = Link

    def __init__(self) -> None:
        """Hang until it is let go."""
        self.free, self.fails = threading.Event(), False
        self.asked = threading.Semaphore(0)
        self.num_asked = 0

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Wait, then like it."""
        self.num_asked += 1
        self.asked.release()
        assert self.free.wait(30)
        if self.fails:
            raise NoVerdictError("it speaks prose")
        assert isinstance(evidence, Link)
        return Judgement(
            id=judgement_id(turn.id, "model", b"x"), turn_id=turn.id, line=turn.line,
            version=turn.version, principal=turn.principal, source="model", score=-1,
            confidence=0.8, evidence="3 of 3 votes", votes=[-1, -1, -1],
            created_ms=evidence.created_ms,
        )  # fmt: skip


class Bench:
    """A store, an intake and slow judges, with a clock of its own."""

    def __init__(self, home: Path) -> None:
        """Begin with an empty store."""
        self.store, self.slow, self.now_s = open_store(StreamsSettings(home=home)), Slow(), 0.0
        self.rules = Rules("main", (open_judge(LearnerSettings()),), 10**9, 2**20, (self.slow,))
        self.later, self._offset = self.opened(), 0

    def opened(self) -> Later:
        """As a process opens it at its start."""
        return Later(self.rules.slow, self.rules.line, clock=lambda: self.now_s)

    def feed(self, *turns: Turn, rules: Rules | None = None) -> None:
        """Read turns from the log. rules: of another line."""
        entries = []
        for each in turns:
            at = Partition("turns", 0)
            entries.append(Entry(at, self._offset, "k", each.id, encode(each), 5_000))
            self._offset += 1
        with self.store.transaction() as session:
            take(session, entries, rules or self.rules)

    def ask(self) -> None:
        """Use what was answered, and ask what waits."""
        use_answers(self.later, self.store, self.store.transaction, self.rules)

    def waiting(self) -> list[str]:
        """The turns that wait for a judge."""
        with self.store.reading() as session:
            rows = session.exec(select(JudgementRow).where(JudgementRow.evidence == WAITING))
            return sorted(row.turn_id for row in rows)

    def let_expire(self, *ids: str) -> None:
        """Let turns become too old to be kept, as retention empties them."""
        with self.store.transaction() as session:
            for id in ids:
                row = session.get_one(TurnRow, id)
                row.state, row.record, row.next_state = "expired", {}, None
                session.add(row)

    def answered(self) -> int:
        """Wait for all that is being asked, and use it. Returns: how many answers."""
        for _, future in list(self.later._asked.values()):
            future.exception(timeout=30)
        answers = self.later.collect()
        with self.store.transaction() as session:
            take_answers(session, answers, self.rules)
        return len(answers)

    def verdicts(self) -> dict[str, tuple[int, float]]:
        """The judgements on all turns, by source."""
        with self.store.reading() as session:
            rows = session.exec(select(JudgementRow)).all()
        return {row.source: (row.score, row.confidence) for row in rows}

    def letters(self) -> list[DeadLetter]:
        """What was given up."""
        with self.store.reading() as session:
            sent = [decode(row.value) for row in session.exec(select(OutboxRow))]
        return [each for each in sent if isinstance(each, DeadLetter)]

    def state(self) -> str:
        """The state of the first turn."""
        with self.store.reading() as session:
            return session.get_one(TurnRow, "first").state


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One, whose judges are let go at the end."""
    made = Bench(tmp_path)
    yield made
    made.slow.free.set()
    made.later.close()
    made.store.close()


def test_a_hanging_judge_stops_nothing(bench: Bench) -> None:
    """The log is read and the others judge, while it hangs; its verdict counts when it comes."""
    bench.feed(FIRST, SECOND)
    bench.ask()
    assert bench.slow.asked.acquire(timeout=30)
    assert bench.later.collect() == []
    assert (bench.state(), bench.verdicts()["lexical"][0]) == ("judged", -1)
    third = [*SECOND.messages, SECOND.reply, Message(role="user", content="And Rome?")]
    bench.feed(turn(third, "x", id="third", created_ms=3_000))
    bench.slow.free.set()
    assert bench.answered() == 1
    assert bench.verdicts()["model"][1] in (0.0, 0.8)  # the second turn waits in its turn
    bench.ask()
    assert bench.answered() == 1
    assert bench.verdicts()["model"] == (-1, 0.8)


def test_what_waits_outlives_a_crash(bench: Bench) -> None:
    """What another process asked and never heard is asked again, and counts once."""
    bench.feed(FIRST, SECOND)
    bench.ask()
    bench.later.close()
    bench.later = bench.opened()
    bench.slow.free.set()
    bench.ask()
    assert bench.answered() == 1
    assert bench.verdicts()["model"] == (-1, 0.8)
    bench.ask()
    assert bench.answered() == 0


def test_a_judge_that_fails_is_asked_again_and_then_given_up(bench: Bench) -> None:
    """After a while each time; in the end its question is a dead letter with the cause."""
    bench.slow.free.set()
    bench.slow.fails = True
    bench.feed(FIRST, SECOND)
    for tried in range(1, TRIES + 1):
        bench.ask()
        assert bench.answered() == (1 if tried == TRIES else 0)
        bench.ask()
        assert bench.slow.num_asked == tried  # not before it is due
        bench.now_s += RETRY_S * tried
    (letter,) = bench.letters()
    assert "it speaks prose" in letter.cause
    assert list(bench.verdicts()) == ["lexical"]
    bench.ask()
    assert bench.slow.num_asked == TRIES


def test_an_answer_to_another_question_is_dropped(bench: Bench) -> None:
    """A likelier next request came meanwhile: what followed is asked about anew."""
    late = turn([*AFTER[:-1], Message(role="user", content="thanks")], "x", id="late",
                created_ms=1_500)  # fmt: skip
    bench.feed(FIRST, SECOND)
    bench.ask()
    assert bench.slow.asked.acquire(timeout=30)
    bench.feed(late)
    bench.slow.free.set()
    bench.answered()
    with bench.store.reading() as session:
        assert session.get_one(TurnRow, "first").next_turn == "late"
    assert bench.verdicts()["model"] == (0, 0.0)
    bench.ask()
    assert bench.answered() == 2  # the branch is asked about, too
    assert bench.verdicts()["model"] == (-1, 0.8)


@pytest.mark.parametrize(("reason", "state"), [(None, "closed"), ("nobody went on", "judged")])
def test_a_late_answer_opens_no_turn_whose_version_was_taken_back(
    bench: Bench, reason: Reason | None, state: str
) -> None:
    """It was asked before, and is kept; one of a conversation that merely ended counts."""
    bench.feed(FIRST, SECOND)
    bench.ask()
    with bench.store.transaction() as session:
        row = session.get_one(TurnRow, "first")
        row.state, row.reason = "closed", reason
        session.add(row)
    bench.slow.free.set()
    assert bench.answered() == 1
    assert bench.verdicts()["model"] == (-1, 0.8)
    assert bench.state() == state


def test_each_line_asks_its_own_judges(bench: Bench) -> None:
    """What was said to one is shown to no judge of another, whose answers would be its own."""
    other = Slow()
    theirs = replace(bench.rules, line="other", slow=(other,))
    later = Later(theirs.slow, "other", clock=lambda: bench.now_s)
    bench.feed(FIRST, SECOND)
    use_answers(later, bench.store, bench.store.transaction, theirs)
    assert later._asked == {}
    said_there = [each.model_copy(update={"line": "other", "id": f"{each.id}-there"})
                  for each in (FIRST, SECOND)]  # fmt: skip
    bench.feed(*said_there, rules=theirs)
    use_answers(later, bench.store, bench.store.transaction, theirs)
    assert other.asked.acquire(timeout=30)
    assert [question.turn.line for question, _ in later._asked.values()] == ["other"]
    assert bench.slow.num_asked == 0
    other.free.set()
    later.close()


class Comparing(Slow):
    """A judge that compares, too."""

    def compare(self, _unseen: Turn, _shown: Turn) -> Judgement | None:
        """Find neither better."""
        return None


def unseen(number: int, beside: str) -> Turn:
    """A candidate's reply that nobody has seen."""
    made = turn(said(f"hi {number}"), "Hello.", id=f"unseen-{number}", created_ms=number)
    return made.model_copy(update={"beside": beside, "version": "new"})


@pytest.mark.parametrize("came", [True, False])
def test_what_cannot_be_asked_stops_nothing(bench: Bench, came: bool) -> None:
    """What it is compared with is gone, or never came: the next real question is asked."""
    bench.slow = Comparing()
    bench.rules = replace(bench.rules, slow=(bench.slow,))
    bench.later.close()
    bench.later = bench.opened()
    lost = 2 * HELD + 3
    for number in range(lost):
        if came:
            bench.feed(turn(said(f"hi {number}"), "Hi.", id=f"shown-{number}", created_ms=number))
        bench.feed(unseen(number, f"shown-{number}"))
    if came:
        bench.let_expire(*(f"shown-{number}" for number in range(lost)))
    bench.feed(FIRST, SECOND)
    for _ in range(4):
        bench.ask()
    assert bench.slow.asked.acquire(timeout=30)
    bench.slow.free.set()
    assert bench.answered() == 1
    assert len(bench.waiting()) == (0 if came else lost)
    letters = bench.letters()
    assert len(letters) == (lost if came else 0)
    assert all("is gone" in letter.cause for letter in letters)
    assert "first" not in bench.waiting()


def test_a_question_leaves_with_its_turn(bench: Bench) -> None:
    """Also where it was asked already: an answer to words that are gone brings nothing back."""
    bench.feed(FIRST, SECOND)
    bench.ask()
    assert bench.slow.asked.acquire(timeout=30)
    bench.let_expire("first")
    bench.slow.free.set()
    bench.answered()
    bench.ask()
    assert (bench.waiting(), bench.state()) == ([], "expired")
    (letter,) = bench.letters()
    assert "is gone" in letter.cause


def test_what_came_late_is_asked_in_the_end(bench: Bench) -> None:
    """A reply that was shown may come after the unseen one that is compared with it."""
    bench.slow = Comparing()
    bench.rules = replace(bench.rules, slow=(bench.slow,))
    bench.later.close()
    bench.later = bench.opened()
    bench.feed(unseen(1, "first"))
    bench.ask()
    assert bench.waiting() == ["unseen-1"]
    bench.feed(FIRST)
    bench.ask()
    assert bench.answered() == 1
    assert bench.waiting() == []
