"""One contract for the arithmetic of perturbations; every backend keeps it.

Signs, updates, masks and digests are equal to the bit on every backend; matrix products and
log-probabilities agree within the tolerance that a backend states. Tensors are torch tensors
on the backend's device; a backend keeps no state between calls, so calls may run in any order
and on several threads.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from torch import Tensor

BackendName = Literal["reference", "cpu", "triton"]
Item = TypeVar("Item")
Result = TypeVar("Result")

ROWS, COLUMNS, FULL = 0, 1, 2  # the `side` word of the Philox counter
GAUSSIAN = 16  # added to it for normal noise, so that no sign shares its words


class Backend(Protocol):
    """What every implementation of the perturbation arithmetic guarantees."""

    name: BackendName

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do independent work of this backend for every item, at once where that is faster.

        returns: the results, in the order of the items
        raises: what a work raised, the first in order, when all have ended
        """
        ...

    def signs(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give the signs of pairs 0..pairs-1 at elements first..first+count-1.

        key: the generation's 64-bit key; tensor: `noise.tensor_id(name)`; side: ROWS, COLUMNS
            or FULL; first, count: range of element indices in the unsharded tensor
        returns: (pairs, count) int8, each +1 or -1
        """
        ...

    def gaussians(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give standard normal noise at the same addresses (kernels.reference.noise.gaussians).

        For comparison with methods that use it; no version is made of it, as its bits are not
        the same on every device (they agree within float32 rounding).

        returns: (pairs, count) float32
        """
        ...

    def full_member(
        self,
        base: Tensor,
        *,
        key: int,
        tensor: int,
        member: int,
        sigma_log2: int,
        frozen: "Frozen | None",
    ) -> Tensor:
        """Write one full-rank member W ± 2^s·E from the resident base; the base is only read.

        base: (out, in); member: 2p for +, 2p+1 for −; frozen units receive no noise
        returns: (out, in) in the base's dtype
        """
        ...

    def full_members(
        self,
        base: Tensor,
        *,
        key: int,
        tensor: int,
        members: Sequence[int],
        sigma_log2: int,
        frozen: "Frozen | None",
    ) -> Iterator[Tensor]:
        """Write members one after another, as full_member does but with noise shared by 64.

        yields: (out, in) in the base's dtype; one buffer, valid until the next is asked for
        """
        ...

    def member_linear(
        self,
        x: Tensor,
        layer: "LinearLayer",
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
        ...

    def pair_factors(
        self,
        *,
        key: int,
        tensor: int,
        shape: tuple[int, int],
        pairs: int,
        frozen: "Frozen | None",
    ) -> "PairFactors":
        """Keep a generation's factors of one tensor as rows_linear reads them.

        shape: (out, in)
        """
        ...

    def rows_linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        members: Tensor,
        factors: "PairFactors",
        *,
        sigma_log2: int,
    ) -> Tensor:
        """Apply to each row of a batch the layer of that row's own member, −1 for the base.

        As member_linear, for batches that mix members freely (serving).

        x: (rows, in); members: (rows,) int64; factors: this backend's `pair_factors`
        returns: (rows, out) in x's dtype
        """
        ...

    def accumulate(
        self,
        master: Tensor,
        *,
        key: int,
        tensor: int,
        coefficients: Sequence[int],
        step: int,
        frozen: "Frozen | None",
        full_rank: bool = False,
    ) -> None:
        """Add one generation to the integer master, in place: K += step · Σ_p c_p a_p b_pᵀ.

        master: (out, in) int32; coefficients: one integer a pair, |c_p| ≤ 255; step: signed
            integer (negative takes the generation out again)
        raises: ValueError when Σ|c_p| ≥ 2²⁴ (a float32 product would round), ExplodedError
            when K would leave int32 (K is then unchanged)
        """
        ...

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K: sum in float64, cast to float32, then to the base's dtype.

        Where K = 0 the base's own bits stay.

        raises: ExplodedError when a weight is not finite
        """
        ...

    def advance(
        self,
        master: Tensor,
        base: Tensor,
        *,
        key: int,
        tensor: int,
        coefficients: Sequence[int],
        step: int,
        exponent: int,
        frozen: "Frozen | None",
        full_rank: bool = False,
    ) -> tuple[Tensor, int]:
        """Accumulate, materialise and digest in one pass over memory.

        returns: the weights and the digest of the moved master
        raises: as accumulate and materialise; the master is then unchanged
        """
        ...

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of (row-major index, value) over the values that are not 0.

        Any order of blocks gives the same; zeros give 0 (kernels.reference.update defines the mix).

        returns: unsigned 64-bit integer
        """
        ...

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens without storing logits (chunked logsumexp over the vocabulary).

        hidden: (tokens, width), after the final norm; head: (vocabulary, width); targets:
            (tokens,) int64
        returns: (tokens,) float32 natural log-probabilities
        """
        ...

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Give the k most probable tokens of each row without storing logits, best first.

        returns: (tokens, k) float32 log-probabilities, (tokens, k) int64 token ids; the order
            among equals is not promised
        """
        ...

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give the mean of every unit and its sum of squared differences from it, in one pass.

        x: (tokens, units), at least one token (kernels.reference.moments merges more)
        returns: (units,) and (units,) float32 or float64
        """
        ...


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


@dataclass(frozen=True, slots=True)
class PairFactors:
    """The rank-1 factors of all pairs of one tensor, in the form of the backend that made it.

    rows, columns: ±1 (pairs, out) and (pairs, in) int8 with zeros where frozen, or a bit a sign
        in (groups of 32 pairs, out) and (…, in) int32, the masks apart
    """

    rows: Tensor
    columns: Tensor
    frozen: "Frozen | None" = None


class Frozen(Protocol):
    """The frozen units of one tensor: which rows and columns may move (None: all may)."""

    @property
    def rows(self) -> Tensor | None:
        """(out,) int8, 1 where the row may move and 0 where it is frozen."""
        ...

    @property
    def columns(self) -> Tensor | None:
        """(in,) int8, likewise."""
        ...


def mask_factors(rows: Tensor, columns: Tensor, frozen: Frozen | None) -> tuple[Tensor, Tensor]:
    """Put zeros where a unit is frozen.

    rows: (any, out); columns: (any, in)
    """
    if frozen is not None and frozen.rows is not None:
        rows = rows * frozen.rows.to(rows.device)
    if frozen is not None and frozen.columns is not None:
        columns = columns * frozen.columns.to(columns.device)
    return rows, columns
