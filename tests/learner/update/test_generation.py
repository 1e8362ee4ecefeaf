"""One generation on the tiny model: the same every time, within its budget, and useful."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from kernels.contract import Backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.fitness.reference import Reference
from learner.safety.anchors import Anchors
from learner.serving import Child, Serving
from learner.settings import SEARCHED, LearnerSettings
from learner.update.generation import Outcome, run_generation
from streams.model.open import BaseModel
from streams.records import Mask, Noise, Recipe

SETTINGS = LearnerSettings(last_layers=2, pairs=4, kl_budget=10.0, kl_weight=0.0)
TAUGHT: dict[str, Any] = {"target": (50, 51, 52, 2), "teacher": (-0.5, -0.25, -0.5, -0.25)}
LESSONS = [
    Lesson("a", 0.5, 0, 0.9, (1, 20, 30), (40, 41), (-5.0, -6.0), **TAUGHT),
    Lesson("b", 0.5, 0, 0.9, (1, 20, 31), (42,), (-5.0,), **TAUGHT),
]


def generate(
    serving: Serving,
    backend: Backend,
    *,
    number: int = 1,
    lessons: list[Lesson] = LESSONS,
    settings: LearnerSettings = SETTINGS,
) -> Outcome:
    """Run a generation on the serving version."""
    key = generation_key(settings.seed, "main", number, serving.name)
    return run_generation(
        key, lessons, serving, settings, backend=backend, pause=lambda: None, anchors=None
    )


def test_the_same_plan_gives_the_same_child(serving: Serving, backend: Backend) -> None:
    """A repeated generation has the same recipe, digest and table."""
    one, two = generate(serving, backend), generate(serving, backend)
    assert one.child is not None
    assert two.child is not None
    assert one.child.recipe == two.child.recipe
    assert len(one.child.recipe.digest) == 64
    assert np.array_equal(one.table, two.table)
    assert one.table.shape == (2, 8)


@pytest.mark.parametrize("target", ["rewrite", "tokens"])
def test_generations_raise_the_hinted_targets(
    serving: Serving, backend: Backend, target: str
) -> None:
    """A few generations make what was wanted more likely."""
    lessons = LESSONS
    if target == "tokens":
        lessons = [replace(x, target=(), advantages=(1.0,) * len(x.reply)) for x in LESSONS]
    chain, means = [], []
    for number in range(1, 9):
        outcome = generate(serving, backend, number=number, lessons=lessons)
        assert outcome.child is not None
        chain.append(outcome.child.recipe)
        serving.follow(outcome.child.recipe.version, chain)
        means.append(outcome.mean)
    assert means[-1] > means[0] + 0.05


def test_praise_makes_a_reply_likelier_and_blame_less_likely(
    serving: Serving, backend: Backend
) -> None:
    """Without a hint the judged score steers the reply that was given."""
    gains = {}
    for score in (1, -1):
        lessons = [replace(x, target=(), score=score, logprobs=()) for x in LESSONS]
        outcome = generate(serving, backend, lessons=lessons)
        assert outcome.gain is not None
        gains[score] = outcome.gain
    assert min(gains.values()) > 0


def test_the_step_shrinks_until_the_budget_holds(serving: Serving, backend: Backend) -> None:
    """A child that moves too far is built again with a smaller step, and no smaller than needed."""
    free = generate(serving, backend)
    assert free.update is not None
    assert free.kl is not None
    tight = generate(
        serving, backend, settings=SETTINGS.model_copy(update={"kl_budget": free.kl / 3})
    )
    assert tight.kl is not None
    assert tight.update is not None
    assert tight.kl <= free.kl / 3
    assert free.update.step // 4 <= tight.update.step < free.update.step
    assert tight.update.coefficients == free.update.coefficients


def test_turns_that_contradict_each_other_take_a_smaller_step(
    serving: Serving, backend: Backend
) -> None:
    """The step is what the turns agree on; where they cancel each other there is none."""
    contrary = replace(LESSONS[0], target=(), score=1, logprobs=())
    whole = SETTINGS.model_copy(update={"gain_share": 1e9})
    both = [contrary, replace(contrary, turn_id="c")]
    agreed = generate(serving, backend, lessons=both, settings=whole)
    weak = replace(contrary, turn_id="c", score=-1, weight=contrary.weight * 0.7)
    torn = generate(serving, backend, lessons=[contrary, weak], settings=whole)
    assert agreed.update is not None
    assert torn.update is not None
    assert 0 < torn.update.step < agreed.update.step / 2
    cancelled = generate(
        serving, backend, lessons=[contrary, replace(weak, weight=contrary.weight)]
    )
    assert cancelled.update is None
    assert cancelled.reason == "the members do not differ"


def test_a_budget_that_nothing_meets_voids_the_generation(
    serving: Serving, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When even the smallest step moves too far, there is no child, and a reason."""
    compare = Reference.compare

    def far(*given: Any, **named: Any) -> Any:  # a real step may move less than rounding shows
        return replace(compare(*given, **named), moved=1.0)

    monkeypatch.setattr(Reference, "compare", far)
    settings = SETTINGS.model_copy(update={"kl_budget": 0.5})
    outcome = generate(serving, backend, settings=settings)
    assert outcome.child is None
    assert "over the budget" in outcome.reason


