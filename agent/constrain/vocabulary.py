"""The vocabulary that grammars are compiled for, as plain data: another process can be given it.

Knows nothing of what reads it.
"""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of one model.

    tokenizer: as the library tokenizers writes one, JSON
    num_tokens: of the model's scores
    stop_ids: tokens that end a reply
    controls: special tokens by their names
    """

    tokenizer: str
    num_tokens: int
    stop_ids: tuple[int, ...]
    controls: Mapping[str, int]


def vocabulary_of(tokenizer: Any, *, num_tokens: int, stop_ids: Collection[int]) -> Vocabulary:
    """Read what is needed of a fast tokenizer of transformers, added tokens included."""
    plain = copy(tokenizer.backend_tokenizer)
    plain.no_padding()
    plain.no_truncation()
    added = plain.get_added_tokens_decoder()
    controls = {token.content: n for n, token in added.items() if token.special}
    return Vocabulary(plain.to_str(), num_tokens, tuple(sorted(stop_ids)), controls)
