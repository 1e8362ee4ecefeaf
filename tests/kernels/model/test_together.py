"""Rows of several versions in one walk have the logits that they would have alone, to the bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.model.decode import next_logits, read_chunk
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import EMBEDDING, NORM, with_weights
from kernels.model.together import Rows, next_logits_of, num_common
from tests.tiny import as_stored, tiny_model

BASE = Decoder(as_stored(tiny_model(seed=5)))
LAST = "model.layers.3.mlp.down_proj.weight"
FIRST = "model.layers.0.self_attn.q_proj.weight"
PROMPT = torch.randint(3, 384, (24,), generator=torch.Generator().manual_seed(0)).tolist()


def version(*names: str) -> Decoder:
    """Build a version in which some parameters differ from the base's."""
    moved = {name: BASE.model.get_parameter(name) * 1.5 for name in names}
    return Decoder(with_weights(BASE.model, moved))


VERSIONS = {
    "last block": version(LAST),
    "first block": version(FIRST),
    "a norm": version("model.layers.2.input_layernorm.weight"),
    "final norm": version(NORM),
    "embedding": version(EMBEDDING),
}


@pytest.mark.parametrize(
    ("name", "common"),
    [("last block", 3), ("first block", 0), ("a norm", 2), ("final norm", 4), ("embedding", 4)],
)
def test_what_versions_have_in_common_is_found(name: str, common: int) -> None:
    """By the first block in which a layer or a norm is another one."""
    assert num_common([BASE, VERSIONS[name]]) == common  # of blocks: the embedding is none
    assert num_common([VERSIONS[name]]) == num_common([BASE, BASE]) == 4


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["base", *VERSIONS]), st.integers(1, 20)), min_size=1, max_size=6
    )
)
def test_a_row_is_what_it_would_be_alone(rows: list[tuple[str, int]]) -> None:
    """Whatever versions stand beside it, in whatever number and length."""
    known = {"base": BASE, **VERSIONS}
    cache = KvCache(BASE, capacity=32, tokens=32 * 2 * len(rows), page_tokens=8)
    parts: dict[str, list[int]] = {}
    alone: dict[int, torch.Tensor] = {}
    with torch.inference_mode():
        for name, length in rows:
            slot, twin = cache.open(), cache.open()
            for each in (slot, twin):
                read_chunk(known[name], cache, each, PROMPT[:length])
            alone[slot] = next_logits(known[name], cache, [twin], [7])[0]
            parts.setdefault(name, []).append(slot)
        groups = [Rows(known[name], slots, [7] * len(slots)) for name, slots in parts.items()]
        lengths = {slot: cache.length(slot) for slot in alone}
        for group, logits in zip(groups, next_logits_of(cache, groups), strict=True):
            for slot, row in zip(group.slots, logits, strict=True):
                assert torch.equal(row, alone[slot])
                assert cache.length(slot) == lengths[slot] + 1
