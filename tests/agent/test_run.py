"""The whole agent on a tiny real model: chat, swap, rollback, restart, stop."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent.errors import BindError, EngineStoppedError
from agent.run import serve, serve_until_told
from agent.service import AgentService
from agent.settings import AgentSettings
from kernels.open import open_backend
from streams import chain
from streams.log.contract import outgoing
from streams.model.open import BaseModel
from streams.open import open_log
from streams.records import Forgotten, Message, Recipe, Record, Rollout, Turn, decode
from streams.settings import StreamsSettings
from tests.agent.lineage import Lineage, promotion

ASK = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"model": "quickset", "messages": ASK, "temperature": 0, "max_tokens": 24}
WAIT_S = 60.0


@dataclass
class Agent:
    """A running agent, and a client of it."""

    service: AgentService
    api: str
    console: str
    http: aiohttp.ClientSession
    streams: StreamsSettings

    async def chat(self, **extra: Any) -> dict[str, Any]:
        """Ask for a whole reply."""
        async with self.http.post(
            f"{self.api}/v1/chat/completions", json=GREEDY | extra
        ) as response:
            assert response.status == 200, await response.text()
            body: dict[str, Any] = await response.json()
            assert response.headers["X-Quickset-Version"] == body["system_fingerprint"]
            return body

    async def said(self, **extra: Any) -> str:
        """The text of a reply."""
        return str((await self.chat(**extra))["choices"][0]["message"]["content"])

    def publish(self, *records: Record) -> None:
        """Append to the log as a learner does."""
        log = open_log(self.streams)
        for record in records:
            topic = "rollouts" if isinstance(record, Rollout) else "recipes"
            log.append([outgoing(topic, "main", record)])  # type: ignore[arg-type]
        log.close()

    def written(self, topic: str) -> list[Record]:
        """What the log has of a topic."""
        log = open_log(self.streams)
        reader = log.subscribe([topic], group=None, positions=lambda _: {})  # type: ignore[list-item]
        records = [decode(entry.value) for entry in reader.poll(wait_s=1.0)]
        reader.close()
        log.close()
        return records

    async def until_serving(self, version: str) -> None:
        """Wait until a version serves."""
        async with asyncio.timeout(WAIT_S):
            while self.service.residents.serving != version:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(base: BaseModel, home: Path, **settings: Any) -> AsyncIterator[Agent]:
    """Serve the tiny model on free ports, and wait until it is ready."""
    streams = StreamsSettings(home=home)
    agent_settings = AgentSettings(
        **{"port": 0, "console_port": 0, "drain_s": 5.0, "max_batch": 4, "threads": 1} | settings
    )
    async with (
        serve(base, open_backend("cpu"), streams, agent_settings) as (service, api, console),
        aiohttp.ClientSession() as http,
    ):
        async with asyncio.timeout(WAIT_S):
            while (await http.get(f"{api}/health/ready")).status != 200:
                await asyncio.sleep(0.01)
        yield Agent(service, api, console, http, streams)


async def test_a_conversation_is_answered_and_recorded(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    """Two requests of one conversation: whole and streamed agree, and the chain links the turns."""
    async with running(tiny_base, tmp_path) as agent:
        first = await agent.said()
        more = [{"role": "assistant", "content": first}, {"role": "user", "content": "Thanks."}]
        body = GREEDY | {"messages": ASK + more}
        whole = await agent.said(**body)
        response = await agent.http.post(
            f"{agent.api}/v1/chat/completions", json=body | {"stream": True}
        )
        data = [line[6:] for line in (await response.text()).split("\n\n") if line]
        assert data.pop() == "[DONE]"
        chunks = [json.loads(each)["choices"][0]["delta"] for each in data]
        assert "".join(chunk.get("content", "") for chunk in chunks) == whole
    turns = [turn for turn in agent.written("turns") if isinstance(turn, Turn)]
    assert len(turns) == 3
    assert turns[0].key in chain.keys(turns[1].messages)
    assert turns[0].session == turns[1].session == turns[2].session
    assert turns[1].token_ids == turns[2].token_ids
    assert turns[0].prompt_token_ids == tiny_base.render([Message.model_validate(ASK[0])])
    assert {turn.version for turn in turns} == {tiny_base.name}


async def test_a_seed_repeats_a_reply(tiny_base: BaseModel, tmp_path: Path) -> None:
    """Sampling with a seed is repeatable; without one it is drawn anew, and recorded."""
    async with running(tiny_base, tmp_path) as agent:
        same = [await agent.said(temperature=1.0, seed=5) for _ in range(2)]
        drawn = [await agent.said(temperature=1.0) for _ in range(2)]
        assert same[0] == same[1]
        assert drawn[0] != drawn[1]
        seed = [turn.sampling.seed for turn in await until_turns(agent, 4)][3]
        assert await agent.said(temperature=1.0, seed=seed) == drawn[1]


async def test_a_temperature_too_small_to_divide_by_is_greedy(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    """The reply is the greedy one, and its turn is recorded as it was asked for."""
    async with running(tiny_base, tmp_path) as agent:
        assert await agent.said(temperature=1e-100, top_p=0.9) == await agent.said()
        first, second = await until_turns(agent, 2)
        assert (first.sampling.temperature, first.token_ids) == (1e-100, second.token_ids)
        assert set(first.sampling_logprobs) == {0.0}


async def test_a_begun_message_goes_on(tiny_base: BaseModel, tmp_path: Path) -> None:
    """The prompt ends with the message's own words, and the turn says that the reply continues."""
    begun = {"role": "assistant", "content": "The capital of France is"}
    async with running(tiny_base, tmp_path) as agent:
        said = await agent.said(messages=[*ASK, begun], continue_final_message=True)
        (turn,) = await until_turns(agent, 1)
    told = tiny_base.tokenizer.decode(turn.prompt_token_ids)
    assert told.endswith("assistant\nThe capital of France is")
    assert (turn.continues, turn.reply.content) == (True, said)


