"""The geometry of refusal: nothing moves for the base, and what turns the direction is seen."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.model.layers import Layer
from kernels.model.model import with_weights
from kernels.version.layout import parameter_name
from learner.population.packing import pack
from learner.safety.measuring import Measuring
from learner.safety.probe import Measurement
from learner.safety.probes.geometry import ask, open_probe
from learner.safety.readings.choices import TokenIds
from learner.safety.readings.geometry import Geometry, beyond, twins_of
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from tests.learner.safety.test_choices import moved, nothing

ASSENTS = (70, 71)
Asked = list[list[TokenIds]]


@pytest.fixture
def asked(tiny_base: BaseModel, backend: Backend) -> Asked:
    """Three requests of each kind."""
    sets = Sets(Measuring(tiny_base, backend, nothing), count=1)
    return [
        [sets.prompt(f"{word} {number}") for number in range(3)] for word in ("kill", "what", "yes")
    ]


@pytest.fixture
def geometry(tiny_base: BaseModel, backend: Backend, asked: Asked) -> Geometry:
    """What reads them; assent begins with one of two tokens."""
    return Geometry(Measuring(tiny_base, backend, nothing), *asked, assents=ASSENTS)


def writing(
    base: BaseModel, asked: Asked, by: tuple[float, float], vector: Tensor | None = None
) -> Decoder:
    """Return a version whose last MLP writes one vector more, by so much for each of two kinds."""
    name = parameter_name(base.decoder.num_layers - 1, "down_proj")
    middle = torch.stack([activations(base, each, name).mean(0) for each in asked[:2]])
    reads = torch.linalg.pinv(middle) @ torch.tensor(by)  # reads · middle = by
    weight = base.model.layer(name).plain()
    if vector is None:
        vector = torch.randn(weight.shape[0], generator=torch.Generator().manual_seed(5))
    return Decoder(with_weights(base.model, {name: weight + torch.outer(vector, reads)}))


@torch.inference_mode()
def activations(base: BaseModel, requests: list[TokenIds], name: str) -> Tensor:
    """Return what a layer reads at the last token of each request: (requests, width)."""
    seen: list[Tensor] = []

    def linear(layer: str, weights: Layer, x: Tensor) -> Tensor:
        if layer == name:
            seen.append(x)
        return weights.apply(x)

    decoder = base.decoder
    packed = pack(requests, decoder.device)
    rope = decoder.rope(packed.positions)
    decoder.run(decoder.embed(packed.ids), rope=rope, attend=packed.attend, linear=linear)
    return seen[0][0, [path[-1] for path in packed.paths]]


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


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.0])
def test_what_reaches_harmful_requests_from_harmless_ones_is_no_turn_beyond_them(
    tiny_base: BaseModel, geometry: Geometry, asked: Asked, share: float
) -> None:
    """However far they move, as long as harmful ones move no further; it turns the direction."""
    shape = geometry.shape(writing(tiny_base, asked, (share, 1.0)))
    assert shape.beyond == pytest.approx(0, abs=1e-5)
    assert shape.times_beyond < 1
    assert (shape.turned > 1e-5) is (share < 1)


@pytest.mark.parametrize("harmless", [0.9, 0.5, 0.0, -0.5])
def test_what_harmful_requests_move_further_is_a_turn_beyond_harmless_ones(
    tiny_base: BaseModel, geometry: Geometry, asked: Asked, harmless: float
) -> None:
    """The whole turn, where harmless ones moved likewise; less where they moved back."""
    shape = geometry.shape(writing(tiny_base, asked, (1.0, harmless)))
    alone = geometry.shape(writing(tiny_base, asked, (1.0 - max(0.0, harmless), 0.0)))
    assert shape.beyond == pytest.approx(alone.turned, rel=0.01)
    assert shape.beyond > 1e-5
    assert (shape.beyond == pytest.approx(shape.turned, rel=0.01)) is (harmless >= 0)


def test_nothing_is_hidden_behind_a_larger_movement_of_harmless_requests() -> None:
    """However far these move: what lies across their way is left whole; so is what goes against."""
    across, along = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
    for far in (1.0, 10.0, 1000.0):
        assert torch.equal(beyond(across + along, far * along), across)
        assert torch.equal(beyond(-along, far * along), -along)
    assert torch.equal(beyond(across, 0 * along), across)


@pytest.mark.parametrize(("sign", "noted"), [(1, True), (-1, False)])
def test_where_assent_rose_the_whole_turn_counts(
    tiny_base: BaseModel, geometry: Geometry, asked: Asked, sign: int, noted: bool
) -> None:
    """Though harmless requests moved further; where it fell, only what is beyond them does."""
    head = tiny_base.decoder.head[list(ASSENTS)].mean(0).float()
    vector = sign * 30 * head / head.norm()
    decoder = writing(tiny_base, asked, (0.5, 1.0), vector)
    shape = geometry.shape(decoder)
    assert shape.times > 2 * shape.times_beyond
    assert shape.assent * sign > 0.75
    found = ask(SimpleNamespace(decoder=decoder, questions=SimpleNamespace(geometry=geometry)))  # type: ignore[arg-type]
    assert bool(found.note) is noted
    assert -found.value == pytest.approx(shape.times if noted else shape.times_beyond)
    probe = open_probe(LearnerSettings(gate_geometry_times=1e-3))
    none = Measurement(0.0)
    told = probe.compare(found, serving=none, base=none)
    assert ("in whole, as assent rose" in told.sentence) is noted
    assert geometry.shape(tiny_base.decoder).assent == 0
