"""Replies of several versions in one batch: each is, to the bit, what it is alone."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.contract import Engine, Request, Token
from agent.swap.residents import Residents
from kernels.open import open_backend
from streams.line.line import Line
from streams.line.variant import Variant
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.agent.engine.test_engine import open_engine, read, sampling
from tests.agent.lineage import Lineage
from tests.kernels.model.test_step import SHAPE
from tests.tiny import tiny_model_dir

PROMPTS = [[5, 9, 17, 40], [7], list(range(3, 60)), list(range(3, 40)), [9] * 16]


@dataclass
class Serving:
    """An engine, the versions that it has in memory, and replies that were made alone."""

    engine: Engine
    versions: list[str]
    alone: dict[tuple[int, int, int], list[Token]] = field(default_factory=dict)

    async def reply(self, version: int, prompt: int, seed: int) -> list[Token]:
        """Ask for a reply of a version: greedy at seed 0, else sampled."""

        def assign(_line: Line) -> Variant:
            return Variant("main", self.versions[version])

        chosen = sampling(seed=seed, temperature=1.2 if seed else 0, max_tokens=6 + seed)
        tokens, _ = await read(self.engine, Request(PROMPTS[prompt], chosen, assign=assign))
        return tokens

    async def all_at_once(self, asked: Sequence[tuple[int, int, int]]) -> list[list[Token]]:
        """Ask for replies that run beside each other."""
        return list(await asyncio.gather(*(self.reply(*each) for each in asked)))


@pytest.fixture(scope="module", params=["reference", "cpu"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A base that the compiled step is written for, and two versions, built by each backend."""
    folder = tmp_path_factory.mktemp("walked")
    directory = tiny_model_dir(folder / "model", **SHAPE)
    base = load_base(ModelSettings(path=directory, cache=folder / "cache"))
    assert base.decoder.step is not None
    lineage = Lineage(base)
    residents = Residents(base, open_backend(request.param))
    residents.book.add_mask(lineage.mask)
    versions = [base.name]
    for _ in range(2):
        recipe = lineage.next()
        residents.book.add_recipe(recipe)
        residents.promote(recipe.version)
        versions.append(recipe.version)
    engine = open_engine(base, residents, max_batch=8, kv_tokens=1024)
    engine.start()
    yield Serving(engine, versions)
    engine.drain(0)


@settings(max_examples=12, deadline=None)
@given(
    asked=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, len(PROMPTS) - 1), st.integers(0, 2)),
        min_size=2,
        max_size=10,
    )
)
def test_a_reply_is_what_it_is_alone(serving: Serving, asked: list[tuple[int, int, int]]) -> None:
    """Whatever versions and prompts run beside it: tokens and log-probabilities are the same."""
    for each in asked:
        if each not in serving.alone:
            serving.alone[each] = asyncio.run(serving.reply(*each))
    together = asyncio.run(serving.all_at_once(asked))
    assert together == [serving.alone[each] for each in asked]


def test_versions_differ(serving: Serving) -> None:
    """So that the law above says something."""
    replies = asyncio.run(serving.all_at_once([(version, 0, 1) for version in range(3)]))
    assert len({tuple(token.logprob for token in tokens) for tokens in replies}) == 3
