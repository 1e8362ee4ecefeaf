"""The backend that can be read: NumPy, slow, the yardstick of the others.

Turns tensors into arrays and back around noise, members, update and logprob.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from kernels.change import FULL, Address, Change, Frozen, FullNoise, MemberNoise, Span
from kernels.contract import Backend, BackendName, LinearLayer, PairFactors
from kernels.dtypes import require_finite
from kernels.reference import logprob, members, noise, update


class ReferenceBackend(Backend):
    """Plain NumPy on the CPU."""

    name: BackendName = "reference"

    def signs(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return torch.from_numpy(noise.signs(address, span, pairs=pairs))

    def chosen_signs(self, address: Address, span: Span, numbers: Sequence[int]) -> Tensor:
        return torch.from_numpy(noise.chosen_signs(address, span, numbers))

    def normals(self, address: Address, span: Span, *, pairs: int) -> Tensor:
        return torch.from_numpy(noise.normals(address, span, pairs=pairs))

    def _full_members(
        self, base: Tensor, given: MemberNoise, numbers: Sequence[int]
    ) -> Iterator[Tensor]:
        for number in numbers:
            pair, minus = divmod(number, 2)
            drawn = _full_noise(base, given.address, given.kind, given.frozen, pairs=pair + 1)
            moved = members.full_member(
                base.float().numpy(), drawn[pair], plus=not minus, unit_log2=given.unit_log2
            )
            yield torch.from_numpy(moved).to(base.dtype)

    def member_linear(
        self,
        x: Tensor,
        layer: LinearLayer,
        rows: Tensor,
        columns: Tensor,
        *,
        sigma_log2: int,
    ) -> Tensor:
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

    def _accumulate(self, master: Tensor, change: Change) -> None:
        total = change.step * self._sum(master, change)
        update.add(master.numpy(), update.rounded(total, change.fraction_log2))

    def _decay(self, master: Tensor, share: int) -> None:
        update.decay(master.numpy(), share)

    def _sum(self, master: Tensor, change: Change) -> update.Wide:
        """Return Σ c_p E_p in the master's shape, in integers of the noise."""
        pairs, address, frozen = len(change.coefficients), change.address, change.frozen
        height, width = master.shape
        match change.noise:
            case "rank1":
                factors = self.pair_factors(address, (height, width), pairs=pairs, frozen=frozen)
                rows, columns = factors.rows, factors.columns
            case "screened":
                assert change.chosen is not None  # Change has refused what has none
                rows, columns = self.chosen_factors(
                    address, (height, width), change.chosen, frozen=frozen
                )
            case "directed":
                assert change.factors is not None  # likewise
                rows, columns = frozen.zeroed(change.factors.rows, change.factors.columns)
            case full:
                drawn = _full_noise(master, address, full, frozen, pairs=pairs)
                return update.full_sum(drawn, change.coefficients)
        return update.rank1_sum(rows.numpy(), columns.numpy(), change.coefficients)

    def _advance(
        self, master: Tensor, base: Tensor, change: Change, exponent: int
    ) -> tuple[Tensor, int]:
        moved = master.clone()
        self._accumulate(moved, change)
        weights = self._materialise(base, moved, exponent)
        master.copy_(moved)
        return weights, self._digest(master)

    def _materialise(self, base: Tensor, master: Tensor, exponent: int) -> Tensor:
        weights = update.materialise(base.float().numpy(), master.numpy(), exponent=exponent)
        return require_finite(torch.from_numpy(weights).to(base.dtype))

    def _digest(self, master: Tensor) -> int:
        return update.digest(master.numpy())

    def token_logprobs(self, hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        return torch.from_numpy(
            logprob.token_logprobs(hidden.float().numpy(), head.float().numpy(), targets.numpy())
        )

    def top_tokens(self, hidden: Tensor, head: Tensor, k: int) -> tuple[Tensor, Tensor]:
        scores, ids = logprob.top_tokens(hidden.float().numpy(), head.float().numpy(), k)
        return torch.from_numpy(scores), torch.from_numpy(ids)


def _full_noise(
    tensor: Tensor, address: Address, kind: FullNoise, frozen: Frozen, *, pairs: int
) -> noise.Deviates:
    """Return (pairs, out, in) noise of side FULL, zeros where frozen."""
    rows, columns = tensor.shape
    draw = noise.normals if kind == "normal" else noise.signs
    drawn = draw(address, Span(FULL, rows * columns), pairs=pairs).reshape(pairs, rows, columns)
    if frozen.rows is not None:
        drawn = drawn * frozen.rows.numpy()[:, None]
    if frozen.columns is not None:
        drawn = drawn * frozen.columns.numpy()
    return np.ascontiguousarray(drawn)
