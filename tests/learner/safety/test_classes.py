"""Classes of units and what policies freeze: each unit once, whatever the family, told in full."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kernels.contract import Backend
from kernels.version.layout import ATTENTION, MLP, parameter_name
from learner.safety.kept import KeptBase
from learner.safety.measuring import Measuring
from learner.safety.units.classes import (
    COMPLEX,
    LETTERS,
    NAMES,
    REDUNDANT,
    SAFETY,
    UTILITY,
    classified,
    stability,
)
from learner.safety.units.measured import Measured, Scores
from learner.safety.units.policies import POLICIES, frozen_units
from learner.safety.units.unit_map import load_unit_map
from learner.settings import Freeze, LearnerSettings
from streams.model.open import load_base
from streams.records import canonical_json
from streams.settings import ModelSettings
from tests.tiny import FAMILIES, Family, tiny_model_dir

scores = hnp.arrays(
    np.int32,
    st.tuples(st.sampled_from([3, 6]), st.just(2), st.integers(1, 3), st.integers(10, 40)),
    elements=st.integers(-500, 500),
)


def nothing() -> None:
    """No pace."""


def chosen(policy: Freeze, scores: Scores) -> set[tuple[int, int]]:
    """Return what a policy freezes, as layer and unit."""
    frozen = frozen_units(policy, scores, LearnerSettings().frozen_share)
    return {(layer, unit) for layer, units in frozen.items() for unit in units}


def of_class(scores: Scores, *classes: int) -> set[tuple[int, int]]:
    """Return the units of some classes, as layer and unit."""
    layers, units = np.nonzero(np.isin(classified(scores), classes))
    return set(zip(layers.tolist(), units.tolist(), strict=True))


@given(scores=scores)
def test_classes_do_not_depend_on_the_order_of_the_sets(scores: Scores) -> None:
    """An intersection has no first set; a fifth of the units is redundant, whatever they score."""
    found = classified(scores)
    assert (found == classified(scores[::-1])).all()
    assert int((found == REDUNDANT).sum()) == int(found.size * 0.2)
    assert int((found == SAFETY).sum()) == round(int(found.size * 0.075) * 1.3 / 7.5)


@given(scores=scores)
def test_each_policy_freezes_what_it_is_named_after(scores: Scores) -> None:
    """Each freezes what the one before it does, and more."""
    assert chosen("top-complex", scores) <= of_class(scores, SAFETY, COMPLEX)
    assert of_class(scores, SAFETY) <= chosen("top-complex", scores)
    assert chosen("all-complex", scores) == of_class(scores, SAFETY, COMPLEX)
    assert chosen("all-but-redundant", scores) == of_class(scores, SAFETY, UTILITY, COMPLEX)


def test_units_are_of_the_class_that_every_set_shows() -> None:
    """High on refusals alone, high on useful replies alone, high on both, low on both."""
    one = np.zeros((2, 1, 100), dtype=np.int32)
    one[0, 0, 0] = 900  # refusals alone
    one[:, 0, 1:8] = 400  # both
    one[1, 0, 8:12] = 300  # useful replies alone
    one[0, 0, 8:12] = -5
    one[:, 0, 80:] = -20  # neither
    found = classified(np.stack([one, one]))[0]
    assert found[0] == SAFETY
    assert set(found[1:7]) == {COMPLEX}
    assert set(found[8:12]) == {UTILITY}
    assert set(found[80:]) == {REDUNDANT}
    other = one.copy()
    other[0, 0, 8:12] = 5  # one set that shows them on refusals, too
    assert set(classified(np.stack([one, other]))[0][8:12]) == {COMPLEX}


@given(scores=scores)
def test_equal_sets_agree_wholly(scores: Scores) -> None:
    """Jaccard indices of 1 of sets that are the same; else from 0 to 1."""
    measured = Measured("b", "p", scores, scores[..., :5])
    for found in stability(measured).values():
        assert set(found) == set(NAMES)
        assert all(0 <= index <= 1 for index in found.values())
    same = Measured("b", "p", scores[[0, 0, 0]], scores[[0, 0, 0], ..., :5])
    assert stability(same) == {"sets": dict.fromkeys(NAMES, 1.0)}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_map(family: Family, backend: Backend, tmp_path: Path) -> None:
    """Each unit of each layer has a class, classes count all of the units' parameters, and each
    policy gives a mask."""
    folder = tiny_model_dir(tmp_path / family, family=family)
    base = load_base(ModelSettings(path=folder, cache=tmp_path / "cache"))
    settings = LearnerSettings(unit_seeds=2)
    measuring = Measuring(base, backend, nothing, KeptBase(tmp_path, base.name))
    body = load_unit_map(measuring, settings).body()
    texts = body["classes"]
    assert [len(text) for text in texts["neurons"]] == [96] * 4
    assert [len(text) for text in texts["groups"]] == [2] * 4
    assert set("".join(texts["neurons"] + texts["groups"])) <= set(LETTERS)
    names = [parameter_name(layer, each) for layer in range(4) for each in (*ATTENTION, *MLP)]
    held = sum(base.model.get_parameter(name).numel() for name in names)
    assert sum(body["parameters"][name] for name in NAMES) == held
    assert set(body["stability"]) == {"sets", "seeds"}
    masks = set()
    for policy in POLICIES:
        other = settings.model_copy(update={"freeze": policy})
        unit_map = load_unit_map(measuring, other)
        masks.add(unit_map.mask.digest)
    assert len(masks) == len(POLICIES)


def test_more_seeds_are_measured_and_fewer_are_read(tmp_path: Path, backend: Backend) -> None:
    """Kept scores serve every smaller number of seeds; the artefact is named by what it says."""
    base = load_base(ModelSettings(path=tiny_model_dir(tmp_path / "m"), cache=tmp_path / "cache"))
    measuring = Measuring(base, backend, nothing, KeptBase(tmp_path, base.name))
    told: list[float] = []

    def with_seeds(seeds: int) -> str:
        settings = LearnerSettings(unit_seeds=seeds)
        row = load_unit_map(measuring, settings, progress=lambda _, share: told.append(share)).row(
            created_ms=1
        )
        assert row.digest == hashlib.sha256(canonical_json(row.body)).hexdigest()
        return row.digest

    one, two = with_seeds(1), with_seeds(2)
    assert one != two
    # of two seeds the first was known
    assert told == pytest.approx([0, 1 / 3, 2 / 3, 1, 1 / 2, 2 / 3, 5 / 6, 1])
    told.clear()
    assert (with_seeds(1), with_seeds(2)) == (one, two)
    assert not told
