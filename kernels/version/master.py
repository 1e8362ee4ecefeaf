"""The integers of a version, and the weights they stand for.

Turns a base model and a chain of recipes into the weights of any version, to the bit:
weights = base + 2^(scale + QUANTUM_LOG2) · K. It holds one int32 tensor K for each weight that
may move and reads the base, which it never changes. While it rests, K is read out of the weights
that it has made: in float32 they tell it to the last unit.

Invariants: a recipe that fails any check leaves every K as it was; a K of zeros is the base,
byte for byte. Knows nothing of ledgers, masks' digests or what a recipe's numbers mean.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels.change import NOTHING_FROZEN, STEP_LOG2, Change, Frozen, Noise
from kernels.contract import Backend, Result
from kernels.errors import DigestMismatchError, ExplodedError, FrozenMovedError
from kernels.model.layers import Layer
from kernels.model.model import Model
from kernels.version.layout import TensorSpec, layout, scale_log2
from kernels.version.recipe import Recipe, change_of

# One unit of K is 2^-18 of the tensor's RMS: far below one probing step (2^-4 RMS by default, so
# a coefficient keeps its 8 bits at any step size), while int32 still reaches 2^13 RMS.
QUANTUM_LOG2 = -18


def step_log2(noise: Noise) -> int:
    """Return log2 of what a step and a coefficient of 1 move a weight by, relative to its RMS."""
    return QUANTUM_LOG2 - (STEP_LOG2 if noise == "directed" else 0)


class Master:
    """The int32 tensors K of one version of one base model."""

    def __init__(
        self,
        model: Model,
        *,
        layers: Sequence[int],
        modules: Sequence[str],
        backend: Backend,
        frozen: Mapping[str, Frozen],
    ) -> None:
        self.specs = layout(model, layers, modules)
        self._backend = backend
        self._frozen = frozen
        # plain weights are asked for when they are read: they may be stored otherwise
        self._base = {spec.name: model.layer(spec.name) for spec in self.specs}
        self._scales = {name: scale_log2(layer.plain()) for name, layer in self._base.items()}
        self._integers = {
            name: torch.zeros(layer.shape, dtype=torch.int32, device=layer.device)
            for name, layer in self._base.items()
        }
        self._resting: dict[str, Layer] = {}  # K of these is read out of them

    @property
    def scales(self) -> list[int]:
        """log2 of each tensor's RMS at the base, rounded, in the order of specs."""
        return [self._scales[spec.name] for spec in self.specs]

    def apply(self, recipe: Recipe, *, sign: Literal[1, -1] = 1, verify: bool = True) -> None:
        """Add what a recipe says (sign=+1), or take it out again (sign=−1), exactly.

        verify: with sign=+1, compare with the recipe's digest; a learner that is making the
            recipe cannot yet
        raises: ValueError when the recipe moves tensors that this master does not hold, or decays
            and is to be taken out; DigestMismatchError when it was made for another base or gives
            other integers than it promises, ExplodedError when K would leave int32; K is then as
            it was before
        """
        specs = self._specs_of(recipe)
        if sign == -1 and recipe.decay:
            raise ValueError("what decay took off cannot be put on again: build the parent anew")
        self._wake()
        undo = self._undoing(specs, recipe, sign)
        self._each(specs, lambda spec: self._add(spec, recipe, sign), undo)
        if sign == 1 and verify:
            _verify(recipe, self.digest(), lambda: undo(specs))

    def advance(self, recipe: Recipe, *, verify: bool = True) -> tuple[dict[str, Tensor], str]:
        """Apply a recipe and return the child's weights and digest, in one pass over memory.

        Equal to `apply`, `weights` and `digest` one after another.

        raises: as these do; K is then as it was before
        """
        specs = self._specs_of(recipe)
        self._wake()
        weights: dict[str, Tensor] = {}
        sums: dict[str, int] = {}

        def advance_one(spec: TensorSpec) -> None:
            self._decay(spec, recipe)
            weights[spec.name], sums[spec.name] = self._backend.advance(
                self._integers[spec.name],
                self._base[spec.name].plain(),
                self._change(spec, recipe, sign=1),
                exponent=self._exponent(spec.name),
            )

        undo = self._undoing(specs, recipe, 1)
        self._each(specs, advance_one, undo)
        others = [name for name in self._integers if name not in sums]
        weights |= self._of_each(self._rounded, others)
        sums |= self._sums({name: self._integers[name] for name in others})
        digest = self._digest_of(sums)
        if verify:
            _verify(recipe, digest, lambda: undo(specs))
        return weights, digest

    def digest(self) -> str:
        """Name these integers: SHA-256 over the tensors that moved, by name, shape and 64-bit sum.

        A tensor whose K is all zeros is left out, so that a master that holds more tensors than
        a chain of recipes moves still gives the chain's digests.

        returns: 64 hex digits
        """
        self._wake()
        return self._digest_of(self._sums(self._integers))

    def weights(self) -> dict[str, Tensor]:
        """Round every tensor once, to new tensors of the base's dtype.

        raises: ExplodedError when a weight is not finite
        """
        self._wake()
        return self._of_each(self._rounded, list(self._base))

    def prove_frozen(self, weights: Mapping[str, Tensor]) -> None:
        """Compare the frozen rows and columns of these weights with the base, byte by byte.

        raises: FrozenMovedError naming the first tensor that differs
        """
        for name, weight in weights.items():
            units = self._frozen.get(name)
            if units is None or (units.rows is None and units.columns is None):
                continue
            base = self._base[name].plain()
            for mask, dim in ((units.rows, 0), (units.columns, 1)):
                if mask is None:
                    continue
                places = (mask == 0).nonzero()[:, 0].to(base.device)
                ours, theirs = (tensor.index_select(dim, places) for tensor in (weight, base))
                if ours.dtype != theirs.dtype or not torch.equal(_bytes(ours), _bytes(theirs)):
                    raise FrozenMovedError(f"a frozen unit of {name} differs from the base")

    def integers(self) -> Iterator[tuple[str, NDArray[np.int32]]]:
        """Yield each tensor's K that is not all zeros, a copy, one at a time."""
        for name in self._base:
            held = self._one(name).cpu().numpy()
            if held.any():
                yield name, np.array(held)

    def restore(self, integers: Mapping[str, NDArray[np.int32]], digest: str) -> None:
        """Become the version of these integers; a tensor that is not among them is at the base.

        digest: what they must have
        raises: ValueError for a tensor that this master does not hold or holds in another shape,
            DigestMismatchError; K is then as it was before
        """
        restored = {
            name: torch.zeros(layer.shape, dtype=torch.int32, device=layer.device)
            for name, layer in self._base.items()
        }
        for name, values in integers.items():
            if name not in restored or restored[name].shape != values.shape:
                raise ValueError(f"this master does not hold {name} of shape {values.shape}")
            restored[name].copy_(torch.from_numpy(np.ascontiguousarray(values)))
        found = self._digest_of(self._sums(restored))
        if found != digest:
            raise DigestMismatchError(f"promised are integers {digest[:16]}…, found {found[:16]}…")
        self._integers, self._resting = restored, {}

    def copy(self) -> "Master":
        """Return a master of the same version that can be moved on its own; the base is shared."""
        twin = object.__new__(Master)
        twin.__dict__.update(self.__dict__)
        twin._integers, twin._resting = dict(self._all()), {}
        for name in self._integers:  # the others are new already
            twin._integers[name] = self._integers[name].clone()
        return twin

    def rest(self, model: Model) -> None:
        """Let go of every K that a model of this version tells, until it is needed again.

        A weight of float32 tells K as long as it is less than some 64 times the tensor's RMS: half
        a unit of K is then more than was rounded away. Whether it does is not assumed but compared.

        model: whose weights this master has made, to the bit
        """
        for name, integers in list(self._integers.items()):
            layer = model.layer(name)
            if torch.equal(self._told(name, layer), integers):
                self._resting[name] = layer
                del self._integers[name]

    def _told(self, name: str, layer: Layer) -> Tensor:
        """Read K out of a weight."""
        # made first, so that what comes and goes leaves no hole before what stays
        integers = torch.empty(layer.shape, dtype=torch.int32, device=layer.device)
        moved = layer.plain() - self._base[name].plain()
        return integers.copy_(moved.mul_(2.0 ** -self._exponent(name)).round_())

    def _all(self) -> Mapping[str, Tensor]:
        """Find every K, those at rest made anew, in the order of the specs."""
        return {name: self._one(name) for name in self._base}

    def _one(self, name: str) -> Tensor:
        held = self._integers.get(name)
        return held if held is not None else self._told(name, self._resting[name])

    def _wake(self) -> None:
        if self._resting:
            self._integers, self._resting = dict(self._all()), {}

    def _specs_of(self, recipe: Recipe) -> list[TensorSpec]:
        """Find the tensors that a recipe moves and check that it means this base."""
        held = {(spec.layer, spec.module): spec for spec in self.specs}
        wanted = [(layer, module) for layer in recipe.layers for module in recipe.modules]
        if missing := [place for place in wanted if place not in held]:
            raise ValueError(f"this master does not hold layer {missing[0][0]} {missing[0][1]}")
        specs = [held[place] for place in wanted]
        if recipe.scales != [self._scales[spec.name] for spec in specs]:
            raise DigestMismatchError("the recipe's scales are not this base's: another base model")
        return specs

    def _each(
        self,
        specs: Sequence[TensorSpec],
        move: Callable[[TensorSpec], None],
        undo: Callable[[Sequence[TensorSpec]], None],
    ) -> None:
        """Move each tensor; if one explodes, undo the others, and what it had lost by decay."""

        def tried(spec: TensorSpec) -> ExplodedError | None:
            try:
                move(spec)
            except ExplodedError as cause:
                return cause
            return None

        causes = dict(zip(specs, self._backend.each(tried, specs), strict=True))
        if not any(causes.values()):
            return
        undo([spec for spec, cause in causes.items() if cause is None])
        exploded, cause = next((spec, cause) for spec, cause in causes.items() if cause)
        raise ExplodedError(f"{exploded.name}: {cause}") from cause

    def _undoing(
        self, specs: Sequence[TensorSpec], recipe: Recipe, sign: Literal[1, -1]
    ) -> Callable[[Sequence[TensorSpec]], None]:
        """Return what brings tensors back to what they are now, once a recipe has moved them.

        By subtraction, which costs no memory; where it decays by a copy, of all its tensors.
        """
        if recipe.decay:
            before = {spec.name: self._integers[spec.name].clone() for spec in specs}
            return lambda _: self._integers.update(before)

        def take_out(moved: Sequence[TensorSpec]) -> None:
            for spec in moved:
                self._add(spec, recipe, -sign)

        return take_out

    def _add(self, spec: TensorSpec, recipe: Recipe, sign: int) -> None:
        self._decay(spec, recipe)
        self._backend.accumulate(self._integers[spec.name], self._change(spec, recipe, sign=sign))

    def _decay(self, spec: TensorSpec, recipe: Recipe) -> None:
        if recipe.decay:
            self._backend.decay(self._integers[spec.name], recipe.decay)

    def _change(self, spec: TensorSpec, recipe: Recipe, *, sign: int) -> Change:
        """Return what a recipe does to one tensor."""
        frozen = self._frozen.get(spec.name, NOTHING_FROZEN)
        return change_of(recipe, spec, sign=sign, frozen=frozen)

    def _of_each(self, work: Callable[[str], Result], names: Sequence[str]) -> dict[str, Result]:
        return dict(zip(names, self._backend.each(work, names), strict=True))

    def _sums(self, integers: Mapping[str, Tensor]) -> dict[str, int]:
        return self._of_each(lambda name: self._backend.digest(integers[name]), list(integers))

    def _digest_of(self, sums: Mapping[str, int]) -> str:
        whole = hashlib.sha256()
        for name in sorted(sums):
            rows, columns = self._base[name].shape
            if sums[name]:
                whole.update(f"{name} {rows} {columns} {sums[name]:016x}\n".encode())
        return whole.hexdigest()

    def _exponent(self, name: str) -> int:
        return self._scales[name] + QUANTUM_LOG2

    def _rounded(self, name: str) -> Tensor:
        integers, exponent = self._integers[name], self._exponent(name)
        base = self._base[name].plain()
        return self._backend.materialise(base, integers, exponent=exponent)


def _verify(recipe: Recipe, digest: str, undo: Callable[[], None]) -> None:
    """Undo a recipe if it did not lead where it promises."""
    if digest != recipe.digest:
        undo()
        raise DigestMismatchError(
            f"the recipe promises integers {recipe.digest[:16]}…, these are {digest[:16]}…: "
            "it was made from another parent, base or mask"
        )


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.uint8)
