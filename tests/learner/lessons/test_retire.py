"""A note goes when the weights do as well without it, and stays while it makes a difference."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.lessons.lessons import Lessons
from learner.lessons.notes import NoteRules, note_id
from learner.lessons.retire import NOTES, REWRITES, needless, to_measure
from learner.link.rows import row_of
from learner.rollout import claims
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.line import verbs
from streams.line.line import Line
from streams.line.verbs import Audit
from streams.notes import with_notes
from streams.records import Rollout
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.lesson_tables import NoteRow
from streams.store.store import open_store
from tests.learner.turns import said, turn

TEXT = "Answer in one short sentence only."


def test_a_note_is_measured_on_the_rewrites_of_its_lesson(
    tmp_path: Path, serving: Serving, backend: Backend
) -> None:
    """Of two rewrites, one is what the note calls for and one what the model says anyway."""
    base, settings = serving.base, LearnerSettings(note_gap_nats=0.0)
    asked = said("What is rain?")
    kept = {}
    for name, prompt in (
        ("noted", base.render(with_notes(asked, [TEXT]))),
        ("plain", base.render(asked)),
    ):
        (reply,) = greedy(serving.decoder, [prompt], max_tokens=8, stop_ids=base.stop_ids)
        kept[name] = list(reply)
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        for number, (name, tokens) in enumerate(kept.items()):
            row = row_of(turn(asked, "x", id=name), sequence=number, taken_ms=1)
            row.lesson, row.target = name, {"token_ids": tokens}
            note = NoteRow(
                id=name, line="main", principal="alice", lesson=name, text=TEXT, state="active",
                created_ms=number,
            )  # fmt: skip
            session.add_all([row, note])
            for newer in range(REWRITES + 1):  # no rewrite yet, or one that was not accepted
                row = row_of(
                    turn(asked, "x", id=f"{name} {newer}", created_ms=9), sequence=9, taken_ms=9
                )
                row.lesson, row.target = name, {"token_ids": []} if newer % 2 else None
                session.add(row)
    with store.reading() as session:
        measured = to_measure(session, "main", serving, settings)
    store.close()
    assert [each.note for each in measured] == ["noted", "plain"]

    def gone(gap: float) -> list[str]:
        chosen = settings.model_copy(update={"note_gap_nats": gap})
        return needless(measured, serving, chosen, backend=backend, pause=lambda: None)

    assert gone(0.0) == ["plain"]
    assert gone(100.0) == ["noted", "plain"]


def test_no_note_is_kept_from_being_measured_by_others(tmp_path: Path, serving: Serving) -> None:
    """Not by older ones without a rewrite, nor by those that stay whatever is measured."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        for number in range(3 * NOTES):
            name, principal = f"n{number}", f"p{number}"
            asked = turn(said("Why?"), "x", id=name, principal=principal)
            row = row_of(asked, sequence=number, taken_ms=1)
            row.lesson, row.target = name, {"token_ids": [4]} if number >= NOTES else None
            note = NoteRow(
                id=name, line="main", principal=principal, lesson=name, text=TEXT, state="active",
                created_ms=number,
            )  # fmt: skip
            session.add_all([row, note])
    found = set[str]()
    for chain in ([], ["a"]):
        version: Any = SimpleNamespace(base=serving.base, chain=chain)
        with store.reading() as session:
            measured = to_measure(session, "main", version, LearnerSettings())
        assert len(measured) == NOTES
        found |= {each.note for each in measured}
    store.close()
    assert found == {f"n{number}" for number in range(NOTES, 3 * NOTES)}


def test_what_is_taken_back_while_it_is_measured_retires_nothing(
    tmp_path: Path, serving: Serving, backend: Backend
) -> None:
    """Its notes act on, and are measured anew when it serves again."""
    settings = LearnerSettings(note_gap_nats=100.0)
    base, line = serving.base, Line("main", (serving.base.name,))
    store, name = open_store(StreamsSettings(home=tmp_path)), note_id("0" * 24)
    lessons = Lessons(settings, RolloutSettings())

    def changed(change: Rollout) -> None:
        nonlocal line
        line = line.take(change)
        with store.transaction() as session:
            assert claims.project(session, change)

    def look(pause: Callable[[], None]) -> tuple[str, int | None]:
        grown = ["v1"] if line.version == "v1" else []
        served = SimpleNamespace(base=base, name=line.version, chain=grown, decoder=serving.decoder)
        rules = SimpleNamespace(notes=NoteRules(words=8, most=2))
        parts: Any = SimpleNamespace(serving=served, rules=rules, store=store, backend=backend)
        lessons.retire_notes(parts, store.transaction, pause)
        with store.reading() as session:
            note = session.get_one(NoteRow, name)
            return note.state, note.version

    def taken_back() -> None:
        if line.version == "v1":
            changed(verbs.rollback(line, Audit.new("ann", "worse", 2)))

    with store.transaction() as session:
        row = row_of(turn(said("Why?"), "x", id="t"), sequence=1, taken_ms=1)
        row.lesson, row.target = "l", {"token_ids": [4, 5]}
        note = NoteRow(
            id=name, line="main", principal="alice", lesson="l", text=TEXT, state="active",
            created_ms=1,
        )  # fmt: skip
        session.add_all([row, note])
    changed(verbs.promote(line, "v1", Audit.new("ann", "good", 1)))
    assert look(taken_back) == ("active", None)
    assert line.version == base.name
    assert look(lambda: None) == ("active", None)
    changed(verbs.promote(line, "v1", Audit.new("ann", "good after all", 3)))
    assert look(lambda: None) == ("retired", 1)
    store.close()
