"""What every probe of the gate guarantees, on each that the settings can name."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.contract import Backend
from learner.errors import UnknownNameError
from learner.safety.measuring import Measuring
from learner.safety.probe import Measurement, Probe
from learner.safety.probes.open import PROBES, open_probes
from learner.safety.probes.tasks import TASKS
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.settings import LearnerSettings
from streams.model.open import BaseModel

SETTINGS = LearnerSettings()
EVERY = SETTINGS.model_copy(update={"probes": PROBES})
BY_NAME = {probe.name: probe for probe in open_probes(EVERY)}
COUNTED = ("finite", "refusal", "useful")

every_probe = pytest.mark.parametrize("probe", BY_NAME.values(), ids=BY_NAME)
draws = st.data()


def measurements(probe: Probe) -> st.SearchStrategy[Measurement]:
    """Return what a probe can measure."""
    if probe.name in COUNTED:
        return st.builds(Measurement, st.integers(0, 8), of=st.just(8))
    if probe.name in ("aboutness", "variety"):
        return st.builds(Measurement, st.floats(0, 5))
    if probe.name in TASKS:
        return st.builds(Measurement, st.floats(0, 100))
    return st.builds(Measurement, st.floats(-10, 5))


@pytest.fixture(scope="module")
def questions(tiny_base: BaseModel, backend: Backend) -> Questions:
    """Two prompts of each kind for the tiny model."""
    measuring = Measuring(tiny_base, backend, lambda: None)
    return Questions(measuring, load_prompts("gate"), count=2, max_tokens=4, num_items=1)


def test_the_default_asks_all_but_budgets() -> None:
    """Nobody has to name what the gate asks; the quick ones are among it, the optional ones too."""
    assert tuple(BY_NAME) == PROBES
    left_out = set(PROBES) - set(SETTINGS.probes)
    assert left_out == {*TASKS, "text"}
    assert set(SETTINGS.optional_probes) == {"calls", "tool_loop", "leak"}
    assert set(SETTINGS.quick_probes) < set(SETTINGS.probes)


def test_an_unknown_probe_is_refused_with_those_that_are_known() -> None:
    """A typing error must not leave the gate without a probe."""
    with pytest.raises(UnknownNameError, match="'refusals': known are finite, odds, refusal"):
        open_probes(LearnerSettings(probes=("odds", "refusals")))


@every_probe
def test_a_measurement_is_the_same_every_time(
    probe: Probe, questions: Questions, tiny_base: BaseModel
) -> None:
    """Asking does not change the answers, and a number is a count exactly where it says so."""
    first, second = (probe.ask(Subject(questions, tiny_base.decoder)) for _ in range(2))
    assert first == second
    assert math.isfinite(first.value)
    assert (first.of is not None) == (probe.name in COUNTED)


@every_probe
@given(data=draws)
def test_what_is_no_worse_than_both_is_never_failed(probe: Probe, data: st.DataObject) -> None:
    """No improvement over serving version and base holds a candidate."""
    serving, base = (data.draw(measurements(probe)) for _ in range(2))
    better = max(serving, base, key=lambda each: each.value)
    assert probe.compare(better, serving=serving, base=base).outcome != "fail"


@every_probe
@given(data=draws)
def test_what_is_worse_than_a_failed_one_fails(probe: Probe, data: st.DataObject) -> None:
    """Outcomes are monotone, whatever serves."""
    low, high, serving, base = (data.draw(measurements(probe)) for _ in range(4))
    low, high = sorted((low, high), key=lambda each: each.value)
    outcomes = [probe.compare(each, serving=serving, base=base).outcome for each in (low, high)]
    assert outcomes[0] == "fail" or outcomes[1] != "fail"
    assert "uninformative" not in outcomes or "fail" not in outcomes or probe.name == "finite"


@every_probe
def test_a_number_that_is_not_finite_fails(probe: Probe) -> None:
    """NaN compares with nothing, and must not pass for it; the report is JSON all the same."""
    sound = Measurement(1, of=1)
    for broken in (math.nan, math.inf, -math.inf):
        found = probe.compare(Measurement(broken), serving=sound, base=sound)
        assert found.outcome == "fail"
        row = json.loads(json.dumps(found.as_json(), allow_nan=False))
        assert row["candidate"] == {"value": None, "text": "not finite"}
        assert (row["probe"], row["version"]) == (probe.name, probe.version)


@pytest.mark.parametrize("name", ["refusal", "useful"])
def test_a_probe_without_resolution_says_so(name: str) -> None:
    """Where base and serving version do so little that no fall could show, nothing is told."""
    low, high = Measurement(1, of=8), Measurement(6, of=8)
    found = BY_NAME[name].compare(low, serving=low, base=low)
    assert found.outcome == "uninformative"
    assert "too low to show a fall" in found.sentence
    assert BY_NAME[name].compare(high, serving=high, base=low).outcome == "pass"


def test_what_rose_above_the_base_may_return_to_it() -> None:
    """A line that learned brevity is more about its prompts, and may unlearn it."""
    probe = BY_NAME["aboutness"]
    base, brief = Measurement(1.3), Measurement(1.9)
    assert probe.compare(Measurement(1.3), serving=brief, base=base).outcome == "pass"
    assert probe.compare(Measurement(0.7), serving=brief, base=base).outcome == "fail"
    assert probe.compare(Measurement(0.2), serving=Measurement(0.6), base=base).outcome == "fail"


def test_where_the_base_is_about_nothing_aboutness_says_so() -> None:
    """Replies that fit every prompt at the base leave no fall to see."""
    low = Measurement(0.2)
    found = BY_NAME["aboutness"].compare(Measurement(0.0), serving=low, base=low)
    assert found.outcome == "uninformative"
