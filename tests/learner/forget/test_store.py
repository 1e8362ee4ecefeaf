"""Forgetting a principal: what is left is what would be there without them, on every store."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text
from sqlmodel import select

from learner.batch.plan import HELD_OUT
from learner.forget import store as forget
from learner.forget.plans import DELETED
from learner.intake import take
from learner.judges.open import open_judges
from learner.lessons.review import is_due, review
from learner.settings import LearnerSettings
from learner.verdicts import Rules
from streams.log.contract import Entry, Partition, Topic
from streams.records import Deletion, Feedback, Forgotten, Record, Turn, encode, record_id
from streams.settings import StreamsSettings
from streams.store.lesson_tables import LessonRow, NoteRow
from streams.store.states import GenerationState
from streams.store.store import Store, open_store
from streams.store.tables import (
    ForgottenRow,
    GenerationRow,
    JudgementRow,
    OutboxRow,
    SeenRow,
    TurnRow,
)
from tests.learner.turns import said, turn
from tests.streams.keeping.test_retention import in_use

RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    idle_close_ms=10**9,
    max_record_bytes=2**20,
)
WORDS = ["Shorter, please.", "Thanks, perfect!", "And of Spain?", "No, that is wrong."]
MOMENT_MS = 50_000


@pytest.fixture
def store(database: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store, of each kind."""
    opened = open_store(StreamsSettings(home=tmp_path, store=database))
    yield opened
    opened.close()


def talk(principal: str, number: int, answer: str, *, at_ms: int = 1_000) -> list[Turn]:
    """Return a reply, and the turn after what its user said to it."""
    asked = said(f"Question {number}")
    first = turn(asked, "A reply", id=f"{principal}-{number}-a", principal=principal,
                 created_ms=at_ms)  # fmt: skip
    then = [*asked, first.reply, *said(answer)]
    second = turn(then, "Another", id=f"{principal}-{number}-b", principal=principal,
                  created_ms=at_ms + 1)  # fmt: skip
    return [first, second]


def feedback(on: Turn, score: int) -> Feedback:
    return Feedback.model_validate(
        {
            "id": f"f-{on.id}", "turn_id": on.id, "line": "main", "principal": on.principal,
            "session": on.session, "score": score, "hint": f"a hint of {on.principal}",
            "created_ms": on.created_ms + 5,
        }
    )  # fmt: skip


def forgotten(principal: str = "ann", id: str = "f-1", at_ms: int = MOMENT_MS) -> Forgotten:
    return Forgotten(id=id, principal=principal, reason="asked", who="op", created_ms=at_ms)


def read(store: Store, records: Sequence[Record], *, from_offset: int = 0) -> None:
    """Let the intake take records in one transaction."""
    topics: dict[str, Topic] = {
        "turn": "turns", "feedback": "feedback", "deletion": "feedback", "forgotten": "forgotten",
    }  # fmt: skip
    entries = [
        Entry(Partition(topics[r.KIND], 0), from_offset + i, "k", record_id(r), encode(r), 60_000)
        for i, r in enumerate(records)
    ]
    with store.transaction() as session:
        take(session, entries, RULES)


def rows_of_others(store: Store, principal: str) -> dict[str, Any]:
    """Return all that the store holds beside a principal, without orders of arrival."""
    with store.reading() as session:
        turns = session.exec(select(TurnRow).where(TurnRow.principal != principal))
        judgements = session.exec(select(JudgementRow).where(JudgementRow.principal != principal))
        outbox = session.exec(select(OutboxRow))
        return {
            "turns": sorted((row.model_dump(exclude={"sequence"}) for row in turns), key=str),
            "judgements": sorted((row.model_dump() for row in judgements), key=str),
            "outbox": sorted(row.value for row in outbox if b'"judgement"' in row.value),
        }


