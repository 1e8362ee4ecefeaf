"""The Triton backend: the contract of kernels.contract over the kernels of this folder.

Runs on the CUDA or ROCm device that torch sees, or, with TRITON_INTERPRET=1, on the CPU in
Triton's interpreter (for tests; thousands of times slower). Equal to the reference to the bit
for signs, full-rank members, updates, weights and digests.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from kernels.change import (
    COLUMNS,
    NOTHING_FROZEN,
    ROWS,
    Address,
    Change,
    Frozen,
    MemberNoise,
    Span,
)
from kernels.contract import Backend, BackendName, LinearLayer, PairFactors
from kernels.errors import NOT_FINITE, OVERFLOW, DeviceMissingError, ExplodedError
from kernels.gpu.decay import draw_in
from kernels.gpu.launch import on
from kernels.gpu.logprob import score_targets, search_top
from kernels.gpu.members import linear, write_member
from kernels.gpu.moments import moments
from kernels.gpu.noise import pack_words, write_chosen, write_normals, write_signs
from kernels.gpu.tuning import INTERPRETED
from kernels.gpu.update import sweep

P = ParamSpec("P")
R = TypeVar("R")


def launching(method: Callable[P, R]) -> Callable[P, R]:
    """Run a method of the backend on its device, whatever thread calls it."""

    @wraps(method)
    def there(*args: P.args, **kwargs: P.kwargs) -> R:
        with on(cast(TritonBackend, args[0]).device):
            return method(*args, **kwargs)

    return there


class TritonBackend(Backend):
    """Fused kernels on a GPU.

    raises: DeviceMissingError for a processor, where there is only the interpreter
    """

    name: BackendName = "triton"

    def __init__(self, device: torch.device, *, interpreted: bool = INTERPRETED) -> None:
        """Compute on this device.

        interpreted: whether Triton's interpreter was asked for, which a processor can run
        """
        if device.type == "cpu" and not interpreted:
            raise DeviceMissingError(
                "the backend triton computes on a GPU, and model.device is cpu: set model.backend "
                "to auto or cpu, or model.device to cuda (for tests, TRITON_INTERPRET=1 interprets "
                "it, thousands of times slower)"
            )
        self.device = device

    @launching
    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return write_signs(address, span, pairs=pairs, device=self.device)

    @launching
    def chosen_signs(self, address: Address, span: Span, numbers: Sequence[int]) -> Tensor:
        return write_chosen(address, span, numbers, device=self.device)

    @launching
    def normals(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return write_normals(address, span, pairs=pairs, device=self.device)

    def _full_members(
        self, base: Tensor, noise: MemberNoise, members: Sequence[int]
    ) -> Iterator[Tensor]:
        out = torch.empty_like(base)
        for member in members:
            with on(self.device):
                write_member(out, base, noise, member)
            yield out

    @launching
    def member_linear(
        self,
        x: Tensor,
        layer: LinearLayer,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
        members, tokens = len(rows), x.shape[1]
        numbers = torch.arange(members, dtype=torch.int32, device=x.device)
        y = linear(
            x.reshape(-1, x.shape[2]), layer.plain(), layer.bias,
            numbers.repeat_interleave(tokens), PairFactors(rows.contiguous(), columns.contiguous()),
            sigma_log2=sigma_log2, packed=False,
        )  # fmt: skip
        return y.view(members, tokens, -1)

    @launching
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

    @launching
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

    @launching
    def _accumulate(self, master: Tensor, change: Change) -> None:
        if sweep(master, None, change).wrapped:
            sweep(master, None, change.taken_out())
            raise ExplodedError(OVERFLOW)

    @launching
    def _decay(self, master: Tensor, share: int) -> None:
        draw_in(master, share)

    @launching
    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]:
        swept = sweep(master, base, change, exponent=exponent)
        if swept.wrapped or swept.infinite:
            sweep(master, None, change.taken_out())
            raise ExplodedError(OVERFLOW if swept.wrapped else NOT_FINITE)
        return swept.weights, swept.digest

    @launching
    def _materialise(self, base: Tensor, master: Tensor, exponent: int) -> Tensor:
        swept = sweep(master, base, None, exponent=exponent)
        if swept.infinite:
            raise ExplodedError(NOT_FINITE)
        return swept.weights

    @launching
    def _digest(self, master: Tensor) -> int:
        return sweep(master, None, None).digest

    @launching
    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        return score_targets(hidden, head, targets)

    @launching
    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return search_top(hidden, head, k)

    @launching
    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return moments(x)
