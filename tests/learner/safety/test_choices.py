"""Choices between fixed continuations: leads are those of the whole model, however they are had."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.version.layout import parameter_name
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.measuring import Measuring
from learner.safety.probes import tasks
from learner.safety.probes.fixed import benign, calls, canaries, harmful, leak, tool_loop
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Tasks, load_set
from learner.safety.readings.choices import MOST_NATS, Choice, Choices, Leads, first_moved
from learner.safety.readings.phrasings import NUM_PHRASINGS, phrased
from learner.safety.readings.sets import Sets
from streams.model.open import BaseModel
from tests.learner.safety.prompt_rules import task_right

CHOICES = [
    Choice("one", (5, 6, 7), ((8, 9), (10,)), ((8, 11), (12, 13, 14))),
    Choice("one", (5, 6), ((8,),), ()),
    Choice("two", (9, 4, 4), ((3, 3),), ((3, 7, 7),), "mean"),
]
MAKERS: dict[str, Callable[[Sets], Sequence[Choice]]] = {
    "harmful": lambda sets: harmful.refusals_of(sets, "harmful"),
    "benign": benign.choices,
    "canaries": canaries.choices,
    "tasks": lambda sets: [each for name in tasks.TASKS for each in tasks.choices(sets, name)],
    "calls": calls.choices,
    "tool_loop": tool_loop.choices,
    "leak": leak.choices,
}


def nothing() -> None:
    """No pause."""


def moved(base: BaseModel, layer: int, module: str = "down_proj") -> Decoder:
    """Return a version that differs in one tensor."""
    name = parameter_name(layer, module)
    weight = base.model.layer(name).plain()
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    return Decoder(with_weights(base.model, {name: weight + 0.05 * noise}))


def by_hand(decoder: Decoder, choice: Choice, backend: Backend) -> float:
    """Score a choice by the whole model."""
    passage = Passage(choice.prompt, (*choice.right, *choice.wrong))
    (found,) = logprobs(decoder, [passage], backend=backend, pause=nothing)
    mean = choice.likelihood == "mean"
    each = torch.stack([x.double().mean() if mean else x.double().sum() for x in found])
    right = each[: len(choice.right)].logsumexp(0)
    wrong = each[len(choice.right) :].logsumexp(0) if choice.wrong else (1 - right.exp()).log()
    return float((right - wrong).clamp(-MOST_NATS, MOST_NATS))


def test_leads_are_those_of_the_whole_model(tiny_base: BaseModel, backend: Backend) -> None:
    """What is kept of the layers below changes nothing, whichever layer a version moved before."""
    choices = Choices(Measuring(tiny_base, backend, nothing), CHOICES)
    last = tiny_base.decoder.num_layers - 1
    versions = [tiny_base.decoder, moved(tiny_base, last), moved(tiny_base, 0, "q_proj")]
    for decoder in (*versions, versions[1]):
        found = choices.leads(decoder)
        expected = [by_hand(decoder, choice, backend) for choice in CHOICES]
        told = [lead for leads in found.by_item.values() for lead in leads]
        assert told == pytest.approx(expected, abs=1e-4)
    assert choices.leads(versions[1]) == choices.leads(versions[1])


def test_the_lowest_layer_that_moved_is_found(tiny_base: BaseModel) -> None:
    """Versions share what they did not change, so identity says where they part."""
    base, last = tiny_base.model, tiny_base.decoder.num_layers - 1
    assert first_moved(base, base) == last
    assert first_moved(base, moved(tiny_base, 0).model) == 0
    assert first_moved(base, moved(tiny_base, last).model) == last


def test_numbers_that_are_lost_are_not_hidden(tiny_base: BaseModel, backend: Backend) -> None:
    """A version with NaN has no lead that could pass for one."""
    name = parameter_name(tiny_base.decoder.num_layers - 1, "down_proj")
    broken = torch.full_like(tiny_base.model.layer(name).plain(), math.nan)
    decoder = Decoder(with_weights(tiny_base.model, {name: broken}))
    choices = Choices(Measuring(tiny_base, backend, nothing), CHOICES)
    assert math.isnan(choices.leads(decoder).mean)


def test_mean_worst_spread_and_calibration() -> None:
    """The worst phrasing of each item counts, and confidence is held against what came out."""
    leads = Leads({"a": (1.0, 3.0), "b": (-1.0, 1.0)}, ((0.95, True), (0.95, False), (0.55, True)))
    assert (leads.mean, leads.worst, leads.best, leads.spread) == (1.0, 0.0, 2.0, 1.0)
    assert leads.right == 0.75
    assert leads.ece == pytest.approx((0.9 + 0.45) / 3)
    assert Leads({"a": (1.0,)}).ece is None


@pytest.mark.parametrize("name", MAKERS)
def test_every_item_is_asked_in_five_phrasings(
    name: str, tiny_base: BaseModel, backend: Backend
) -> None:
    """No item of any set is judged by a single wording, and no right one is a wrong one, too."""
    measuring = Measuring(tiny_base, backend, nothing)
    openings = load_prompts("gate").refusal_openings
    sets = Sets(measuring, count=3, refusal_openings=openings)
    prompts: dict[str, list[tuple[int, ...]]] = {}
    for choice in MAKERS[name](sets):
        prompts.setdefault(choice.item, []).append(choice.prompt)
        assert all(choice.right)
        assert all(choice.wrong)
        assert not set(choice.right) & set(choice.wrong)
    assert len(prompts) >= 3
    assert all(len(set(asked)) == NUM_PHRASINGS for asked in prompts.values())


def test_phrasings_of_their_own_come_first() -> None:
    """A set's wordings are asked as they stand; the frames only fill them up."""
    assert phrased("a", "b", "c", "d", "e", "f") == ["a", "b", "c", "d", "e"]
    assert phrased("a")[0] == "a"
    assert len(set(phrased("a", "b"))) == NUM_PHRASINGS


def test_right_and_wrong_answers_keep_to_the_rules_of_the_sets() -> None:
    """What counts as right passes the item's own check, and what counts as wrong does not."""
    for name, group in load_set("tasks", Tasks).tasks.items():
        for item in group.items:
            assert task_right(item, tasks.right_reply(item)), item.id
            wrong = tasks.wrong_replies(name, group.items, item)
            assert wrong, item.id
            assert not any(task_right(item, each) for each in wrong), item.id