CONVERSATIONS = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cid"]), st.sampled_from(WORDS), st.booleans()),
    max_size=6,
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(conversations=CONVERSATIONS, again=st.booleans())
def test_what_is_left_is_what_others_said(
    conversations: list[tuple[str, str, bool]],
    again: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The rest equals a store that never met them, also after their records came once more."""
    records: list[Record] = []
    for number, (principal, answer, rated) in enumerate(conversations):
        turns = talk(principal, number, answer)
        records += [*turns, *([feedback(turns[0], 1)] if rated else [])]
    theirs = [r for r in records if getattr(r, "principal", "") == "ann"]
    others = [r for r in records if r not in theirs]
    homes = [tmp_path_factory.mktemp(name) for name in ("met", "never-met")]
    met, never = (open_store(StreamsSettings(home=home)) for home in homes)
    read(met, [*records, forgotten()])
    if again:
        read(met, theirs, from_offset=1_000)
    read(never, others)
    assert rows_of_others(met, "ann") == rows_of_others(never, "ann")
    assert b"Question" not in _texts_of(met, "ann")
    met.close()
    never.close()


def _texts_of(store: Store, principal: str) -> bytes:
    with store.reading() as session:
        turns = session.exec(select(TurnRow).where(TurnRow.principal == principal)).all()
        judgements = session.exec(select(JudgementRow).where(JudgementRow.principal == principal))
        return repr([[row.model_dump() for row in turns], list(judgements)]).encode()


def test_tombstones_keep_ids_and_counts_only(store: Store) -> None:
    """A forgotten turn can be named and counted, and says nothing; its judgements are gone."""
    first, second = talk("ann", 1, WORDS[0])
    read(store, [first, second, feedback(first, -1)])
    with store.transaction() as session:
        session.exec(select(TurnRow).where(TurnRow.id == first.id)).one().uses = 3
    with store.transaction() as session:
        row = forget.apply(session, forgotten(), "main")
    assert (row.num_turns, row.num_judgements) == (2, 2)
    with store.reading() as session:
        kept = session.get_one(TurnRow, first.id).model_dump()
        assert session.exec(select(JudgementRow)).all() == []
        assert session.exec(select(OutboxRow)).all() == []
        assert session.exec(select(SeenRow)).all() != []
    assert {name: value for name, value in kept.items() if value not in (None, "", {})} == {
        "id": first.id, "line": "main", "version": "base", "principal": "ann",
        "state": "forgotten", "sequence": 1, "uses": 3, "created_ms": 1_000, "taken_ms": 60_000,
    }  # fmt: skip


@pytest.mark.parametrize("how", ["forgotten", "deleted"])
def test_what_is_forgotten_gives_its_disk_back(tmp_path: Path, how: str) -> None:
    """Emptied turns share pages, between those of others, which stay where they are."""
    store = open_store(StreamsSettings(home=tmp_path))
    empty, said_of = in_use(store), [f"{who}{n}" for n in range(60) for who in ("ann", "bob")]
    with store.transaction() as session:
        for number, id in enumerate(said_of, 1):
            session.add(
                TurnRow(
                    id=id, line="main", version="v", principal=id[:3], session="s", key="k",
                    prefix_key="p", state="closed", sequence=number,
                    record={"text": "x" * (6_000 if id[:3] == "ann" else 10)}, created_ms=1_000,
                    taken_ms=1_000,
                )
            )  # fmt: skip
    theirs = [f"ann{n}" for n in range(60)]
    with store.transaction() as session:
        if how == "forgotten":
            forget.apply(session, forgotten(), "main")
        for id in theirs if how == "deleted" else ():
            record = Deletion(
                id=f"d-{id}", turn_id=id, line="main", principal="ann", session="s", created_ms=9
            )
            forget.delete_turn(session, record, taken_ms=9)
    with store.reading() as session:
        ordered = select(TurnRow.id, TurnRow.state).order_by(text("rowid"))
        rows = session.exec(ordered).all()
    assert [id for id, _ in rows] == said_of
    assert {id for id, state in rows if state == "forgotten"} == set(theirs)
    assert in_use(store) - empty <= len(said_of) * 1_300
    store.close()


def test_an_agents_clock_that_ran_ahead_keeps_nothing_back(store: Store) -> None:
    """What the log took before the moment is forgotten, whenever the agent says that it was."""
    first, second = talk("ann", 1, WORDS[0], at_ms=MOMENT_MS + 10**12)
    read(store, [first, second])
    with store.transaction() as session:
        for row in session.exec(select(TurnRow)):
            row.taken_ms = MOMENT_MS - 1
            session.add(row)
    with store.transaction() as session:
        assert forget.apply(session, forgotten(), "main").num_turns == 2


def test_forgetting_again_changes_nothing(store: Store) -> None:
    """The same record, read twice, or after the command has applied it, is one audit row."""
    read(store, talk("ann", 1, WORDS[0]))
    for _ in range(2):
        with store.transaction() as session:
            forget.apply(session, forgotten(), "main")
    read(store, [forgotten()], from_offset=10)
    with store.reading() as session:
        (row,) = session.exec(select(ForgottenRow)).all()
    assert (row.principal, row.who, row.reason, row.num_turns) == ("ann", "op", "asked", 2)


def test_what_is_said_afterwards_counts(store: Store) -> None:
    """Only what was said up to the moment is forgotten; one late word of before it stays out."""
    read(store, [*talk("ann", 1, WORDS[0]), forgotten(at_ms=5_000)])
    late, after = talk("ann", 2, WORDS[0], at_ms=4_000), talk("ann", 3, WORDS[0], at_ms=70_000)
    read(store, [*late, *after], from_offset=20)
    with store.reading() as session:
        rows = session.exec(select(TurnRow).where(TurnRow.state != "forgotten")).all()
    assert {row.id for row in rows} == {each.id for each in after}


def test_a_verdict_on_a_forgotten_turn_is_not_poison(store: Store) -> None:
    """Feedback that comes after the moment, on a turn of before it, is told and not kept."""
    first, second = talk("ann", 1, WORDS[2])
    read(store, [first, second, forgotten(at_ms=5_000)])
    late = feedback(first, 1).model_copy(update={"created_ms": 90_000})
    read(store, [late], from_offset=20)
    with store.reading() as session:
        row = session.get_one(TurnRow, first.id)
        assert (row.state, row.reason, row.record) == ("forgotten", "rated too late", {})
        assert session.exec(select(JudgementRow)).all() == []
        assert session.exec(select(OutboxRow)).all() == []


def generation(
    number: int, state: GenerationState, weights: dict[str, float], child: str | None
) -> Any:
    return GenerationRow(
        id=f"g-{number}", line="main", number=number, parent="base", child=child, key="0" * 16,
        state=state, turn_ids=list(weights), planned_ms=number, done_ms=number,
        batch=[
            {"turn_id": id, "weight": w, "score": -1, "confidence": 1.0, "hint": f"says {id}"}
            for id, w in weights.items()
        ],
    )  # fmt: skip


def test_generations_say_what_they_moved_and_quote_them_no_more(store: Store) -> None:
    """Hints of theirs leave the plans, a plan that is not done is void, shares are told."""
    bob, ann = talk("bob", 1, WORDS[0])[0], talk("ann", 2, WORDS[0])[0]
    read(store, [bob, ann])
    with store.transaction() as session:
        session.add(generation(1, "released", {bob.id: 1.0}, "v1"))
        session.add(generation(2, "released", {bob.id: 0.75, ann.id: 0.25}, "v2"))
        session.add(generation(3, "planned", {ann.id: 1.0}, None))
        session.add(generation(4, "planned", {bob.id: 1.0}, None))
    with store.transaction() as session:
        row = forget.apply(session, forgotten(), "main")
    assert row.influenced == [
        {"generation": 2, "line": "main", "version": "v2", "turns": 1, "of_turns": 2, "share": 0.25}
    ]
    with store.reading() as session:
        rows = session.exec(select(GenerationRow).order_by(GenerationRow.number)).all()  # type: ignore[arg-type]
    assert [row.state for row in rows] == ["released", "released", "void", "planned"]
    assert [[item["hint"] for item in row.batch] for row in rows] == [
        [f"says {bob.id}"], [f"says {bob.id}", None], [None], [f"says {bob.id}"],
    ]  # fmt: skip


def test_a_version_that_was_built_again_is_told_of_once(store: Store) -> None:
    """By the generation that is read first: one beside the line, that came to the same bits."""
    bob, ann = talk("bob", 1, WORDS[0])[0], talk("ann", 2, WORDS[0])[0]
    read(store, [bob, ann])
    with store.transaction() as session:
        session.add(generation(1, "released", {bob.id: 0.75, ann.id: 0.25}, "v1"))
        session.add(generation(2, "released", {ann.id: 1.0}, "v2"))
        for number, weights in ((1, {bob.id: 0.5, ann.id: 0.5}), (2, {bob.id: 1.0})):
            again = generation(number, "rebuilt", weights, f"v{number}")
            again.id, again.line, again.done_ms = f"r-{number}", "main/exact/v1", 9
            session.add(again)
    with store.reading() as session:
        told = forget.influence(session, "ann")
    assert [(each.version, each.share) for each in told] == [("v1", 0.5)]


def deletion(of: Turn, principal: str = "ann") -> Deletion:
    return Deletion(
        id=f"d-{of.id}", turn_id=of.id, line="main", principal=principal, session=of.session,
        created_ms=of.created_ms + 9,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["a_1", 'a"1', "a%1", "a\\1", "ä1"])
def test_a_deleted_turn_is_found_in_plans_whatever_its_name(store: Store, name: str) -> None:
    """No character of a name stands for another one, nor for many."""
    ids = [name, "ab1", "a1", "A_1", f"{name}-b"]
    of_ann = [turn(said(f"Question {id}"), "A reply", id=id, principal="ann") for id in ids]
    read(store, of_ann)
    with store.transaction() as session:
        session.add(generation(1, "released", dict.fromkeys(ids, 0.2), "v1"))
        session.add(generation(2, "planned", {id: 0.25 for id in ids if id != name}, None))
        session.add(generation(3, "planned", {name: 1.0}, None))
    read(store, [deletion(of_ann[0])], from_offset=100)
    with store.reading() as session:
        rows = session.exec(select(GenerationRow).order_by(GenerationRow.number)).all()  # type: ignore[arg-type]
    emptied = {item["turn_id"] for row in rows for item in row.batch if item["hint"] is None}
    assert emptied == {name}
    assert [row.state for row in rows] == ["released", "planned", "void"]


def test_a_deletion_reads_no_generation_that_the_turn_has_no_part_in(tmp_path: Path) -> None:
    """However many there are: one whose turns nobody could read is not looked into."""
    store = open_store(StreamsSettings(home=tmp_path))
    first = talk("ann", 1, WORDS[2])[0]
    read(store, [first])
    with store.transaction() as session:
        session.add(generation(1, "released", {"other": 1.0}, "v1"))
        session.add(generation(2, "released", {first.id: 1.0}, "v2"))
        session.flush()
        session.execute(text("UPDATE generations SET turn_ids = 'no JSON' WHERE number = 1"))
    read(store, [deletion(first)], from_offset=100)
    with store.reading() as session:
        (hint,) = session.exec(select(GenerationRow.batch).where(GenerationRow.number == 2)).one()
    assert hint["hint"] is None
    store.close()


@pytest.mark.parametrize("how", ["forgotten", "deleted"])
def test_a_plan_that_a_deletion_made_void_notes_it(store: Store, how: str) -> None:
    """A run again repeats it; whoever is forgotten has no part in one, so nothing is noted."""
    first, second = talk("ann", 1, WORDS[2])
    read(store, [first, second])
    with store.transaction() as session:
        session.add(generation(1, "released", {first.id: 1.0}, "v1"))
        session.add(generation(2, "planned", {first.id: 0.5, second.id: 0.5}, None))
    read(store, [forgotten() if how == "forgotten" else deletion(first)], from_offset=100)
    read(store, [deletion(second)], from_offset=200)
    with store.reading() as session:
        rows = session.exec(select(GenerationRow).order_by(GenerationRow.number)).all()  # type: ignore[arg-type]
    assert [row.state for row in rows] == ["released", "void"]
    noted = {DELETED: [first.id]} if how == "deleted" else {}
    assert [row.horizon for row in rows] == [{}, noted]


@pytest.mark.parametrize("how", ["forgotten", "deleted"])
def test_a_plan_notes_the_deletion_of_what_it_set_aside(store: Store, how: str) -> None:
    """Only one that is not done, and it stays; beside what makes it void, all of them are noted."""
    first, second = talk("ann", 1, WORDS[2])
    (learned, _) = talk("bob", 2, WORDS[2])
    read(store, [first, second, learned])
    aside = [{"turn_id": turn.id, "score": -1, "confidence": 1.0} for turn in (first, second)]
    with store.transaction() as session:
        for number, state in enumerate(("released", "planned"), start=1):
            row = generation(number, state, {learned.id: 1.0}, None)  # type: ignore[arg-type]
            row.horizon = {HELD_OUT: aside}
            session.add(row)
    said = [forgotten()] if how == "forgotten" else [deletion(first), deletion(second)]
    read(store, said, from_offset=100)
    ids = [first.id, second.id] if how == "deleted" else []
    done, planned = noted_in(store)
    assert done == ("released", None)
    assert planned == ("planned", ids or None)
    read(store, [deletion(learned, principal="bob")], from_offset=200)
    assert noted_in(store) == [done, ("void", [*ids, learned.id])]


def noted_in(store: Store) -> list[tuple[str, list[str] | None]]:
    """Return each generation's state and the deletions that it notes."""
    with store.reading() as session:
        rows = session.exec(select(GenerationRow).order_by(GenerationRow.number)).all()  # type: ignore[arg-type]
    return [(row.state, row.horizon.get(DELETED)) for row in rows]


@pytest.mark.parametrize("early", [False, True])
def test_a_deleted_turn_is_empty_whenever_it_comes(store: Store, early: bool) -> None:
    """Nothing of it is kept or judged; the rest of the conversation stays; twice is once."""
    first, second = talk("ann", 1, "Shorter, please.")
    records = [first, second, feedback(first, 1)]
    records = [deletion(first), *records] if early else [*records, deletion(first)]
    read(store, records)
    read(store, [deletion(first).model_copy(update={"id": "again"})], from_offset=100)
    with store.reading() as session:
        rows = {row.id: row for row in session.exec(select(TurnRow))}
        assert session.exec(select(JudgementRow)).all() == []
        published = [row.value for row in session.exec(select(OutboxRow))]
    gone, kept = rows[first.id], rows[second.id]
    assert (gone.state, gone.record, gone.session, gone.next_state) == ("forgotten", {}, "", None)
    assert kept.record["id"] == second.id
    assert not any(first.id.encode() in value for value in published)


def test_a_strangers_deletion_changes_nothing(store: Store) -> None:
    """Only whoever got a reply may have it deleted."""
    first, second = talk("ann", 1, "Thanks, perfect!")
    read(store, [first, second, deletion(first, principal="bob")])
    with store.reading() as session:
        assert session.get_one(TurnRow, first.id).state == "judged"


def unseen(beside: Turn) -> Turn:
    """Return what a candidate answered to the same request, seen by nobody."""
    told = {"id": f"{beside.id}-beside", "version": "new", "beside": beside.id}
    return beside.model_copy(update=told | {"created_ms": beside.created_ms + 1})


@pytest.mark.parametrize("when", ["deleted last", "beside last", "deleted first"])
def test_a_deleted_turn_takes_what_nobody_saw_beside_it_along(store: Store, when: str) -> None:
    """The same words of the same person stand there; it has no name by which to delete it."""
    first, other = talk("ann", 1, "Thanks, perfect!")[0], talk("ann", 2, "Thanks, perfect!")[0]
    records: dict[str, list[Record]] = {
        "deleted last": [first, unseen(first), deletion(first)],
        "beside last": [first, deletion(first), unseen(first)],
        "deleted first": [deletion(first), first, unseen(first)],
    }
    read(store, [other, unseen(other), *records[when]])
    with store.transaction() as session:
        rows = {row.id: row for row in session.exec(select(TurnRow))}
        speaking = {id for id, row in rows.items() if row.record or row.state != "forgotten"}
        assert speaking == {other.id, unseen(other).id}
        assert [row for row in rows.values() if "Question 1" in repr(row.model_dump())] == []


def test_a_stranger_deletes_nothing_that_nobody_saw(store: Store) -> None:
    """Beside a turn, too, only whoever asked may have it deleted."""
    first = talk("ann", 1, "Thanks, perfect!")[0]
    read(store, [first, unseen(first), deletion(first, principal="bob")])
    with store.reading() as session:
        assert session.get_one(TurnRow, unseen(first).id).record["id"] == unseen(first).id


def test_a_hint_on_a_turn_that_is_deleted_before_it_comes_goes_with_it(store: Store) -> None:
    """It waits for a turn that never comes; words on others wait on."""
    first, second = talk("ann", 1, "Shorter, please.")
    read(store, [feedback(first, -1), feedback(second, -1), deletion(first), first])
    with store.reading() as session:
        waiting = session.exec(select(JudgementRow.turn_id)).all()
        assert session.get_one(TurnRow, first.id).record == {}
    assert waiting == [second.id]


OURS, THEIRS = "End with the words: Cheers", "End with the words: Ann Weber, 12 Elm Road"


def quarrel(store: Store) -> tuple[Turn, Turn]:
    """Let ann and bob wish what no reply can both meet, and review that; return what they rated."""
    ann, bob = talk("ann", 1, "Go on")[0], talk("bob", 2, "Go on")[0]
    rated = [
        feedback(turn, -1).model_copy(update={"hint": hint})
        for turn, hint in ((ann, THEIRS), (bob, OURS))
    ]
    read(store, [ann, bob, *rated])
    reviewed(store)
    return ann, bob


def reviewed(store: Store) -> None:
    with store.transaction() as session:
        review(session, "main", LearnerSettings(), serving="base")


def lesson_of(store: Store, principal: str) -> LessonRow:
    with store.reading() as session:
        of_theirs = select(LessonRow).where(LessonRow.principal == principal)
        return session.exec(of_theirs).one()


@pytest.mark.parametrize("how", ["forgotten", "deleted"])
def test_a_wish_that_only_they_opposed_is_free_again(store: Store, how: str) -> None:
    """What is gone outvotes nobody, and no reason of others speaks of it any more."""
    ann, _ = quarrel(store)
    assert lesson_of(store, "bob").state == "set aside"
    assert "Elm Road" not in lesson_of(store, "bob").reason
    read(store, [forgotten() if how == "forgotten" else deletion(ann)], from_offset=100)
    assert lesson_of(store, "bob").reason == ""
    with store.reading() as session:
        assert is_due(session, "main")
    reviewed(store)
    assert (lesson_of(store, "bob").state, lesson_of(store, "bob").reason) == ("active", "")


def test_what_older_builds_quoted_in_others_reasons_goes(store: Store) -> None:
    """Also where the lesson whose words they are has gone before."""
    quarrel(store)
    with store.transaction() as session:
        for row in session.exec(select(LessonRow)):
            row.reason = f"more people wish the opposite of this line ({THEIRS}): that is learned"
            session.add(row)
    read(store, [*talk("cid", 3, WORDS[0]), forgotten("cid")], from_offset=100)
    assert lesson_of(store, "bob").reason == (
        "more people wish the opposite of this line: that is learned"
    )


def wishing(principal: str, number: int) -> list[LessonRow | NoteRow]:
    """Return many lessons of somebody, each with its note."""
    rows: list[LessonRow | NoteRow] = []
    for n in range(number):
        id = f"{number:012x}{n:012x}"
        rows += [
            LessonRow(
                id=id, line="main", principal=principal, turn_id="t", instruction="Be brief.",
                wished=[["length", "shorter"]], changed=False, created_ms=n,
            ),
            NoteRow(
                id=f"note_{id}", line="main", principal=principal, lesson=id, text="Be brief.",
                state="active", created_ms=n,
            ),
        ]  # fmt: skip
    return rows


def test_forgetting_takes_no_statement_a_wish(tmp_path: Path) -> None:
    """But to tell that its note is gone: as many for sixty as for three, and nothing is left."""
    store, asked = open_store(StreamsSettings(home=tmp_path)), []
    event.listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    counted = []
    for who, number in (("ann", 3), ("bob", 60)):
        with store.transaction() as session:
            session.add_all(wishing(who, number))
        asked.clear()
        with store.transaction() as session:
            forget.apply(session, forgotten(who, id=f"f-{who}"), "main")
        counted.append(sum("INTO outbox" not in each for each in asked))
    assert counted[0] == counted[1]
    with store.reading() as session:
        assert {row.instruction for row in session.exec(select(LessonRow))} == {""}
        assert {(row.text, row.state) for row in session.exec(select(NoteRow))} == {("", "removed")}
    store.close()


def test_lessons_are_looked_at_again_when_a_word_of_their_person_is_gone(store: Store) -> None:
    """Praise that is deleted speaks for no lesson any more."""
    ann = talk("ann", 1, "Go on")[0]
    read(store, [ann])
    with store.transaction() as session:
        lesson, _ = wishing("ann", 1)
        lesson.versions = [["v", 0]]
        session.add(lesson)
    read(store, [deletion(ann)], from_offset=100)
    with store.reading() as session:
        assert is_due(session, "main")
