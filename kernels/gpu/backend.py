"""The Triton backend: the contract of kernels.contract over the kernels of this folder.

Runs on the CUDA or ROCm device that torch sees, or, with TRITON_INTERPRET=1, on the CPU in
Triton's interpreter (for tests; thousands of times slower). Equal to the reference to the bit
for signs, full-rank members, updates, weights and digests.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from kernels.contract import (
    COLUMNS,
    FULL,
    ROWS,
    BackendName,
    Frozen,
    Item,
    LinearLayer,
    PairFactors,
    Result,
)
from kernels.dtypes import check_dtype
from kernels.errors import BackendMissingError, ExplodedError
from kernels.gpu.logprob import score_targets, search_top
from kernels.gpu.members import linear, write_member
from kernels.gpu.moments import moments
from kernels.gpu.noise import pack_words, write_gaussians, write_signs
from kernels.gpu.tuning import INTERPRETED
from kernels.gpu.update import Generation, sweep
from kernels.reference.noise import check_address
from kernels.reference.update import check_digest_size, check_frozen, check_update

OVERFLOW = "the update leaves int32; nothing was changed: take smaller steps"
NOT_FINITE = "a weight is not finite after the update"


class TritonBackend:
    """Fused kernels on a GPU.

    raises: BackendMissingError when there is neither a GPU nor the interpreter
    """

    name: BackendName = "triton"

    def __init__(self) -> None:
        if not INTERPRETED and not torch.cuda.is_available():
            raise BackendMissingError(
                "the triton backend needs a CUDA or ROCm device; choose the backend cpu"
            )
        self.device = torch.device("cpu" if INTERPRETED else "cuda")

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do them one after the other: each fills the device."""
        return [work(item) for item in items]

    def signs(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give the signs at a range of elements."""
        check_address(key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs)
        return write_signs(
            key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs,
            device=self.device,
        )  # fmt: skip

    def gaussians(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give standard normal noise at a range of elements."""
        check_address(key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs)
        return write_gaussians(
            key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs,
            device=self.device,
        )  # fmt: skip

    def full_member(
        self,
        base: Tensor,
        *,
        key: int,
        tensor: int,
        member: int,
        sigma_log2: int,
        frozen: Frozen | None,
    ) -> Tensor:
        """Write one full-rank member from the resident base."""
        members = self.full_members(
            base, key=key, tensor=tensor, members=[member], sigma_log2=sigma_log2, frozen=frozen
        )
        return next(members)

    def full_members(
        self,
        base: Tensor,
        *,
        key: int,
        tensor: int,
        members: Sequence[int],
        sigma_log2: int,
        frozen: Frozen | None,
    ) -> Iterator[Tensor]:
        """Write members one after another into one buffer; making noise hides behind memory."""
        check_dtype(base)
        check_frozen(base, frozen)
        source = base.detach().contiguous()
        out, count = torch.empty_like(source), base.numel()
        for member in members:
            pairs = member // 2 + 1
            check_address(key=key, tensor=tensor, side=FULL, first=0, count=count, pairs=pairs)
            write_member(
                out, source, key=key, tensor=tensor, member=member, sigma_log2=sigma_log2,
                frozen=frozen,
            )  # fmt: skip
            yield out

    def member_linear(
        self,
        x: Tensor,
        layer: LinearLayer,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
        """Apply many rank-1 members of one linear layer."""
        members, tokens = len(rows), x.shape[1]
        numbers = torch.arange(members, dtype=torch.int32, device=x.device)
        y = linear(
            x.reshape(-1, x.shape[2]), layer.plain(), layer.bias,
            numbers.repeat_interleave(tokens), PairFactors(rows.contiguous(), columns.contiguous()),
            sigma_log2=sigma_log2, packed=False,
        )  # fmt: skip
        return y.view(members, tokens, -1)

    def pair_factors(
        self,
        *,
        key: int,
        tensor: int,
        shape: tuple[int, int],
        pairs: int,
        frozen: Frozen | None,
    ) -> PairFactors:
        """Keep a generation's factors as packed bits: 4 bytes an element for 32 pairs."""
        words = []
        for side, count in zip((ROWS, COLUMNS), shape, strict=True):
            check_address(key=key, tensor=tensor, side=side, first=0, count=count, pairs=pairs)
            words.append(
                pack_words(
                    key=key, tensor=tensor, side=side, count=count, pairs=pairs, device=self.device
                )
            )
        rows, columns = words
        return PairFactors(rows, columns, frozen)

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
        """Apply to each row the layer of its own member."""
        numbers = members.to(torch.int32)
        return linear(x, weight, bias, numbers, factors, sigma_log2=sigma_log2, packed=True)

    def accumulate(
        self,
        master: Tensor,
        *,
        key: int,
        tensor: int,
        coefficients: Sequence[int],
        step: int,
        frozen: Frozen | None,
        full_rank: bool = False,
    ) -> None:
        """Add one generation to the integer master, in place."""
        check_update(master, coefficients, step, frozen)
        check_digest_size(master)
        generation = Generation(key, tensor, coefficients, step, frozen, full_rank)
        if sweep(master, None, generation).wrapped:
            sweep(master, None, generation.taken_out())
            raise ExplodedError(OVERFLOW)

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
        frozen: Frozen | None,
        full_rank: bool = False,
    ) -> tuple[Tensor, int]:
        """Accumulate, materialise and digest in one pass over memory."""
        check_dtype(base)
        check_update(master, coefficients, step, frozen)
        check_digest_size(master)
        generation = Generation(key, tensor, coefficients, step, frozen, full_rank)
        swept = sweep(master, base, generation, exponent=exponent)
        if swept.wrapped or swept.infinite:
            sweep(master, None, generation.taken_out())
            raise ExplodedError(OVERFLOW if swept.wrapped else NOT_FINITE)
        return swept.weights, swept.digest

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K once."""
        check_dtype(base)
        swept = sweep(master.contiguous(), base, None, exponent=exponent)
        if swept.infinite:
            raise ExplodedError(NOT_FINITE)
        return swept.weights

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of every (row-major index, value)."""
        check_digest_size(master)
        return sweep(master.contiguous(), None, None).digest

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens without storing logits."""
        return score_targets(hidden, head, targets)

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Give the k most probable tokens of each row."""
        return search_top(hidden, head, k)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give every unit's mean and sum of squared differences."""
        return moments(x)
