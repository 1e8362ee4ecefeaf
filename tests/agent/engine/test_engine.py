"""The engine on a tiny real model: the same tokens whatever runs beside, and every kind of end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agent.engine.contract import Assign, Engine, Finish, Request, Token
from agent.engine.engine import BatchingEngine
from agent.errors import BrokenLogitsError, EngineStoppedError, ReplyFailedError
from agent.settings import AgentSettings
from agent.swap.residents import Resident, Residents
from kernels.model.decode import greedy
from kernels.model.model import EMBEDDING
from kernels.open import open_backend
from streams.model.open import BaseModel, load_base
from streams.records import Sampling
from streams.settings import ModelSettings
from tests.tiny import tiny_model_dir

PROMPTS = [[5, 9, 17, 40], [7], [3, 3, 8, 2, 11, 90, 14], list(range(3, 60))]


def sampling(**changes: object) -> Sampling:
    """Greedy sampling of 12 tokens, but for the changes."""
    values = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 12, "seed": 7, **changes}
    return Sampling.model_validate(values)


def open_engine(
    base: BaseModel, residents: Residents | None = None, **changes: int
) -> BatchingEngine:
    """An engine of four places that has not been started."""
    values = {"max_batch": 4, "context_tokens": 128, "prefill_chunk_tokens": 8, "threads": 1}
    return BatchingEngine(
        residents or Residents(base, open_backend("cpu")),
        settings=AgentSettings(**(values | changes)),
        base=base,
    )


@pytest.fixture
async def engine(tiny_base: BaseModel) -> AsyncIterator[Engine]:
    """A running engine of four places."""
    running = open_engine(tiny_base)
    running.start()
    yield running
    await asyncio.to_thread(running.drain, 0)


async def read(engine: Engine, request: Request) -> tuple[list[Token], Finish]:
    """Ask for a reply and gather it."""
    tokens: list[Token] = []
    async for event in engine.submit(request):
        if isinstance(event, Finish):
            return tokens, event
        tokens.append(event)
    raise AssertionError("a stream ends with Finish")


async def test_a_batch_gives_each_reply_as_if_it_were_alone(
    engine: Engine, tiny_base: BaseModel
) -> None:
    """More requests than places, prompts longer than a piece: each equals plain greedy decoding."""
    prompts = PROMPTS * 2
    replies = await asyncio.gather(*(read(engine, Request(p, sampling())) for p in prompts))
    expected = greedy(tiny_base.decoder, prompts, max_tokens=12, stop_ids=tiny_base.stop_ids)
    assert [[token.id for token in tokens] for tokens, _ in replies] == expected


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_a_seed_repeats_a_reply_to_the_bit_whatever_runs_beside(
    engine: Engine, prompt: list[int]
) -> None:
    """Tokens and log-probabilities depend on the request alone, not on its neighbours."""
    asked = Request(prompt, sampling(temperature=1.3, top_p=0.9))
    alone, _ = await read(engine, asked)
    others = [Request(p, sampling(temperature=2.0, seed=n)) for n, p in enumerate(PROMPTS * 2)]
    (beside, _), *_ = await asyncio.gather(*(read(engine, each) for each in [asked, *others]))
    assert beside == alone
    other_seed, _ = await read(engine, Request(prompt, sampling(temperature=1.3, seed=8)))
    assert [token.id for token in other_seed] != [token.id for token in alone]


async def test_a_known_beginning_is_not_read_again(engine: Engine) -> None:
    """A conversation's next request reads only what is new, and gives the reply it always gives."""
    first = list(range(20, 57))
    longer = [*first, 5, 9, 17]
    expected, _ = await read(engine, Request(longer, sampling(temperature=1.0)))
    for prompt in PROMPTS * 3:  # every slot is overwritten
        await read(engine, Request(prompt, sampling(max_tokens=1)))
    await read(engine, Request(first, sampling(temperature=1.0)))
    read_before, reused_before = engine.counts.read_tokens, engine.counts.reused_tokens
    again, _ = await read(engine, Request(longer, sampling(temperature=1.0)))
    assert again == expected
    assert engine.counts.reused_tokens - reused_before == 32  # 37 tokens, in pieces of 8
    assert engine.counts.read_tokens - read_before == len(longer) - 32


async def test_what_somebody_else_asked_is_read_again(engine: Engine) -> None:
    """How soon a reply begins tells nobody what others asked: only an owner's prompts are found."""
    prompt = list(range(20, 57))
    one = sampling(max_tokens=1)
    await read(engine, Request(prompt, one, owner="alice"))
    await read(engine, Request(prompt, one, owner="bob"))
    assert engine.counts.reused_tokens == 0
    await read(engine, Request(prompt, one, owner="alice"))
    assert engine.counts.reused_tokens == 32


async def test_a_stop_token_ends_a_reply(tiny_base: BaseModel) -> None:
    """The stop token is recorded, and no text is told for it."""
    free = greedy(tiny_base.decoder, [PROMPTS[2]], max_tokens=12, stop_ids=())[0]
    engine = open_engine(replace(tiny_base, stop_ids=frozenset({free[5]})))
    engine.start()
    tokens, finish = await read(engine, Request(PROMPTS[2], sampling()))
    ids = [token.id for token in tokens]
    assert (ids, finish.reason) == (free[: free.index(free[5]) + 1], "stop")
    await asyncio.to_thread(engine.drain, 0)


