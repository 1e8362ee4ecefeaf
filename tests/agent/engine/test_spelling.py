"""Tokens are named by what they write: their bytes, joined, are the text, however it was cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken

from agent.engine.spelling import Spelling, Spellings, spelt
from tests.tiny import tiny_pieces_tokenizer, tiny_tokenizer

BYTES, PIECES = tiny_tokenizer(), tiny_pieces_tokenizer()
CALLS = tiny_tokenizer()
CALLS.add_tokens([AddedToken("<tool_call>", special=True), AddedToken("<think>", special=False)])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\u2581"), min_size=1)


def ids_of(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


@pytest.mark.parametrize(("tokenizer", "first"), [(BYTES, ""), (PIECES, " ")])
@given(text=TEXT)
def test_the_bytes_of_the_tokens_are_the_text(tokenizer: Any, first: str, text: str) -> None:
    """Nothing of a character is lost between two tokens; names are text where bytes are."""
    spellings = Spellings(tokenizer)
    named = [spellings[token] for token in ids_of(tokenizer, text)]
    written = b"".join(each.bytes or b"" for each in named)
    assert written.decode() == first + text  # sentence pieces begin every text with a space
    assert all(each == spelt(each.bytes or b"") for each in named)


def test_a_part_of_a_character_has_bytes_and_an_escaped_name() -> None:
    """A sign that no token has as a whole is cut, and every part can be told from another."""
    named = [Spellings(BYTES)[token] for token in ids_of(BYTES, "☀")]
    assert [each.name for each in named] == ["\\xe2", "\\x98", "\\x80"]
    assert [each.bytes for each in named] == [b"\xe2", b"\x98", b"\x80"]


def test_control_tokens_have_a_name_and_write_nothing() -> None:
    """Special tokens are control tokens; other added ones are text; unknown numbers are nothing."""
    spellings = Spellings(CALLS)
    assert spellings[2] == Spelling("<|im_end|>", None)
    assert spellings[384] == Spelling("<tool_call>", None)
    assert spellings[385] == Spelling("<think>", b"<think>")
    assert spellings[10_000] == Spelling("", b"")
