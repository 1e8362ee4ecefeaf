"""Nothing that people or programs send stops the log, and what became of it is said."""

from sqlmodel import col, func, select, update

from learner.lessons.assign import LOOKED_AT
from learner.link import rows
from streams.records import Feedback, Forgotten, Message
from streams.store.lesson_tables import LessonRow
from streams.store.tables import ClientRow, JudgementRow, TurnRow
from tests.learner.link.conftest import Taken
from tests.learner.turns import said, turn


def feedback(turn_id: str, *, at: int) -> Feedback:
    return Feedback(
        id=f"f-{turn_id}-{at}", turn_id=turn_id, line="main", principal="alice", session="s",
        score=-1, hint="Be brief.", created_ms=at,
    )  # fmt: skip


def test_feedback_for_a_forgotten_turn_is_told(taken: Taken) -> None:
    """Nothing is kept of it but that it came too late."""
    taken(turn(said("hi"), "hello", id="gone"))
    taken(
        Forgotten(id="x", principal="alice", reason="asked", who="op", created_ms=50_000),
        topic="forgotten",
    )
    taken(feedback("gone", at=60_000), topic="feedback")
    row = taken.row("gone")
    assert (row.state, row.reason, row.record) == ("forgotten", "rated too late", {})
    with taken.store.reading() as session:
        assert session.exec(select(JudgementRow)).all() == []


def test_a_next_state_of_a_megabyte_is_kept_and_judged(taken: Taken) -> None:
    """However long what follows is, it is linked, and the verdict is the words'."""
    long = "Too long. Shorter please.\n" + "lorem ipsum dolor &amp; sit\n" * 40_000
    taken(turn(said("hi"), "hello", id="first"))
    taken(turn(said("hi", "hello", long), "ok", id="next", created_ms=2_000))
    row = taken.row("first")
    assert (row.next_turn, row.state) == ("next", "judged")
    assert row.next_state is not None
    assert len(row.next_state[0]["content"]) == len(long)


def test_a_number_that_no_character_has_stops_no_conversation(taken: Taken) -> None:
    """One long reference in a message or a reply: its turns are linked and judged."""
    huge = f"What is &#{'9' * 5_000};?"
    taken(turn(said(huge), f"It is {huge}", id="first"))
    taken(
        turn(said(huge, f"It is {huge}", "Wrong!"), "Oh.", id="next", created_ms=2_000),
        turn(said(huge, f"It is {huge}", "Wrong!", "Oh.", "Yes."), "x", created_ms=3_000),
    )
    assert taken.link("first") == ("next", "reply", "chain")
    assert [taken.row(id).state for id in ("first", "next")] == ["judged", "judged"]
    with taken.store.transaction() as session:
        for row in session.exec(select(TurnRow)):
            row.talk_key = row.before_key = None
            session.add(row)
    with taken.store.transaction() as session:
        assert rows.complete(session, "main") == 3


def test_a_client_that_opts_everything_out_is_counted(taken: Taken) -> None:
    """FAULT 17: what teaches nothing is seen, by the client's name; names are bounded."""
    taken(turn(said("a"), "b", client="opencode/1.18", learn=False))
    taken(turn(said("c"), "d", client="opencode/1.18", learn=False, created_ms=2_000))
    taken(turn(said("e"), "f", client="OpenAI/Python"))
    taken(*(turn(said(f"{n}"), "x", client=f"bot/{n}") for n in range(202)))
    with taken.store.reading() as session:
        row = session.get_one(ClientRow, ("main", "opencode/1.18"))
        assert (row.num_turns, row.num_opted_out, row.newest_ms) == (2, 2, 2_000)
        assert session.exec(select(func.count()).select_from(ClientRow)).one() <= 202
        assert session.exec(select(func.sum(ClientRow.num_turns))).one() == 205


def test_a_flood_of_follow_ups_from_one_key_is_worked_off(taken: Taken) -> None:
    """Each of many branches of one conversation is linked and judged, and none is lost.

    What each costs is counted in tests/learner/test_intake.py, and measured by the bench `link`.
    """
    opening = said("hi", "hello")
    taken(turn(said("hi"), "hello", id="first", created_ms=1_000))
    for n in range(120):
        asked = [*opening, Message(role="user", content=f"too long {n}")]
        taken(turn(asked, f"ok {n}", id=f"t{n}", created_ms=2_000 + n))
    with taken.store.reading() as session:
        states = dict(
            session.exec(select(TurnRow.state, func.count()).group_by(TurnRow.state)).all()
        )
    assert states == {"judged": 120, "open": 1}


def test_a_word_costs_no_more_however_many_wishes_a_key_has(taken: Taken) -> None:
    """Only the lessons that can still be meant are looked at again."""
    taken(turn(said("hi"), "hello", id="first"))
    many = LOOKED_AT + 40
    with taken.store.transaction() as session:
        for n in range(many):
            session.add(
                LessonRow(
                    id=f"l{n:04}", line="main", principal="alice", turn_id="t",
                    instruction=f"like a pirate {n}", wished=[], created_ms=n,
                )
            )  # fmt: skip
        session.flush()
        session.execute(update(LessonRow).values(changed=False))
    taken(turn(said("hi", "hello", "Thanks!"), "ok", id="next", created_ms=2_000))
    with taken.store.reading() as session:
        touched = session.exec(select(LessonRow.id).where(col(LessonRow.changed))).all()
    assert set(touched) == {f"l{n:04}" for n in range(many - LOOKED_AT, many)}
