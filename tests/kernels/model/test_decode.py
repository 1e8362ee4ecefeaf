"""Reading a sequence bit by bit through the KV cache equals reading it at once."""

import dataclasses
import gc
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kernels.model import packed
from kernels.model.decode import greedy, next_logits, read_chunk
from kernels.model.forward import Decoder, Linear, plain, with_weights
from kernels.model.kv import KvCache, attend_row_by_row
from kernels.model.packed import PackedLinear, fast_linear, packable
from tests.tiny import FAMILIES, Family, tiny_model

MODEL = tiny_model(seed=5)
DECODER = Decoder(MODEL)
IDS = torch.randint(3, 384, (40,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture(params=["plain", "packed"])
def linear(request: pytest.FixtureRequest) -> Linear:
    """Both ways to apply a linear layer."""
    return plain if request.param == "plain" else PackedLinear(MODEL)


def test_chunks_of_any_size_give_the_whole(linear: Linear) -> None:
    """Reading a prompt in uneven chunks gives the hidden states of reading it at once."""
    whole = read_chunk(DECODER, KvCache(DECODER, slots=1, capacity=40), 0, IDS)
    cache = KvCache(DECODER, slots=3, capacity=40)
    slot, parts, start = 2, list[Tensor](), 0
    for size in (1, 7, 1, 20, 11):
        parts.append(read_chunk(DECODER, cache, slot, IDS[start : start + size], linear))
        start += size
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-4, rtol=1e-4)


def test_rows_of_different_lengths_see_only_their_own_past(linear: Linear) -> None:
    """Decoding rows of unlike lengths in shuffled slots gives the model's own logits for each."""
    cache = KvCache(DECODER, slots=4, capacity=40)
    lengths = {2: 1, 0: 17, 3: 39}
    for slot, length in lengths.items():
        read_chunk(DECODER, cache, slot, IDS[:length], linear)
    last = [IDS[length] for length in lengths.values()]
    logits = next_logits(DECODER, cache, list(lengths), last, linear)
    for row, length in zip(logits, lengths.values(), strict=True):
        expected = MODEL(torch.tensor([IDS[: length + 1]])).logits[0, -1]
        torch.testing.assert_close(row, expected, atol=2e-4, rtol=1e-4)


def test_a_row_does_not_depend_on_its_batch() -> None:
    """With packed weights a row's logits are the same to the bit, alone or among others."""
    linear = PackedLinear(MODEL)

    def logits(lengths: Sequence[int]) -> list[Tensor]:
        cache = KvCache(DECODER, slots=len(lengths), capacity=40)
        for slot, length in enumerate(lengths):
            read_chunk(DECODER, cache, slot, IDS[:length], linear)
        last = [IDS[length] for length in lengths]
        return list(next_logits(DECODER, cache, range(len(lengths)), last, linear))

    lengths = [3, 30, 9, 9, 1, 22, 38, 14, 5]
    for row, length in zip(logits(lengths), lengths, strict=True):
        assert torch.equal(row, logits([length])[0])


@pytest.mark.parametrize("fast", [True, False], ids=["compiled rows", "oneDNN alone"])
@pytest.mark.parametrize(
    ("out_features", "in_features"), [(192, 576), (576, 1536), (64, 2048), (96, 64), (40, 24)]
)
def test_packed_rows_do_not_depend_on_how_many_there_are(
    out_features: int, in_features: int, fast: bool
) -> None:
    """A row's product is the same to the bit alone, among a few and among many, by both ways."""
    holder = nn.Module()
    holder.layer = nn.Linear(in_features, out_features)
    packed = PackedLinear(holder)
    if not fast:
        packed._packed = {
            name: dataclasses.replace(each, rows=None) for name, each in packed._packed.items()
        }
    x = torch.randn(130, in_features, generator=torch.Generator().manual_seed(in_features))
    with torch.inference_mode():
        whole = packed("layer.weight", holder.layer, x)
        for rows in (1, 2, 3, 4, 5, 8, 31, 128):
            assert torch.equal(packed("layer.weight", holder.layer, x[:rows]), whole[:rows])
        torch.testing.assert_close(whole, holder.layer(x), atol=1e-4, rtol=1e-4)


@given(
    rows=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    group=st.sampled_from([1, 2, 3]),
    width=st.sampled_from([4, 16, 64]),
    spread=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_compiled_attention_equals_the_reference(
    rows: list[int], group: int, width: int, spread: float
) -> None:
    """The compiled loops give what torch's attention gives, for awkward sizes and steep scores."""
    from kernels.model.kv import _CompiledRows

    generator = torch.Generator().manual_seed(sum(rows))
    q = spread * torch.randn(len(rows), 2 * group, 1, width, generator=generator)
    keys = torch.randn(len(rows), 2, 70, width, generator=generator)
    values = torch.randn(len(rows), 2, 70, width, generator=generator)
    slots = list(reversed(range(len(rows))))
    lengths = torch.tensor(rows).numpy()
    seen = _CompiledRows(70, width).attend(q, keys, values, torch.tensor(slots).numpy(), lengths)
    expected = attend_row_by_row(q, keys, values, slots, [length - 1 for length in rows])
    torch.testing.assert_close(seen, expected, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("poison", ["q", "keys", "values"])
def test_a_fault_in_one_row_shows_there_and_only_there(poison: str) -> None:
    """NaN in one row's query or past makes that row NaN and leaves the others as they were."""
    from kernels.model.kv import _CompiledRows

    parts = {
        "q": torch.ones(3, 2, 1, 16), "keys": torch.ones(3, 1, 8, 16),
        "values": torch.ones(3, 1, 8, 16),
    }  # fmt: skip
    parts[poison][1, 0, 0] = float("nan")
    slots, lengths = torch.arange(3).numpy(), torch.tensor([8, 8, 8]).numpy()
    seen = _CompiledRows(8, 16).attend(**parts, slots=slots, lengths=lengths)
    assert seen[1, 0].isnan().all()
    assert torch.equal(seen[[0, 2]], torch.ones(2, 2, 1, 16))


def test_a_slot_can_be_cut_back_to_its_beginning() -> None:
    """What is kept of a slot is what reading that much gives; more than it holds is refused."""
    cache = KvCache(DECODER, slots=1, capacity=40)
    read_chunk(DECODER, cache, 0, IDS[:20])
    cache.reset(0, keep=7)
    again = read_chunk(DECODER, cache, 0, IDS[7:12])
    other = KvCache(DECODER, slots=1, capacity=40)
    whole = read_chunk(DECODER, other, 0, IDS[:12])
    torch.testing.assert_close(again, whole[7:], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="holds 12 tokens, not 13"):
        cache.reset(0, keep=13)


def test_a_full_slot_refuses_more() -> None:
    """Neither a chunk nor a row is written past the end of its slot."""
    cache = KvCache(DECODER, slots=1, capacity=8)
    with pytest.raises(ValueError, match="9 tokens do not fit"):
        read_chunk(DECODER, cache, 0, IDS[:9])
    read_chunk(DECODER, cache, 0, IDS[:8])
    with pytest.raises(ValueError, match="full"):
        next_logits(DECODER, cache, [0], [5])


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(family: Family) -> None:
    """The continuations are those of transformers' own generate, prompt by prompt."""
    model = tiny_model(family=family, seed=2)
    prompts = [IDS[:3], IDS[5:30], IDS[2:3]]
    ours = greedy(Decoder(model), prompts, max_tokens=24, stop_ids={2}, linear=fast_linear(model))
    for prompt, reply in zip(prompts, ours, strict=True):
        theirs = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
            max_new_tokens=24,
            do_sample=False,
        )
        assert reply == theirs[0, len(prompt) :].tolist()


def test_greedy_stops_at_a_stop_token() -> None:
    """A continuation ends with its first stop token, and the others go on."""
    long = greedy(DECODER, [IDS[:3], IDS[3:9]], max_tokens=12, stop_ids=set())
    stop = long[0][4]
    short = greedy(DECODER, [IDS[:3], IDS[3:9]], max_tokens=12, stop_ids={stop})
    assert short[0] == long[0][: long[0].index(stop) + 1]
    assert short[1] == long[1][: long[1].index(stop) + 1 if stop in long[1] else None]


def test_greedy_reads_what_prompts_share_once() -> None:
    """Prompts that begin alike, that contain each other, or that are equal, reply as if alone."""
    prompts = [IDS[:9], [*IDS[:6], 7, 7], IDS[:3], IDS[:9], [9, *IDS[1:5]]]
    together = greedy(DECODER, prompts, max_tokens=12, stop_ids=())
    alone = [greedy(DECODER, [prompt], max_tokens=12, stop_ids=())[0] for prompt in prompts]
    assert together == alone


def test_a_slot_can_begin_as_another_one() -> None:
    """A copied beginning is what reading it gives, and what stood there before is forgotten."""
    cache = KvCache(DECODER, slots=2, capacity=40)
    read_chunk(DECODER, cache, 0, IDS[:20])
    read_chunk(DECODER, cache, 1, IDS[20:30])
    cache.copy(0, 1, 7)
    assert cache.lengths == [20, 7]
    again = read_chunk(DECODER, cache, 1, IDS[7:12])
    other = KvCache(DECODER, slots=1, capacity=40)
    whole = read_chunk(DECODER, other, 0, IDS[:12])
    torch.testing.assert_close(again, whole[7:], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="holds 20 tokens, not 21"):
        cache.copy(0, 1, 21)


def test_greedy_of_nothing_is_nothing() -> None:
    """No prompts, or no tokens to write, are no error; a prompt of nothing is."""
    assert greedy(DECODER, [], max_tokens=3, stop_ids=()) == []
    assert greedy(DECODER, [IDS], max_tokens=0, stop_ids=()) == [[]]
    with pytest.raises(ValueError, match="without tokens"):
        greedy(DECODER, [IDS, []], max_tokens=3, stop_ids=())


def test_greedy_asks_between_passes() -> None:
    """The caller is asked before each pass, and what it raises ends the work."""
    calls: list[int] = []

    def pause() -> None:
        calls.append(0)
        if len(calls) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        greedy(DECODER, [IDS[:3]], max_tokens=9, stop_ids=(), pause=pause)


def test_packing_shares_what_a_twin_shares() -> None:
    """Packing a twin packs only its own tensors, and gives the twin's results."""
    first = PackedLinear(MODEL)
    name = "model.layers.3.mlp.up_proj.weight"
    twin = with_weights(MODEL, {name: MODEL.get_parameter(name) * 2})
    second = PackedLinear(twin)
    differing = {key for key in first._packed if first._packed[key] is not second._packed[key]}
    assert differing == {name}
    reply = greedy(Decoder(twin), [IDS[:5]], max_tokens=8, stop_ids=(), linear=second)
    assert reply == greedy(Decoder(twin), [IDS[:5]], max_tokens=8, stop_ids=())


def test_a_packed_copy_lives_as_long_as_its_parameter() -> None:
    """Whoever asks first packs; when the last version with a parameter goes, its copy goes."""
    PackedLinear(MODEL)
    before, name = len(packed._KNOWN), "model.layers.3.mlp.up_proj.weight"
    twin = with_weights(MODEL, {name: MODEL.get_parameter(name) * 2})
    first, second = PackedLinear(twin), PackedLinear(twin)
    assert first._packed[name] is second._packed[name]
    assert len(packed._KNOWN) == before + 1
    del twin
    gc.collect()
    assert len(packed._KNOWN) == before


def test_only_float32_on_a_processor_is_packed() -> None:
    """A model of another type is applied plainly instead of wrongly."""
    half = tiny_model().to(torch.bfloat16)
    assert not packable(half)
    assert fast_linear(half) is plain
    reply = greedy(Decoder(half), [IDS[:5]], max_tokens=4, stop_ids=())
    assert len(reply[0]) == 4