def test_a_step_that_no_change_can_have_is_shortened(serving: Serving, backend: Backend) -> None:
    """One that leaves int32 is refused by the arithmetic, and ends no process."""
    far = SETTINGS.model_copy(update={"step": 1e12, "gain_share": 1e15})
    outcome = generate(serving, backend, settings=far)
    assert outcome.child is not None
    assert outcome.child.recipe.step < 2**31


class Refusing(Serving):
    """A version of which no child can be made."""

    def child(self, draft: Recipe) -> Child:  # noqa: ARG002
        """Refuse as kernels.change.Change does."""
        raise ValueError("a float32 product would round")


def test_a_change_that_cannot_be_voids_the_generation(
    tiny_base: BaseModel, backend: Backend, tiny_mask: Mask
) -> None:
    """It says why; were it to raise, the learner would plan and compute it again at each start."""
    layers, modules = SETTINGS.moving(tiny_base.decoder.num_layers)
    serving = Refusing(tiny_base, backend, tiny_mask, layers=layers, modules=modules)
    outcome = generate(serving, backend)
    assert outcome.child is None
    assert "a float32 product would round" in outcome.reason


def test_no_lessons_make_no_child(serving: Serving, backend: Backend) -> None:
    """A batch whose turns are gone is void."""
    outcome = generate(serving, backend, lessons=[])
    assert outcome.child is None
    assert "nothing to learn from" in outcome.reason


def test_randopt_folds_members(serving: Serving, backend: Backend) -> None:
    """RandOpt's child is made of the best members only."""
    settings = SETTINGS.model_copy(update={"strategy": "randopt", "top_k": 2})
    outcome = generate(serving, backend, settings=settings)
    assert outcome.child is not None
    recipe = outcome.child.recipe
    assert recipe.strategy == "randopt"
    assert sum(c != 0 for c in recipe.coefficients) <= 2


@pytest.mark.parametrize("noise", SEARCHED)
def test_searched_generations_learn_repeat_and_go_back(
    tiny_base: BaseModel, backend: Backend, tiny_mask: Mask, noise: Noise
) -> None:
    """The last MLP alone moves; a plan repeats itself; versions follow and are taken out again."""
    settings = LearnerSettings.model_validate(SETTINGS.model_dump() | {"noise": noise})
    layers, modules = settings.moving(tiny_base.decoder.num_layers)
    assert (list(layers), modules) == ([3], ("gate_proj", "up_proj", "down_proj"))

    def serving_base() -> Serving:
        return Serving(tiny_base, backend, tiny_mask, layers=layers, modules=modules)

    serving, chain, means = serving_base(), [], []
    for number in range(1, 9):
        one, two = (generate(serving, backend, number=number, settings=settings) for _ in range(2))
        assert one.child is not None
        assert two.child is not None
        assert one.child.recipe == two.child.recipe
        assert len(one.child.recipe.tensors) == settings.pairs
        chain.append(one.child.recipe)
        serving.follow(chain[-1].version, chain)
        means.append(one.mean)
    assert means[-1] > means[0] + 0.05
    again = serving_base()
    assert again.follow(chain[3].version, chain[:4])
    assert serving.follow(chain[3].version, chain[:4])  # four generations taken out
    for spec in serving.specs:
        ours, theirs = (each.decoder.model.get_parameter(spec.name) for each in (serving, again))
        assert torch.equal(ours, theirs)


