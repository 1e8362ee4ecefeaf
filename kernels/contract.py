"""One contract for the arithmetic of perturbations; every backend keeps it.

Noise, updates, masks and digests are equal to the bit on every backend; matrix products and
log-probabilities agree within the tolerance that a backend states. Tensors are torch tensors
on the backend's device; a backend keeps no state between calls, so calls may run in any order
and on several threads.

What must be refused is refused here, before an implementation sees it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor

from kernels.change import (
    COLUMNS,
    DECAY_LOG2,
    MAX_DIGEST_ELEMENTS,
    NOTHING_FROZEN,
    ROWS,
    Address,
    Change,
    Chosen,
    Frozen,
    MemberNoise,
    Span,
)
from kernels.dtypes import check_dtype

BackendName = Literal["reference", "cpu", "triton"]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PairFactors:
    """The rank-1 factors of all pairs of one tensor, in the form of the backend that made it.

    rows, columns: ±1 (pairs, out) and (pairs, in) int8 with zeros where frozen, or a bit a sign
        in (groups of 32 pairs, out) and (…, in) int32, the masks apart
    """

    rows: Tensor
    columns: Tensor
    frozen: Frozen = NOTHING_FROZEN


class LinearLayer(Protocol):
    """A linear layer y = x Wᵀ + bias, however its weight is stored (kernels.model.layers)."""

    @property
    def bias(self) -> Tensor | None:
        """(out,), or None."""
        ...

    def apply(self, x: Tensor) -> Tensor:
        """Multiply (…, in), as fast as the weight allows as it is stored: (…, out)."""
        ...

    def plain(self) -> Tensor:
        """Return the weight, (out, in), to the bit as it was given to be stored; only to be read.

        Where it is stored otherwise, it is made anew each time.
        """
        ...


class Backend(ABC):
    """What every implementation of the perturbation arithmetic guarantees."""

    name: BackendName
    device = torch.device("cpu")  # where its tensors lie

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do independent work of this backend for every item, at once where that is faster.

        returns: the results, in the order of the items
        raises: what a work raised, the first in order, when all have ended
        """
        return [work(item) for item in items]

    @abstractmethod
    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        """Return the signs of pairs 0..pairs-1 at the elements of a span.

        returns: (pairs, count) int8, each +1 or -1
        """

    @abstractmethod
    def chosen_signs(self, address: Address, span: Span, numbers: Sequence[int]) -> Tensor:
        """Return the signs that `signs` has for these pairs, in this order, and make no others.

        span: from element 0 on
        returns: (len(numbers), count) int8, each +1 or -1
        """

    @abstractmethod
    def normals(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        """Return the normal deviates of pairs 0..pairs-1 at the elements of a span.

        returns: (pairs, count) int8, in units of 2⁻⁵ (kernels.normal)
        """

    def full_member(self, base: Tensor, noise: MemberNoise, member: int) -> Tensor:
        """Write one full-rank member W ± 2^s·E from the resident base; the base is only read.

        base: (out, in); member: 2p for +, 2p+1 for −
        returns: (out, in) in the base's dtype
        """
        return next(self.full_members(base, noise, [member]))

    def full_members(
        self, base: Tensor, noise: MemberNoise, members: Sequence[int]
    ) -> Iterator[Tensor]:
        """Write members one after another, as full_member does; those of near pairs share noise.

        yields: (out, in) in the base's dtype; one buffer, valid until the next is asked for
        raises: ValueError when the noise does not fit the base
        """
        check_dtype(base)
        noise.check_fits(base, members)
        return self._full_members(base.detach().contiguous(), noise, members)

    @abstractmethod
    def member_linear(
        self,
        x: Tensor,
        layer: LinearLayer,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
        """Apply many rank-1 members of one linear layer, with one product by its weight.

        y_m = x_m Wᵀ + 2^s · (x_m · b_m) a_mᵀ   (EGGROLL, Sarkar et al. 2025, sec. 4)

        x: (members, tokens, in), or (1, tokens, in) while all members share their input
        rows: (members, out) int8 a_m, the member's ± and the mask already in it; columns:
            (members, in) int8 b_m; zeros where a unit is frozen (kernels.version.factors)
        returns: (members, tokens, out) in x's dtype
        """

    def pair_factors(
        self,
        address: Address,
        shape: tuple[int, int],
        *,
        pairs: int,
        frozen: Frozen = NOTHING_FROZEN,
    ) -> PairFactors:
        """Keep a generation's factors of one tensor as rows_linear reads them.

        shape: (out, in)
        """
        rows, columns = (
            self.signs(address, Span(side, size), pairs=pairs)
            for side, size in zip((ROWS, COLUMNS), shape, strict=True)
        )
        return PairFactors(*frozen.zeroed(rows, columns))

    def chosen_factors(
        self,
        address: Address,
        shape: tuple[int, int],
        chosen: Chosen,
        *,
        frozen: Frozen = NOTHING_FROZEN,
    ) -> tuple[Tensor, Tensor]:
        """Return the rank-1 factors of screened pairs of one tensor, zeros where frozen.

        shape: (out, in)
        returns: rows (pairs, out) int8, columns (pairs, in) int8
        """
        height, width = shape
        rows = self.chosen_signs(address, Span(ROWS, height), chosen.rows)
        columns = self.chosen_signs(address, Span(COLUMNS, width), chosen.columns)
        return frozen.zeroed(rows, columns)

    @abstractmethod
    def rows_linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        members: Tensor,
        factors: PairFactors,
        *,
        sigma_log2: int,
    ) -> Tensor:
        """Apply to each row of a batch the layer of that row's own member, −1 for the base.

        As member_linear, for batches that mix members freely (serving).

        x: (rows, in); members: (rows,) int64; factors: this backend's `pair_factors`
        returns: (rows, out) in x's dtype
        """

    def accumulate(self, master: Tensor, change: Change) -> None:
        """Add a change to the integer master, in place.

        master: (out, in) int32
        raises: ValueError when the change does not fit, ExplodedError when K would leave int32
            (K is then unchanged)
        """
        change.check_fits(master)
        self._accumulate(master, change)

    def decay(self, master: Tensor, share: int) -> None:
        """Draw the integers towards zero, in place: K −= sign(K) · (|K| · share >> 16).

        What is under 2¹⁶ / share stays. Several integers may become one, so this cannot be taken
        out again; it never leaves int32.

        master: (out, in) int32; share: of 2¹⁶, 1..2¹⁶ − 1
        raises: ValueError for another share
        """
        if not 0 < share < 1 << DECAY_LOG2:
            raise ValueError(f"a decay's share is between 0 and {1 << DECAY_LOG2}, not {share}")
        self._decay(master, share)

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K: sum in float64, cast to float32, then to the base's dtype.

        Where K = 0 the base's own bits stay.

        raises: ExplodedError when a weight is not finite
        """
        check_dtype(base)
        return self._materialise(base.detach().contiguous(), master.contiguous(), exponent)

    def advance(
        self, master: Tensor, base: Tensor, change: Change, *, exponent: int
    ) -> tuple[Tensor, int]:
        """Accumulate, materialise and digest in one pass over memory.

        returns: the weights and the digest of the moved master
        raises: as accumulate and materialise; the master is then unchanged
        """
        check_dtype(base)
        change.check_fits(master)
        return self._advance(master, base.detach().contiguous(), change, exponent)

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of (row-major index, value) over the values that are not 0.

        Any order of blocks gives the same; zeros give 0 (kernels.reference.update defines the mix).

        returns: unsigned 64-bit integer
        raises: ValueError for 2³² elements or more, whose index the mix does not hold
        """
        if master.numel() >= MAX_DIGEST_ELEMENTS:
            raise ValueError(f"a digest takes tensors under {MAX_DIGEST_ELEMENTS} elements")
        return self._digest(master.contiguous())

    @abstractmethod
    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens without storing logits (chunked logsumexp over the vocabulary).

        hidden: (tokens, width), after the final norm; head: (vocabulary, width); targets:
            (tokens,) int64
        returns: (tokens,) float32 natural log-probabilities
        """

    @abstractmethod
    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k most probable tokens of each row without storing logits, best first.

        returns: (tokens, k) float32 log-probabilities, (tokens, k) int64 token ids; the order
            among equals is not promised
        """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of every unit and its sum of squared differences from it.

        x: (tokens, units), at least one token (kernels.reference.moments merges more)
        returns: (units,) and (units,) float32 or float64
        """
        wide = x.double()
        mean = wide.mean(dim=0)
        return mean, (wide - mean).square().sum(dim=0)

    # What an implementation gives: arguments are checked, and weights contiguous.

    @abstractmethod
    def _full_members(
        self, base: Tensor, noise: MemberNoise, members: Sequence[int]
    ) -> Iterator[Tensor]: ...

    @abstractmethod
    def _accumulate(self, master: Tensor, change: Change) -> None: ...

    @abstractmethod
    def _decay(self, master: Tensor, share: int) -> None: ...

    @abstractmethod
    def _materialise(self, base: Tensor, master: Tensor, exponent: int) -> Tensor: ...

    @abstractmethod
    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]: ...

    @abstractmethod
    def _digest(self, master: Tensor) -> int: ...
