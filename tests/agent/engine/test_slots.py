"""Few pages for many replies: all begin in the order in which they came, and come to their end."""

from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.slots import Slots
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from streams.line.variant import Variant
from tests.tiny import as_stored, tiny_model

DECODER = Decoder(as_stored(tiny_model()))
PIECE, CAPACITY = 8, 40
V = Variant("main", "v")


def open_slots(tokens: int = 80, batch: int = 4) -> tuple[KvCache, Slots]:
    """Open an empty cache of pages of 4 tokens, and its slots."""
    cache = KvCache(DECODER, capacity=CAPACITY, tokens=tokens, page_tokens=4)
    return cache, Slots(cache, piece_tokens=PIECE, batch=batch)


def begin(cache: KvCache, slots: Slots, prompt: list[int], owner: str = "a") -> tuple[int, int]:
    """Take a slot and fill it with a prompt; return it, and how much of the prompt was known."""
    slot = slots.take(V, owner, prompt, most_tokens=CAPACITY)
    assert slot is not None
    known = cache.length(slot)
    cache.grow([slot], len(prompt) - known)
    return slot, known


def test_what_is_known_is_shared_and_not_taken_away() -> None:
    """Two replies that begin as an earlier prompt hold its pages at once, and it stays known."""
    cache, slots = open_slots()
    prompt = list(range(20))
    first, known = begin(cache, slots, prompt)
    pages = list(cache.pages_of(first))
    slots.release(first, V, "a", prompt)
    second, third = begin(cache, slots, [*prompt, 1]), begin(cache, slots, [*prompt, 2])
    assert (known, second[1], third[1]) == (0, 16, 16)
    for slot, _ in (second, third):
        assert list(cache.pages_of(slot)[:4]) == pages[:4]
        assert not set(cache.pages_of(slot)[4:]) & set(pages[:4])


def test_a_longer_prompt_takes_the_place_of_its_beginning() -> None:
    """A conversation that grows is known once, however many turns it has had."""
    cache, slots = open_slots()
    for length in (9, 17, 30, 39):
        prompt = list(range(length))
        slot, _ = begin(cache, slots, prompt)
        slots.release(slot, V, "a", prompt)
    assert cache.pages.count - cache.pages.free == 32 // 4
    _, known = begin(cache, slots, list(range(25)))
    assert known == 24


@pytest.mark.parametrize(("variant", "owner"), [(Variant("main", "w"), "a"), (V, "b")])
def test_what_another_has_read_is_not_known(variant: Variant, owner: str) -> None:
    """Neither another variant nor another owner finds a prompt."""
    cache, slots = open_slots()
    prompt = list(range(20))
    slot, _ = begin(cache, slots, prompt)
    slots.release(slot, V, "a", prompt)
    found = slots.take(variant, owner, prompt, most_tokens=CAPACITY)
    assert found is not None
    assert cache.length(found) == 0


def test_forgetting_gives_every_page_back() -> None:
    """After forgetting nothing is known, nor of what was being answered then."""
    cache, slots = open_slots()
    prompt = list(range(20))
    for _ in range(2):
        slot, _ = begin(cache, slots, prompt)
        slots.forget()
        slots.release(slot, V, "a", prompt)
        assert cache.pages.free == cache.pages.count
    _, known = begin(cache, slots, prompt)
    assert known == 0


def test_what_is_known_makes_room_the_oldest_first() -> None:
    """A reply that needs pages gets those of the prompt that was left longest ago."""
    cache, slots = open_slots(tokens=80)
    prompts = [[number] * 17 for number in range(4)]
    for prompt in prompts:
        slot, _ = begin(cache, slots, prompt)
        slots.release(slot, V, "a", prompt)
    slot, _ = begin(cache, slots, [9] * 24)
    slots.release(slot, V, "a", [])
    known = [begin(cache, slots, prompt, "a")[1] for prompt in prompts[2:]]
    assert known == [16, 16]
    slot, known_first = begin(cache, slots, prompts[0])
    assert known_first == 0


def test_a_slot_is_released_once() -> None:
    """A slot that no reply has cannot be released."""
    cache, slots = open_slots()
    slot, _ = begin(cache, slots, [1])
    slots.release(slot, V, "a", [1])
    with pytest.raises(ValueError, match="free already"):
        slots.release(slot, V, "a", [1])


@dataclass(slots=True)
class Reply:
    """A simulated reply: what it asks for, and how long it turns out to be."""

    number: int
    prompt: list[int]
    most: int
    tokens: int
    slot: int = -1
    made: int = 0


