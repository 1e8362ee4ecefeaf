"""Leaving turns out of a generation by what it kept: sums over the other rows, and nothing else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.change import most_weight
from kernels.version.master import QUANTUM_LOG2
from learner.rerun import refit as quick
from learner.update import strategies
from streams.errors import LedgerError
from streams.records import Recipe
from streams.store.tables import GenerationRow

PAIRS = 4


def recipe(strategy: str = "es", coefficients: tuple[int, ...] = (64, -64, 3, 0)) -> Recipe:
    return Recipe.model_validate(
        {
            "line": "main", "number": 1, "parent": "base", "strategy": strategy, "noise": "rank1",
            "key": "0" * 16, "coefficients": list(coefficients), "step": 7, "sigma_log2": -4,
            "layers": [1], "modules": ["up_proj"], "scales": [-3], "mask": "m", "digest": "d",
        }
    )  # fmt: skip


def generation(table: Any, weights: Any, **changes: Any) -> GenerationRow:
    """Return a generation whose turns are named 0, 1, 2, …, all of them scored."""
    ids = [str(place) for place in range(len(weights))]
    batch = [
        {"turn_id": id, "weight": float(weight), "score": -1, "confidence": 1.0, "hint": None}
        for id, weight in zip(ids, weights, strict=True)
    ]
    values: dict[str, Any] = {
        "id": "g", "line": "main", "number": 1, "parent": "base", "child": "v", "key": "0" * 16,
        "state": "released", "turn_ids": ids, "batch": batch, "scored_ids": ids,
        "fitness": np.asarray(table).tolist(), "planned_ms": 0,
    }  # fmt: skip
    return GenerationRow(**(values | changes))


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], set[str]]:
    """Draw a table of fitness, the turns' weights, and who is left out."""
    turns = draw(st.integers(2, 5))
    number = st.integers(-1000, 1000)
    cells = st.lists(number, min_size=turns * 2 * PAIRS, max_size=turns * 2 * PAIRS)
    table = np.asarray(draw(cells)).reshape(turns, 2 * PAIRS) / 1000
    weights = np.asarray(draw(st.lists(st.integers(1, 8), min_size=turns, max_size=turns))) / 8
    out = draw(st.sets(st.integers(0, turns - 1), min_size=1, max_size=turns - 1))
    return table, weights, {str(place) for place in out}


@given(tables())
def test_what_is_left_is_the_strategy_on_the_other_rows(
    drawn: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], set[str]],
) -> None:
    """The integers are those that a batch of the others alone would have come to."""
    table, weights, out = drawn
    rest = quick.kept(generation(table, weights), recipe(), out)
    staying = [place for place in range(len(weights)) if str(place) not in out]
    alone = strategies.es(
        weights[staying] @ table[staying], step=1.5, sigma_log2=-4, quantum_log2=QUANTUM_LOG2
    )
    assert rest.coefficients == alone.coefficients
    assert rest.touched
    assert rest.scored_ids == [str(place) for place in staying]
    assert rest.fitness == table[staying].tolist()


@given(tables())
def test_one_after_the_other_is_both_at_once(
    drawn: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], set[str]],
) -> None:
    """Leaving turns out of what was left is leaving all of them out: it can be done again."""
    table, weights, out = drawn
    row = generation(table, weights)
    first = quick.kept(row, recipe(), {min(out)})
    again = generation(
        first.fitness, [item["weight"] for item in first.batch], batch=first.batch,
        scored_ids=first.scored_ids,
    )  # fmt: skip
    then = quick.kept(again, recipe(coefficients=first.coefficients), out)
    assert then.coefficients == quick.kept(row, recipe(), out).coefficients


