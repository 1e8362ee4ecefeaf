"""A note goes when the weights do as well without it, and stays while it makes a difference."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.lessons.retire import NOTES, REWRITES, needless, to_measure
from learner.link.rows import row_of
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.notes import with_notes
from streams.settings import StreamsSettings
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
