"""A reply on its way to one reader: nothing is lost, whatever comes at once."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.contract import Finish, Stream, StreamEvent, Token
from agent.errors import ReplyFailedError
from streams.line.variant import Variant

HERE = Variant("main", "base")


async def read(stream: Stream, *, singly: bool) -> list[Token | Finish]:
    """Everything that comes, one by one or in groups."""
    if singly:
        return [event async for event in stream]
    found, times = list[Token | Finish](), list[float]()
    async for group in stream.groups():
        if isinstance(group, Finish):
            found.append(group)
            continue
        assert 0 < len(group) <= stream.together
        assert len(group) == len(stream.came_s)
        found += group
        times += stream.came_s
    assert all(one <= other for one, other in pairwise(times))
    return found


@given(
    groups=st.lists(st.integers(1, 5), max_size=12),
    together=st.integers(1, 9),
    breaks=st.booleans(),
    singly=st.booleans(),
)
async def test_all_come_in_order_and_few_wake_the_reader(
    groups: list[int], together: int, breaks: bool, singly: bool
) -> None:
    """By ones or many at a time; the end is never waited for, be it a finish or a failure."""
    stream = Stream()
    stream.together = together
    reader = asyncio.create_task(read(stream, singly=singly))
    await asyncio.sleep(0)
    tokens = [Token(number, "a", -1.0, -1.0, HERE) for number in range(sum(groups))]
    waiting, left = 0, iter(tokens)
    for size in groups:
        for _ in range(size):
            stream.put(next(left))
            waiting += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting = 0 if waiting >= together else waiting
        assert len(stream._events) == waiting
    end: StreamEvent = ReplyFailedError("broken") if breaks else Finish("stop")
    stream.put(end)
    if breaks:
        with pytest.raises(ReplyFailedError):
            await asyncio.wait_for(reader, 60)
        return
    assert await asyncio.wait_for(reader, 60) == [*tokens, end]
