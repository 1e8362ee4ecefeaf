"""Replies that are held to a form: valid, with true log-probabilities, the same in any batch."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent.constrain.contract import Compiler, Matcher
from agent.constrain.source import Source, json_of, literal, rules
from agent.engine.contract import Engine, Request
from agent.engine.sampler import Choice, Sampler, choose
from agent.errors import LostMaskError
from kernels.model.kv import KvCache
from kernels.model.read import read_chunk
from streams.model.open import BaseModel
from streams.records import Sampling
from tests.agent.constrain.test_guidance import CITY
from tests.agent.engine.test_engine import PROMPTS, open_engine, read, sampling

JSON = rules(start=json_of(CITY, printed=True))


@pytest.fixture
async def engine(tiny_base: BaseModel) -> AsyncIterator[Engine]:
    """A running engine of four places."""
    running = open_engine(tiny_base)
    running.start()
    yield running
    await asyncio.to_thread(running.drain, 0)


def held(
    compiler: Compiler, prompt: list[int], source: Source = JSON, **changes: object
) -> Request:
    """A request for a reply that is held to a source."""
    wanted = sampling(**({"temperature": 1.0, "max_tokens": 90} | changes))
    return Request(prompt, wanted, grammar=compiler.compile(source))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_held_reply_is_valid_and_ends_by_itself(
    engine: Engine, compiler: Compiler, temperature: float
) -> None:
    """Noise becomes JSON of the schema, greedy and drawn, at once with replies that are free."""
    asked = [held(compiler, prompt, temperature=temperature) for prompt in PROMPTS]
    free = [Request(prompt, sampling()) for prompt in PROMPTS]
    *replies, _, _, _, _ = await asyncio.gather(*(read(engine, each) for each in asked + free))
    for tokens, finish in replies:
        assert finish.reason == "stop"
        value = json.loads("".join(token.text for token in tokens))
        assert value["city"] in CITY["properties"]["city"]["enum"]


async def test_the_logprobs_are_the_models_own(
    engine: Engine, compiler: Compiler, tiny_base: BaseModel
) -> None:
    """log π is told as if there were no mask; what was drawn from, and who chose, beside it."""
    prompt = PROMPTS[2]
    tokens, _ = await read(engine, held(compiler, prompt))
    ids = [token.id for token in tokens]
    with torch.inference_mode():
        cache = KvCache(tiny_base.decoder, capacity=128, tokens=128)
        hidden = read_chunk(tiny_base.decoder, cache, cache.open(), prompt + ids)
        logits = tiny_base.decoder.logits(hidden[len(prompt) - 1 : -1])
    expected = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0]
    assert [token.logprob for token in tokens] == pytest.approx(expected.tolist(), abs=1e-3)
    assert all(token.sampling_logprob >= token.logprob - 1e-4 for token in tokens)
    only = [token for token in tokens if token.sampling_logprob == 0]
    assert only  # such as a quotation mark that must come
    assert all(token.forced for token in only if token.logprob < math.log(0.99))
    free, _ = await read(engine, Request(prompt, sampling(temperature=1.0)))
    assert not any(token.forced for token in free)


async def test_a_seed_repeats_a_held_reply_whatever_runs_beside(
    engine: Engine, compiler: Compiler
) -> None:
    """To the bit, among held and free neighbours."""
    asked = held(compiler, PROMPTS[0])
    alone, _ = await read(engine, asked)
    others = [held(compiler, prompt, seed=3) for prompt in PROMPTS]
    free = [Request(prompt, sampling(temperature=2.0)) for prompt in PROMPTS]
    (beside, _), *_ = await asyncio.gather(*(read(engine, e) for e in [asked, *others, *free]))
    assert beside == alone


async def test_a_reply_stops_where_nothing_can_follow(engine: Engine, compiler: Compiler) -> None:
    """Without another step for the end that it could only have."""
    tokens, finish = await read(engine, held(compiler, PROMPTS[1], rules(start=literal("Paris"))))
    assert "".join(token.text for token in tokens) == "Paris"
    assert finish.reason == "stop"
    assert all(token.forced for token in tokens)
    tokens, finish = await read(engine, held(compiler, PROMPTS[1], max_tokens=2))
    assert (len(tokens), finish.reason) == (2, "length")


@dataclass
class Fixed:
    """A matcher and grammar of one mask, which fails after some tokens."""

    allowed: Sequence[int]
    lasts: int = 99
    ended: bool = False
    taken: list[int] = field(default_factory=list)

    def start(self) -> Matcher:
        return self

    def mask(self) -> NDArray[np.bool_]:
        if len(self.taken) >= self.lasts:
            raise LostMaskError("it is too complex")
        mask = np.zeros(1000, np.bool_)
        mask[list(self.allowed)] = True
        return mask

    def take(self, token: int) -> None:
        self.taken.append(token)


async def test_a_mask_that_is_lost_ends_its_own_reply(engine: Engine) -> None:
    """The others go on as they would without it."""
    expected, _ = await read(engine, Request(PROMPTS[0], sampling()))
    beside = asyncio.create_task(read(engine, Request(PROMPTS[0], sampling())))
    with pytest.raises(LostMaskError):
        await read(engine, Request(PROMPTS[1], sampling(), grammar=Fixed([5, 6], lasts=3)))
    assert (await beside)[0] == expected
    assert engine.alive


@given(
    st.lists(st.floats(-20, 20, width=32), min_size=7, max_size=7),
    st.sets(st.integers(0, 6), min_size=1),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 99),
)
def test_what_is_drawn_is_allowed(
    scores: list[float], allowed: set[int], temperature: float, seed: int
) -> None:
    """Whatever the scores; its log-probability is its share of what is allowed."""
    given = Sampling(temperature=temperature, top_p=1.0, max_tokens=1, seed=seed)
    free, bound = Sampler(given), Sampler(given, matcher=Fixed(sorted(allowed)))
    logits = torch.tensor([scores, scores])
    unbound, choice = choose([free, bound], logits)
    assert isinstance(choice, Choice)
    assert isinstance(unbound, Choice)
    assert unbound == choose([Sampler(given)], logits[:1])[0]
    assert choice.id in allowed
    exact = torch.tensor(scores, dtype=torch.float64)
    shares = exact.softmax(-1)
    left = float(shares[sorted(allowed)].sum())
    assert choice.logprob == pytest.approx(float(exact.log_softmax(-1)[choice.id]), abs=1e-4)
    assert choice.forced == (left < 0.99) or left == pytest.approx(0.99, abs=1e-6)
    if temperature == 1.0:
        share = float(shares[choice.id]) / left if left else 1.0
        assert choice.sampling_logprob == pytest.approx(math.log(share), abs=1e-3)