lengths = st.tuples(st.integers(1, 30), st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None)
@given(
    asked=st.lists(lengths, min_size=1, max_size=14), batch=st.integers(1, 6), alike=st.booleans()
)
def test_every_reply_comes_to_its_end(
    asked: list[tuple[int, int, int]], batch: int, alike: bool
) -> None:
    """With room for hardly more than one whole reply, all end, and began in their order."""
    cache, slots = open_slots(tokens=CAPACITY + 8, batch=batch)
    waiting = deque(
        Reply(n, [0 if alike else n] * prompt, most, min(tokens, most, CAPACITY - prompt))
        for n, (prompt, most, tokens) in enumerate(asked)
    )
    running, began, ended = list[Reply](), list[int](), list[int]()
    while waiting or running:
        before = sum(reply.made for reply in running) + len(ended) * 1000 + len(began) * 1000
        while waiting:
            reply = waiting[0]
            most = min(len(reply.prompt) + reply.most, CAPACITY)
            slot = slots.take(V, "a", reply.prompt, most_tokens=most)
            if slot is None:
                break
            reply.slot = slot
            cache.grow([slot], len(reply.prompt) - cache.length(slot))
            running.append(waiting.popleft())
            began.append(reply.number)
        for reply in list(running):
            if reply.made + 1 < reply.tokens and slots.room(reply.slot):
                cache.grow([reply.slot])
                reply.made += 1
            elif reply.made + 1 >= reply.tokens:  # its last token is never read
                slots.release(reply.slot, V, "a", reply.prompt)
                running.remove(reply)
                ended.append(reply.number)
        after = sum(reply.made for reply in running) + len(ended) * 1000 + len(began) * 1000
        assert after > before, "nothing moves any more"
    assert began == sorted(began)
    assert sorted(ended) == list(range(len(asked)))
    slots.forget()
    assert cache.pages.free == cache.pages.count


@dataclass(slots=True)
class Reading:
    """A simulated reply that reads its prompt in pieces."""

    slot: int
    prompt: list[int]
    tokens: int


@settings(deadline=None)
@given(
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 36)), min_size=1, max_size=10),
    order=st.lists(st.integers(0, 9), max_size=60),
)
def test_replies_that_read_the_same_share_it_and_all_come_to_their_end(
    asked: list[tuple[int, int]], order: list[int]
) -> None:
    """Whichever reads next has what the others have read, keeps its room, and harms nobody's."""
    cache, slots = open_slots(tokens=2 * CAPACITY + 8)
    waiting, running = deque([0] * 9 + [kind] * size for kind, size in asked), list[Reading]()
    turns = iter([*order, *range(500)])
    while waiting or running:
        while waiting and slots.free:
            most = min(len(waiting[0]) + 4, CAPACITY)
            prompt = waiting[0][: CAPACITY - 1]
            slot = slots.take(V, "a", prompt, most_tokens=most)
            if slot is None:
                break
            waiting.popleft()
            running.append(Reading(slot, prompt, most - len(prompt)))
        reply = running[next(turns) % len(running)]
        before = cache.length(reply.slot)
        if before < len(reply.prompt):
            slots.catch_up(reply.slot)
            begin = cache.length(reply.slot)
            assert begin >= before
            assert begin % PIECE == 0 or begin == before
            end = min((begin // PIECE + 1) * PIECE, len(reply.prompt))
            cache.reserve(reply.slot, end)
            cache.grow([reply.slot], end - begin)
        elif reply.tokens > 1:
            if slots.room(reply.slot):
                cache.grow([reply.slot])
                reply.tokens -= 1
        else:
            slots.release(reply.slot, V, "a", reply.prompt)
            running.remove(reply)
    slots.forget()
    assert cache.pages.free == cache.pages.count


def test_what_is_being_read_is_known_to_its_owner_alone() -> None:
    """A second request finds what the first has read so far; another's finds nothing."""
    cache, slots = open_slots(tokens=160)
    prompt = list(range(30))
    first = slots.take(V, "a", prompt, most_tokens=CAPACITY)
    assert first is not None
    cache.grow([first], 2 * PIECE)
    for variant, owner, known in ((V, "a", 16), (V, "b", 0), (Variant("main", "w"), "a", 0)):
        slot = slots.take(variant, owner, [*prompt[:20], 99], most_tokens=CAPACITY)
        assert slot is not None
        assert cache.length(slot) == known
    slots.forget()
    last = slots.take(V, "a", prompt[:18], most_tokens=18)
    assert last is None or cache.length(last) == 0


def test_only_versions_in_memory_know_anything() -> None:
    """What another has read is let go with its pages."""
    cache, slots = open_slots()
    slot, _ = begin(cache, slots, list(range(20)))
    slots.release(slot, V, "a", list(range(20)))
    assert slots.keep_only(["v", "w"])
    assert not slots.keep_only(["w"])
    assert cache.pages.free == cache.pages.count
