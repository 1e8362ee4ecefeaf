"""Sequences that share their beginnings see exactly what they would see alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.forward import causal
from learner.packing import pack
from streams.base_model import BaseModel

SEQUENCES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9), min_size=1, max_size=7)


@given(SEQUENCES)
def test_every_path_spells_its_sequence(sequences: list[list[int]]) -> None:
    """Following a path gives back the tokens, each at its own position."""
    packed = pack(sequences)
    for path, tokens in zip(packed.paths, sequences, strict=True):
        assert packed.ids[0, list(path)].tolist() == tokens
        assert packed.positions[0, list(path)].tolist() == list(range(len(tokens)))


@given(SEQUENCES)
def test_shared_beginnings_stand_once(sequences: list[list[int]]) -> None:
    """The row has one place for each distinct beginning, and segments cover it without a gap."""
    packed = pack(sequences)
    beginnings = {tuple(s[: i + 1]) for s in sequences for i in range(len(s))}
    assert packed.ids.shape[1] == len(beginnings)
    ends = [0, *(segment.end for segment in packed.segments)]
    assert [segment.first for segment in packed.segments] == ends[:-1]


@settings(max_examples=20, deadline=None)
@given(sequences=SEQUENCES)
def test_packed_states_equal_separate_ones(
    tiny_base: BaseModel, sequences: list[list[int]]
) -> None:
    """Hidden states of a packed sequence are those of the sequence alone."""
    decoder, packed = tiny_base.decoder, pack(sequences)
    with torch.inference_mode():
        together = decoder.run(
            decoder.embed(packed.ids), rope=decoder.rope(packed.positions), attend=packed.attend
        )
        for path, tokens in zip(packed.paths, sequences, strict=True):
            ids = torch.tensor([tokens])
            rope = decoder.rope(torch.arange(len(tokens))[None])
            alone = decoder.run(decoder.embed(ids), rope=rope, attend=causal)
            torch.testing.assert_close(together[:, list(path)], alone, rtol=1e-4, atol=1e-3)


def test_an_empty_sequence_is_refused() -> None:
    """Nothing cannot be packed."""
    with pytest.raises(ValueError, match="empty"):
        pack([[1], []])
