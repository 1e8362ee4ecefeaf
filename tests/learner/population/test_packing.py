"""Sequences that share their beginnings see exactly what they would see alone."""

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.model.forward import causal
from learner.population.packing import pack
from streams.model.open import BaseModel

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


@settings(max_examples=20, deadline=None)
@given(sequences=SEQUENCES, draw=st.randoms(use_true_random=False))
def test_states_of_some_rows_are_those_of_all(
    tiny_base: BaseModel, sequences: list[list[int]], draw: Random
) -> None:
    """Leaving out what no one asks for in the last block changes nothing of what is asked for."""
    decoder, packed = tiny_base.decoder, pack(sequences)
    count = packed.ids.shape[1]
    rows = torch.tensor(sorted(draw.sample(range(count), draw.randint(1, count))))
    with torch.inference_mode():
        hidden, rope = decoder.embed(packed.ids), decoder.rope(packed.positions)
        whole = decoder.run(hidden, rope=rope, attend=packed.attend)
        some = decoder.run(hidden, rope=rope, attend=packed.attend, wanted=packed.wanted(rows))
    torch.testing.assert_close(some, whole[:, rows], rtol=1e-5, atol=1e-5)


def test_an_empty_sequence_is_refused() -> None:
    """Nothing cannot be packed."""
    with pytest.raises(ValueError, match="empty"):
        pack([[1], []])