def test_a_wish_keeps_its_weight_where_its_rewrites_taught_alone() -> None:
    """What a turn that was left out weighed is borne by the others of its wish, as it was then."""
    table = np.asarray(
        [[9, 0, 0, 0, 0, 3, 0, 0], [0, 0, 5, 0, 0, 0, 4, 0], [1, 2, 0, 6, 0, 0, 0, 0]]
    )
    row = generation(table, [0.25, 0.25, 0.25], settings={"accepted_alone": True})
    for item, lesson in zip(row.batch, ("brief", "plain", "gone"), strict=True):
        item["lesson"] = lesson
    silent = row.batch[0] | {"turn_id": "silent", "lesson": "brief"}
    row.batch = [*row.batch, silent]
    rest = quick.kept(row, recipe(), {"2"})
    asked = strategies.es(
        np.asarray([0.5, 0.25]) @ table[:2], step=1.5, sigma_log2=-4, quantum_log2=QUANTUM_LOG2
    )
    assert rest.coefficients == asked.coefficients


def test_a_generation_without_them_keeps_its_integers() -> None:
    """Nobody left out: what was released stays as it is, rounding of the table or not."""
    rest = quick.kept(generation(np.zeros((1, 8)), [1.0]), recipe(), {"somebody else"})
    assert (rest.touched, rest.coefficients) == (False, (64, -64, 3, 0))


def test_nothing_is_left_of_a_generation_that_was_theirs() -> None:
    """All rows out: no integer is left, and the chain goes on without it."""
    rest = quick.kept(generation(np.eye(1, 8), [1.0]), recipe(), {"0"})
    assert not any(rest.coefficients)


def test_randopt_folds_the_best_of_the_others() -> None:
    """The best K are chosen anew, with the K that was in force then."""
    table = np.asarray([[9, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 5, 0, 0, 4, 0]])
    row = generation(table, [0.5, 0.5], settings={"top_k": 2})
    assert quick.kept(row, recipe("randopt"), {"0"}).coefficients == (0, -64, 0, 64)


@pytest.mark.parametrize(
    ("row", "strategy", "missing"),
    [
        (generation(np.eye(2, 8)[:1], [0.5, 0.5], scored_ids=[]), "es", "which turns"),
        (generation(np.eye(2, 8), [0.5, 0.5]), "randopt", "its settings"),
    ],
)
def test_what_an_older_build_did_not_keep_is_said(
    row: GenerationRow, strategy: str, missing: str
) -> None:
    """A table that cannot be attributed is refused with what to do, never guessed at."""
    with pytest.raises(LedgerError, match=f"older build, which did not keep {missing}.*--exact"):
        quick.kept(row, recipe(strategy), {"0"})


def test_an_older_table_of_all_turns_is_understood() -> None:
    """Where every turn of the batch was scored, the rows are in the batch's order."""
    rest = quick.kept(generation(np.eye(2, 8), [0.5, 0.5], scored_ids=[]), recipe(), {"0"})
    assert rest.scored_ids == ["1"]


@pytest.mark.parametrize(
    ("noise", "found"),
    [
        ("screened", {"rows": [1, 2, 3, 4], "columns": [4, 3, 2, 1]}),
        ("directed", {"left": ["gB", "_C", "BB", "gg"], "right": ["g_", "-C", "DB", "gg"]}),
    ],
)
def test_nobody_is_left_out_of_a_search_by_sums(noise: str, found: dict[str, Any]) -> None:
    """It was made on all turns: without one of them only scoring again tells the others."""
    fields = recipe().model_dump(exclude={"v"}) | {"tensors": [0] * PAIRS, "noise": noise}
    screened = Recipe.model_validate(fields | found)
    row = generation(np.ones((2, 2 * PAIRS)), [0.5, 0.5])
    with pytest.raises(LedgerError, match=r"searched .*--exact"):
        quick.kept(row, screened, {"0"})
    assert quick.kept(row, screened, {"7"}).coefficients == tuple(screened.coefficients)


def test_what_is_left_of_many_normal_pairs_fits_a_sum() -> None:
    """Left over by somebody, thousands of pairs are no more than can be added exactly."""
    table = np.random.default_rng(0).normal(size=(2, 2 * 4096))
    whole = recipe(coefficients=(1,) * 4096).model_copy(update={"noise": "normal"})
    rest = quick.kept(generation(table, [0.5, 0.5]), whole, {"0"})
    assert sum(map(abs, rest.coefficients)) <= most_weight("normal")