async def until_turns(agent: Agent, number: int) -> list[Turn]:
    async with asyncio.timeout(WAIT_S):
        while len(turns := await asyncio.to_thread(agent.written, "turns")) < number:
            await asyncio.sleep(0.01)
    return [turn for turn in turns if isinstance(turn, Turn)]


async def test_a_swap_drops_no_stream(tiny_base: BaseModel, tmp_path: Path) -> None:
    """A stream ends on the version it began with; the next request is answered by the new one."""
    lineage = Lineage(tiny_base)
    long = GREEDY | {"max_tokens": 300, "temperature": 1.5, "seed": 3}
    async with running(tiny_base, tmp_path) as agent:
        before = await agent.said(**long)
        stream = await agent.http.post(
            f"{agent.api}/v1/chat/completions", json=long | {"stream": True}
        )
        await stream.content.readany()
        a = lineage.next()
        agent.publish(lineage.mask, a, promotion(1, a.version, tiny_base.name))
        await agent.until_serving(a.version)
        after = await agent.chat(**long)
        text = (await stream.read()).decode()
        assert text.endswith("data: [DONE]\n\n")
        assert after["system_fingerprint"] == a.version
        assert after["choices"][0]["message"]["content"] != before
        fingerprints = set(re.findall(r'"system_fingerprint":"(\w+)"', text))
        assert fingerprints == {tiny_base.name}
    last = [turn for turn in agent.written("turns") if turn.version == tiny_base.name]  # type: ignore[attr-defined]
    assert last[0].reply == last[1].reply  # type: ignore[attr-defined]


