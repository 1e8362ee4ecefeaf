"""Pages of keys and values: shared, given back, and never mixed up, whatever comes and goes."""

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from torch import Tensor
from torch.nn import functional as F

from kernels.model.forward import Decoder
from kernels.model.kv import KvCache, _CompiledRows
from kernels.model.read import next_logits, read_chunk
from tests.tiny import as_stored, tiny_model

DECODER = Decoder(as_stored(tiny_model(seed=5)))
IDS = torch.randint(3, 384, (40,), generator=torch.Generator().manual_seed(0)).tolist()


def open_cache(tokens: int = 80, page_tokens: int = 8) -> KvCache:
    """Open an empty cache."""
    return KvCache(DECODER, capacity=40, tokens=tokens, page_tokens=page_tokens)


def begun(cache: KvCache, tokens: int) -> int:
    """Read the first tokens of IDS into a new sequence."""
    slot = cache.open()
    read_chunk(DECODER, cache, slot, IDS[:tokens])
    return slot


def gathered(memory: Tensor, pages: list[int], side: int, length: int) -> Tensor:
    """Return the keys (0) or values (1) of one row of one layer: (1, kv_heads, length, d)."""
    return memory[pages, 0, side].transpose(0, 1).flatten(1, 2)[None, :, :length]


@given(
    rows=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    group=st.sampled_from([1, 2, 3, 5]),
    width=st.sampled_from([16, 64, 80]),
    page=st.sampled_from([1, 8, 32]),
    spread=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_compiled_attention_equals_the_reference(
    rows: list[int], group: int, width: int, page: int, spread: float
) -> None:
    """The compiled loops give what torch's attention gives, wherever a row's pages lie."""
    generator = torch.Generator().manual_seed(sum(rows))

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    needed = [-(-length // page) for length in rows]
    order = torch.randperm(sum(needed), generator=generator)
    pages = [part.tolist() for part in torch.split(order, needed)]
    memory = normal(sum(needed), 1, 2, 2, page, width)
    q, k, v = spread * normal(len(rows), 2 * group, 1, width), *normal(2, len(rows), 2, 1, width)
    seen = _CompiledRows(70, width).attend(memory, pages, [n - 1 for n in rows])(0, q, k, v)
    for row, length in enumerate(rows):
        keys, values = (gathered(memory, pages[row], side, length) for side in (0, 1))
        assert torch.equal(keys[:, :, -1:], k[row : row + 1])
        expected = F.scaled_dot_product_attention(q[row : row + 1], keys, values, enable_gqa=True)
        torch.testing.assert_close(seen[row : row + 1], expected, atol=2e-5, rtol=2e-5)


@given(length=st.integers(1, 70), seed=st.integers(0, 99))
def test_attention_does_not_depend_on_where_pages_lie(length: int, seed: int) -> None:
    """The same past gives the same bits in pages of any order, beside rows of any length."""
    generator = torch.Generator().manual_seed(seed)
    past = torch.randn(9, 1, 2, 1, 8, 16, generator=generator)
    q, k, v = torch.randn(3, 2, 1, 1, 16, generator=generator)
    rows = _CompiledRows(72, 16)
    needed = -(-length // 8)
    alone = rows.attend(past.clone(), [list(range(needed))], [length - 1])(0, q[:1], k[:1], v[:1])
    order = torch.randperm(9, generator=generator)
    moved, places = torch.empty_like(past), order.tolist()
    moved[order] = past
    beside = rows.attend(moved, [places[:needed], places[-1:]], [length - 1, 0])(0, q, k, v)
    if places[-1] not in places[:needed]:
        assert torch.equal(alone[0], beside[0])


@pytest.mark.parametrize("poison", ["q", "keys", "values"])
def test_a_fault_in_one_row_shows_there_and_only_there(poison: str) -> None:
    """NaN in one row's query or past makes that row NaN and leaves the others as they were."""
    q, new, memory = torch.ones(3, 2, 1, 16), torch.ones(3, 1, 1, 16), torch.ones(3, 1, 2, 1, 8, 16)
    if poison == "q":
        q[1, 0, 0] = torch.nan
    else:
        memory[1, 0, ("keys", "values").index(poison), 0, 0] = torch.nan
    seen = _CompiledRows(8, 16).attend(memory, [[0], [1], [2]], [7, 7, 7])(0, q, new, new)
    assert seen[1, 0].isnan().all()
    assert torch.equal(seen[[0, 2]], torch.ones(2, 2, 1, 16))


@pytest.mark.parametrize("tokens", [0, 7, 8, 16, 20])
def test_a_sequence_can_begin_as_another_one(tokens: int) -> None:
    """A fork reads on as if it had read the beginning itself, and the other one is left alone."""
    cache = open_cache()
    first = begun(cache, 20)
    second = cache.fork(first, tokens)
    assert (cache.length(first), cache.length(second)) == (20, tokens)
    assert list(cache.pages_of(second)[: tokens // 8]) == list(cache.pages_of(first)[: tokens // 8])
    ours = read_chunk(DECODER, cache, second, IDS[tokens : tokens + 5])
    alone = open_cache()
    slot = alone.open()
    if tokens:
        read_chunk(DECODER, alone, slot, IDS[:tokens])
    expected = read_chunk(DECODER, alone, slot, IDS[tokens : tokens + 5])
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    untouched = next_logits(DECODER, cache, [first], [IDS[20]])
    other = open_cache()
    assert torch.equal(untouched, next_logits(DECODER, other, [begun(other, 20)], [IDS[20]]))
    with pytest.raises(ValueError, match="holds 21 tokens, not 22"):
        cache.fork(first, 22)


def test_a_full_slot_refuses_more() -> None:
    """Neither a chunk nor a row is written past the end of a sequence, or of the pages."""
    cache = KvCache(DECODER, capacity=8, tokens=16, page_tokens=8)
    slot = cache.open()
    with pytest.raises(ValueError, match="9 tokens do not fit"):
        read_chunk(DECODER, cache, slot, IDS[:9])
    read_chunk(DECODER, cache, slot, IDS[:8])
    with pytest.raises(ValueError, match="full"):
        next_logits(DECODER, cache, [slot], [5])
    begun(cache, 8)
    with pytest.raises(ValueError, match="1 pages are asked for, 0 of 2 left"):
        begun(cache, 1)


def resident_bytes(memory: Tensor) -> int:
    """Return how much of a tensor's memory the system has given."""
    begin = memory.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
    text = Path("/proc/self/smaps").read_text()
    for part in text.split("VmFlags")[:-1]:
        lines = part.strip().splitlines()
        where = next(line for line in lines if "-" in line.split(" ")[0] and " " in line)
        first, last = (int(end, 16) for end in where.split(" ")[0].split("-"))
        if first <= begin < last:
            return 1024 * int(next(x for x in lines if x.startswith("Rss:")).split()[1])
    raise AssertionError("the memory is not mapped")


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_memory_is_taken_as_it_fills_and_given_back() -> None:
    """An empty cache costs nothing, a full one its pages, and a closed sequence nothing again."""
    tokens = 2**20
    cache = KvCache(DECODER, capacity=4096, tokens=tokens, page_tokens=32)
    memory = cache.pages.memory
    assert memory.nbytes == 2**30
    before = resident_bytes(memory)
    slots = [cache.open() for _ in range(8)]
    for slot in slots:
        cache.reserve(slot, 4096)
        memory[list(cache.pages_of(slot))] = 1.0
    full = resident_bytes(memory)
    assert full - before == pytest.approx(8 * 4096 / tokens * memory.nbytes, rel=0.05)
    for slot in slots:
        cache.close(slot)
    assert resident_bytes(memory) - before < full / 50
    assert not memory[:100].any()


class Sequences(RuleBasedStateMachine):
    """Sequences that grow, fork and close: each holds its own tokens, no page is lost or mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = KvCache(DECODER, capacity=24, tokens=64, page_tokens=4)
        self.written: dict[int, list[float]] = {}
        self.number = 0.0

    def write(self, slot: int, tokens: int) -> None:
        """Grow by a chunk whose keys and values are numbers that nothing else has."""
        attend = self.cache.chunk(slot, tokens)
        self.written[slot] += [self.number + place for place in range(tokens)]
        self.number += tokens
        new = torch.tensor(self.written[slot][-tokens:])[None, None, :, None]
        new = new.expand(1, DECODER.kv_heads, tokens, DECODER.head_dim)
        q = torch.zeros(1, DECODER.heads, tokens, DECODER.head_dim)
        for layer in range(DECODER.num_layers):
            attend(layer, q, new, -new)
        self.cache.grow([slot], tokens)

    def fits(self, slot: int, tokens: int) -> bool:
        """Whether a sequence may grow so far."""
        length = self.cache.length(slot) + tokens
        wanted = self.cache.pages_for(length) - len(self.cache.pages_of(slot))
        return length <= self.cache.capacity and wanted <= self.cache.pages.free

    @rule()
    def begin(self) -> None:
        self.written[self.cache.open()] = []

    @precondition(lambda self: self.written)
    @rule(data=st.data(), tokens=st.integers(1, 9))
    def grow(self, data: st.DataObject, tokens: int) -> None:
        slot = data.draw(st.sampled_from(sorted(self.written)))
        if self.fits(slot, tokens):
            self.write(slot, tokens)

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.written)))
        tokens = data.draw(st.integers(0, self.cache.length(slot)))
        if tokens % 4 == 0 or self.cache.pages.free:
            self.written[self.cache.fork(slot, tokens)] = self.written[slot][:tokens]

    @precondition(lambda self: self.written)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.written)))
        del self.written[slot]
        self.cache.close(slot)

    @invariant()
    def every_sequence_holds_its_own(self) -> None:
        for slot, expected in self.written.items():
            pages = list(self.cache.pages_of(slot))
            for layer in (0, DECODER.num_layers - 1):
                held = self.cache.pages.memory[pages, layer].permute(1, 2, 0, 3, 4).flatten(2, 3)
                keys, values = held[:, :, : len(expected)].numpy()
                want = np.broadcast_to(np.array(expected, np.float32)[None, :, None], keys.shape)
                np.testing.assert_array_equal(keys, want)
                np.testing.assert_array_equal(values, -want)

    @invariant()
    def no_page_is_lost(self) -> None:
        used = {page for slot in self.written for page in self.cache.pages_of(slot)}
        assert len(used) + self.cache.pages.free == self.cache.pages.count


TestSequences = Sequences.TestCase
TestSequences.settings = settings(max_examples=20, deadline=None)
