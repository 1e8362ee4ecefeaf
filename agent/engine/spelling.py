"""Names tokens by what they write themselves, whatever of it was held back or already told.

A token may be a part of a character: its bytes are then not text, and its name shows them escaped,
as OpenAI's names of tokens do. A control token (a special one, such as the end of a turn) writes
nothing: it has a name and no bytes.

Knows byte-level vocabularies (Radford et al. 2019) and sentence pieces with bytes to fall back on
(Kudo & Richardson 2018); a token of another vocabulary is what the tokenizer decodes it to alone.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

_SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"  # how sentence pieces write a space
_BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")


@dataclass(frozen=True, slots=True)
class Spelling:
    """A token's own name, and what it writes; None: nothing, it is a control token."""

    name: str
    bytes: bytes | None


UNSPELT: Final = Spelling("", b"")


def spelt(written: bytes) -> Spelling:
    r"""The spelling of a token that writes these bytes.

    >>> spelt("é".encode()).name, spelt(b" \xc3").name
    ('é', ' \\xc3')
    """
    return Spelling(written.decode(errors="backslashreplace"), written)


class Spellings:
    """The spellings of a tokenizer's tokens, each worked out when it is first asked for."""

    def __init__(self, tokenizer: Any) -> None:
        """Take a fast tokenizer of transformers."""
        self._tokenizer = tokenizer
        self._backend: Any = tokenizer.backend_tokenizer
        self._added: dict[int, Any] = self._backend.get_added_tokens_decoder()
        self._kind = _kind_of(self._backend.decoder)
        self._known: dict[int, Spelling] = {}
        # sentence pieces: a text begins with a space, which decoding it takes away
        spaced = (id for piece, id in self._backend.get_vocab().items() if piece[:1] == _SPACE)
        first = next(spaced, None) if self._kind == "pieces" else None
        self.drops_space = first is not None and not tokenizer.decode([first]).startswith(" ")

    def __getitem__(self, token: int) -> Spelling:
        """The spelling of a token; a number that is none of the tokenizer's writes nothing."""
        if token not in self._known:
            self._known[token] = self._spell(token)
        return self._known[token]

    def behind(self, before: int | None, token: int) -> bytes:
        """What a token writes behind another one; None: at the beginning."""
        if before is None or self._kind != "other" or token in self._added:
            return self[token].bytes or b""
        both, alone = (str(self._tokenizer.decode(ids)) for ids in ([before, token], [before]))
        return both[len(alone) :].encode()

    def _spell(self, token: int) -> Spelling:
        if token in self._added:
            added = self._added[token]
            return Spelling(added.content, None) if added.special else spelt(added.content.encode())
        piece: str | None = self._backend.id_to_token(token)
        if piece is None:
            return UNSPELT
        if self._kind == "bytes" and all(char in _BYTES for char in piece):
            return spelt(bytes(_BYTES[char] for char in piece))
        if self._kind == "pieces":
            found = _BYTE.fullmatch(piece)
            return spelt(bytes.fromhex(found[1]) if found else piece.replace(_SPACE, " ").encode())
        return spelt(str(self._tokenizer.decode([token])).encode())


def _kind_of(decoder: Any) -> str:
    """How a tokenizer's decoder reads the pieces of its vocabulary: bytes, pieces or other."""
    if decoder is None:
        return "other"
    state = json.loads(decoder.__getstate__())
    kinds = [state, *state.get("decoders", [])]
    if any(each["type"] == "ByteLevel" for each in kinds):
        return "bytes"
    sentence_pieces = any(
        each["type"] == "Metaspace" or each.get("pattern") == {"String": _SPACE} for each in kinds
    )
    return "pieces" if sentence_pieces else "other"


def _byte_alphabet() -> dict[str, int]:
    """The character by which a byte-level vocabulary writes each byte (GPT-2's bytes_to_unicode).

    Printable ones stand for themselves, the others for what comes after Latin-1, in order.
    """
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    shifted = {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return {chr(byte): byte for byte in plain} | shifted


_BYTES: Final = _byte_alphabet()
