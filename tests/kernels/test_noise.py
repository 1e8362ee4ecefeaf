"""Noise is the address of a sign; these vectors and laws may never change."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import normal
from kernels.change import COLUMNS, FULL, ROWS, Address, Span
from kernels.reference import noise

GOLDEN, NORMAL = (
    json.loads((Path(__file__).parents[1] / "golden" / name).read_text())
    for name in ("noise_v1.json", "normal_v1.json")
)


@pytest.mark.parametrize("vector", GOLDEN["philox"], ids=lambda v: v["words"][0])
def test_philox_gives_the_known_answers_of_random123(vector: dict[str, Any]) -> None:
    """Counter and key of Random123's own test file give its words."""
    low, high = (int(word, 16) for word in vector["key"])
    counter = tuple(int(word, 16) for word in vector["counter"])
    words = noise.philox(counter, high << 32 | low)
    assert [f"{int(word):08x}" for word in words] == vector["words"]


@pytest.mark.parametrize("vector", GOLDEN["signs"], ids=lambda v: v["key"])
def test_signs_are_the_golden_ones(vector: dict[str, Any]) -> None:
    """The signs at three far-apart addresses are those of the first release."""
    address = Address(int(vector["key"], 16), vector["tensor"])
    span = Span(vector["side"], vector["count"], vector["first"])
    signs = noise.signs(address, span, pairs=vector["pairs"])
    drawn = ["".join("+" if sign > 0 else "-" for sign in row) for row in signs[-2:]]
    assert drawn == vector["last_pairs"]


@pytest.mark.parametrize(("name", "word"), GOLDEN["tensors"].items())
def test_a_tensor_is_addressed_by_its_name(name: str, word: int) -> None:
    """The tensor's counter word comes from its Hugging Face name alone."""
    assert Address.of(7, name) == Address(7, word)


@pytest.mark.parametrize("vector", NORMAL["deviates"], ids=lambda v: v["key"])
def test_deviates_are_the_golden_ones(vector: dict[str, Any]) -> None:
    """The normal deviates at three far-apart addresses are those of the first release."""
    address = Address(int(vector["key"], 16), vector["tensor"])
    span = Span(vector["side"], vector["count"], vector["first"])
    drawn = noise.normals(address, span, pairs=vector["pairs"])
    assert drawn[-2:].tolist() == vector["last_pairs"]


def test_a_deviate_is_the_documented_place_in_the_table() -> None:
    """Pair p at element e: the upper 13 bits of half p & 1 of word e & 3 at (e >> 2, p >> 1, …)."""
    key, tensor, element, pair = 77, 5, 1234567, 45
    words = noise.philox((element >> 2, pair >> 1, tensor, FULL + 16), key)
    half = int(words[element & 3]) >> 16 & 0xFFFF
    drawn = noise.normals(Address(key, tensor), Span(FULL, 1, element), pairs=pair + 1)
    assert drawn[pair, 0] == normal.deviates()[half >> 3]


def test_a_sign_is_the_documented_bit() -> None:
    """Sign of pair p at element e is bit p & 31 of word e & 3 at (e >> 2, p >> 5, tensor, side)."""
    key, tensor, element, pair = 77, 5, 1234567, 45
    words = noise.philox((element >> 2, pair >> 5, tensor, FULL), key)
    bit = int(words[element & 3]) >> (pair & 31) & 1
    signs = noise.signs(Address(key, tensor), Span(FULL, 1, element), pairs=pair + 1)
    assert signs[pair, 0] == 1 - 2 * bit


@given(
    key=st.integers(0, 2**64 - 1),
    first=st.integers(0, 2**34 - 64),
    cut=st.integers(0, 50),
    pairs=st.integers(1, 70),
)
def test_any_shard_holds_the_signs_of_the_whole(key: int, first: int, cut: int, pairs: int) -> None:
    """A range cut in two, and fewer pairs, give the same signs."""
    address = Address(key, 9)
    whole = noise.signs(address, Span(ROWS, 50, first), pairs=70)
    left = noise.signs(address, Span(ROWS, cut, first), pairs=pairs)
    right = noise.signs(address, Span(ROWS, 50 - cut, first + cut), pairs=pairs)
    assert np.array_equal(np.concatenate([left, right], axis=1), whole[:pairs])


def test_signs_are_balanced_and_independent() -> None:
    """Means and correlations over pairs, sides and keys are within five standard errors of 0."""
    count = 4096
    drawn = [
        noise.signs(Address(key, 1), Span(side, count), pairs=40)
        for key in (1, 2)
        for side in (ROWS, COLUMNS, FULL)
    ]
    rows = np.concatenate(drawn).astype(np.float64)
    correlation = rows @ rows.T / count
    assert np.abs(rows.mean(axis=1)).max() < 5 / np.sqrt(count)
    assert np.abs(correlation - np.eye(len(rows))).max() < 5.5 / np.sqrt(count)
