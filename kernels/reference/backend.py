"""The backend that can be read: NumPy, slow, the yardstick of the others.

Turns tensors into arrays and back around noise, members, update and logprob.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
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
    mask_factors,
)
from kernels.dtypes import check_dtype, require_finite
from kernels.reference import logprob, members, noise, update


class ReferenceBackend:
    """Plain NumPy on the CPU; see kernels.contract for the contract."""

    name: BackendName = "reference"

    def each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do them one after the other."""
        return [work(item) for item in items]

    def signs(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give the signs at a range of elements."""
        return torch.from_numpy(
            noise.signs(key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs)
        )

    def gaussians(
        self, *, key: int, tensor: int, side: int, first: int, count: int, pairs: int
    ) -> Tensor:
        """Give standard normal noise at a range of elements."""
        return torch.from_numpy(
            noise.gaussians(
                key=key, tensor=tensor, side=side, first=first, count=count, pairs=pairs
            )
        )

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
        check_dtype(base)
        update.check_frozen(base, frozen)
        signs = _full_signs(base, key, tensor, pairs=member // 2 + 1, frozen=frozen)[member // 2]
        moved = members.full_member(
            base.float().numpy(), signs, plus=member % 2 == 0, sigma_log2=sigma_log2
        )
        return torch.from_numpy(moved).to(base.dtype)

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
        """Write members one after another."""
        for member in members:
            yield self.full_member(
                base, key=key, tensor=tensor, member=member, sigma_log2=sigma_log2, frozen=frozen
            )

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
        return self._members(x, layer.plain(), layer.bias, rows, columns, sigma_log2)

    def _members(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        rows: Tensor,
        columns: Tensor,
        sigma_log2: int,
    ) -> Tensor:
        y = members.member_linear(
            x.float().numpy(),
            weight.float().numpy(),
            None if bias is None else bias.float().numpy(),
            rows.numpy(),
            columns.numpy(),
            sigma_log2=sigma_log2,
        )
        return torch.from_numpy(y).to(x.dtype)

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
        """Apply to each row the layer of its own member: every row a batch of one."""
        signs = 1 - 2 * (members % 2)
        signs[members < 0] = 0
        rows = factors.rows[members // 2] * signs[:, None].to(torch.int8)
        columns = factors.columns[members // 2]
        return self._members(x[:, None], weight, bias, rows, columns, sigma_log2)[:, 0]

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
        update.check_update(master, coefficients, step, frozen)
        pairs = len(coefficients)
        if full_rank:
            signs = _full_signs(master, key, tensor, pairs=pairs, frozen=frozen)
            total = update.full_sum(signs, coefficients)
        else:
            height, width = master.shape
            factors = self.pair_factors(
                key=key, tensor=tensor, shape=(height, width), pairs=pairs, frozen=frozen
            )
            total = update.rank1_sum(factors.rows.numpy(), factors.columns.numpy(), coefficients)
        update.add(master.numpy(), total, step)

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
        """Accumulate, materialise and digest, one after another."""
        moved = master.clone()
        self.accumulate(
            moved, key=key, tensor=tensor, coefficients=coefficients, step=step, frozen=frozen,
            full_rank=full_rank,
        )  # fmt: skip
        weights = self.materialise(base, moved, exponent=exponent)
        master.copy_(moved)
        return weights, self.digest(master)

    def materialise(self, base: Tensor, master: Tensor, *, exponent: int) -> Tensor:
        """Round base + 2^exponent · K once."""
        check_dtype(base)
        weights = update.materialise(base.float().numpy(), master.numpy(), exponent=exponent)
        return require_finite(torch.from_numpy(weights).to(base.dtype))

    def digest(self, master: Tensor) -> int:
        """Sum a 64-bit mix of every (row-major index, value)."""
        update.check_digest_size(master)
        return update.digest(master.contiguous().numpy())

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Score target tokens."""
        return torch.from_numpy(
            logprob.token_logprobs(hidden.float().numpy(), head.float().numpy(), targets.numpy())
        )

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Give the k most probable tokens of each row."""
        scores, ids = logprob.top_tokens(hidden.float().numpy(), head.float().numpy(), k)
        return torch.from_numpy(scores), torch.from_numpy(ids)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give every unit's mean and sum of squared differences from it."""
        wide = x.double().numpy()
        mean = wide.mean(axis=0)
        return torch.from_numpy(mean), torch.from_numpy(np.square(wide - mean).sum(axis=0))


def _full_signs(
    tensor: Tensor, key: int, name: int, *, pairs: int, frozen: Frozen | None
) -> noise.Signs:
    """Give (pairs, out, in) signs of side FULL, zeros where frozen."""
    rows, columns = tensor.shape
    signs = noise.signs(
        key=key, tensor=name, side=FULL, first=0, count=rows * columns, pairs=pairs
    ).reshape(pairs, rows, columns)
    if frozen is not None and frozen.rows is not None:
        signs = signs * frozen.rows.numpy()[:, None]
    if frozen is not None and frozen.columns is not None:
        signs = signs * frozen.columns.numpy()
    return np.ascontiguousarray(signs)
