"""What the agent tells operators of its model: sizes, what tokens write, what a version changed."""

import pytest

from agent.errors import UnknownVersionError
from agent.insight import Insight
from agent.swap.residents import Residents
from kernels.open import open_backend
from streams.model.open import BaseModel
from tests.agent.lineage import LAYERS, MODULES, Lineage


@pytest.fixture
def lineage(tiny_base: BaseModel) -> Lineage:
    """A line of one version."""
    line = Lineage(tiny_base)
    line.next()
    return line


@pytest.fixture
def insight(tiny_base: BaseModel, lineage: Lineage) -> Insight:
    """Of an agent that knows that line."""
    backend = open_backend("cpu")
    residents = Residents(tiny_base, backend)
    residents.book.add_mask(lineage.mask)
    residents.book.add_recipe(lineage.recipes[0])
    return Insight(tiny_base, residents, backend)


def test_sizes_are_the_models(insight: Insight, tiny_base: BaseModel) -> None:
    """As the unit map is drawn over them."""
    sizes = insight.sizes()
    up = tiny_base.model.layer("model.layers.0.mlp.up_proj.weight")
    assert (sizes["layers"], sizes["groups"]) == (
        tiny_base.decoder.num_layers,
        tiny_base.decoder.kv_heads,
    )
    assert sizes["neurons"] == up.shape[0]


def test_tokens_write_what_they_write(insight: Insight, tiny_base: BaseModel) -> None:
    """Half a character is escaped in its token, and whole in the text."""
    ids = tiny_base.encode("Say é now.<|im_end|>")
    words, raw = insight.words(ids)
    assert len(words) == len(ids)
    assert raw == "Say é now.<|im_end|>"
    assert words[-1] == "<|im_end|>"


def test_a_versions_change_leaves_frozen_units_alone(insight: Insight, lineage: Lineage) -> None:
    """Every tensor that the recipe moves, with its frozen rows and columns at exactly zero."""
    tensors = insight.moved(lineage.recipes[0].version)
    assert [(each["layer"], each["module"]) for each in tensors] == [
        (layer, module) for layer in LAYERS for module in MODULES
    ]
    assert [each["frozen"] for each in tensors] == [2, 2, 1, 1]
    assert all(each["rms"] > 0 and each["frozen_most"] == 0.0 for each in tensors)
    assert insight.moved(lineage.recipes[0].version) is tensors


def test_an_unknown_version_is_refused(insight: Insight, tiny_base: BaseModel) -> None:
    """Only what the log has told can be measured; the base has no parent."""
    with pytest.raises(UnknownVersionError):
        insight.moved("ffff")
    assert insight.moved(tiny_base.name) == []
