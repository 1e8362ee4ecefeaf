"""What is plain waits for nothing; what is not is tried once, in turns, or refused by a limit."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent.constrain.contract import Compiler, Grammar
from agent.constrain.open import read_vocabulary
from agent.constrain.source import Source
from agent.errors import InvalidError, UnavailableError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm, TextKind
from agent.turn.held.held import Rest
from agent.turn.proof.holding import Holding
from agent.turn.proof.job import Job
from agent.turn.proof.prover import Limit, LimitError, Prover, ProverLostError
from streams.model.open import BaseModel


def job(kind: TextKind, body: Any) -> Job:
    return Job(Constraint("response_format", TextForm(kind, body)), (), HERMES)


PLAIN, REGEX = job("json_object", None), job("regex", "[ab]")


class Scripted(Prover):
    """One that says what it is told to, when it may."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__(read_vocabulary(base))
        self.said: dict[str, Any] | Exception = {"tools": None}
        self.tried, self.may = 0, threading.Event()
        self.may.set()

    def prove(self, _job: bytes) -> dict[str, Any]:
        self.tried += 1
        self.may.wait()
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.fixture
def prover(tiny_base: BaseModel) -> Scripted:
    return Scripted(tiny_base)


@pytest.fixture
def counted() -> list[Limit]:
    return []


@pytest.fixture
def holding(compiler: Compiler, prover: Scripted, counted: list[Limit]) -> Iterator[Holding]:
    made = Holding(compiler, prover, max_queue=4, limited=counted.append)
    yield made
    prover.may.set()
    made.close()


async def test_what_is_plain_does_not_wait_for_what_is_tried(
    holding: Holding, prover: Scripted
) -> None:
    """However long that takes."""
    prover.may.clear()
    tried = asyncio.create_task(holding.held(REGEX, "a"))
    assert await asyncio.wait_for(holding.held(PLAIN, "a"), 20) is not None
    assert not tried.done()
    prover.may.set()
    assert await tried is not None
    assert prover.tried == 1


async def test_what_came_to_an_end_is_not_tried_again(holding: Holding, prover: Scripted) -> None:
    """The same form comes with each request of a client; another is another."""
    for asked in (REGEX, REGEX, job("regex", "[ac]"), REGEX):
        assert await holding.held(asked, "a") is not None
    assert prover.tried == 2


@pytest.mark.parametrize(
    ("limit", "why"),
    [("time", "over 3 seconds of a processor"), ("memory", "over 256 MiB"), ("crash", "fails")],
)
async def test_a_limit_is_told_with_the_parameter_and_counted(
    holding: Holding, prover: Scripted, counted: list[Limit], limit: Limit, why: str
) -> None:
    """Each by its name; what is refused is no known form."""
    prover.said = LimitError(limit)
    for _ in range(2):
        with pytest.raises(InvalidError, match=why) as found:
            await holding.held(REGEX, "a")
        assert found.value.param == "response_format"
    assert counted == [limit, limit]
    assert prover.tried == 2


async def test_the_rest_of_a_call_is_not_held_where_that_takes_too_much(
    holding: Holding, prover: Scripted
) -> None:
    """Nobody asked for it, so nobody is refused."""
    prover.said = LimitError("memory")
    schema = {"type": "object", "properties": {"a": {"pattern": "a?"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert await holding.held(Job(Rest("f", "{", False), (tool,), HERMES), "a") is None


async def test_only_what_is_refused_is_counted(
    holding: Holding, prover: Scripted, counted: list[Limit]
) -> None:
    """Neither the rest of a call nor a second try of one, for which nobody asked."""
    prover.said = LimitError("time")
    schema = {"type": "object", "properties": {"a": {"pattern": "a?"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    called = Constraint("tools", calls=("f",), loose=frozenset("f"))
    await holding.held(Job(Rest("f", "{", False), (tool,), HERMES), "a")
    with pytest.raises(InvalidError):
        await holding.held(Job(called, (tool,), HERMES, eases=True), "a")
    assert counted == []


async def test_who_waits_when_it_is_closed_is_told(holding: Holding, prover: Scripted) -> None:
    """And not taken for one that has gone; what is asked for afterwards is told the same."""
    prover.may.clear()
    running, waiting = (asyncio.create_task(holding.held(REGEX, key)) for key in "ab")
    while not prover.tried:
        await asyncio.sleep(0.001)
    holding.close()
    prover.may.set()
    assert await running is not None
    for each in (waiting, holding.held(PLAIN, "a")):
        with pytest.raises(UnavailableError):
            await each


class Busy:
    """A compiler that is long at work."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler
        self.began, self.may = threading.Event(), threading.Event()

    def compile(self, source: Source, *, begun: str = "") -> Grammar:
        self.began.set()
        self.may.wait()
        return self._compiler.compile(source, begun=begun)

    def nested(self, grammar: str) -> str:
        return self._compiler.nested(grammar)

    def control(self, text: str) -> int | None:
        return self._compiler.control(text)


async def test_what_is_called_off_is_told_as_such(compiler: Compiler) -> None:
    """What no thread has begun when it is closed is answered, as by a server that stops."""
    busy = Busy(compiler)
    holding = Holding(busy, None, max_queue=4, limited=lambda _: None)
    running, waiting = (asyncio.create_task(holding.held(PLAIN, key)) for key in "ab")
    await asyncio.to_thread(busy.began.wait)
    holding.close()
    with pytest.raises(UnavailableError):
        await waiting
    busy.may.set()
    assert await running is not None


async def test_where_nothing_can_be_tried_nothing_is_compiled(
    holding: Holding, prover: Scripted
) -> None:
    """A process that cannot be started is no client's fault; what is plain goes on."""
    prover.said = ProverLostError("it has ended")
    with pytest.raises(UnavailableError):
        await holding.held(REGEX, "a")
    assert await holding.held(PLAIN, "a") is not None


async def test_who_goes_gives_up_the_place_and_not_the_turn_that_runs(
    holding: Holding, prover: Scripted
) -> None:
    """One of a key that waits leaves no trace; one that is tried is followed by no other before."""
    prover.may.clear()
    running, waiting, other = (
        asyncio.create_task(holding.held(job("regex", f"[{key}]"), key)) for key in "abc"
    )
    await asyncio.sleep(0)
    running.cancel()
    waiting.cancel()
    await asyncio.wait({running, waiting})
    assert not other.done()
    assert prover.tried <= 1
    prover.may.set()
    assert await other is not None
    assert prover.tried <= 2
