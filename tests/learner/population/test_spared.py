"""What prose uses is dear to move: the algebra, and what the search of signs makes of it."""

import pytest
import torch
from torch import Tensor

from kernels.change import Address
from kernels.contract import Backend
from learner.population import spared as module
from learner.population.members import Passage, lay_out, run_trunk
from learner.population.screen import leading
from learner.population.spared import Spared, inputs_of
from streams.model.open import BaseModel


@pytest.fixture
def inputs() -> Tensor:
    """Many inputs that have a direction in common: (90, 20)."""
    draw = torch.Generator().manual_seed(3)
    shared = torch.randn(1, 20, generator=draw)
    return torch.randn(90, 20, generator=draw) + 4 * torch.randn(90, 1, generator=draw) * shared


def dearness(inputs: Tensor, spare: float) -> Tensor:
    """Return M as it is written: 1 + spare · C / (mean eigenvalue of C)."""
    wide = inputs.double()
    shared = wide.T @ wide / len(wide)
    return torch.eye(20, dtype=torch.float64) + spare * shared / (shared.trace() / 20)


@pytest.mark.parametrize("pieces", [1, 3])
def test_dearness_is_what_is_written(inputs: Tensor, pieces: int) -> None:
    """M^(1/2), M^(-1/2) and lengths are those of M, in however many pieces the inputs come."""
    spared, dear = Spared.of(inputs.chunk(pieces), 10.0), dearness(inputs, 10.0)
    rows = torch.randn(7, 20, generator=torch.Generator().manual_seed(4))
    twice = spared.dear(spared.dear(rows))
    torch.testing.assert_close(twice, rows.double() @ dear)
    torch.testing.assert_close(spared.cheapened(spared.dear(rows)), rows.double())
    signs = rows.sign()
    lengths = (signs.double() @ dear * signs.double()).sum(-1).sqrt()
    torch.testing.assert_close(spared.lengths(signs), lengths.float())


def test_only_leading_directions_are_dear(inputs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer kept than there are, the direction that all inputs share is among them."""
    monkeypatch.setattr(module, "KEPT", 2)
    spared = Spared.of([inputs], 10.0)
    assert spared.directions.shape == (20, 2)
    shared = torch.linalg.eigh(dearness(inputs, 10.0))[1][:, -1:].T
    assert float(spared.dear(shared).norm()) == pytest.approx(
        float((shared @ dearness(inputs, 10.0) @ shared.T).sqrt()), rel=1e-6
    )


def test_leading_directions_gain_most_for_what_they_change(
    inputs: Tensor, backend: Backend
) -> None:
    """They are those of S M^(-1/2), and what is moved along is clear of what inputs share."""
    draw = torch.Generator().manual_seed(8)
    shared = torch.linalg.eigh(dearness(inputs, 10.0))[1][:, -1].float()
    total = torch.outer(torch.randn(30, generator=draw), shared + torch.randn(20, generator=draw))
    spared = Spared.of([inputs], 10.0)
    plain, sparing = (leading(total, backend, Address(1, 2), each) for each in (None, spared))
    cheap = torch.linalg.svd(spared.cheapened(total), full_matrices=False)
    assert float(sparing.sizes[0]) == pytest.approx(float(cheap.S[0]), rel=1e-6)
    wanted = spared.cheapened(cheap.Vh[:1])[0]
    assert abs(float(sparing.right[:, 0] @ wanted / wanted.norm() ** 2)) == pytest.approx(1)
    kept = [
        abs(float(d.right[:, 0] @ shared.double() / d.right[:, 0].norm())) for d in (plain, sparing)
    ]
    assert kept[1] < kept[0] / 4


def test_inputs_are_what_comes_into_the_last_mlp(tiny_base: BaseModel) -> None:
    """Gate and up read the same, down reads what they make of it."""
    texts = [Passage((token,), (tuple(range(token + 1, token + 9)),)) for token in (3, 50)]
    trunk = run_trunk(tiny_base.decoder, lay_out(texts), moving=1, pause=lambda: None)
    found = {name.split(".")[-2]: x for name, x in inputs_of(tiny_base.decoder, trunk).items()}
    model = tiny_base.decoder.model
    gate, up, down = (model.get_parameter(f"model.layers.3.mlp.{m}_proj.weight")
                      for m in ("gate", "up", "down"))  # fmt: skip
    assert found["gate_proj"].shape == (16, gate.shape[1])
    assert torch.equal(found["gate_proj"], found["up_proj"])
    x = found["gate_proj"]
    torch.testing.assert_close(
        found["down_proj"], torch.nn.functional.silu(x @ gate.T) * (x @ up.T)
    )
    assert down.shape[1] == found["down_proj"].shape[1]
