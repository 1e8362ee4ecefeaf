"""Reading a sequence bit by bit through the KV cache equals reading it at once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kernels.model.decode import continued, greedy
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.layers import PlainLayer
from kernels.model.read import next_logits, read_chunk
from tests.tiny import FAMILIES, Family, as_plain, as_stored, tiny_model

MODEL = tiny_model(seed=5)
DECODER = Decoder(as_stored(MODEL))
IDS = torch.randint(3, 384, (40,), generator=torch.Generator().manual_seed(0)).tolist()


@pytest.fixture(params=["plain", "packed"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """The model with its layers stored either way."""
    return DECODER if request.param == "packed" else Decoder(as_plain(DECODER.model))


def cache_of(decoder: Decoder, slots: int) -> tuple[KvCache, list[int]]:
    """Open a cache of sequences of up to 40 tokens, in pages of 8, and some empty slots."""
    cache = KvCache(decoder, capacity=40, tokens=40 * slots, page_tokens=8)
    return cache, [cache.open() for _ in range(slots)]


def test_chunks_of_any_size_give_the_whole(decoder: Decoder) -> None:
    """Reading a prompt in uneven chunks gives the hidden states of reading it at once."""
    whole, (slot,) = cache_of(DECODER, 1)
    expected = read_chunk(DECODER, whole, slot, IDS)
    cache, (_, _, slot) = cache_of(decoder, 3)
    parts, start = list[Tensor](), 0
    for size in (1, 7, 1, 20, 11):
        parts.append(read_chunk(decoder, cache, slot, IDS[start : start + size]))
        start += size
    torch.testing.assert_close(torch.cat(parts), expected, atol=1e-4, rtol=1e-4)


def test_rows_of_different_lengths_see_only_their_own_past(decoder: Decoder) -> None:
    """Decoding rows of unlike lengths in shuffled slots gives the model's own logits for each."""
    cache, slots = cache_of(decoder, 4)
    lengths = {slots[2]: 1, slots[0]: 17, slots[3]: 39}
    for slot, length in lengths.items():
        read_chunk(decoder, cache, slot, IDS[:length])
    last = [IDS[length] for length in lengths.values()]
    logits = next_logits(decoder, cache, list(lengths), last)
    for row, length in zip(logits, lengths.values(), strict=True):
        expected = MODEL(torch.tensor([IDS[: length + 1]])).logits[0, -1]
        torch.testing.assert_close(row, expected, atol=2e-4, rtol=1e-4)


def test_a_row_does_not_depend_on_its_batch() -> None:
    """With packed weights a row's logits are the same to the bit, alone or among others."""

    def logits(lengths: Sequence[int]) -> list[Tensor]:
        cache, slots = cache_of(DECODER, len(lengths))
        for slot, length in zip(slots, lengths, strict=True):
            read_chunk(DECODER, cache, slot, IDS[:length])
        last = [IDS[length] for length in lengths]
        return list(next_logits(DECODER, cache, slots, last))

    lengths = [3, 30, 9, 9, 1, 22, 38, 14, 5]
    for row, length in zip(logits(lengths), lengths, strict=True):
        assert torch.equal(row, logits([length])[0])


def test_a_model_of_half_precision_decodes() -> None:
    """Where nothing is packed or compiled, the reply is that of the model itself."""
    model = tiny_model().to(torch.bfloat16)
    layers = {
        name: PlainLayer(layer.plain().bfloat16(), layer.bias)
        for name, layer in as_stored(tiny_model()).layers.items()
    }
    stored = as_stored(tiny_model())
    vectors = {name: vector.bfloat16() for name, vector in stored.vectors.items()}
    decoder = Decoder(replace(stored, layers=layers, vectors=vectors))
    (reply,) = greedy(decoder, [IDS[:5]], max_tokens=4, stop_ids=())
    theirs = model.generate(
        torch.tensor([IDS[:5]]),
        attention_mask=torch.ones(1, 5, dtype=torch.int64),
        max_new_tokens=4,
        do_sample=False,
    )
    assert reply == theirs[0, 5:].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(family: Family) -> None:
    """The continuations are those of transformers' own generate, prompt by prompt."""
    model = tiny_model(family=family, seed=2)
    prompts = [IDS[:3], IDS[5:30], IDS[2:3]]
    ours = greedy(Decoder(as_stored(model)), prompts, max_tokens=24, stop_ids={2})
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


def test_whoever_chooses_is_told_of_which_prompt_each_row_is() -> None:
    """Prompts that share a beginning, in any order, each end where their own choice says."""
    prompts = [IDS[:5], IDS[:3], IDS[:7], IDS[:3]]
    stops = {100 + place: 1 + place for place in range(4)}  # ends after so many tokens
    told: dict[int, int] = dict.fromkeys(range(4), 0)

    def choose(places: Sequence[int], logits: Tensor) -> list[int]:
        assert logits.shape == (len(places), 384)
        for place in places:
            told[place] += 1
        return [
            100 + place if told[place] == stops[100 + place] else 10 + place for place in places
        ]

    found = continued(DECODER, prompts, choose, max_tokens=9, stop_ids=stops)
    assert found == [[10 + place] * place + [100 + place] for place in range(4)]
