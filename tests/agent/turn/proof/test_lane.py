"""One at a time, in turns key by key; who stops waiting takes nobody's turn."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BusyError
from agent.turn.proof.lane import Lane

KEYS = st.lists(st.sampled_from("abc"), max_size=12)


@given(keys=KEYS, gone=st.sets(st.integers(0, 11)))
def test_each_has_its_turn_and_no_key_before_another_that_waits(
    keys: list[str], gone: set[int]
) -> None:
    """Between two turns of a key each other key that waits has one, and those that went none."""

    async def entered() -> list[int]:
        lane, order = Lane(20), list[int]()
        await lane.enter("first")

        async def wait(number: int) -> None:
            await lane.enter(keys[number])
            order.append(number)
            lane.leave()

        waiting = [asyncio.create_task(wait(number)) for number in range(len(keys))]
        await asyncio.sleep(0)
        for number in gone & set(range(len(keys))):
            waiting[number].cancel()
        await asyncio.sleep(0)
        lane.leave()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.wait_for(lane.enter("last"), 1)  # the place is free again
        return order

    order = asyncio.run(entered())
    left = [number for number in range(len(keys)) if number not in gone]
    assert sorted(order) == left
    seen: Counter[str] = Counter()
    for number in order:
        rank = sum(keys[other] == keys[number] for other in left[: left.index(number)])
        assert seen[keys[number]] == rank  # in order within a key
        seen[keys[number]] += 1
        for key in {keys[other] for other in left}:
            total = sum(keys[other] == key for other in left)
            assert seen[key] >= min(total, seen[keys[number]] - 1)


async def test_a_turn_that_comes_to_one_who_just_went_goes_on() -> None:
    """To the next, at once."""
    lane = Lane(5)
    await lane.enter("a")
    first, second = (asyncio.create_task(lane.enter(key)) for key in "ab")
    await asyncio.sleep(0)
    lane.leave()
    first.cancel()
    await asyncio.wait_for(second, 1)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_the_longest_row_is_cut() -> None:
    """A key that fills the queue is refused, and not one that asks beside it."""
    lane = Lane(3)
    await lane.enter("a")
    many = [asyncio.create_task(lane.enter("a")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await lane.enter("a")
    other = asyncio.create_task(lane.enter("b"))
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await many[-1]
    for each in (many[0], other, many[1]):
        lane.leave()
        await asyncio.wait_for(each, 1)


async def test_there_is_always_room_for_what_follows() -> None:
    """A response whose tools were called is not refused: asked again, it would call them again."""
    lane = Lane(1)
    await lane.enter("a")
    waiting = [
        asyncio.create_task(lane.enter("a")),
        asyncio.create_task(lane.enter("a", follows=True)),
    ]
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await lane.enter("a")
    for each in waiting:
        lane.leave()
        await asyncio.wait_for(each, 1)


async def test_one_that_goes_may_be_cut_at_once() -> None:
    """Before it could say that it goes; whom the room is made for waits in its place."""
    lane = Lane(2)
    await lane.enter("a")
    first, last = (asyncio.create_task(lane.enter("a")) for _ in range(2))
    await asyncio.sleep(0)
    other = asyncio.create_task(lane.enter("b"))
    last.cancel()  # its turn is called off now, and it hears of that after the other has entered
    await asyncio.sleep(0)
    for each in (first, other):
        assert not each.done()
        lane.leave()
        await asyncio.wait_for(each, 1)
    with pytest.raises(asyncio.CancelledError):
        await last
