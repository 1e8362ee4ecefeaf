"""The fast backend for processors: torch where its products win, compiled loops elsewhere.

Equal to the reference to the bit for signs, full-rank members, updates, weights and digests;
products and log-probabilities agree within the rounding of float32 sums.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from kernels import cpu_logprob, cpu_passes
from kernels.backend import COLUMNS, FULL, ROWS, BackendName, Frozen
from kernels.cpu_passes import BLOCK, PAIRS, Array
from kernels.cpu_threads import Threads
from kernels.dtypes import check_dtype, require_finite
from kernels.errors import ExplodedError
from kernels.noise import check_address
from kernels.update import MAX_DIGEST_ELEMENTS, check_frozen, check_update

CAST_ELEMENTS = 2**15  # torch converts pieces up to this size on one thread: ours

Write = Callable[[Array, Array, int], object]  # target and source float32, index of their first


class CpuBackend:
    """Compiled loops and torch products on the CPU; see kernels.backend for the contract.

    Making one compiles its loops: seconds the first time on a machine, then they are read from
    the cache beside the source (or in NUMBA_CACHE_DIR), so no request ever waits for it.
    """

    name: BackendName = "cpu"

    def __init__(self) -> None:
        self._threads = Threads()
        self._compile()

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
        pair, scale = _check_member(base, key, tensor, member, sigma_log2, frozen)

        def write(target: Array, source: Array, first: int) -> None:
            cpu_passes.write_member(target, source, np.uint64(key), tensor, first, pair, scale)

        out = torch.empty_like(base, memory_format=torch.contiguous_format)
        self._rewrite(out, base, write)
        return _keep_frozen(out, base, frozen)

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
        """Write members one after another into one buffer; noise is computed once for 64."""
        out = torch.empty_like(base, memory_format=torch.contiguous_format)
        planes, planes_group = (
            np.empty((PAIRS, base.numel() // BLOCK, BLOCK // PAIRS), np.uint32),
            -1,
        )
        for member in members:
            pair, scale = _check_member(base, key, tensor, member, sigma_log2, frozen)
            if pair // PAIRS != planes_group:
                planes_group = pair // PAIRS
                self._threads.over(
                    planes.shape[1],
                    lambda start, stop, group=planes_group: cpu_passes.fill_planes(  # type: ignore[misc]
                        start, stop, planes, np.uint64(key), group, tensor
                    ),
                    items=BLOCK,
                )
            self._rewrite(out, base, _from_planes(planes, key, tensor, pair, scale))
            yield _keep_frozen(out, base, frozen)

    def member_linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
        """Apply many rank-1 members of one linear layer."""
        shared = torch.nn.functional.linear(x, weight, bias)
        factors = columns.to(x.dtype)[:, :, None] * 2.0**sigma_log2
        projected = x.expand(len(rows), -1, -1) @ factors
        shared = shared.expand(len(rows), -1, -1)
        return torch.baddbmm(shared, projected, rows.to(x.dtype)[:, None, :])

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
        add = self._add_full if full_rank else self._add_rank1
        if add(master, key, tensor, coefficients, step, frozen):
            # Sums wrap as integers do, so subtracting the same brings every bit back.
            add(master, key, tensor, coefficients, -step, frozen)
            raise ExplodedError("the update leaves int32; nothing was changed: take smaller steps")

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K once."""
        check_dtype(base)
        integers, unit = master.contiguous().view(-1).numpy(), 2.0**exponent

        def write(target: Array, source: Array, first: int) -> bool:
            part = integers[first : first + source.size]
            return cpu_passes.round_weights(target, source, part, unit)

        out = torch.empty_like(base, memory_format=torch.contiguous_format)
        finite = all(self._rewrite(out, base, write))
        if not finite or base.dtype == torch.float16:  # float16 may overflow in the last cast
            require_finite(out)
        return out

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of every (row-major index, value)."""
        if master.numel() >= MAX_DIGEST_ELEMENTS:
            raise ValueError(f"a digest takes tensors under {MAX_DIGEST_ELEMENTS} elements")
        flat = master.contiguous().view(-1).numpy()
        sums = self._threads.over(
            flat.size, lambda start, stop: int(cpu_passes.mix_sum(flat[start:stop], start))
        )
        return sum(sums) % 2**64

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens without storing logits."""
        return cpu_logprob.token_logprobs(hidden, head, targets)

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Give the k most probable tokens of each row."""
        return cpu_logprob.top_tokens(hidden, head, k)

    def _add_rank1(
        self,
        master: Tensor,
        key: int,
        tensor: int,
        coefficients: Sequence[int],
        step: int,
        frozen: Frozen | None,
    ) -> bool:
        """Add step · Σ c_p a_p b_pᵀ, wrapping; say whether an element wrapped."""
        pairs = -(-len(coefficients) // 8) * 8
        padded = np.zeros((pairs, 1), np.int16)
        padded[: len(coefficients), 0] = coefficients
        a, b = (
            self.signs(key=key, tensor=tensor, side=side, first=0, count=size, pairs=pairs).numpy()
            for side, size in zip((ROWS, COLUMNS), master.shape, strict=True)
        )
        rows, columns = _moves(master, frozen)
        weighted, signs = np.ascontiguousarray((a * padded * rows).T), b * columns.astype(np.int16)
        integers = master.numpy()
        return any(
            self._threads.over(
                master.shape[0],
                lambda start, stop: bool(
                    cpu_passes.add_rank1(integers[start:stop], weighted[start:stop], signs, step)
                ),
                items=master.shape[1],
            )
        )

    def _add_full(
        self,
        master: Tensor,
        key: int,
        tensor: int,
        coefficients: Sequence[int],
        step: int,
        frozen: Frozen | None,
    ) -> bool:
        """Add step · Σ c_p E_p, wrapping; say whether an element wrapped."""
        check_address(
            key=key,
            tensor=tensor,
            side=FULL,
            first=0,
            count=master.numel(),
            pairs=len(coefficients),
        )
        tables, (rows, columns) = cpu_passes.byte_tables(coefficients), _moves(master, frozen)
        integers = master.numpy()

        def loop(start: int, stop: int) -> bool:
            return bool(
                cpu_passes.add_full(
                    integers[start:stop], np.uint64(key), tensor, start, tables, step,
                    rows[start:stop], columns,
                )
            )  # fmt: skip

        return any(self._threads.over(master.shape[0], loop, items=master.shape[1]))

    def _rewrite(self, out: Tensor, base: Tensor, write: Write) -> list[bool]:
        """Call write(target, source, first) on float32 pieces of the base; cast what it wrote.

        Pieces start at multiples of BLOCK. float32 weights are written in place, without a copy.
        """
        target, source = out.view(-1), base.detach().contiguous().view(-1)
        size = source.numel()

        def loop(start: int, stop: int) -> bool:
            begin, end = start * BLOCK, min(stop * BLOCK, size)
            if base.dtype == torch.float32:
                return bool(write(target[begin:end].numpy(), source[begin:end].numpy(), begin))
            good = True
            for piece in range(begin, end, CAST_ELEMENTS):
                place = slice(piece, min(piece + CAST_ELEMENTS, end))
                wide = source[place].float()
                good &= bool(write(wide.numpy(), wide.numpy(), piece))
                target[place] = wide
            return good

        return self._threads.over(-(-size // BLOCK), loop, items=BLOCK)

    def _compile(self) -> None:
        """Call every loop once, with the types that it will be called with."""
        base, master = torch.zeros(1, BLOCK + 1), torch.zeros(1, BLOCK + 1, dtype=torch.int32)
        address = {"key": 0, "tensor": 0}
        self.full_member(base, **address, member=0, sigma_log2=0, frozen=None)
        for _ in self.full_members(base, **address, members=[0], sigma_log2=0, frozen=None):
            pass
        for full_rank in (False, True):
            self.accumulate(
                master, **address, coefficients=[1], step=0, frozen=None, full_rank=full_rank
            )
        self.materialise(base, master, exponent=0)
        self.digest(master)


def _check_member(
    base: Tensor, key: int, tensor: int, member: int, sigma_log2: int, frozen: Frozen | None
) -> tuple[int, float]:
    """Give a member's pair and signed scale, when its noise can be addressed."""
    check_dtype(base)
    check_frozen(base, frozen)
    pair, minus = divmod(member, 2)
    check_address(key=key, tensor=tensor, side=FULL, first=0, count=base.numel(), pairs=pair + 1)
    return pair, math.ldexp(-1.0 if minus else 1.0, sigma_log2)