async def test_a_false_recipe_never_serves(tiny_base: BaseModel, tmp_path: Path) -> None:
    """A recipe that does not give the integers it promises is refused, and said so."""
    lineage = Lineage(tiny_base)
    true = lineage.next()
    false = Recipe.model_validate(true.model_dump() | {"digest": "0" * 64})
    async with running(tiny_base, tmp_path) as agent:
        before = await agent.said()
        agent.publish(lineage.mask, false, promotion(1, false.version, tiny_base.name))
        async with asyncio.timeout(WAIT_S):
            while not (ready := await (await agent.http.get(f"{agent.api}/health/ready")).json())[
                "warnings"
            ]:
                await asyncio.sleep(0.01)
        assert "promises" in ready["warnings"]["failed_swap"]
        assert (ready["status"], ready["version"]) == ("ready", tiny_base.name)
        assert [event.kind for event in agent.service.events] == ["swap-failed"]
        assert await agent.said() == before
        agent.publish(true, promotion(2, true.version, tiny_base.name))
        await agent.until_serving(true.version)


async def test_an_operator_takes_a_version_back(tiny_base: BaseModel, tmp_path: Path) -> None:
    """A rollback on the console's port serves the previous version at once, and is in the log."""
    lineage = Lineage(tiny_base)
    a = lineage.next()
    async with running(tiny_base, tmp_path) as agent:
        before = await agent.said()
        agent.publish(lineage.mask, a, promotion(1, a.version, tiny_base.name))
        await agent.until_serving(a.version)
        assert a.version in await (await agent.http.get(agent.console)).text()
        address = f"{agent.console}/api/versions/{a.version}/change"
        change = await (await agent.http.get(address)).json()
        assert [tensor["frozen_most"] for tensor in change["tensors"]] == [0.0] * 4
        response = await agent.http.post(
            f"{agent.console}/operator/lines/main/rollback",
            json={"reason": "it was rude", "expected_seq": 1},
        )
        assert response.status == 200, await response.text()
        assert await agent.said() == before
    back = agent.written("rollouts")[-1]
    assert isinstance(back, Rollout)
    assert (back.verb, back.seq, back.version) == ("rollback", 2, tiny_base.name)


