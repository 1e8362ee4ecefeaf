"""What versions are made of: a recipe leads from parent to child, a mask says what never moves.

Both are named by a hash of their bytes, so that a name says what is behind it.
"""

import hashlib
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from streams.wire import Record, encode


class Mask(Record):
    """The frozen units of a base model: neurons and attention groups by layer."""

    KIND: ClassVar[str] = "mask"

    base: str
    neurons: dict[int, list[int]] = Field(description="layer → frozen MLP neurons, ascending")
    groups: dict[int, list[int]] = Field(description="layer → frozen attention (KV) groups")

    @property
    def digest(self) -> str:
        """Name of this mask: what a recipe's `mask` must equal."""
        return hashlib.sha256(encode(self)).hexdigest()


Noise = Literal["rank1", "full", "normal", "screened", "directed"]
_MADE_IN: dict[str, int] = {"normal": 2, "screened": 3, "directed": 5}
# Small integers in the digits of base64 (kernels.version.digits): −31 to 31.
_Factor = Annotated[str, Field(pattern="^[B-Za-z0-9_-]+$")]
_POOL = 2**14  # row signs, and column signs, of a tensor that a screen searches (kernels.change)


class Recipe(Record):
    """What turns a parent version into its child; the child's name is its hash.

    Version 2 brought normal noise, version 3 screened noise: pairs that each move one tensor, by
    row and column signs that were searched for; version 4 decay towards the base; version 5
    directed noise, whose factors are written out. A recipe is of the version that its noise and
    decay need, so that the same recipe has one name, whichever build makes it.
    """

    KIND: ClassVar[str] = "recipe"
    VERSION: ClassVar[int] = 5
    ADDED: ClassVar[dict[str, int]] = {
        "tensors": 3,
        "rows": 3,
        "columns": 3,
        "decay": 4,
        "left": 5,
        "right": 5,
    }

    line: str
    number: int = Field(ge=1, description="length of the chain from the base to this version")
    parent: str
    strategy: Literal["es", "randopt"]
    noise: Noise
    key: str = Field(pattern="^[0-9a-f]{16}$", description="the generation's 64-bit key")
    coefficients: list[int] = Field(min_length=1, description="one a pair, |c| ≤ 255")
    step: int = Field(ge=1, description="u of K += u · Σ c a bᵀ; directed: in units of 2⁻⁶")
    sigma_log2: int = Field(description="members were probed at 2^(scale + sigma_log2)")
    layers: list[int]
    modules: list[str]
    scales: list[int] = Field(description="log2 of each tensor's RMS at the base, rounded")
    mask: str = Field(description="digest of the Mask in force")
    digest: str = Field(description="digest of the child's integer master")
    tensors: list[int] = Field(
        default=[],
        description="screened, directed: the tensor that each pair moves, by its place in layers ×"
        " modules",
    )
    rows: list[int] = Field(
        default=[], description="screened: the number of each pair's row signs in the pool"
    )
    columns: list[int] = Field(default=[], description="screened: likewise of its column signs")
    left: list[_Factor] = Field(
        default=[],
        description="directed: each pair's factor of rows, a digit of base64 for every unit, less"
        " 32, in units of 2⁻³",
    )
    right: list[_Factor] = Field(default=[], description="directed: likewise its factor of columns")
    decay: int = Field(
        default=0,
        ge=0,
        lt=2**16,
        description="d of K −= sign(K) · (|K| · d >> 16), which comes before the step, in the"
        " tensors of layers × modules; 0: none",
    )

    @property
    def made_in(self) -> int:
        """The one version that a recipe of this noise and decay has."""
        return max(4 if self.decay else 1, _MADE_IN.get(self.noise, 1))

    @model_validator(mode="after")
    def _of_one_version(self) -> Self:
        if self.v != self.made_in:
            decays = "with" if self.decay else "without"
            raise ValueError(
                f"a recipe of {self.noise} noise {decays} decay has version {self.made_in}"
            )
        return self

    @model_validator(mode="after")
    def _of_known_signs(self) -> Self:
        pairs = len(self.coefficients)
        screened = pairs if self.noise == "screened" else 0
        directed = pairs if self.noise == "directed" else 0
        if not len(self.rows) == len(self.columns) == screened:
            raise ValueError("a screened recipe, and no other, has signs for each pair")
        if not len(self.left) == len(self.right) == directed:
            raise ValueError("a directed recipe, and no other, has factors for each pair")
        if len(self.tensors) != screened + directed:
            raise ValueError("a recipe whose pairs were searched, and no other, has their tensors")
        num_tensors = len(self.layers) * len(self.modules)
        if not all(0 <= tensor < num_tensors for tensor in self.tensors):
            raise ValueError(f"a pair moves none of the {num_tensors} tensors")
        if not all(0 <= number < _POOL for number in (*self.rows, *self.columns)):
            raise ValueError(f"signs have numbers from 0 to {_POOL - 1}")
        return self

    @property
    def version(self) -> str:
        """The child's name: hash of this recipe, its parent's name in it. Never reused."""
        return hashlib.sha256(encode(self)).hexdigest()[:16]
