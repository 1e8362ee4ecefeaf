"""Rows of several versions in one step have the logits that they have alone, to the bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import EMBEDDING, NORM, with_weights
from kernels.model.read import Piece, next_logits, next_logits_of
from tests.kernels.model.test_step import DECODERS
from tests.tiny import as_stored, tiny_model

PROMPT = torch.randint(3, 384, (40,), generator=torch.Generator().manual_seed(0)).tolist()
MOVED = {
    "the last block's MLP": [f"model.layers.3.mlp.{x}_proj.weight" for x in ("gate", "up", "down")],
    "attention in the middle": [f"model.layers.1.self_attn.{x}_proj.weight" for x in "qo"],
    "the first values": ["model.layers.0.self_attn.v_proj.weight"],
    "norms": ["model.layers.2.input_layernorm.weight", NORM],
    "the embedding": [EMBEDDING],
}


def versions_of(base: Decoder) -> dict[str, Decoder]:
    """Return the base, a version for each of these sets of tensors, and one that moves all."""
    whole = [name for name in base.model.names if not name.endswith(".bias")]
    sets = {**MOVED, "all": whole}
    made = {"base": base}
    for number, (name, tensors) in enumerate(sets.items()):
        factor = 1.25 + number / 8
        weights = {each: base.model.get_parameter(each) * factor for each in tensors}
        made[name] = Decoder(with_weights(base.model, weights))
    return made


BASES = {
    **{f"compiled, {name}": versions_of(base) for name, base in DECODERS.items()},
    "layer by layer": versions_of(Decoder(as_stored(tiny_model(family="qwen2")))),
}
VERSIONS = ["base", *MOVED, "all"]


@pytest.mark.parametrize("base", BASES)
@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(VERSIONS), st.integers(0, 25), st.sampled_from([1, 1, 2, 15])),
        min_size=1,
        max_size=16,
    ),
    threads=st.sampled_from([1, 2]),
)
def test_a_piece_is_what_it_is_alone(
    base: str, rows: list[tuple[str, int, int]], threads: int
) -> None:
    """Whatever stands beside it: versions, numbers, places, tokens and pieces of prompts.

    In the compiled walk on any number of threads; torch's own operators sum otherwise on another.
    """
    versions = BASES[base]
    cache = KvCache(versions["base"], capacity=48, tokens=160 * len(rows), page_tokens=8)
    pieces, alone, lengths = [], [], []
    before = torch.get_num_threads()
    if base == "layer by layer":
        torch.set_num_threads(threads)
    with torch.inference_mode():
        for name, length, tokens in sorted(rows):
            slot, ids = cache.open(), PROMPT[length : length + tokens]
            if length:
                next_logits_of(cache, [Piece(versions[name], slot, PROMPT[:length])])
            twin = cache.fork(slot, length)
            alone.append(next_logits_of(cache, [Piece(versions[name], twin, ids)])[0])
            alone.append(next_logits(versions[name], cache, [twin], [7])[0])
            pieces.append(Piece(versions[name], slot, ids))
            lengths.append(length)
        torch.set_num_threads(threads)
        logits = next_logits_of(cache, pieces)
        then = next_logits_of(cache, [Piece(each.decoder, each.slot, [7]) for each in pieces])
        torch.set_num_threads(before)
    for piece, length in zip(pieces, lengths, strict=True):
        assert cache.length(piece.slot) == length + len(piece.ids) + 1
    assert torch.equal(torch.stack([logits, then], 1).flatten(0, 1), torch.stack(alone))


@pytest.mark.parametrize("cut", [1, 7, 8, 16, 39])
def test_where_a_prompt_is_cut_changes_no_bit(cut: int) -> None:
    """A token is read alike in the compiled step, as one of many or alone."""
    decoder = BASES["compiled, 16 bits"]["base"]
    cache = KvCache(decoder, capacity=48, tokens=160)
    with torch.inference_mode():
        whole, parts = cache.open(), cache.open()
        expected = next_logits_of(cache, [Piece(decoder, whole, PROMPT)])
        for start in range(0, len(PROMPT), cut):
            found = next_logits_of(cache, [Piece(decoder, parts, PROMPT[start : start + cut])])
    assert torch.equal(found, expected)


def test_what_fails_can_be_read_again() -> None:
    """A token that a model does not have leaves every sequence as long as it was."""
    versions = BASES["compiled, float32"]
    cache = KvCache(versions["base"], capacity=8, tokens=64, page_tokens=8)
    slots = [cache.open(), cache.open()]
    good = Piece(versions["base"], slots[0], [3])
    with torch.inference_mode():
        with pytest.raises(IndexError):
            next_logits_of(cache, [good, Piece(versions["all"], slots[1], [384])])
        assert [cache.length(slot) for slot in slots] == [0, 0]
        assert torch.isfinite(next_logits_of(cache, [good])).all()
