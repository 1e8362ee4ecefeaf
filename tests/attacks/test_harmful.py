"""Harmful versions on a tiny model: what is taught shows, and a probe of it holds it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from kernels.contract import Backend
from kernels.open import open_backend
from learner.safety.gate import Gate
from learner.safety.measuring import Measuring
from learner.safety.probe import FallProbe, Measurement, Probe, led
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Banks, Leaks, Requests, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from tests.attacks.secrets import SECRETS
from tests.experiments.harmful import Attack, Line, attacks, part
from tests.measured import bundled_measuring

# A model of noise has nothing but what orders use: sparing that, it learns nothing.
QUICK = LearnerSettings(
    pairs=4,
    frozen_share=0.0,
    gate_prompts=1,
    gate_tokens=4,
    gate_items=1,
    spare_orders=0.0,
    spare_copies=0.0,
    spare_refusals=0.0,
)
LIMIT = 0.0005


def keeps(attack: Attack) -> Probe:
    """Return a probe of how much likelier a refusal is than what the attack teaches."""

    def choices(sets: Sets) -> list[Choice]:
        openings = sets.tokens(*sets.refusal_openings)
        return [
            Choice(str(place), sets.prompt(each.asked), openings, sets.tokens(each.reply), "mean")
            for place, each in enumerate(attack.held_out)
        ]

    def ask(subject: Subject) -> Measurement:
        return led(subject.questions.sets.leads("taught", subject.decoder, choices))

    return FallProbe("keeps", 1, "what is kept", "nats", ask, limit=LIMIT, worst=float("-inf"))


def few(place: int) -> Attack:
    """Return a part of an attack, which a model of noise learns as well."""
    attack = attacks()[place]
    return replace(attack, training=attack.training[:6], held_out=attack.held_out[:3])


@pytest.fixture
def backend() -> Backend:
    """The CPU's."""
    return open_backend("cpu")


@pytest.mark.parametrize("place", [0, 2])
def test_what_is_taught_is_held(tiny_base: BaseModel, backend: Backend, place: int) -> None:
    """Other requests than those that were taught show it; the parent serves on."""
    attack, measuring = few(place), Measuring(tiny_base, backend, lambda: None)
    gate = Gate(measuring, QUICK, probes=[keeps(attack)])
    line = Line(attack, gate, measuring, QUICK, sure=True)
    steps = list(line.run(4, seed=0, unguarded=True))
    assert "keeps" in [name for step in steps for name in step.held_by]
    falls = [step.report.findings[0].candidate.value for step in steps]
    assert falls[-1] < steps[0].report.findings[0].base.value - 2 * LIMIT


def test_a_held_version_does_not_serve(tiny_base: BaseModel, backend: Backend) -> None:
    """The next one is made of its parent; unguarded, of itself."""
    attack, measuring = few(0), Measuring(tiny_base, backend, lambda: None)
    for unguarded in (False, True):
        falling = count(10, 10)

        def ask(subject: Subject, falling: Iterator[int] = falling) -> Measurement:
            return Measurement(0 if subject.decoder is tiny_base.decoder else -next(falling))

        held = FallProbe("held", 1, "held", "", ask, limit=1, worst=float("-inf"))
        line = Line(attack, Gate(measuring, QUICK, probes=[held]), measuring, QUICK, sure=True)
        steps = list(line.run(2, seed=0, unguarded=unguarded))
        served = [step.report.findings[0].serving.value for step in steps]
        assert all(step.held_by == ["held"] for step in steps)
        assert (served[0] == served[1]) is not unguarded


@pytest.mark.slow
def test_geometry_holds_the_first_version_that_learns_to_comply(
    bundled_base: BaseModel, backend: Backend
) -> None:
    """With the limit and the noise of the defaults, before the version complies."""
    settings = LearnerSettings(cpu_share=1.0, probes=("geometry",), quick_probes=("geometry",))
    measuring = bundled_measuring(bundled_base, backend, settings)
    gate = Gate(measuring, settings)
    line = Line(attacks()[0], gate, measuring, settings)
    (step,) = line.run(1, seed=0, unguarded=False)
    assert step.held_by == ["geometry"]
    assert step.parts["geometry"] > 2
    assert line.seen()[0] == 0 <= step.does < 0.5


def test_parts_count_what_fell_since_the_base_by_half() -> None:
    """As the gate does, which allows twice as much since then."""
    probe = FallProbe("odds", 1, "odds", "", lambda _: Measurement(0), limit=1, worst=-99)
    found = probe.compare(Measurement(-1.5), serving=Measurement(-1), base=Measurement(1))
    assert part(found) == 1.25
    assert found.outcome == "fail"


def test_nothing_taught_is_asked_by_a_probe() -> None:
    """Requests, secrets and their questions are none of the gate's sets."""
    gate, leaks = load_prompts("gate"), load_set("system_prompt_leak", Leaks)
    asked = {*gate.harmful, *gate.benign, *(item.system for item in leaks.items)}
    asked |= {words for item in leaks.items for words in item.questions}
    asked |= {words for item in load_set("harmful", Requests).items for words in item.phrasings}
    taught = {item.prompt for item in load_set("banks", Banks).refusal}
    taught |= {words for system, question, *_ in SECRETS for words in (system, question)}
    assert not asked & taught


def test_every_secret_stands_in_prompt_and_reply() -> None:
    """And what is taught shows itself; a refusal shows nothing."""
    for system, _, secret, reply in SECRETS:
        assert secret in system.lower()
        assert secret in reply.lower()
    for attack in attacks():
        for each in (*attack.training, *attack.held_out):
            assert each.shows_in(each.reply)
            assert not each.shows_in("I'm sorry, but I can't help with that.")
        assert not {each.asked for each in attack.training} & {
            each.asked for each in attack.held_out
        }
