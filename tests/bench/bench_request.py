"""What the API adds to the engine, and the log to the API, a request.

The same replies three times: by a bare aiohttp handler that reads the request and joins the
engine's tokens, by the API without a log, and by the API with it.
Blocks of requests alternate between the three, so that all see the same machine, and what recording
one reply costs falls on a request of its own side. The engine is scripted: its tokens cost no
weights, and come by the queue of every engine's streams, so that what is measured is the rest:
HTTP, schema, events, record, spool. Recording comes after the last byte; what it may add is
contention, with the next request and with the spool's threads. The last row times the recording
itself, which other streams of the event loop could wait for.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from aiohttp import ClientSession, web

from agent.api.caller import Caller
from agent.api.chat.request import read_chat
from agent.api.chat.surface import ask_of
from agent.engine.contract import Finish, Request, Token
from agent.run import SWITCH_S
from agent.server import build_app
from agent.service import AgentService
from agent.settings import AgentSettings
from agent.stored.projection import Projection
from agent.turn.ask import Ask, render
from agent.turn.recorder import Recorder
from agent.turn.reply import Reply
from streams.line.variant import Variant
from streams.log.sqlite import SqliteLog
from streams.open import open_spool
from streams.records import Sampling
from streams.settings import StreamsSettings
from streams.spool.spool import Spool
from tests.agent.api.asking import models
from tests.agent.fakes import BASE, FakeBase, FakeResidents
from tests.agent.scripted import ScriptedEngine

REQUESTS = 1500  # for each side: the p99 then rests on 15 of them
BLOCK = 50
WARM_BLOCKS = 2
REPLY_TOKENS = 128
PROMPT_WORDS = 400
WORDS = " ".join(f"word{number}" for number in range(PROMPT_WORDS))
SAMPLING = Sampling(temperature=1, top_p=1, max_tokens=REPLY_TOKENS, seed=1)
CHAT = {"model": "quickset", "messages": [{"role": "user", "content": WORDS}], "max_tokens": 128}


class NoRecorder(Recorder):
    """Records nothing: the server as it would be without a log."""

    def turn(self, turn_id: str, ask: Ask, **_: object) -> None: ...


@asynccontextmanager
async def api(service: AgentService) -> AsyncIterator[str]:
    """Serve; gives the address of the chat route."""
    service.start()
    runner = web.AppRunner(build_app(service), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/chat/completions"
    await runner.cleanup()
    await service.stop()


def make_engine(residents: FakeResidents, settings: AgentSettings) -> ScriptedEngine:
    return ScriptedEngine(residents, [" token"] * REPLY_TOKENS, settings=settings)


def make_service(spool: Spool, log: SqliteLog) -> AgentService:
    settings, residents = AgentSettings(), FakeResidents()
    return AgentService(
        settings=settings,
        base=FakeBase(context_tokens=2048),
        residents=residents,
        engine=make_engine(residents, settings),
        log=log,
        spool=spool,
        projection=Projection(log.path.with_name("responses.db"), keep_days=30),
        secret=b"secret",
    )


@asynccontextmanager
async def plain() -> AsyncIterator[str]:
    """Serve an engine's tokens and nothing else; gives the address."""
    engine = make_engine(FakeResidents(), AgentSettings())
    engine.start()

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        stream = engine.submit(Request([1] * PROMPT_WORDS, SAMPLING))
        text = "".join([event.text async for event in stream if isinstance(event, Token)])
        return web.json_response({"model": asked["model"], "text": text})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def timed(client: ClientSession, url: str) -> float:
    began_s = time.perf_counter()
    async with client.post(url, json=CHAT) as response:
        await response.read()
        assert response.status == 200
    return time.perf_counter() - began_s


async def measure(folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Return the latencies in seconds by way, and how many turns the log has."""
    log = SqliteLog(folder / "log.db")
    spool = open_spool(StreamsSettings(home=folder), log)
    bare, logged = make_service(spool, log), make_service(spool, log)
    bare.recorder = NoRecorder(spool.put, line="main", events=bare.events, metrics=bare.metrics)
    took: dict[str, list[float]] = {"engine alone": [], "API": [], "API and log": []}
    async with (
        api(bare) as bare_url,
        api(logged) as logged_url,
        plain() as engine_url,
        ClientSession() as client,
    ):
        urls = (engine_url, bare_url, logged_url)
        for number in range(-WARM_BLOCKS, REQUESTS // BLOCK):
            for url, taken in zip(urls, took.values(), strict=True):
                block = [await timed(client, url) for _ in range(BLOCK)]
                taken.extend(block if number >= 0 else [])
    spool.close(drain_s=60)
    num_turns = sum(log.end_offsets("turns").values())
    log.close()
    return {way: np.array(taken) for way, taken in took.items()}, num_turns


def measure_recording(folder: Path) -> np.ndarray:
    """Time Recorder.turn, which is all that the event loop does for the log."""
    log = SqliteLog(folder / "log.db")
    spool = open_spool(StreamsSettings(home=folder), log)
    service = make_service(spool, log)
    call = read_chat(str(CHAT).replace("'", '"').encode())
    ask = ask_of(call, Caller("anonymous", {}, AgentSettings(), models()))
    ask = render(ask, FakeBase(context_tokens=2048), context_tokens=2048)
    took = []
    for number in range(REQUESTS):
        reply = Reply(ask)
        for token in range(REPLY_TOKENS):
            reply.add(Token(token, " token", -0.5, -0.25, Variant("main", BASE)))
        reply.finish(Finish("stop"))
        began_s = time.perf_counter()
        service.recorder.turn(f"turn-{number}", ask, choice=0, reply=reply)
        took.append(time.perf_counter() - began_s)
    spool.close(drain_s=60)
    log.close()
    return np.array(took)


def row(name: str, seconds: np.ndarray) -> str:
    p50, p99 = np.percentile(seconds * 1000, [50, 99])
    return f"{name:<24}{p50:>9.2f}{p99:>9.2f}"


def main() -> None:
    """Print the table."""
    sys.setswitchinterval(SWITCH_S)
    with tempfile.TemporaryDirectory() as folder:
        took, num_turns = asyncio.run(measure(Path(folder) / "all"))
        recording = measure_recording(Path(folder) / "recording")
    print(f"{REQUESTS} requests each, {PROMPT_WORDS} words in, {REPLY_TOKENS} tokens out")
    print(f"{'ms a request':<24}{'p50':>9}{'p99':>9}")
    for way, seconds in took.items():
        print(row(way, seconds))
    alone, api_p50, logged = (float(np.median(seconds)) * 1000 for seconds in took.values())
    print(f"{'API over engine':<24}{api_p50 - alone:>9.2f}")
    print(f"{'API, log over engine':<24}{logged - alone:>9.2f}")
    print(f"{'added by the log':<24}{logged - api_p50:>9.2f}")
    print(row("recording, after reply", recording))
    print(f"turns in the log: {num_turns} of {WARM_BLOCKS * BLOCK + REQUESTS}")
    assert num_turns == WARM_BLOCKS * BLOCK + REQUESTS


if __name__ == "__main__":
    main()