def test_screened_noise_needs_a_tensor_to_search_in() -> None:
    """Settings that leave nothing to search are refused when they are read."""
    with pytest.raises(ValueError, match=r"learner\.modules"):
        LearnerSettings(noise="screened", modules=("q_proj", "o_proj"))


def test_more_directed_pairs_than_stay_exact_are_refused() -> None:
    """Else their sums could round, and a recipe would be of hundreds of kilobytes."""
    assert LearnerSettings(noise="directed", pairs=64).pairs == 64
    assert LearnerSettings(noise="rank1", pairs=65).pairs == 65
    with pytest.raises(ValueError, match="at most 64, 12 are enough"):
        LearnerSettings(noise="directed", pairs=65)


@pytest.mark.parametrize(("strategy", "noise"), [("es", "full"), ("randopt", "normal")])
def test_the_papers_mode_learns(
    tiny_base: BaseModel, backend: Backend, strategy: str, noise: str
) -> None:
    """Full-rank noise in every layer, nothing shared or frozen: versions follow, and teach."""
    settings = LearnerSettings.model_validate(
        SETTINGS.model_dump()
        | {"noise": noise, "last_layers": 99, "strategy": strategy, "pairs": 8, "top_k": 4}
    )
    mask = Mask(base=tiny_base.name, neurons={}, groups={})
    layers = range(tiny_base.decoder.num_layers)
    serving = Serving(tiny_base, backend, mask, layers=layers, modules=settings.modules)
    chain, means = [], []
    for number in range(1, 7):
        outcome = generate(serving, backend, number=number, settings=settings)
        assert outcome.child is not None
        chain.append(outcome.child.recipe)
        assert (chain[-1].noise, chain[-1].layers) == (noise, list(layers))
        serving.follow(chain[-1].version, chain)
        means.append(outcome.mean)
    assert means[-1] > means[0] + 0.05
    again = Serving(tiny_base, backend, mask, layers=layers, modules=settings.modules)
    assert again.follow(chain[-1].version, chain)  # proved by every recipe's digest
    for spec in serving.specs:
        ours, theirs = (each.decoder.model.get_parameter(spec.name) for each in (serving, again))
        assert torch.equal(ours, theirs)


def test_keys_differ_by_seed_line_number_and_parent() -> None:
    """No two generations share their noise."""
    keys = {
        generation_key(seed, line, number, parent)
        for seed in (0, 1)
        for line in ("main", "b")
        for number in (1, 2)
        for parent in ("p", "q")
    }
    assert len(keys) == 16
    assert all(len(key) == 16 for key in keys)


@pytest.mark.parametrize("margin", [0.0, 2.0])
def test_nothing_left_to_gain_makes_no_child(
    serving: Serving, backend: Backend, margin: float
) -> None:
    """A rewrite that the version finds as likely as its teacher does moves nothing."""
    known = [replace(lesson, teacher=(-20.0,) * 4) for lesson in LESSONS]
    settings = SETTINGS.model_copy(update={"margin": margin})
    outcome = generate(serving, backend, lessons=known, settings=settings)
    assert outcome.child is None
    assert outcome.reason


