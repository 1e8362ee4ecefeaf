"""The fast backend for processors: torch where its products win, compiled loops elsewhere.

Equal to the reference to the bit for signs, full-rank members, updates, weights and digests;
products and log-probabilities agree within the rounding of float32 sums.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from kernels.contract import (
    COLUMNS,
    FULL,
    GAUSSIAN,
    ROWS,
    BackendName,
    Frozen,
    Item,
    LinearLayer,
    PairFactors,
    Result,
    mask_factors,
)
from kernels.cpu import logprob as cpu_logprob
from kernels.cpu import members as cpu_members
from kernels.cpu import moments as cpu_moments
from kernels.cpu import passes as cpu_passes
from kernels.cpu import update as cpu_update
from kernels.cpu.members import Perturbed
from kernels.cpu.passes import BLOCK
from kernels.cpu.threads import Threads
from kernels.cpu.update import Generation
from kernels.dtypes import check_dtype
from kernels.reference.noise import check_address
from kernels.reference.update import check_digest_size, check_update


class CpuBackend:
    """Compiled loops and torch products on the CPU; see kernels.contract for the contract.

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

    def signs(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give the signs at a range of elements."""
        check_address(key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs)
        out = torch.empty(pairs, count, dtype=torch.int8)
        view = out.numpy()
        self._threads.over(
            count,
            lambda start, stop: cpu_passes.fill_signs(
                start, stop, view, np.uint64(key), tensor, side, first
            ),
            items=pairs,
        )
        return out

    def gaussians(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give standard normal noise at a range of elements."""
        check_address(key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs)
        offset = first % 4
        words = torch.empty(pairs, -(-(offset + count) // 4) * 4, dtype=torch.int32)
        view = words.numpy().view(np.uint32)
        self._threads.over(
            pairs,
            lambda start, stop: cpu_passes.fill_normal_words(
                start, stop, view, np.uint64(key), tensor, side + GAUSSIAN, first - offset
            ),
            items=words.shape[1],
        )
        uniform = ((words >> 8) & 0xFFFFFF).float().add_(0.5).mul_(2.0**-24).view(pairs, -1, 2)
        radius, angle = uniform[..., 0].log().mul_(-2).sqrt_(), uniform[..., 1] * (2 * torch.pi)
        normals = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=2).flatten(1)
        return normals[:, offset : offset + count]

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
        noise = Perturbed(base.detach().contiguous(), key, tensor, sigma_log2, frozen)
        return cpu_members.write_member(self._threads, noise, member)

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
        """Write members one after another into one buffer; noise is made once for 64."""
        noise = Perturbed(base.detach().contiguous(), key, tensor, sigma_log2, frozen)
        return cpu_members.write_members(self._threads, noise, members)

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
        return cpu_members.add_members(layer.apply(x), x, rows, columns, sigma_log2=sigma_log2)

    def pair_factors(
        self,
        *,
        key: int,
        tensor: int,
        shape: tuple[int, int],
        pairs: int,
        frozen: Frozen | None,
    ) -> PairFactors:
        """Keep a generation's factors: one int8 a sign, zeros where frozen."""
        rows, columns = (
            self.signs(key=key, tensor=tensor, side=side, first=0, count=size, pairs=pairs)
            for side, size in zip((ROWS, COLUMNS), shape, strict=True)
        )
        return PairFactors(*mask_factors(rows, columns, frozen))

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
        return cpu_members.rows_linear(x, weight, bias, members, factors, sigma_log2=sigma_log2)

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
        generation = Generation(key, tensor, coefficients, step, frozen, full_rank)
        cpu_update.accumulate(self._threads, master, generation)

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
        source = base.detach().contiguous()
        return cpu_update.advance(self._threads, master, source, generation, exponent=exponent)

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K once."""
        check_dtype(base)
        source, integers = base.detach().contiguous(), master.contiguous()
        return cpu_update.materialise(self._threads, source, integers, exponent=exponent)

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of every (row-major index, value) that is not 0."""
        check_digest_size(master)
        return cpu_update.digest(self._threads, master.contiguous())

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens without storing logits."""
        return cpu_logprob.token_logprobs(hidden, head, targets)

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Give the k most probable tokens of each row."""
        return cpu_logprob.top_tokens(hidden, head, k)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give every unit's mean and sum of squared differences, a tile of tokens at a time."""
        wide = x.detach().float().contiguous().numpy()
        mean, squares = np.zeros(wide.shape[1]), np.zeros(wide.shape[1])
        self._threads.over(
            wide.shape[1],
            lambda start, stop: cpu_moments.unit_moments(start, stop, wide, mean, squares),
            items=wide.shape[0],
        )
        return torch.from_numpy(mean), torch.from_numpy(squares)

    def _compile(self) -> None:
        """Call every loop once, with the types that it will be called with."""
        base, master = torch.zeros(1, BLOCK + 1), torch.zeros(1, BLOCK + 1, dtype=torch.int32)
        noise = Perturbed(base, 0, 0, 0, None)
        cpu_members.write_member(self._threads, noise, 0)
        next(cpu_members.write_members(self._threads, noise, [0]))
        for full_rank in (False, True):
            generation = Generation(0, 0, [1], 1, None, full_rank)
            cpu_update.advance(self._threads, master, base, generation, exponent=0)
        self.materialise(base, master, exponent=0)
        self.digest(master)
        self.moments(base)
        self.gaussians(key=0, tensor=0, side=FULL, first=0, count=1, pairs=1)
