"""An embedder whose vectors are noise by the text's hash: quick, and alike for the same text."""

import hashlib
from collections.abc import Sequence

import numpy as np

from streams.model.embed import Vectors


class HashedEmbedder:
    """The port of embedders, without a meaning."""

    name = "hashed"
    dimensions = 384

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of length one for each text."""
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vectors:
        seed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        noise = np.random.default_rng(list(seed)).normal(size=self.dimensions)
        vector: Vectors = (noise / np.linalg.norm(noise)).astype(np.float32)
        return vector
