"""Text as the token ids of multilingual-e5-small: SentencePiece's Unigram, looked up in place.

The pieces lie in one sorted array: all parts of a word are searched in it at once, and the most
probable way through them is found by dynamic programming (Kudo 2018, "Subword Regularization"). No
piece goes on into another word, so what a word came to is kept for the next text.
A tokenizer that holds a quarter of a million pieces as objects takes 240 MB; this takes 20.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.model.embedding.e5_file import Pieces

_SPACE: Final = "▁"
_SPACES: Final = re.compile(" {2,}")
_WORD: Final = re.compile(f"{_SPACE}[^{_SPACE}]*")
# Words whose pieces are kept: most of a text are common ones.
_KEPT: Final = 8192
# No piece of the vocabulary has more characters.
LONGEST: Final = 16
# An unknown character costs this much more than the least likely piece (SentencePiece's constant).
_UNKNOWN_COST: Final = 10.0


class E5Tokens:
    """A tokenizer."""

    def __init__(self, pieces: Pieces, normal: Mapping[str, str]) -> None:
        self._pieces, self._normal = pieces, normal
        self._ids: npt.NDArray[np.int32] = np.argsort(pieces.texts, kind="stable").astype(np.int32)
        self._sorted = pieces.texts[self._ids]
        self._unknown_score = float(pieces.scores.min()) - _UNKNOWN_COST
        self._of_word = lru_cache(_KEPT)(self._best)

    @property
    def padding(self) -> int:
        """The id that fills a batch up."""
        return self._pieces.padding

    def __call__(self, text: str, *, most: int) -> list[int]:
        """Return the ids of a text, its first and last mark included, at most so many."""
        plain = "".join(self._normal.get(each, each) for each in text.replace("\0", " "))
        plain = _SPACES.sub(" ", plain)
        marked = (plain if plain.startswith(" ") else f" {plain}").replace(" ", _SPACE)
        # no piece goes on into another word, so each has its own best way
        inner = chain.from_iterable(map(self._of_word, _WORD.findall(marked)))
        return [self._pieces.first, *islice(inner, most - 2), self._pieces.last]

    def _best(self, text: str) -> tuple[int, ...]:
        """The most probable pieces of a word; unknown characters beside each other are one."""
        found = self._found(text)
        length, unknown = len(text), self._pieces.unknown
        score = [0.0] + [-np.inf] * length
        way = [(0, unknown)] * (length + 1)  # where the last piece begins, and its id
        for start in range(length):
            for end, id in found[start]:
                known = score[start] + float(self._pieces.scores[id])
                if known > score[end]:
                    score[end], way[end] = known, (start, id)
            if score[start] + self._unknown_score > score[start + 1]:
                score[start + 1] = score[start] + self._unknown_score
                way[start + 1] = (start, unknown)
        ids, end = list[int](), length
        while end:
            end, id = way[end]
            if not (id == unknown and ids and ids[-1] == unknown):
                ids.append(id)
        return tuple(reversed(ids))

    def _found(self, text: str) -> list[list[tuple[int, int]]]:
        """The pieces that begin at each character: where they end, and their ids."""
        coded = [each.encode("utf-8", "replace") for each in text]
        places, parts = list[tuple[int, int]](), list[bytes]()
        for start in range(len(text)):
            part = b""
            for end in range(start, min(len(text), start + LONGEST)):
                part += coded[end]
                if len(part) > self._sorted.itemsize:
                    break
                places.append((start, end + 1))
                parts.append(part)
        found: list[list[tuple[int, int]]] = [[] for _ in text]
        if not parts:
            return found
        wanted = np.array(parts, dtype=self._sorted.dtype)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        for place in np.flatnonzero(self._sorted[at] == wanted):
            start, end = places[place]
            found[start].append((end, int(self._ids[at[place]])))
        return found
