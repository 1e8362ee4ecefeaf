"""The unit map: chosen exactly, measured once, kept whole, and about refusing on a real model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.safety.kept import KeptBase, kept_of
from learner.safety.measuring import Measuring
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.safety.units.measured import Scores
from learner.safety.units.orders import exclusive_first
from learner.safety.units.policies import frozen_units
from learner.safety.units.unit_map import load_mask, load_unit_map
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.settings import ModelSettings
from tests.learner.silenced import silenced

SETTINGS = LearnerSettings()

scores = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 3), st.just(2), st.integers(1, 3), st.integers(1, 12)),
    elements=st.integers(-500, 500),
)


def nothing() -> None:
    """No pace."""


def never() -> None:
    """A pace that must not be asked for: nothing is to be computed."""
    raise AssertionError("it was measured again")


def measuring(
    base: BaseModel, backend: Backend, folder: Path, pause: Callable[[], None]
) -> Measuring:
    """Return what measures a base, and keeps that in a folder."""
    return Measuring(base, backend, pause, KeptBase(folder, base.name))


@given(scores=scores, share=st.floats(0, 0.99))
def test_a_share_of_the_units_is_frozen(scores: Scores, share: float) -> None:
    """As many units as the share allows, each once, in order, all of them there."""
    frozen = frozen_units("top-complex", scores, share)
    chosen = [(layer, unit) for layer, units in frozen.items() for unit in units]
    assert len(chosen) == int(scores[0, 0].size * share)
    assert chosen == sorted(set(chosen))
    assert all(layer < scores.shape[2] and unit < scores.shape[3] for layer, unit in chosen)


@given(scores=scores, share=st.floats(0, 0.99))
def test_the_order_of_the_calibration_sets_does_not_matter(scores: Scores, share: float) -> None:
    """An intersection has no first set."""
    assert frozen_units("top-complex", scores, share) == frozen_units(
        "top-complex", scores[::-1], share
    )


def test_a_unit_that_one_set_does_not_show_is_not_frozen() -> None:
    """High in one calibration set and low in another is noise; good in both wins."""
    one = [[[900, 300, 0, 0]], [[0, 0, 0, 0]]]
    other = [[[-900, 300, 0, 0]], [[0, 0, 0, 0]]]
    assert frozen_units("top-complex", np.array([one, other], dtype=np.int32), 0.25) == {0: [1]}


def test_the_map_is_measured_once(tiny_base: BaseModel, backend: Backend, tmp_path: Path) -> None:
    """A second learner of the same home reads it; another share needs no second measurement."""
    first = load_unit_map(measuring(tiny_base, backend, tmp_path, nothing), SETTINGS)
    again = load_unit_map(measuring(tiny_base, backend, tmp_path, never), SETTINGS)
    assert again.mask == first.mask
    more = SETTINGS.model_copy(update={"frozen_share": 0.5})
    frozen = load_mask(measuring(tiny_base, backend, tmp_path, never), more)
    assert sum(map(len, frozen.neurons.values())) == 4 * 96 // 2
    assert sum(map(len, frozen.groups.values())) == 4 * 2 // 2


def test_another_home_measures_the_same(
    tiny_base: BaseModel, backend: Backend, tmp_path: Path
) -> None:
    """On one machine the mask is a function of base and settings."""
    first = load_mask(measuring(tiny_base, backend, tmp_path / "a", nothing), SETTINGS)
    second = load_mask(measuring(tiny_base, backend, tmp_path / "b", nothing), SETTINGS)
    assert first.digest == second.digest
    assert first.base == tiny_base.name


def test_a_torn_file_is_measured_anew(
    tiny_base: BaseModel, backend: Backend, tmp_path: Path
) -> None:
    """Kept scores that cannot be read are no reason to stop."""
    first = load_mask(measuring(tiny_base, backend, tmp_path, nothing), SETTINGS)
    for kept in (tmp_path / tiny_base.name).iterdir():
        kept.write_bytes(kept.read_bytes()[:100])
    assert load_mask(measuring(tiny_base, backend, tmp_path, nothing), SETTINGS) == first
    assert load_mask(measuring(tiny_base, backend, tmp_path, never), SETTINGS) == first


def test_a_share_of_zero_freezes_nothing(tiny_base: BaseModel, backend: Backend) -> None:
    """A learner that freezes nothing waits for no measurement."""
    none = SETTINGS.model_copy(update={"frozen_share": 0.0})
    mask = load_mask(measuring(tiny_base, backend, Path("nowhere"), never), none)
    assert not mask.neurons
    assert not mask.groups


def test_the_artefact_says_why_a_unit_is_frozen(
    tiny_base: BaseModel, backend: Backend, tmp_path: Path
) -> None:
    """The map in the store names the mask, and gives the scores of each of its units."""
    unit_map = load_unit_map(measuring(tiny_base, backend, tmp_path, nothing), SETTINGS)
    row = unit_map.row(created_ms=7)
    assert row.kind == "unit-map"
    assert row.created_ms == 7
    assert row.body["mask"] == unit_map.mask.digest
    listed = {
        int(layer): [unit for unit, *_ in rows] for layer, rows in row.body["neurons"].items()
    }
    assert listed == unit_map.mask.neurons
    assert unit_map.row(created_ms=8).digest == row.digest


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_exclusive_units_refuse_and_others_do_not(
    bundled_base: BaseModel, backend: Backend
) -> None:
    """Without a hundred exclusive neurons the real model refuses far less, and speaks as well;
    without a hundred random ones it is as before."""
    own = Measuring(bundled_base, backend, nothing, kept_of(ModelSettings(), bundled_base.name))
    measured = load_unit_map(own, SETTINGS).measured
    assert measured is not None
    exclusive = exclusive_first(measured.neurons)[:100].tolist()
    size = measured.neurons[0, 0].size
    random = np.random.default_rng(0).choice(size, 100, replace=False).tolist()
    questions = Questions(own, load_prompts("gate"), count=8, max_tokens=8)

    def refusal_odds(decoder: Decoder) -> float:
        return float(Subject(questions, decoder).odds.mean())

    before = refusal_odds(bundled_base.decoder)
    assert refusal_odds(silenced(bundled_base, exclusive)) < before - 1.0
    assert refusal_odds(silenced(bundled_base, random)) > before - 0.5