def _from_planes(planes: Array, key: int, tensor: int, pair: int, scale: float) -> Write:
    """Write from bit planes, and the elements after the last whole block from their address."""

    def write(target: Array, source: Array, first: int) -> None:
        whole = source.size // BLOCK * BLOCK
        plane = planes[pair % PAIRS, first // BLOCK : (first + whole) // BLOCK]
        cpu_passes.write_member_from_plane(target[:whole], source[:whole], plane, scale)
        if whole < source.size:
            cpu_passes.write_member(
                target[whole:], source[whole:], np.uint64(key), tensor, first + whole, pair, scale
            )

    return write


def _moves(tensor: Tensor, frozen: Frozen | None) -> tuple[Array, Array]:
    """Give (out,) and (in,) int8: 1 where a row or column may move."""
    masks = (None, None) if frozen is None else (frozen.rows, frozen.columns)
    rows, columns = (
        np.ones(size, np.int8) if mask is None else mask.numpy()
        for mask, size in zip(masks, tensor.shape, strict=True)
    )
    return rows, columns


def _keep_frozen(out: Tensor, base: Tensor, frozen: Frozen | None) -> Tensor:
    """Copy the frozen rows and columns back from the base, so that their bits are its bits."""
    if frozen is not None and frozen.rows is not None:
        rows = frozen.rows == 0
        out[rows] = base.detach()[rows]
    if frozen is not None and frozen.columns is not None:
        columns = frozen.columns == 0
        out[:, columns] = base.detach()[:, columns]
    return out
