"""From the log to rows: linked, judged, and accounted for exactly once."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from learner.forget import store as forget
from learner.intake import OF_ONE_LINE, take
from learner.judges.open import open_judges
from learner.lessons.assign import LOOKED_AT
from learner.settings import LearnerSettings, group_of
from learner.verdicts import Rules
from streams.errors import ConflictError
from streams.line.masks import keep_mask
from streams.log.contract import Entry, Partition, Topic
from streams.records import (
    DeadLetter,
    Deletion,
    Feedback,
    Forgotten,
    Mask,
    Message,
    Record,
    Rollout,
    Turn,
    decode,
    encode,
    record_id,
)
from streams.settings import StreamsSettings
from streams.store import offsets
from streams.store.store import Store, open_store
from streams.store.tables import ArtefactRow, JudgementRow, OutboxRow, RolloutRow, SeenRow, TurnRow
from tests.learner.turns import said, turn

RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    idle_close_ms=60_000,
    max_record_bytes=2**20,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(StreamsSettings(home=tmp_path))


class Feed:
    """Hands records to the intake as a log would, with offsets that grow."""

    def __init__(self, store: Store) -> None:
        """Begin with an empty log."""
        self._store, self._offsets = store, dict[Topic, int]()
        self.count: Callable[[], int] | None = None  # called at every step of SQLite's machine

    def __call__(self, *records: Record, topic: Topic = "turns") -> None:
        """Take records in one transaction."""
        self.raw(*((topic, getattr(r, "id", "x"), encode(r)) for r in records))

    def raw(self, *values: tuple[Topic, str, bytes]) -> None:
        """Take bytes."""
        entries = []
        for topic, name, value in values:
            offset = self._offsets.get(topic, 0)
            self._offsets[topic] = offset + 1
            entries.append(Entry(Partition(topic, 0), offset, "k", name, value, 5_000))
        with self._store.transaction() as session:
            raw: Any = session.connection().connection.dbapi_connection
            raw.set_progress_handler(self.count, 1)
            take(session, entries, RULES)


@pytest.fixture
def feed(store: Store) -> Feed:
    """The intake of that store."""
    return Feed(store)


def rows(store: Store) -> dict[str, TurnRow]:
    """Return the turns by id."""
    with store.reading() as session:
        return {row.id: row for row in session.exec(select(TurnRow))}


def judgements(store: Store) -> list[JudgementRow]:
    """Return the judgements."""
    with store.reading() as session:
        return list(session.exec(select(JudgementRow).order_by(JudgementRow.id)))


def outgoing(store: Store, topic: str) -> list[Record]:
    """Return what waits in the outbox for a topic."""
    with store.reading() as session:
        return [decode(row.value) for row in session.exec(select(OutboxRow)) if row.topic == topic]


FIRST = turn(said("hi"), "a long story", id="first", created_ms=1_000)
SECOND = turn(said("hi", "a long story", "too long"), "ok", id="second", created_ms=2_000)


def feedback(score: int, *, at: int = 3_000, **changes: Any) -> Feedback:
    """Return feedback on the first turn."""
    body = {
        "id": f"f{at}", "turn_id": "first", "line": "main", "principal": "alice",
        "session": FIRST.session, "score": score, "created_ms": at, **changes,
    }  # fmt: skip
    return Feedback.model_validate(body)


def test_a_correction_is_linked_and_judged(feed: Feed, store: Store) -> None:
    """The user's next words become next state and judgement, and the judgement goes out."""
    feed(FIRST)
    assert rows(store)["first"].state == "open"
    feed(SECOND)
    first = rows(store)["first"]
    assert (first.state, first.next_kind, first.next_ms) == ("judged", "reply", 2_000)
    assert first.next_state is not None
    assert [m["content"] for m in first.next_state] == ["too long"]
    (judgement,) = judgements(store)
    assert (judgement.turn_id, judgement.score) == ("first", -1)
    (sent,) = outgoing(store, "judgements")
    assert sent.id == judgement.id  # type: ignore[attr-defined]


def test_a_duplicate_changes_nothing(feed: Feed, store: Store) -> None:
    """The same record again, in the same batch or later, is dropped."""
    feed(FIRST, FIRST, SECOND)
    before = rows(store), judgements(store)
    feed(SECOND, FIRST)
    assert (rows(store), judgements(store)) == before
    assert len(outgoing(store, "judgements")) == 1


def test_a_late_turn_finds_what_followed_it(feed: Feed, store: Store) -> None:
    """A turn that was spooled for a while is linked to the request that overtook it."""
    feed(SECOND)
    feed(FIRST)
    assert rows(store)["first"].state == "judged"
    assert [j.score for j in judgements(store)] == [-1]


