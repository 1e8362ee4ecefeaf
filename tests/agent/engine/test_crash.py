"""A candidate that crashes while it decodes ends its own replies, and no other's."""

import asyncio
from typing import Any

import pytest
import torch
from torch import Tensor

from agent.engine.contract import Request
from agent.engine.engine import BatchingEngine
from agent.errors import ReplyFailedError
from agent.settings import AgentSettings
from agent.swap.residents import Resident, Residents
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.open import open_backend
from streams.line.variant import Variant
from streams.model.open import BaseModel
from streams.records import Sampling
from tests.agent.engine.test_contract import rest_of

PROMPT = [5, 9, 17, 40]
NORM = "model.layers.3.post_attention_layernorm.weight"


class Crashing(Decoder):
    """A version that reads prompts, and raises at the first token after them."""

    def run(self, hidden: Tensor, **rest: Any) -> Tensor:
        if hidden.shape[1] == 1:
            raise RuntimeError("it crashed while decoding")
        return super().run(hidden, **rest)


def asked(version: str, seed: int) -> Request:
    """Ask a version for a reply that no stop token ends early."""
    sampling = Sampling(
        temperature=1.0, top_p=1.0, max_tokens=12, seed=seed, logit_bias={2: -100.0}
    )
    return Request(PROMPT, sampling, assign=lambda _: Variant("main", version))


@pytest.mark.parametrize("name", ["0 first", "~ last"])
async def test_a_candidate_that_crashes_harms_no_reply_beside_it(
    tiny_base: BaseModel, name: str
) -> None:
    """Wherever it stands in the walk of all variants; the others are to the bit what they were."""
    residents = Residents(tiny_base, open_backend("cpu"))
    model = with_weights(tiny_base.model, {NORM: torch.ones(64)})
    residents._residents[name] = Resident(Variant("main", name), Crashing(model), users=1)
    settings = AgentSettings(max_batch=4, context_tokens=128, prefill_chunk_tokens=8, threads=1)
    engine = BatchingEngine(residents, settings=settings, base=tiny_base)
    engine.start()
    alone, _ = await rest_of(engine.submit(asked(tiny_base.name, 1)))
    streams = [
        engine.submit(asked(version, seed))
        for version, seed in [(name, 1), (tiny_base.name, 1), (name, 2), (tiny_base.name, 2)]
    ]
    found = await asyncio.gather(*(rest_of(each) for each in streams), return_exceptions=True)
    assert [isinstance(each, ReplyFailedError) for each in found] == [True, False, True, False]
    assert [streams[n].variant for n in (0, 1)] == [
        Variant("main", name),
        Variant("main", tiny_base.name),
    ]
    beside: Any = found[1]
    assert beside[0] == alone
    assert (engine.alive, engine.counts.failed_replies) == (True, 2)
    await asyncio.to_thread(engine.drain, 0)