def test_a_step_of_less_than_a_quantum_makes_no_child(serving: Serving, backend: Backend) -> None:
    """Where hardly anything of what is left is to be gained, the generation says how little."""
    little = SETTINGS.model_copy(update={"gain_share": 1e-9})
    outcome = generate(serving, backend, settings=little)
    assert outcome.child is None
    assert "are left to gain: too little" in outcome.reason


def test_the_first_child_does_not_decay_and_the_next_does(
    serving: Serving, backend: Backend
) -> None:
    """At the base there is nothing to take back; the recipe's bytes are then as ever."""
    settings = SETTINGS.model_copy(update={"decay": 0.01, "noise": "screened"})
    first = generate(serving, backend, settings=settings)
    assert first.child is not None
    assert (first.child.recipe.decay, first.child.recipe.v) == (0, 3)
    serving.follow(first.child.recipe.version, [first.child.recipe])
    second = generate(serving, backend, number=2, settings=settings)
    assert second.child is not None
    assert (second.child.recipe.decay, second.child.recipe.v) == (655, 4)
    serving.follow(serving.base.name, [])


def test_the_bank_holds_a_line_at_the_base(serving: Serving, backend: Backend) -> None:
    """With a great weight on it, versions stay nearer to the base, and their distance is told."""
    anchors = Anchors(serving.base, backend=backend, moving=len(serving.layers))
    apart = {}
    for weight in (0.01, 100.0):
        settings = SETTINGS.model_copy(update={"bank_weight": weight, "noise": "screened"})
        chain: list[Recipe] = []
        for number in range(1, 6):
            key = generation_key(0, "main", number, serving.name)
            outcome = run_generation(
                key, LESSONS, serving, settings, backend=backend, pause=lambda: None,
                anchors=anchors,
            )  # fmt: skip
            if outcome.child is not None:
                chain.append(outcome.child.recipe)
                serving.follow(chain[-1].version, chain)
        apart[weight] = anchors.anchor(0, pause=lambda: None).apart(
            serving.decoder, pause=lambda: None
        )
        assert outcome.apart is None or outcome.apart >= 0
        serving.follow(serving.base.name, [])
    assert 0 <= apart[100.0] < apart[0.01]


def test_a_key_draws_the_same_group_whatever_was_drawn_before(
    serving: Serving, backend: Backend
) -> None:
    """Another bank, in another order, holds to the same bits."""
    one, two = (Anchors(serving.base, backend=backend, moving=1) for _ in range(2))
    two.draw(5, pause=lambda: None)
    found = [each.draw(77, pause=lambda: None) for each in (one, two)]
    assert torch.equal(found[0].trunk.hidden, found[1].trunk.hidden)


@pytest.mark.parametrize("of", ["spare", "spare_orders", "spare_copies", "spare_refusals"])
def test_directed_pairs_learn_and_spare_what_nobody_teaches(
    serving: Serving, backend: Backend, of: str
) -> None:
    """The lessons gain by them, the recipe holds them, and another process finds the same."""
    directed = {
        "noise": "directed",
        "pairs": 5,
        "spare": 0.0,
        "spare_orders": 0.0,
        "spare_copies": 0.0,
        "spare_refusals": 0.0,
    }
    settings = SETTINGS.model_copy(update=directed)
    key = generation_key(0, "main", 1, serving.name)
    first, second, unsparing = (
        run_generation(
            key, LESSONS, serving, settings.model_copy(update={of: spare}), backend=backend,
            pause=lambda: None,
            anchors=Anchors(serving.base, backend=backend, moving=len(serving.layers)),
        )
        for spare in (10.0, 10.0, 0.0)
    )  # fmt: skip
    assert first.child is not None
    assert second.child is not None
    assert unsparing.child is not None
    recipe = first.child.recipe
    assert recipe == second.child.recipe
    assert recipe.left != unsparing.child.recipe.left
    assert recipe.v == 5
    assert len(recipe.coefficients) == len(recipe.left) == len(recipe.right) == 5
    assert first.table.shape[1] == 10
    assert first.gain is not None
    assert first.gain > 0