async def test_the_text_is_that_of_the_tokens(engine: Engine, tiny_base: BaseModel) -> None:
    """Joined, the pieces are what the tokenizer makes of all tokens, special ones left out.

    But for a character that the reply's end cuts, of which the tokenizer makes a mark.
    """
    for seed in range(6):
        asked = Request(PROMPTS[0], sampling(temperature=2.0, seed=seed, max_tokens=40))
        tokens, _ = await read(engine, asked)
        ids = [token.id for token in tokens]
        whole = tiny_base.tokenizer.decode(ids, skip_special_tokens=True)
        text = "".join(token.text for token in tokens)
        assert text in (whole, whole.removesuffix("\N{REPLACEMENT CHARACTER}"))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_replies_that_share_few_pages_are_the_same(
    tiny_base: BaseModel, temperature: float
) -> None:
    """With room for one whole conversation many wait for one another, and all are as ever."""
    asked = [
        Request(
            PROMPTS[n % 4], sampling(temperature=temperature, seed=n, max_tokens=60), str(n % 3)
        )
        for n in range(9)
    ]

    async def replies(kv_tokens: int) -> list[list[Token]]:
        engine = open_engine(tiny_base, kv_tokens=kv_tokens)
        engine.start()
        found = await asyncio.gather(*(read(engine, request) for request in asked))
        assert engine._scheduler.cache.pages.count * 8 == kv_tokens
        await asyncio.to_thread(engine.drain, 0)
        return [tokens for tokens, _ in found]

    assert await replies(128) == await replies(4096)


async def test_a_fault_of_one_reply_ends_that_reply(tmp_path: Path) -> None:
    """Scores that are not finite, or a token that the model does not have, concern one request."""
    base = load_base(ModelSettings(path=tiny_model_dir(tmp_path, family="mistral")))
    base.model.get_parameter(EMBEDDING)[300] = torch.nan  # as a flipped bit in memory would be
    engine = open_engine(base)
    engine.start()
    expected, _ = await read(engine, Request(PROMPTS[0], sampling()))
    beside = asyncio.create_task(read(engine, Request(PROMPTS[0], sampling())))
    with pytest.raises(BrokenLogitsError):
        await read(engine, Request([5, 300, 9], sampling()))
    with pytest.raises(ReplyFailedError):
        await read(engine, Request([5, 9999, 9], sampling()))
    assert (await beside)[0] == expected
    # the slots that held the faults are clean again
    replies = await asyncio.gather(
        *(read(engine, Request(p, sampling())) for p in [[5, 31, 9], PROMPTS[0]] * 4)
    )
    assert all(tokens == expected for tokens, _ in replies[1::2])
    assert (engine.alive, engine.counts.failed_replies) == (True, 2)
    await asyncio.to_thread(engine.drain, 0)


async def test_no_number_of_a_request_ends_the_engine(engine: Engine) -> None:
    """Beside one that asks for an absurd number of tokens, a reply is what it always is."""
    warm = sampling(temperature=1.0, top_p=0.9)
    alone, _ = await read(engine, Request(PROMPTS[0], warm))
    absurd = [sampling(temperature=1.0, top_k=2**number) for number in (31, 63, 70)]
    beside = asyncio.create_task(read(engine, Request(PROMPTS[0], warm)))
    replies = await asyncio.gather(*(read(engine, Request([7], each)) for each in absurd))
    assert all(tokens == replies[0][0] for tokens, _ in replies)
    assert (await beside)[0] == alone
    assert (engine.alive, engine.counts.failed_replies) == (True, 0)


async def test_a_dead_engine_tells_every_reader(tiny_base: BaseModel) -> None:
    """A fault of the engine itself ends all replies with an error, and is shown."""

    class Broken(Residents):
        def hold(self, assign: Assign) -> Resident:
            raise RuntimeError(f"no memory for {assign}")

    engine = open_engine(tiny_base, Broken(tiny_base, open_backend("cpu")))
    engine.start()
    with pytest.raises(EngineStoppedError):
        await read(engine, Request([3], sampling()))
    assert not engine.alive


async def test_a_reader_whose_loop_is_gone_harms_nobody(engine: Engine) -> None:
    """A request from an event loop that has closed ends; the engine serves the others on."""

    async def ask_and_leave() -> None:
        engine.submit(Request(PROMPTS[0], sampling(max_tokens=100)))

    await asyncio.to_thread(asyncio.run, ask_and_leave())
    tokens, _ = await read(engine, Request(PROMPTS[2], sampling()))
    assert len(tokens) == 12
    assert engine.alive


async def test_after_forgetting_nothing_of_a_conversation_is_found(engine: Engine) -> None:
    """The same prompt is read whole again, to the same reply, though nobody asked meanwhile."""
    prompt = list(range(3, 40))
    first, _ = await read(engine, Request(prompt, sampling()))
    engine.forget()
    again, _ = await read(engine, Request(prompt, sampling()))
    assert engine.counts.reused_tokens == 0
    assert [token.id for token in again] == [token.id for token in first]
