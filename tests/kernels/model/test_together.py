"""Rows of several versions in one step have the logits that they have alone, to the bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernels.model.decode import Part, next_logits, next_logits_of, read_chunk
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import EMBEDDING, NORM, with_weights
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
@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(VERSIONS), st.integers(1, 40)), min_size=1, max_size=20
    ),
    threads=st.sampled_from([1, 2]),
)
def test_a_row_is_what_it_is_alone(base: str, rows: list[tuple[str, int]], threads: int) -> None:
    """Whatever versions stand beside it, in whatever number, order and length."""
    versions = BASES[base]
    cache = KvCache(versions["base"], capacity=48, tokens=96 * len(rows), page_tokens=8)
    parts: dict[str, list[int]] = {}
    alone: dict[int, Tensor] = {}
    before = torch.get_num_threads()
    with torch.inference_mode():
        for name, length in rows:
            slot = cache.open()
            read_chunk(versions[name], cache, slot, PROMPT[:length])
            twin = cache.fork(slot, length)
            alone[slot] = next_logits(versions[name], cache, [twin], [length])[0]
            parts.setdefault(name, []).append(slot)
        lengths = {slot: cache.length(slot) for slot in alone}
        torch.set_num_threads(threads)
        together = [
            Part(versions[name], slots, [lengths[slot] for slot in slots])
            for name, slots in parts.items()
        ]
        logits = next_logits_of(cache, together)
        torch.set_num_threads(before)
    slots = [slot for part in together for slot in part.slots]
    for slot, row in zip(slots, logits, strict=True):
        assert torch.equal(row, alone[slot])
        assert cache.length(slot) == lengths[slot] + 1


def test_what_fails_can_be_read_again() -> None:
    """A token that a model does not have leaves every sequence as long as it was."""
    versions = BASES["compiled, float32"]
    cache = KvCache(versions["base"], capacity=8, tokens=64, page_tokens=8)
    slots = [cache.open(), cache.open()]
    good = Part(versions["base"], slots[:1], [3])
    with torch.inference_mode():
        with pytest.raises(IndexError):
            next_logits_of(cache, [good, Part(versions["all"], slots[1:], [384])])
        assert [cache.length(slot) for slot in slots] == [0, 0]
        assert torch.isfinite(next_logits_of(cache, [good])).all()
