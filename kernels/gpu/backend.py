"""The Triton backend: the contract of kernels.contract over the kernels of this folder.

Runs on the CUDA or ROCm device that torch sees, or, with TRITON_INTERPRET=1, on the CPU in
Triton's interpreter (for tests; thousands of times slower). Equal to the reference to the bit
for signs, full-rank members, updates, weights and digests.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from kernels.change import (
    COLUMNS,
    NOTHING_FROZEN,
    ROWS,
    Address,
    Change,
    Frozen,
    Perturbation,
    Span,
)
from kernels.contract import Backend, BackendName, PairFactors
from kernels.errors import NOT_FINITE, OVERFLOW, BackendMissingError, ExplodedError
from kernels.gpu.logprob import score_targets, search_top
from kernels.gpu.members import linear, write_member
from kernels.gpu.moments import moments
from kernels.gpu.noise import pack_words, write_normals, write_signs
from kernels.gpu.tuning import INTERPRETED
from kernels.gpu.update import sweep


class TritonBackend(Backend):
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

    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return write_signs(address, span, pairs=pairs, device=self.device)

    def normals(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return write_normals(address, span, pairs=pairs, device=self.device)

    def _full_members(
        self, base: Tensor, perturbation: Perturbation, members: Sequence[int]
    ) -> Iterator[Tensor]:
        out = torch.empty_like(base)
        for member in members:
            write_member(out, base, perturbation, member)
            yield out

    def member_linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
        product: Callable[[Tensor], Tensor] | None = None,  # noqa: ARG002  (one kernel does all)
    ) -> Tensor:
        members, tokens = len(rows), x.shape[1]
        numbers = torch.arange(members, dtype=torch.int32, device=x.device)
        y = linear(
            x.reshape(-1, x.shape[2]), weight, bias, numbers.repeat_interleave(tokens),
            PairFactors(rows.contiguous(), columns.contiguous()),
            sigma_log2=sigma_log2, packed=False,
        )  # fmt: skip
        return y.view(members, tokens, -1)

    def pair_factors(
        self,
        address: Address,
        shape: tuple[int, int],
        *,
        pairs: int,
        frozen: Frozen = NOTHING_FROZEN,
    ) -> PairFactors:
        """Keep a generation's factors as packed bits: 4 bytes an element for 32 pairs."""
        rows, columns = (
            pack_words(address, Span(side, count), pairs=pairs, device=self.device)
            for side, count in zip((ROWS, COLUMNS), shape, strict=True)
        )
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
        numbers = members.to(torch.int32)
        return linear(x, weight, bias, numbers, factors, sigma_log2=sigma_log2, packed=True)

    def _accumulate(self, master: Tensor, change: Change) -> None:
        if sweep(master, None, change).wrapped:
            sweep(master, None, change.taken_out())
            raise ExplodedError(OVERFLOW)

    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]:
        swept = sweep(master, base, change, exponent=exponent)
        if swept.wrapped or swept.infinite:
            sweep(master, None, change.taken_out())
            raise ExplodedError(OVERFLOW if swept.wrapped else NOT_FINITE)
        return swept.weights, swept.digest

    def _materialise(self, base: Tensor, master: Tensor, exponent: int) -> Tensor:
        swept = sweep(master, base, None, exponent=exponent)
        if swept.infinite:
            raise ExplodedError(NOT_FINITE)
        return swept.weights

    def _digest(self, master: Tensor) -> int:
        return sweep(master, None, None).digest

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        return score_targets(hidden, head, targets)

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return search_top(hidden, head, k)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return moments(x)