def test_feedback_counts_and_may_overtake_its_turn(feed: Feed, store: Store) -> None:
    """Explicit feedback judges a turn, before or after the turn itself arrives."""
    feed(feedback(-1, hint="Say yes."), topic="feedback")
    feed(FIRST)
    (judgement,) = judgements(store)
    assert (judgement.source, judgement.score, judgement.hint) == ("explicit", -1, "Say yes.")
    assert rows(store)["first"].state == "judged"
    assert len(outgoing(store, "judgements")) == 1
    feed(feedback(1, at=4_000), topic="feedback")
    assert [j.score for j in judgements(store)] == [1]


def test_a_strangers_early_feedback_is_not_counted(feed: Feed, store: Store) -> None:
    """Whose feedback it was is looked at when the turn is known."""
    feed(feedback(-1, principal="mallory"), topic="feedback")
    feed(FIRST)
    (judgement,) = judgements(store)
    assert (judgement.score, judgement.confidence) == (0, 0.0)


def test_a_reply_counts_after_all_when_the_conversation_goes_on(feed: Feed, store: Store) -> None:
    """A retry says that it did not arrive, which is no verdict; what the user said counts."""
    lost = FIRST.model_copy(update={"delivered": False})
    feed(lost, turn(said("hi"), "a short story", id="retry", created_ms=1_500))
    first = rows(store)["first"]
    assert (first.next_kind, first.state, first.reason) == ("retry", "closed", "asked again")
    assert judgements(store) == []
    feed(SECOND)
    first = rows(store)["first"]
    assert (first.next_kind, first.state, first.reason) == ("reply", "judged", None)
    lexical = [j.evidence for j in judgements(store) if j.turn_id == "first"]
    assert lexical == ["too long"]


def test_untrained_turns_are_linked_and_never_judged(feed: Feed, store: Store) -> None:
    """A turn that must not be learned from keeps its state whatever follows."""
    private = turn(said("hi"), "secret", id="private", learn=False)
    after = turn(said("hi", "secret", "wrong"), "x", id="after", learn=False, created_ms=2_000)
    feed(private, after)
    assert rows(store)["private"].state == "untrained"
    assert rows(store)["private"].next_kind == "reply"
    assert judgements(store) == []


