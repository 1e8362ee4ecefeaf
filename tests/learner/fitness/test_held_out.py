"""People who had no part in a generation score its child, and can hold it."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.version.layout import parameter_name
from learner.batch.plan import HELD_OUT
from learner.fitness.held_out import heard, lessons_of, row_of
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.records import Turn
from streams.store.tables import GenerationRow, TurnRow
from tests.learner.turns import said, turn

SETTINGS = LearnerSettings(held_out_fitness=1e-4)


@dataclass(frozen=True)
class Passed:
    """A gate's report."""

    passed: bool = True
    reason: str = "nothing fell"

    def as_json(self) -> dict[str, Any]:
        """Without rows."""
        return {"passed": self.passed, "reason": self.reason, "rows": []}


def generation(score: int) -> tuple[GenerationRow, dict[str, TurnRow]]:
    """Return a generation with one turn set aside, judged by this score."""
    first = turn(
        said("why"), "because", id="t", prompt=[5, 6, 7], tokens=[8, 9], logprobs=[-1.0, -1.0]
    )
    names = set(TurnRow.model_fields) & set(Turn.model_fields)
    row = TurnRow(
        **first.model_dump(include=names),
        state="judged", sequence=1, taken_ms=1, record=first.model_dump(mode="json"),
    )  # fmt: skip
    made = GenerationRow(
        id="g", line="main", number=1, parent="v", key="0" * 16, state="planned", turn_ids=[],
        horizon={HELD_OUT: [{"turn_id": "t", "score": score, "confidence": 1.0}]}, planned_ms=1,
    )  # fmt: skip
    return made, {"t": row}


def child_of(serving: Serving) -> Decoder:
    """Return a version that differs."""
    name = parameter_name(serving.base.decoder.num_layers - 1, "down_proj")
    weight = serving.base.model.layer(name).plain()
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    return Decoder(with_weights(serving.base.model, {name: weight + 0.02 * noise}))


def test_the_same_child_pleases_one_and_not_the_other(serving: Serving, backend: Backend) -> None:
    """What makes a reply likelier helps whoever liked it, and is held for whoever did not."""
    passed = []
    child = child_of(serving)
    before, after = (
        logprobs(
            each, [Passage((5, 6, 7), ((8, 9),))], backend=backend, pause=lambda: None
        )[0][0].sum()
        for each in (serving.decoder, child)
    )  # fmt: skip
    for score in (1, -1):
        made, rows = generation(score)
        report = heard(
            Passed(), made, child, serving, SETTINGS,
            rows=rows, backend=backend, pause=lambda: None,
        )  # fmt: skip
        (row,) = report.as_json()["rows"]
        assert row["probe"] == HELD_OUT
        assert report.passed == (row["outcome"] == "pass")
        assert report.passed or "held-out principal fell" in report.reason
        assert report.passed == ((after > before) == (score > 0))
        passed.append(report.passed)
    assert sorted(passed) == [False, True]


@pytest.mark.parametrize("gone", [True, False])
def test_where_nobody_is_left_nothing_is_said(
    serving: Serving, backend: Backend, gone: bool
) -> None:
    """Nobody set aside, or a turn that was forgotten since: the report stays as it was."""
    made, _ = generation(1)
    if not gone:
        made.horizon = {}
    report = heard(
        Passed(), made, child_of(serving), serving, SETTINGS,
        rows={}, backend=backend, pause=lambda: None,
    )  # fmt: skip
    assert report == Passed()


def test_a_small_fall_is_no_fault() -> None:
    """Only what falls by more than the limit is held."""
    assert row_of(-0.01, 2, 0.05)["outcome"] == "pass"
    assert row_of(-0.06, 1, 0.05)["outcome"] == "fail"


def test_tokens_that_a_mask_chose_and_replies_that_were_cut_say_nothing() -> None:
    """As in the lessons of a generation: they are no choice of the model's, or no whole reply."""
    made, rows = generation(1)
    items, record = made.horizon[HELD_OUT], rows["t"].record
    rows["t"].record = record | {"forced": [1, 5]}
    (lesson,) = lessons_of(items, rows, SETTINGS)
    assert lesson.forced == {1}
    rows["t"].record = record | {"finish_reason": "length"}
    assert lessons_of(items, rows, SETTINGS) == []
