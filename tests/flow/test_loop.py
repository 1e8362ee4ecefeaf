"""The whole loop on the tiny model: a correction changes the model that serves, provably."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.run import serve
from agent.service import AgentService
from agent.settings import AgentSettings
from deploy.operate.history import store_session
from deploy.operate.replay import Proof, replay
from deploy.operate.rollback import append_rollback
from learner.settings import LearnerSettings
from streams.line import ledger
from streams.line.masks import mask_of
from streams.line.offer import decided
from streams.open import open_log
from streams.records import Message
from tests.flow.conftest import SETTINGS, Common, LearnerHome
from tests.flow.conversations import conversation, turn

AGENT = AgentSettings(port=0, console_port=0, threads=1, drain_s=5.0, max_batch=4)
SOON_S = 60.0


@dataclass
class Running:
    """An agent that serves, the homes that learns beside it, and a user of both."""

    service: AgentService
    learner: LearnerHome
    api: str
    console: str
    http: aiohttp.ClientSession

    async def chat(self, messages: list[dict[str, str]]) -> tuple[str, str]:
        """Ask, and give the reply and the version that answered."""
        body = {"model": "quickset", "messages": messages, "max_tokens": 12, "temperature": 0}
        async with self.http.post(f"{self.api}/v1/chat/completions", json=body) as answer:
            assert answer.status == 200, await answer.text()
            whole = await answer.json()
            text = whole["choices"][0]["message"]["content"]
            return text, answer.headers["X-Quickset-Version"]

    async def correct(self, question: str, correction: str) -> str:
        """Ask, then correct the reply; give the version that was corrected."""
        messages = [{"role": "user", "content": question}]
        text, version = await self.chat(messages)
        answered = {"role": "assistant", "content": text}
        await self.chat([*messages, answered, {"role": "user", "content": correction}])
        return version

    async def learn(self, turns: int) -> int:
        """Let the learner work once these many turns are in the log."""
        async with asyncio.timeout(SOON_S):
            while await asyncio.to_thread(self._turns) < turns:
                await asyncio.sleep(0.01)
        return await asyncio.to_thread(self.learner.learn)

    async def until_decided(self) -> str:
        """Wait until the agent serves what the log decides, and return it."""
        async with asyncio.timeout(SOON_S):
            while (version := await asyncio.to_thread(self._decided)) != self.serving:
                await asyncio.sleep(0.01)
        return version

    @property
    def serving(self) -> str:
        """The version that the agent serves."""
        return self.service.residents.serving

    async def digest(self, version: str) -> str:
        """Ask the console for the digest of the bits in memory."""
        async with self.http.get(f"{self.console}/operator/versions/{version}/digest") as answer:
            return str((await answer.json())["sha256"])

    def proof(self, version: str) -> Proof:
        """Rebuild a version from the ledger."""
        with store_session(self.learner.streams) as session:
            chain = ledger.chain(session, version)
            mask = mask_of(session, chain)
        return replay(self.learner.base, chain, mask, backend=self.learner.backend)

    def _turns(self) -> int:
        log = open_log(self.learner.streams)
        try:
            return sum(log.end_offsets("turns").values())
        finally:
            log.close()

    def _decided(self) -> str:
        log = open_log(self.learner.streams)
        try:
            line = decided(log, "main")
            return line.version if line else self.learner.base.name
        finally:
            log.close()


@asynccontextmanager
async def running(home: Path, common: Common, settings: LearnerSettings) -> AsyncIterator[Running]:
    """Serve the tiny model over HTTP, with a learner of these settings beside it."""
    async with served_from(LearnerHome(home, common, settings)) as here:
        yield here


@asynccontextmanager
async def served_from(learner: LearnerHome) -> AsyncIterator[Running]:
    """Serve a home, new or used."""
    async with (
        serve(learner.base, learner.backend, learner.streams, AGENT) as (service, api, console),
        aiohttp.ClientSession() as http,
    ):
        async with asyncio.timeout(SOON_S):
            while (await http.get(f"{api}/health/ready")).status != 200:
                await asyncio.sleep(0.01)
        yield Running(service, learner, api, console, http)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"strategy": "randopt", "top_k": 2},
        {"hint_target": "tokens"},
        {"noise": "screened"},
        {"modules": ("up_proj", "down_proj"), "last_layers": 1, "pairs": 3},
    ],
    ids=["es", "randopt", "token-hints", "screened", "few-tensors"],
)
async def test_a_correction_changes_the_model_that_serves(
    change: dict[str, Any], tmp_path: Path, common: Common
) -> None:
    """Chat, correction, generation, swap; the new version answers, and its bits are proved."""
    settings = SETTINGS.model_copy(update=change | {"turns_per_generation": 1})
    async with running(tmp_path / "home", common, settings) as here:
        base = await here.correct("What is the capital of France?", "Shorter, please.")
        assert base == common.base.name
        assert await here.learn(turns=2) >= 1
        version = await here.until_decided()
        assert version != base
        _, answered_by = await here.chat([{"role": "user", "content": "And of Spain?"}])
        assert answered_by == version
        proof = await asyncio.to_thread(here.proof, version)
        assert proof.sha256 == await here.digest(version)
        assert proof.sha256 != await here.digest(base)


def test_seven_pings_and_a_correction_lead_to_a_version(tmp_path: Path, common: Common) -> None:
    """What programs repeat is no verdict, and stands in the way of none, after a restart either."""
    learner = LearnerHome(tmp_path / "home", common)
    ping = [Message(role="user", content="ping")]
    pings = [turn(common.base, f"ping-{number}", ping, "pong") for number in range(7)]
    learner.say(("turns", each) for each in pings)
    assert learner.learn() == 0
    turns = conversation(common.base, 1, "That was too long. Shorter, please.")
    learner.say(("turns", each) for each in turns)
    assert learner.learn(most=1) == 1
    (generation,) = learner.state()["generations"]
    assert generation["state"] == "released"
    assert generation["turn_ids"] == [turns[0].id]


async def test_generations_follow_each_other_and_can_be_taken_back(
    tmp_path: Path, common: Common
) -> None:
    """Several generations stack up; each rollback takes one back, at last to the base itself."""
    settings = SETTINGS.model_copy(update={"turns_per_generation": 1, "uses": 1})
    served: list[str] = []
    async with running(tmp_path / "home", common, settings) as here:
        served.append(here.serving)
        for number in range(3):
            await here.correct(f"Tell me about the number {number}.", "Too long. Be brief.")
            await here.learn(turns=2 * (number + 1))
            served.append(await here.until_decided())
        assert len(set(served)) == 4
        digests = [await asyncio.to_thread(here.proof, name) for name in served[1:]]
        assert [proof.recipes for proof in digests] == [1, 2, 3]
        for expected in served[-2::-1]:
            rollout = await here.service.steering.rollback("ann", "the test wants it back")
            assert rollout.version == here.serving == expected
        text, version = await here.chat([{"role": "user", "content": "Hello?"}])
        assert version == common.base.name
        await asyncio.to_thread(here.learner.learn)  # reads the rollbacks, and learns nothing anew
        assert await here.until_decided() == common.base.name
    async with served_from(here.learner) as later:
        assert (await later.chat([{"role": "user", "content": "Hello?"}])) == (text, version)


async def test_an_agent_that_starts_late_serves_the_same_bits(
    tmp_path: Path, common: Common
) -> None:
    """A rollback written while no agent runs is found by the next one, and its bits are proved."""
    settings = SETTINGS.model_copy(update={"turns_per_generation": 1, "uses": 2})
    async with running(tmp_path / "home", common, settings) as here:
        await here.correct("What is the capital of France?", "Shorter, please.")
        assert await here.learn(turns=2) == 2
        second = await here.until_decided()
    back = await asyncio.to_thread(
        append_rollback, here.learner.streams, "main", who="ann", reason="while it was away"
    )
    async with served_from(here.learner) as later:
        assert await later.until_decided() == back.version != second
        proof = await asyncio.to_thread(later.proof, back.version)
        assert proof.sha256 == await later.digest(back.version)
