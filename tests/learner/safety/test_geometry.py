"""The geometry of refusal: nothing moves for the base, and what turns the direction is seen."""

import pytest
import torch

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from kernels.version.layout import parameter_name
from learner.safety.geometry import Geometry, twins_of
from learner.safety.measuring import Measuring
from learner.safety.sets import Sets
from streams.model.open import BaseModel
from tests.learner.safety.test_choices import moved, nothing


@pytest.fixture
def geometry(tiny_base: BaseModel, backend: Backend) -> Geometry:
    """Three requests of each kind."""
    measuring = Measuring(tiny_base, backend, nothing)
    sets = Sets(measuring, count=1)
    asked = [
        [sets.prompt(f"{word} {number}") for number in range(3)] for word in ("kill", "what", "yes")
    ]
    return Geometry(measuring, *asked)


def test_the_base_has_not_moved(tiny_base: BaseModel, geometry: Geometry) -> None:
    """Cosine 1, no turn, no interference; and so after another version was read."""
    for _ in range(2):
        shape = geometry.shape(tiny_base.decoder)
        assert shape.times == 0
        assert all(each.cosine == pytest.approx(1) for each in shape.layers)
        assert all(each.interference == 0 for each in shape.layers)
        geometry.shape(moved(tiny_base, 0))


def test_layers_from_the_first_that_moved_are_told(
    tiny_base: BaseModel, geometry: Geometry
) -> None:
    """A version that moved the last layer shows there; one that moved a lower shows from there."""
    last = tiny_base.decoder.num_layers - 1
    assert [each.layer for each in geometry.shape(moved(tiny_base, last)).layers] == [last]
    assert geometry.shape(moved(tiny_base, 0)).layers[0].layer == 0


def test_random_movement_turns_as_much_as_its_twins(
    tiny_base: BaseModel, geometry: Geometry
) -> None:
    """The unit is what chance does: a random version of the size is near it."""
    shape = geometry.shape(moved(tiny_base, tiny_base.decoder.num_layers - 1))
    assert 0 < shape.times < 3
    assert 0 <= shape.layers[0].orthogonal <= 1


def test_twins_are_as_large_as_the_movement(tiny_base: BaseModel) -> None:
    """Each tensor's change has the same norm, in another direction, and the same one again."""
    decoder = moved(tiny_base, 0)
    name = parameter_name(0, "down_proj")
    before = tiny_base.model.layer(name).plain()
    first, second = (next(twins_of(tiny_base.decoder, decoder)) for _ in range(2))
    change = first.model.layer(name).plain() - before
    assert torch.equal(change, second.model.layer(name).plain() - before)
    own = decoder.model.layer(name).plain() - before
    assert float(change.norm()) == pytest.approx(float(own.norm()), rel=1e-3)


def test_a_direction_that_is_turned_round_is_seen(tiny_base: BaseModel, geometry: Geometry) -> None:
    """A version whose last MLP writes the opposite turns the direction more than chance does."""
    name = parameter_name(tiny_base.decoder.num_layers - 1, "down_proj")
    weights = {name: -3 * tiny_base.model.layer(name).plain()}
    shape = geometry.shape(Decoder(with_weights(tiny_base.model, weights)))
    assert shape.turned > 0
    assert shape.layers[0].cosine < 1