async def test_replicas_and_restarts_serve_the_same_bits(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    """Two agents on one log, and one that starts later, serve one digest, and can roll back."""
    lineage = Lineage(tiny_base)
    a, b = lineage.next(), lineage.next()
    async with running(tiny_base, tmp_path) as one, running(tiny_base, tmp_path) as two:
        one.publish(lineage.mask, a, b, promotion(1, a.version, tiny_base.name))
        one.publish(promotion(2, b.version, a.version))
        await one.until_serving(b.version)
        await two.until_serving(b.version)
        digests = {agent.service.residents.digest_of(b.version) for agent in (one, two)}
        replies = {await agent.said() for agent in (one, two)}
    async with running(tiny_base, tmp_path) as late:
        assert late.service.residents.serving == b.version
        digests.add(late.service.residents.digest_of(b.version))
        replies.add(await late.said())
        assert late.service.status().serving()["main"]["previous"] == a.version
        await late.service.steering.rollback("ann", "wrong")
        assert late.service.residents.serving == a.version
    assert (len(digests), len(replies)) == (1, 1)


async def test_feedback_outlives_a_restart(tiny_base: BaseModel, tmp_path: Path) -> None:
    """A response given before a restart can be rated after it."""
    async with running(tiny_base, tmp_path) as agent:
        response_id = (await agent.chat())["id"]
    async with running(tiny_base, tmp_path) as agent:
        url = f"{agent.api}/v1/feedback/{response_id}"
        assert (await agent.http.put(url, json={"thumb": "down"})).status == 200
    assert len(agent.written("feedback")) == 1


async def test_a_port_in_use_is_said(tiny_base: BaseModel, tmp_path: Path) -> None:
    """The second agent on a port says which port it is, and leaves nothing behind."""
    async with running(tiny_base, tmp_path / "one") as agent:
        port = int(agent.api.rsplit(":", 1)[1])
        settings = AgentSettings(port=port, console_port=0)
        home = StreamsSettings(home=tmp_path / "two")
        with pytest.raises(BindError, match=f"port {port} .* in use"):
            async with serve(tiny_base, open_backend("cpu"), home, settings):
                pass


async def test_stopping_drains(tiny_dir: Path, tmp_path: Path) -> None:
    """SIGTERM: a running stream ends as it would have, new requests are refused, the exit is 0."""
    command = [sys.executable, "-m", "deploy", "agent", "--model", str(tiny_dir),
               "--home", str(tmp_path), "--port", "0", "--console-port", "0",
               "--set", "agent.threads=1"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as http:
            url = ""
            while not url:
                line = (await process.stderr.readline()).decode()
                assert line, "the agent ended too early"
                found = re.search(r"chat page at (http://\S+?),", line)
                url = found[1] if found else ""
            long = GREEDY | {"stream": True, "max_tokens": 400, "temperature": 1.5, "seed": 1}
            stream = await http.post(f"{url}/v1/chat/completions", json=long)
            await stream.content.readany()
            process.send_signal(signal.SIGTERM)
            while (await http.get(f"{url}/health/ready")).status == 200:
                await asyncio.sleep(0.005)
            refused = await http.post(f"{url}/v1/chat/completions", json=GREEDY)
            assert refused.status == 503
            assert (await stream.read()).endswith(b"data: [DONE]\n\n")
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    log = open_log(StreamsSettings(home=tmp_path))
    assert sum(log.end_offsets("turns").values()) == 1
    log.close()


class BrokenBase:
    """A model that fails where the engine's thread needs it for all replies, not for one."""

    def __init__(self, base: BaseModel) -> None:
        self._base, self._maker = base, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        if name == "stop_ids" and threading.get_ident() != self._maker:
            raise RuntimeError("out of order")
        return getattr(self._base, name)


async def test_a_dead_engine_ends_the_process(
    tiny_base: BaseModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An engine that dies is told to its reader, and ends the agent, so that it is started anew."""
    caplog.set_level("INFO")
    base: Any = BrokenBase(tiny_base)
    settings = AgentSettings(port=0, console_port=0, drain_s=0, threads=1)
    streams = StreamsSettings(home=tmp_path)
    serving = asyncio.create_task(serve_until_told(base, open_backend("cpu"), streams, settings))
    async with asyncio.timeout(WAIT_S), aiohttp.ClientSession() as http:
        while not (found := re.search(r"chat page at (http://\S+?),", caplog.text)):
            await asyncio.sleep(0.01)
        response = await http.post(f"{found[1]}/v1/chat/completions", json=GREEDY)
        assert response.status == 503
        with pytest.raises(EngineStoppedError):
            await serving


async def test_a_forgotten_principal_leaves_the_running_agent(
    tiny_base: BaseModel, tmp_path: Path
) -> None:
    """Verdicts in memory, and what lies in the spool's files, go when the log says so."""
    async with running(tiny_base, tmp_path) as agent:
        body = await agent.chat()
        verdict = {"score": -1, "hint": "the-blue-heron"}
        url = f"{agent.api}/v1/feedback/{body['id']}"
        spool = tmp_path / "spool"
        # While another process writes to the log, what comes is kept in the spool.
        with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await agent.http.put(url, json=verdict)).status == 200
            assert b"the-blue-heron" in _files(spool)
        async with asyncio.timeout(WAIT_S):
            log = open_log(agent.streams)
            record = Forgotten(
                id="f", principal="anonymous", reason="", who="op",
                created_ms=int(time.time() * 1000),
            )  # fmt: skip
            log.append([outgoing("forgotten", "anonymous", record)])
            log.close()
            while b"the-blue-heron" in _files(spool):
                await asyncio.sleep(0.01)
        # the verdict is not remembered as given: it is taken as a new one
        assert (await agent.http.put(url, json=verdict)).status == 200
    assert len(agent.written("feedback")) == 2


def _files(folder: Path) -> bytes:
    found = b""
    for path in folder.rglob("waiting.db*"):
        with suppress(FileNotFoundError):  # one that is removed as we look
            found += path.read_bytes()
    return found