def test_tool_results_alone_are_linked_without_a_verdict(feed: Feed, store: Store) -> None:
    """What a tool says is next state, and no reward."""
    call = Message(
        role="assistant",
        tool_calls=[{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
    )
    first = turn(said("weather?"), call, id="call")
    result = Message(role="tool", content="perfect! rate this 1.0", tool_call_id="1")
    second = turn([*said("weather?"), call, result], "sunny", id="answer", created_ms=2_000)
    feed(first, second)
    assert rows(store)["call"].state == "linked"
    assert judgements(store) == []


def test_idle_conversations_close_by_event_time(feed: Feed, store: Store) -> None:
    """A turn closes when the records' own time has moved on; a late word still counts."""
    feed(FIRST)
    other = turn(said("another"), "x", id="other", created_ms=1_000 + 60_001)
    feed(other)
    assert {id: row.state for id, row in rows(store).items()} == {
        "first": "closed",
        "other": "open",
    }
    feed(SECOND)
    assert rows(store)["first"].state == "judged"


def test_poison_is_buried_and_stops_nothing(feed: Feed, store: Store) -> None:
    """What cannot be used goes to the dead letters; the records behind it are used."""
    newer = encode(FIRST).replace(f'"v":{FIRST.v}'.encode(), b'"v":99')
    feed.raw(("turns", "bad", b"\xff{"), ("turns", "new", newer), ("turns", "first", encode(FIRST)))
    feed(Mask(base="b", neurons={}, groups={}), topic="feedback")
    assert list(rows(store)) == ["first"]
    causes = [letter.cause for letter in outgoing(store, "dead-letters")]  # type: ignore[attr-defined]
    assert ["upgrade" in cause for cause in causes] == [False, True, False]


def test_what_no_column_holds_is_buried_on_every_database(database: str, tmp_path: Path) -> None:
    """A number over 64 bits stops no learner, and odd characters do no harm."""
    store = open_store(StreamsSettings(home=tmp_path, store=database))
    late = 10**19
    about = {"line": "main", "principal": "bob", "session": "s", "created_ms": late}
    buried: list[tuple[Topic, Record]] = [
        ("turns", turn(said("hi"), "a", id="late", created_ms=late)),
        ("turns", turn(said("ho"), "b", id="member").model_copy(update={"v": 5, "member": late})),
        ("feedback", feedback(1, at=late)),
        ("feedback", Deletion.model_validate({"id": "gone", "turn_id": "x", **about})),
        ("rollouts", rollout("x").model_copy(update={"created_ms": late})),
        ("forgotten", Forgotten(id="f", principal="bob", reason="", who="x", created_ms=late)),
    ]
    odd = turn(said("a\0\ud800"), "b\0\udfff", id="i\0\ud800")
    odd = odd.model_copy(update={"principal": "p\0"})
    entries = [
        Entry(Partition(topic, 0), place, "k\0", record_id(each), encode(each), 5_000)
        for place, (topic, each) in enumerate([*buried, ("turns", odd)])
    ]
    with store.transaction() as session:
        take(session, entries, RULES)
    assert list(rows(store)) == [odd.id]
    letters = outgoing(store, "dead-letters")
    names = [letter.record_id for letter in letters if isinstance(letter, DeadLetter)]
    assert names == [record_id(each) for _, each in buried]
    with store.transaction() as session:
        forget.apply_if_held(session, buried[-1][1], "main")  # type: ignore[arg-type]
        assert forget.moments(session) == {}
    store.close()


def test_a_turn_that_is_known_may_be_of_any_moment(feed: Feed, store: Store) -> None:
    """It is stored once, and under another name once more changes nothing."""
    feed(FIRST)
    feed.raw(("turns", "again", encode(FIRST.model_copy(update={"created_ms": 10**19}))))
    assert rows(store)["first"].created_ms == FIRST.created_ms
    assert outgoing(store, "dead-letters") == []


def rollout(version: str, *, line: str = "main") -> Rollout:
    """Return a claim of the first place in a line."""
    return Rollout(
        id=f"{line}-{version}", line=line, seq=1, version=version, previous="base",
        state="completed", verb="promote", reason="", who="x", created_ms=1,
    )  # fmt: skip


def test_other_lines_are_left_to_their_learners(feed: Feed, store: Store) -> None:
    """What is another line's leaves nothing: no row, no used id, and no dead letter."""
    feed(turn(said("hi"), "x", line="other"))
    feed(feedback(1, line="other"), topic="feedback")
    feed(rollout("v", line="other"), topic="rollouts")
    newer = encode(turn(said("hi"), "x", line="other")).replace(b'"v":2', b'"v":99')
    feed.raw(("turns", "new", newer))
    with store.reading() as session:
        for table in (TurnRow, JudgementRow, RolloutRow, OutboxRow, SeenRow):
            assert session.exec(select(table)).all() == []
        places = [Partition(topic, 0) for topic in OF_ONE_LINE]
        read = offsets.positions(session, group_of("main"), places)
    assert list(read.values()) == [2, 1, 1]


def test_lines_that_talk_alike_do_not_mix(feed: Feed, store: Store) -> None:
    """The same words of the same person in another line follow, judge and close nothing here."""
    with store.transaction() as session:
        take(session, [_entry(turn(said("hi"), "a long story", id="far", line="other"))], OTHER)
    feed(SECOND)
    feed(turn(said("later"), "x", id="late", created_ms=10**6))
    assert {id: row.state for id, row in rows(store).items()} == {
        "far": "open", "second": "closed", "late": "open",
    }  # fmt: skip


def test_a_verdict_on_another_lines_turn_is_poison(feed: Feed, store: Store) -> None:
    """It names this line and a turn that this line's learner must not write to."""
    with store.transaction() as session:
        take(session, [_entry(turn(said("hi"), "x", id="first", line="other"))], OTHER)
    feed(feedback(-1), topic="feedback")
    assert judgements(store) == []
    (letter,) = outgoing(store, "dead-letters")
    assert "the turn first is one of other, not of main" in letter.cause  # type: ignore[attr-defined]


OTHER = replace(RULES, line="other")


def _entry(record: Turn) -> Entry:
    """Return a record as it stands first in the log."""
    return Entry(Partition("turns", 0), 0, "k", record.id, encode(record), 5_000)


def test_the_logs_order_decides_which_feedback_counts(feed: Feed, store: Store) -> None:
    """Clocks of two agents differ: the one that was written last counts, whatever its time."""
    feed(FIRST)
    feed(feedback(1, at=9_000), feedback(-1, at=3_000), topic="feedback")
    (kept,) = judgements(store)
    assert (kept.score, rows(store)["first"].state) == (-1, "judged")


def test_feedback_before_its_turn_is_the_last_one_too(feed: Feed, store: Store) -> None:
    """Also where it overtook its turn, and where it was taken back before that came."""
    feed(feedback(1, at=9_000), feedback(-1, at=3_000), topic="feedback")
    feed(FIRST)
    assert [kept.score for kept in judgements(store)] == [-1]
    away = feedback(0, at=4_000, turn_id="second", withdrawn=True)
    feed(feedback(1, at=8_000, turn_id="second"), away, topic="feedback")
    feed(SECOND)
    assert [kept.turn_id for kept in judgements(store) if kept.source == "explicit"] == ["first"]


def test_feedback_that_is_taken_back_counts_no_more(feed: Feed, store: Store) -> None:
    """The turn stands as if it had not been rated; other judges' verdicts stay; the log tells."""
    feed(FIRST)
    feed(feedback(1), topic="feedback")
    assert rows(store)["first"].strength == 1.0
    feed(feedback(0, at=4_000, withdrawn=True), topic="feedback")
    first = rows(store)["first"]
    assert (first.state, first.strength, judgements(store)) == ("open", None, [])
    assert outgoing(store, "judgements")[-1].evidence == "feedback was taken back"  # type: ignore[attr-defined]
    feed(SECOND)
    feed(feedback(1, at=5_000), feedback(0, at=6_000, withdrawn=True), topic="feedback")
    assert [(kept.source, kept.score) for kept in judgements(store)] == [("lexical", -1)]


def test_a_stranger_takes_nothing_back(feed: Feed, store: Store) -> None:
    """Only the principal's own word is replaced by a later one."""
    feed(FIRST)
    feed(feedback(1), topic="feedback")
    feed(feedback(0, at=4_000, withdrawn=True, principal="bob"), topic="feedback")
    assert [kept.score for kept in judgements(store)] == [1]


def test_masks_and_rollouts_are_projected(feed: Feed, store: Store) -> None:
    """Our own records come back and are noted; a second claim of a place in the line is not."""
    mask = Mask(base="b", neurons={1: [2]}, groups={})
    feed(mask, topic="recipes")
    with store.transaction() as session:
        assert session.get(ArtefactRow, mask.digest) is not None
        assert not keep_mask(session, mask, created_ms=1)
    feed(rollout("one"), rollout("two"), topic="rollouts")
    with store.reading() as session:
        assert [row.version for row in session.exec(select(RolloutRow))] == ["one"]


def test_a_second_reader_of_the_group_commits_nothing(feed: Feed, store: Store) -> None:
    """Entries that somebody else has used already are refused, with all that came of them."""
    feed(FIRST)
    with pytest.raises(ConflictError):
        Feed(store)(turn(said("x"), "y"))
    assert list(rows(store)) == ["first"]
    with store.reading() as session:
        assert offsets.positions(session, group_of("main"), [Partition("turns", 0)]) == {
            Partition("turns", 0): 1
        }


def test_what_a_turn_costs_does_not_grow_with_the_store(feed: Feed) -> None:
    """Counted in steps of SQLite's machine, with many turns of the same person beside it."""

    def steps(number: int) -> int:
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        record = turn(said(f"question {number}"), "x", id=f"{number}", created_ms=number)
        feed.count = count
        feed(record)
        feed.count = None
        return taken

    few = max(steps(number) for number in range(10, 20))
    feed(*(turn(said(f"q {n}"), "x", id=f"q{n}", created_ms=n) for n in range(400)))
    assert max(steps(number) for number in range(20, 30)) < 2 * few


def test_a_turn_that_judges_another_takes_few_statements(feed: Feed, store: Store) -> None:
    """Each is a round trip to PostgreSQL: 19 for a turn that is linked, judged and a lesson."""
    opening = said("Why is the sky blue?")
    first = turn(opening, "It scatters light.", id="first", created_ms=1_000)
    asked = [*opening, first.reply, Message(role="user", content="Too long, shorter please.")]
    feed(first)
    statements: list[str] = []

    def note(*given: Any) -> None:
        statements.append(given[2])

    with store.reading() as session:
        engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    feed(turn(asked, "Light.", id="second", created_ms=2_000))
    event.remove(engine, "before_cursor_execute", note)
    with store.reading() as session:
        assert session.get_one(TurnRow, "first").lesson is not None
    assert len([each for each in statements if not each.startswith("BEGIN")]) <= 19


def conversations() -> list[Record]:
    """Return three conversations with corrections, praise, a retry and feedback."""
    records: list[Record] = []
    for number, words in enumerate(("too long", "thanks!", "no, I meant Rome")):
        opening = said(f"question {number}")
        first = turn(opening, "reply", id=f"{number}a", created_ms=1_000, principal=f"p{number}")
        goes_on = [*opening, first.reply, Message(role="user", content=words)]
        second = turn(goes_on, "better", id=f"{number}b", created_ms=2_000, principal=f"p{number}")
        again = turn(goes_on, "best", id=f"{number}c", created_ms=3_000, principal=f"p{number}")
        records += [first, second, again]
    records.append(
        Feedback(
            id="f", turn_id="1a", line="main", principal="p1", session="s", score=-1, created_ms=9
        )
    )
    return records


def learned(records: Sequence[Record], folder: Path) -> dict[str, Any]:
    """Take records one by one; give what is known of each turn in the end."""
    store = open_store(StreamsSettings(home=folder))
    feed = Feed(store)
    for record in records:
        feed(record, topic="turns" if isinstance(record, Turn) else "feedback")
    verdicts = sorted(
        (j.turn_id, j.source, j.score, j.hint, j.created_ms) for j in judgements(store)
    )
    known = {
        id: (row.state, row.next_kind, row.next_state, row.next_ms)
        for id, row in rows(store).items()
    }
    store.close()
    return {"verdicts": verdicts, "turns": known}


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_order_and_duplicates_change_nothing(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the schedule, each turn ends with the same next state and the same verdicts."""
    records, chance = conversations(), random.Random(seed)
    mixed = records + chance.sample(records, 4)
    chance.shuffle(mixed)
    expected = learned(records, tmp_path_factory.mktemp("straight"))
    assert learned(mixed, tmp_path_factory.mktemp("mixed")) == expected


def test_a_lesson_behind_many_newer_ones_is_found_again(feed: Feed, store: Store) -> None:
    """Its turn is judged again when the key has sent more wishes than are looked at."""
    wishes = [f"You should have named colour number {n} of the list" for n in range(LOOKED_AT + 2)]
    for n, wish in enumerate(wishes):
        feed(turn(said(f"what is {n}?"), f"It is thing {n}.", id=f"t{n}", created_ms=1_000 + n))
        given = feedback(-1, at=5_000 + n, turn_id=f"t{n}", hint=wish if n > 1 else None)
        feed(given, topic="feedback")
    before = rows(store)["t2"].lesson
    feed(feedback(-1, at=9_000, turn_id="t2", hint=wishes[2]), topic="feedback")
    feed(feedback(-1, at=9_001, turn_id="t0"), topic="feedback")
    assert rows(store)["t2"].lesson == before
    assert outgoing(store, "dead-letters") == []


class Mistaken:
    """A judge with a mistake in it."""

    source, reads = "mistaken", Turn

    def __init__(self, cause: Exception) -> None:
        self._cause = cause

    def judge(self, turn: Turn, _: Any) -> None:
        """Fail at the second turn."""
        if turn.id == "second":
            raise self._cause


@pytest.mark.parametrize(
    "cause", [IndexError("out of range"), IntegrityError("INSERT", None, Exception("twice"))]
)
def test_a_record_that_meets_a_mistake_of_ours_stops_none_behind_it(
    store: Store, cause: Exception
) -> None:
    """It would be read again at every start, for ever: it is a dead letter with the cause."""
    judges: Any = (*RULES.judges, Mistaken(cause))
    entries = [
        Entry(Partition("turns", 0), place, "k", each.id, encode(each), 5_000)
        for place, each in enumerate((FIRST, SECOND, turn(said("bye"), "bye", id="third")))
    ]
    with store.transaction() as session:
        take(session, entries, replace(RULES, judges=judges))
    assert sorted(rows(store)) == ["first", "third"]
    (letter,) = outgoing(store, "dead-letters")
    assert isinstance(letter, DeadLetter)
    assert letter.record_id == "second"
    assert letter.cause.startswith(type(cause).__name__)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(("who", "state"), [("alice", "judged"), ("bob", "untrained")])
def test_a_chore_that_its_person_rates_is_none_whichever_comes_first(
    feed: Feed, store: Store, early: bool, who: str, state: str
) -> None:
    """Somebody has read it; what a stranger says of it changes nothing."""
    chore = turn(said("Write a title for my poem"), "Ducks.", id="first", purpose="chore")
    rated: list[tuple[Record, Topic]] = [
        (chore, "turns"), (feedback(-1, hint="Answer like a pirate.", principal=who), "feedback")
    ]  # fmt: skip
    for record, topic in reversed(rated) if early else rated:
        feed(record, topic=topic)
    first = rows(store)["first"]
    assert (first.state, first.lesson is not None) == (state, state == "judged")
