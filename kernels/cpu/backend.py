"""The fast backend for processors: torch where its products win, compiled loops elsewhere.

Equal to the reference to the bit for signs, full-rank members, updates, weights and digests;
products and log-probabilities agree within the rounding of float32 sums.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from kernels.change import (
    FULL_NOISES,
    NOISES,
    Address,
    Change,
    Chosen,
    Factors,
    FullNoise,
    MemberNoise,
    Span,
)
from kernels.contract import Backend, BackendName, Item, LinearLayer, PairFactors, Result
from kernels.cpu import logprob as cpu_logprob
from kernels.cpu import members as cpu_members
from kernels.cpu import update as cpu_update
from kernels.cpu.noise import chosen_signs, draw
from kernels.cpu.threads import Threads


class CpuBackend(Backend):
    """Compiled loops and torch products on the CPU.

    Making one compiles its loops: seconds the first time on a machine, then they are read from
    the cache beside the source (or in NUMBA_CACHE_DIR), so no request ever waits for it.
    """

    name: BackendName = "cpu"

    def __init__(self) -> None:
        self._threads = Threads()
        self._compile()

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Share the items out among the threads."""
        return self._threads.each(work, items)

    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return self._drawn(address, span, "full", pairs)

    def chosen_signs(self, address: Address, span: Span, numbers: Sequence[int]) -> Tensor:
        return torch.from_numpy(chosen_signs(address, span, numbers))

    def normals(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return self._drawn(address, span, "normal", pairs)

    def _drawn(self, address: Address, span: Span, kind: FullNoise, pairs: int) -> Tensor:
        out = torch.empty(pairs, span.count, dtype=torch.int8)
        draw(self._threads, out.numpy(), address, span, kind, first_pair=0)
        return out

    def _full_members(
        self, base: Tensor, noise: MemberNoise, members: Sequence[int]
    ) -> Iterator[Tensor]:
        return cpu_members.write_members(self._threads, base, noise, members)

    def member_linear(
        self,
        x: Tensor,
        layer: LinearLayer,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
        return cpu_members.add_members(layer.apply(x), x, rows, columns, sigma_log2=sigma_log2)

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
        return cpu_members.rows_linear(x, weight, bias, members, factors, sigma_log2=sigma_log2)

    def _accumulate(self, master: Tensor, change: Change) -> None:
        cpu_update.accumulate(self._threads, master, change)

    def _decay(self, master: Tensor, share: int) -> None:
        cpu_update.decay(self._threads, master, share)

    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]:
        return cpu_update.advance(self._threads, master, base, change, exponent=exponent)

    def _materialise(self, base: Tensor, master: Tensor, exponent: int) -> Tensor:
        return cpu_update.materialise(self._threads, base, master, exponent=exponent)

    def _digest(self, master: Tensor) -> int:
        return cpu_update.digest(self._threads, master)

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        return cpu_logprob.token_logprobs(hidden, head, targets)

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return cpu_logprob.top_tokens(hidden, head, k)

    def _compile(self) -> None:
        """Call every loop once, with the types that it will be called with."""
        base, master = torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.int32)
        address = Address(0, 0)
        for kind in FULL_NOISES:
            self.full_member(base, MemberNoise(address, 0, kind), 0)
        for noise in NOISES:
            chosen = Chosen((0,), (0,)) if noise == "screened" else None
            one = torch.ones(1, 1, dtype=torch.int8)
            factors = Factors(one, one) if noise == "directed" else None
            change = Change(address, (1,), 1, noise, chosen=chosen, factors=factors)
            self.advance(master, base, change, exponent=0)
        self.decay(master, 1)
        self.materialise(base, master, exponent=0)
        self.digest(master)
